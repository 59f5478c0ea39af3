"""The times of a schedule that somebody skips, beside its definition so that they outlive a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import to_iso

NO_SKIPS = "[]"
_decode = msgspec.json.Decoder(list[int]).decode


def instants(skips: str) -> list[int]:
    """Return the nominal instants (microseconds) that a stored text names.

    Raises:
        msgspec.DecodeError: the text is malformed.

    """
    return _decode(skips)


def with_skips(config: Mapping[str, Any], skips: str) -> dict[str, Any]:
    """Return a timer's stored configuration with the times that somebody skips added to its own.

    Raises:
        msgspec.DecodeError, ValueError: the stored text is malformed.

    """
    return {**config, "skip": [*(config.get("skip") or ()), *(to_iso(one) for one in instants(skips))]}


class SkipRepository:
    """Writes the skips of schedules."""

    def __init__(self, store: Store) -> None:
        """Write to `store`."""
        self._store = store

    async def replace(self, tenant_id: str, schedule_id: str, was: str, skips: list[int]) -> bool:
        """Replace the stored text `was`; False when it is another one by now.

        A fire that was read before and not yet written loses its guard, and is read again with the new skips.
        """
        return await self._store.transact(_replace(tenant_id, schedule_id, was, skips))


def _replace(tenant_id: str, schedule_id: str, was: str, skips: list[int]) -> Work[bool]:
    rows = yield Sql(
        """UPDATE schedules SET skips = :skips, revision = revision + 1
           WHERE tenant_id = :tenant AND trigger_id = :id AND skips = :was RETURNING trigger_id""",
        {"tenant": tenant_id, "id": schedule_id, "was": was, "skips": msgspec.json.encode(skips).decode()},
    )
    return bool(rows)
