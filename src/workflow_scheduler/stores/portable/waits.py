"""Waits in the database: steps of the transactions that open, answer, remind of and close them.

Whoever opens, answers or closes a wait of a tenant, or looks for one in order to do so, holds the lock of `lock` until
the commit: an answer that comes while its wait is being opened is found by one of the two, and never by both.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.match.answers import Person
from workflow_scheduler.core.model.run import JobStatus, Wake
from workflow_scheduler.core.model.wait import (
    GROUP,
    Answer,
    Wait,
    WaitRequest,
    WaitStatus,
    next_step,
    output_of,
    verdict,
)
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable import claims, turns
from workflow_scheduler.stores.portable.intake import put_wake
from workflow_scheduler.stores.portable.rows import numbered

COLUMNS = (
    "tenant_id", "id", "run_id", "job_id", "number", "workflow_id", "workflow", "trigger_id", "status", "request",
    "responders", "opened_at", "started_at", "started_by", "expires_at", "next_at", "reminded", "escalated",
    "closed_at", "output", "link_key",
)  # fmt: skip
SELECT = ", ".join(COLUMNS)
LOOKED_MAX = 200
_ANSWER = "responder, at, via, approved, answer, comment, event_id"
_EXPIRED = msgspec.json.encode(
    {"code": "expired", "message": "nobody answered in time, and `on_timeout` is fail", "retryable": False}
)
_encode = msgspec.json.encode
_request = msgspec.json.Decoder(WaitRequest)


def lock(dialect: str, tenant_id: str) -> Work[None]:
    """Hold the waits of a tenant until the end of the transaction."""
    yield from turns.lock(dialect, (tenant_id, "\x01waits"))


def wait_from_row(row: Row) -> Wait:
    """Return the wait of a row selected as SELECT.

    Raises:
        ValueError, TypeError: the row is malformed.

    """
    values = dict(zip(COLUMNS, row, strict=True))
    request = _request.decode(values.pop("request"))
    responders = msgspec.json.decode(values.pop("responders"), type=tuple[str, ...])
    key = bytes(values.pop("link_key"))
    values["status"] = WaitStatus(values["status"])
    values["escalated"] = bool(values["escalated"])
    return Wait(**values, request=request, to=responders, key=key)


def readable(rows: Sequence[Row]) -> list[Wait]:
    """Return the waits of rows; those that cannot be read are left out, and the inspection lists them."""
    found = []
    for row in rows:
        try:
            found.append(wait_from_row(row))
        except (ValueError, TypeError):
            continue
    return found


def of_job(tenant_id: str, run_id: str, job_id: str) -> Work[Wait | None]:
    """Return the latest wait of a job."""
    rows = yield Sql(
        f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND run_id = :run AND job_id = :job "
        "ORDER BY number DESC LIMIT 1",
        {"tenant": tenant_id, "run": run_id, "job": job_id},
    )
    return wait_from_row(rows[0]) if rows else None


def get(tenant_id: str, wait_id: str) -> Work[Wait | None]:
    """Return a wait."""
    rows = yield Sql(
        f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND id = :id", {"tenant": tenant_id, "id": wait_id}
    )
    return wait_from_row(rows[0]) if rows else None


async def of_run(store: Store, tenant_id: str, run_id: str) -> list[Wait]:
    """Return the waits of a run, the oldest first."""
    rows = await store.read(
        f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND run_id = :run ORDER BY id LIMIT {LOOKED_MAX}",
        {"tenant": tenant_id, "run": run_id},
    )
    return readable(rows)


def insert(wait: Wait, keys: Sequence[str]) -> Work[None]:
    """Store a new wait with the keys under which answers find it."""
    values = {
        **msgspec.structs.asdict(wait),
        "status": wait.status.value,
        "request": _encode(wait.request),
        "responders": _encode(wait.to).decode(),
        "escalated": int(wait.escalated),
        "link_key": wait.key,
    }
    yield Sql(
        f"INSERT INTO waits ({SELECT}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})",
        {name: values[name] for name in COLUMNS},
    )
    for key in dict.fromkeys(keys):
        yield Sql(
            "INSERT INTO wait_keys (tenant_id, key, wait_id, run_id) VALUES (:tenant, :key, :wait, :run) "
            "ON CONFLICT DO NOTHING",
            {"tenant": wait.tenant_id, "key": key, "wait": wait.id, "run": wait.run_id},
        )


def by_keys(tenant_id: str, ids: Sequence[str], keys: Sequence[str]) -> Work[list[Wait]]:
    """Return the waits that have one of these ids or keys, closed ones included, the newest first."""
    found: dict[str, Wait] = {}
    if ids:
        names, params = numbered("i", list(ids))
        rows = yield Sql(
            f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND id IN ({names})",
            {"tenant": tenant_id, **params},
        )
        found.update((wait.id, wait) for wait in readable(rows))
    if keys:
        names, params = numbered("k", list(keys))
        rows = yield Sql(
            f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND id IN (SELECT wait_id FROM wait_keys "
            f"WHERE tenant_id = :tenant AND key IN ({names}) ORDER BY wait_id DESC LIMIT {LOOKED_MAX})",
            {"tenant": tenant_id, **params},
        )
        found.update((wait.id, wait) for wait in readable(rows))
    return list(found.values())


def open_of(tenant_id: str, workflow_id: str) -> Work[list[Wait]]:
    """Return the newest open waits of a workflow, LOOKED_MAX at most."""
    rows = yield Sql(
        f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND workflow_id = :workflow AND status = 'OPEN' "
        f"ORDER BY id DESC LIMIT {LOOKED_MAX}",
        {"tenant": tenant_id, "workflow": workflow_id},
    )
    return readable(rows)


def answers_of(tenant_id: str, wait_id: str) -> Work[list[Answer]]:
    """Return the answers to a wait in the order in which they came."""
    rows = yield Sql(
        f"SELECT {_ANSWER} FROM wait_answers WHERE tenant_id = :tenant AND wait_id = :wait ORDER BY at, responder",
        {"tenant": tenant_id, "wait": wait_id},
    )
    return [answer_from_row(row) for row in rows]


def answer_from_row(row: Row) -> Answer:
    """Return the answer of a row selected as _ANSWER."""
    by, at, via, approved, answer, comment, event_id = row
    return Answer(
        by=by, at=at, via=via, approved=None if approved is None else bool(approved), answer=bytes(answer),
        comment=comment, event_id=event_id,
    )  # fmt: skip


def groups_of(tenant_id: str, responders: Sequence[str]) -> Work[dict[str, frozenset[str]]]:
    """Return who belongs to each group among `responders`: user ids and addresses."""
    wanted = {one for one in responders if one.startswith(GROUP)}
    found: dict[str, set[str]] = {name: set() for name in wanted}
    if wanted:
        rows = yield Sql(
            "SELECT user_id, email, member_of FROM members WHERE tenant_id = :tenant AND removed_at IS NULL "
            "AND member_of <> '[]'",
            {"tenant": tenant_id},
        )
        for user_id, email, member_of in rows:
            for group in msgspec.json.decode(member_of):
                if f"{GROUP}{group}" in found:
                    found[f"{GROUP}{group}"] |= {str(user_id), *([str(email).lower()] if email else [])}
    return {name: frozenset(people) for name, people in found.items()}


def person_of(tenant_id: str, who: Sequence[str]) -> Work[Person | None]:
    """Return the person with these names: those of the member that one of them belongs to are added.

    A member is recorded under the user id, whatever name they use: nobody answers twice under two names.
    """
    if not who:
        return None
    given = [*dict.fromkeys(name.lower() for name in who), *who]
    names, params = numbered("w", given)
    rows = yield Sql(
        f"SELECT user_id, email FROM members WHERE tenant_id = :tenant AND removed_at IS NULL "
        f"AND (user_id IN ({names}) OR LOWER(email) IN ({names})) ORDER BY user_id",
        {"tenant": tenant_id, **params},
    )
    if len(rows) != 1:
        return Person(who[0], frozenset(who))
    user_id, email = rows[0]
    return Person(str(user_id), frozenset({*who, str(user_id), *([str(email)] if email else [])}))


def give(wait: Wait, answer: Answer) -> Work[Wait | None]:
    """Store an answer to an open wait, and close the wait when that decides it.

    Returns the wait as it stands then; None when this responder has answered it before.
    """
    rows = yield Sql(
        f"INSERT INTO wait_answers (tenant_id, wait_id, run_id, {_ANSWER}) VALUES (:tenant, :wait, :run, :by, :at, "
        ":via, :approved, :answer, :comment, :event) ON CONFLICT DO NOTHING RETURNING 1",
        {
            "tenant": wait.tenant_id, "wait": wait.id, "run": wait.run_id, "by": answer.by, "at": answer.at,
            "via": answer.via, "approved": None if answer.approved is None else int(answer.approved),
            "answer": answer.answer, "comment": answer.comment, "event": answer.event_id,
        },
    )  # fmt: skip
    if not rows:
        return None
    answers = yield from answers_of(wait.tenant_id, wait.id)
    decided = verdict(wait, answers)
    if decided is None:
        return wait
    approved = decided if wait.request.decides else None
    return (yield from close(wait, WaitStatus.ANSWERED, answer.at, output=output_of(wait, approved, answers)))


def close(
    wait: Wait, status: WaitStatus, now: int, *, output: bytes | None = None, error: bytes | None = None
) -> Work[Wait | None]:
    """Close an open wait and tell its job; None when somebody has closed it before.

    A wait that is called off tells its job nothing: the job has ended.
    """
    rows = yield Sql(
        "UPDATE waits SET status = :status, closed_at = :now, next_at = NULL, output = :output "
        "WHERE tenant_id = :tenant AND id = :id AND status = 'OPEN' RETURNING id",
        {"tenant": wait.tenant_id, "id": wait.id, "status": status.value, "now": now, "output": output},
    )
    if not rows:
        return None
    if status is not WaitStatus.CANCELLED:
        wake = Wake(
            tenant_id=wait.tenant_id, run_id=wait.run_id, job_id=wait.job_id, name=wait.name, at=now,
            status=JobStatus.SUCCEEDED if error is None else JobStatus.FAILED, output=output, error=error,
        )  # fmt: skip
        yield from put_wake(wake)
        yield from claims.look_soon(wait.tenant_id, wait.run_id, now)
    return replace(wait, status=status, closed_at=now, next_at=None, output=output)


def expire(wait: Wait, now: int) -> Work[Wait]:
    """Close an open wait of which the time has run out as its `on_timeout` says, and return it as it stands then."""
    policy, output = wait.request.on_timeout, None
    if policy != "fail":
        answers = yield from answers_of(wait.tenant_id, wait.id)
        output = output_of(wait, {"approve": True, "reject": False}.get(policy), answers, timed_out=True)
    error = _EXPIRED if policy == "fail" else None
    after = yield from close(wait, WaitStatus.EXPIRED, now, output=output, error=error)
    return after or wait


def lapse(found: Sequence[Wait], now: int) -> Work[list[Wait]]:
    """Expire those of the waits that are due: an answer counts before that instant, whenever anybody looks."""
    after = list(found)
    for place, wait in enumerate(found):
        if wait.has_expired(now):
            after[place] = yield from expire(wait, now)
    return after


def void(wait: Wait) -> Work[None]:
    """Call off a wait whose answer was of no use, so that another one may be opened in its place."""
    yield Sql(
        "UPDATE waits SET status = 'CANCELLED', output = NULL WHERE tenant_id = :tenant AND id = :id",
        {"tenant": wait.tenant_id, "id": wait.id},
    )


async def due(store: Store, now: int, limit: int) -> list[Wait]:
    """Return up to `limit` open waits of all tenants whose time has come; those that cannot be read are left out."""
    rows = await store.read(
        f"SELECT {SELECT} FROM waits WHERE status = 'OPEN' AND next_at <= :now ORDER BY next_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return readable(rows)


def move_on(before: Wait, after: Wait) -> Work[bool]:
    """Note what a due time has led to; False when somebody else has done so before."""
    rows = yield Sql(
        "UPDATE waits SET responders = :responders, reminded = :reminded, escalated = :escalated, next_at = :next "
        "WHERE tenant_id = :tenant AND id = :id AND status = 'OPEN' AND next_at = :was RETURNING id",
        {
            "tenant": before.tenant_id, "id": before.id, "was": before.next_at, "next": next_step(after),
            "responders": _encode(after.to).decode(), "reminded": after.reminded, "escalated": int(after.escalated),
        },
    )  # fmt: skip
    return bool(rows)


def keep_early(tenant_id: str, keys: Sequence[str], event_id: str, at: int) -> Work[None]:
    """Keep an event that nobody waits for yet under its keys, for a wait that is still to be registered."""
    for key in keys:
        yield Sql(
            "INSERT INTO early_answers (tenant_id, key, event_id, at) VALUES (:tenant, :key, :event, :at) "
            "ON CONFLICT DO NOTHING",
            {"tenant": tenant_id, "key": key, "event": event_id, "at": at},
        )


def early(tenant_id: str, keys: Sequence[str], since: int) -> Work[list[str]]:
    """Return the ids of the events that were kept under one of the keys since an instant, the oldest first."""
    if not keys:
        return []
    names, params = numbered("k", list(keys))
    rows = yield Sql(
        f"SELECT event_id, MIN(at) FROM early_answers WHERE tenant_id = :tenant AND key IN ({names}) AND at >= :since "
        f"GROUP BY event_id ORDER BY 2, 1 LIMIT {LOOKED_MAX}",
        {"tenant": tenant_id, "since": since, **params},
    )
    return [str(row[0]) for row in rows]


def take_early(tenant_id: str, event_id: str) -> Work[None]:
    """Forget an event that has answered a wait: it answers no other."""
    yield Sql(
        "DELETE FROM early_answers WHERE tenant_id = :tenant AND event_id = :event",
        {"tenant": tenant_id, "event": event_id},
    )


def forget_early(before: int) -> Work[None]:
    """Forget the events of all tenants from before an instant."""
    yield Sql("DELETE FROM early_answers WHERE at < :before", {"before": before})
