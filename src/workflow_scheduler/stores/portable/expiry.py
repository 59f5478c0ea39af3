"""Credentials that end soon: connections that say when, and sources whose peers do. Each notice is told once.

`told_expiry` is the instant at which the notice that was told last fell due: credentials that are renewed have notices
at other instants, so nothing needs to be reset.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.model.expiry import LEADS_US, WEEK_US, lead_days
from workflow_scheduler.core.model.system_event import SOURCE_CONNECTIONS, SystemEvent
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable import connections, outbox, sources

EVENT = "credentials_expiring"
_LEADS = {"week": LEADS_US[0], "day": LEADS_US[1]}


def _notice(end: str) -> str:
    return f"CASE WHEN {end} <= :tomorrow THEN {end} - :day ELSE {end} - :week END"


def _due(end: str) -> str:
    return f"{end} > :now AND {end} <= :ahead AND (told_expiry IS NULL OR told_expiry <> {_notice(end)})"


def _still(end: str) -> str:
    return f"{end} = :end AND (told_expiry IS NULL OR told_expiry <> :notice)"


class Due(msgspec.Struct, frozen=True, gc=False):
    """Credentials of which a notice is due: `place` is the connection's name, or type and key of the source."""

    tenant_id: str
    place: tuple[str, ...]
    expires_at: int
    notice: int

    def tell(self, now: int) -> Work[bool]:
        """Tell it, unless another instance has, or the credentials were renewed meanwhile."""
        return (yield from (_tell_connection if len(self.place) == 1 else _tell_source)(self, now))


async def due(store: Store, now: int, limit: int) -> list[Due]:
    """Return up to `limit` connections, and as many sources, of which a notice is due and not told."""
    given = {"now": now, "ahead": now + WEEK_US, "tomorrow": now + LEADS_US[1], **_LEADS, "limit": limit}
    named = await store.read(
        f"""SELECT tenant_id, name, expires_at, {_notice("expires_at")} FROM connections
            WHERE {_due("expires_at")} ORDER BY expires_at LIMIT :limit""",
        given,
    )
    heard = await store.read(
        f"""SELECT tenant_id, type, key, credentials_end, {_notice("credentials_end")} FROM sources
            WHERE {_due("credentials_end")} AND status = 'connected' ORDER BY credentials_end LIMIT :limit""",
        given,
    )
    return [Due(row[0], tuple(row[1:-2]), row[-2], row[-1]) for row in (*named, *heard)]


def _tell_connection(one: Due, now: int) -> Work[bool]:
    (name,) = one.place
    rows = yield Sql(
        "UPDATE connections SET told_expiry = :notice WHERE tenant_id = :tenant AND name = :name"
        f" AND {_still('expires_at')} RETURNING kind",
        {"tenant": one.tenant_id, "name": name, "end": one.expires_at, "notice": one.notice},
    )
    if not rows:
        return False
    users = yield from connections.live_users(one.tenant_id, name)
    data = {
        "connection": name,
        "kind": rows[0][0],
        "source": None,
        "type": None,
        "trigger_id": [],
        "trigger_name": [],
        "workflow_id": [user[0] for user in users],
        "workflow_name": [user[1] for user in users],
        **_when(one),
        "remedy": f"Give it a new secret: `workflow-scheduler connection rotate {name} --expires 90d`.",
    }
    told = SystemEvent(tenant_id=one.tenant_id, type=EVENT, source=SOURCE_CONNECTIONS, subject=name, data=data)
    yield outbox.put(told, now)
    return True


def _tell_source(one: Due, now: int) -> Work[bool]:
    kind, key = one.place
    rows = yield Sql(
        "UPDATE sources SET told_expiry = :notice WHERE tenant_id = :tenant AND type = :type AND key = :key"
        f" AND {_still('credentials_end')} RETURNING key",
        {"tenant": one.tenant_id, "type": kind, "key": key, "end": one.expires_at, "notice": one.notice},
    )
    if not rows:
        return False
    remedy = "Renew what its triggers log in with, and put it into their connection or secret."
    more = {"connection": None, "kind": None, **_when(one), "remedy": remedy}
    yield from sources.tell(EVENT, (one.tenant_id, kind, key), more, now)
    return True


def _when(one: Due) -> dict[str, Any]:
    return {"expires_at": to_iso(one.expires_at), "lead_days": lead_days(one.expires_at, one.notice)}
