"""Made from the trigger type `webhook` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Webhook(Trigger):
    """An HTTP request to an address of this service.

    Attributes:
        path: The end of the address. None: the id of the workflow or the trigger.
        methods: The HTTP methods that are taken; others are answered with 405.
        signature: How a request proves where it comes from; `none` must be written.
        event_key: A header's name, or CEL over `body headers query method path`, for example `body.id`.
        dedup: `body-hash`: equal bodies within a window.

    """

    type: ClassVar[str] = "webhook"
    _: KW_ONLY
    path: str | UnsetType | None = UNSET
    methods: Sequence[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]] | UnsetType = UNSET
    signature: Literal["none"] | Mapping[str, Any]
    event_key: str | UnsetType | None = UNSET
    dedup: Literal["body-hash"] | Mapping[str, Any] | UnsetType | None = UNSET
