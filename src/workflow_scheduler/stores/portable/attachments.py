"""The rows of attachments: written in parts before their event, so that an event that is there has all of them.

An attachment counts as soon as its event is stored. What a lost commit or a repeated event leaves without one is
deleted when such an event would be old.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from workflow_scheduler.core.errors import NotFound, Rejected
from workflow_scheduler.core.model.attachment import Attachment, StoredAttachment, parsed
from workflow_scheduler.core.ports.store import Sql, Store, Work

PART_BYTES = 512 << 10
_COLUMNS = "event_id, number, name, content_type, size, sha256"
_THIS = "tenant_id = :tenant AND event_id = :event AND number = :number"
_GONE = "It is deleted with its event; WFS_RETENTION_EVENTS_DAYS says after how many days."


async def keep(store: Store, tenant_id: str, event_id: str, attachments: Iterable[Attachment]) -> None:
    """Store the attachments of an event that is stored after them; doing so again is harmless.

    Raises:
        StoreUnavailable: nobody knows how much was written.

    """
    for one in attachments:
        await store.transact(_put(tenant_id, event_id, one))
        for part, start in enumerate(range(0, len(one.content), PART_BYTES)):
            piece = one.content[start : start + PART_BYTES]
            await store.transact(_put_part(tenant_id, event_id, one.number, part, piece))


def _put(tenant_id: str, event_id: str, one: Attachment) -> Work[None]:
    yield Sql(
        f"""INSERT INTO attachments (tenant_id, {_COLUMNS})
            VALUES (:tenant, :event, :number, :name, :content_type, :size, :sha256) ON CONFLICT DO NOTHING""",
        {
            "tenant": tenant_id, "event": event_id, "number": one.number, "name": _text(one.name),
            "content_type": _text(one.content_type), "size": len(one.content), "sha256": one.sha256,
        },
    )  # fmt: skip


def _put_part(tenant_id: str, event_id: str, number: int, part: int, content: bytes) -> Work[None]:
    yield Sql(
        """INSERT INTO attachment_parts (tenant_id, event_id, number, part, content)
           VALUES (:tenant, :event, :number, :part, :content) ON CONFLICT DO NOTHING""",
        {"tenant": tenant_id, "event": event_id, "number": number, "part": part, "content": content},
    )


def _text(given: str) -> str:
    """Return a text that both stores take, whatever a sender wrote."""
    return given.encode("utf-8", "replace").decode().replace("\x00", "")


class AttachmentRepository:
    """Implements core.ports.attachments.Attachments, and reads for the API."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def of_event(self, tenant_id: str, event_id: str) -> list[StoredAttachment]:
        """Return the attachments of an event, by number; the caller knows that there is such an event."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM attachments WHERE tenant_id = :tenant AND event_id = :event ORDER BY number",
            {"tenant": tenant_id, "event": event_id},
        )
        return [_stored(*row) for row in rows]

    async def get(self, tenant_id: str, event_id: str, number: int) -> StoredAttachment:
        """Return what is known of one attachment of an event.

        Raises:
            NotFound: the event has none of this number.

        """
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM attachments WHERE {_THIS}",
            {"tenant": tenant_id, "event": event_id, "number": number},
        )
        if not rows:
            raise NotFound(
                f"The event `{event_id}` has no stored attachment {number}.",
                fix=f"List what it has: `workflow-scheduler events attachments {event_id}`",
            )
        return _stored(*rows[0])

    async def content(self, tenant_id: str, one: StoredAttachment) -> AsyncIterator[bytes]:
        """Yield the content, part by part."""
        given = {"tenant": tenant_id, "event": one.event_id, "number": one.number}
        for part in range(-(-one.size // PART_BYTES)):
            rows = await self._store.read(
                f"SELECT content FROM attachment_parts WHERE {_THIS} AND part = :part", {**given, "part": part}
            )
            if not rows:
                raise NotFound(f"The attachment `{one.ref}` was deleted while it was read.", fix=_GONE)
            yield bytes(rows[0][0])

    async def open(self, tenant_id: str, ref: str) -> tuple[StoredAttachment, bytes]:
        """Return what a reference names, with its content.

        Raises:
            Rejected: it is no reference, or the tenant has nothing under it (any more).

        """
        named = parsed(ref)
        if named is None:
            raise Rejected(
                f"`{ref[:80]}` is not the reference of an attachment",
                fix="Write what the event says, as ${event.data.attachments[0].ref}.",
            )
        try:
            one = await self.get(tenant_id, *named)
            return one, b"".join([piece async for piece in self.content(tenant_id, one)])
        except NotFound as error:
            raise Rejected(f"there is no attachment `{ref}`", fix=_GONE) from error


def _stored(event_id: str, number: int, name: str, content_type: str, size: int, sha256: str) -> StoredAttachment:
    return StoredAttachment(
        event_id=event_id, number=number, name=name, content_type=content_type, size=size, sha256=sha256
    )
