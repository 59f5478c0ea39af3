"""What jobs need from the store of attachments."""

from __future__ import annotations

from typing import Protocol

from workflow_scheduler.core.model.attachment import StoredAttachment


class Attachments(Protocol):
    """Files that came with events of a tenant."""

    async def open(self, tenant_id: str, ref: str) -> tuple[StoredAttachment, bytes]:
        """Return what a reference names, with its content.

        Raises:
            Rejected: it is no reference, or the tenant has nothing under it (any more).
            StoreUnavailable: the store did not answer.

        """
        ...
