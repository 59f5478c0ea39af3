"""The answer to a sender who wants more than a receipt: decisions, or the end of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.pipeline.entries import Receipt

WAIT_SECONDS = 30.0
WAIT_SECONDS_MAX = 300.0
WAITS = ("decision", "run")
_INGRESS_USER = "ingress"


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What a sender waits for: `decision` or `run`, and how many seconds at most."""

    kind: str
    seconds: float


def wish(query: bytes) -> Wish | None:
    """Return what `?wait=` and `?timeout=` ask for.

    Raises:
        BadRequest: a value is not one of those known.

    """
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    kind = found.get("wait", [""])[-1]
    if "wait" not in found:
        return None
    if kind not in WAITS:
        raise BadRequest(f"`wait` is `{kind[:40]}`", fix="use wait=decision or wait=run")
    text = found.get("timeout", [str(WAIT_SECONDS)])[-1]
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise BadRequest(f"`timeout` must be between 0 and {WAIT_SECONDS_MAX:g} seconds")
    return Wish(kind, seconds)


async def describe(
    context: ApiContext, receipts: Sequence[Receipt], wanted: Wish | None, caller: Principal | None, *, batch: bool
) -> bytes:
    """Return the body of the answer: a list for a batch; else one object, with `events` when one delivery was many."""
    deadline = context.clock.monotonic() + (wanted.seconds if wanted else 0)
    items = [await _item(context, receipt, wanted, caller, deadline) for receipt in receipts]
    if batch:
        return msgspec.json.encode(items)
    if not items:
        return msgspec.json.encode({"event_id": None, "explain": None, "events": []})
    if len(items) == 1:
        return msgspec.json.encode(items[0])
    return msgspec.json.encode({**items[0], "events": items})


async def _item(
    context: ApiContext, receipt: Receipt, wanted: Wish | None, caller: Principal | None, deadline: float
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "event_id": receipt.event_id,
        "explain": f"/api/v1/events/{receipt.event_id}/explain",
    }
    if receipt.duplicate:
        item["duplicate"] = True
    if wanted is None:
        return item
    item["decisions"] = await _decisions(context, receipt, caller)
    if wanted.kind == "run":
        await add_runs(context, receipt, caller, deadline, item)
    return item


async def _decisions(context: ApiContext, receipt: Receipt, caller: Principal | None) -> list[dict[str, Any]]:
    """Return what was decided about an event; for a duplicate, what was decided about the first delivery."""
    owner = _owner(receipt, caller)
    if not receipt.duplicate or owner is None:
        return [_decision(decision) for decision in receipt.decisions]
    return list((await context.events.decisions(owner, receipt.event_id)).items)


def _owner(receipt: Receipt, caller: Principal | None) -> Principal | None:
    """Return in whose name the answer is looked up: the caller, or the tenant of the address that was called."""
    if caller is not None or not receipt.tenant_id:
        return caller
    return Principal(tenant_id=receipt.tenant_id, user_id=_INGRESS_USER)


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "trigger_id": decision.trigger_id,
        "workflow_id": decision.workflow_id,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "predicates": msgspec.Raw(decision.predicates),
        "run_id": decision.run_id,
    }


async def add_runs(
    context: ApiContext, receipt: Receipt, caller: Principal | None, deadline: float, item: dict[str, Any]
) -> None:
    """Wait for the runs of one event and add how they ended; with exactly one run, beside the event as well."""
    owner = _owner(receipt, caller)
    runs: list[dict[str, Any]] = []
    if owner is not None:
        for run_id in await _run_ids(context, receipt, owner):
            seconds = max(0.0, deadline - context.clock.monotonic())
            ended = await context.tracker.wait(owner.tenant_id, run_id, seconds)
            shown = await context.runs.show(owner, run_id)
            runs.append(
                {
                    "run_id": run_id,
                    "ended": ended,
                    **{name: shown.get(name) for name in ("workflow", "status", "output", "error")},
                }
            )
    item["runs"] = runs
    if len(runs) == 1:
        item.update({name: runs[0][name] for name in ("run_id", "status", "output", "error")})


async def _run_ids(context: ApiContext, receipt: Receipt, owner: Principal) -> list[str]:
    """Return the event's runs; a duplicate's are those that the first delivery started."""
    if not receipt.duplicate:
        return receipt.run_ids
    rows = await context.store.read(
        "SELECT run_id FROM decisions WHERE tenant_id = :tenant AND event_id = :event AND run_id IS NOT NULL",
        {"tenant": owner.tenant_id, "event": receipt.event_id},
    )
    return [row[0] for row in rows]
