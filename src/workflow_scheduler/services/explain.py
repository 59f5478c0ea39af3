"""Why: what an event led to and why not to more, what made a run, and what became of a schedule's time."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound, SchedulerError
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.judge import Judges
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import HOUR_US, Clock
from workflow_scheduler.services.events import decision_line
from workflow_scheduler.services.explain_time import TimeExplainer, trigger_shape
from workflow_scheduler.services.joins import Joins
from workflow_scheduler.services.sentences import TIMERS, decided, event_summary, started_by
from workflow_scheduler.services.shapes import event_brief, event_shape, instant, malformed_shape, shaped
from workflow_scheduler.stores.portable.decisions import DecisionRepository, DecisionRow
from workflow_scheduler.stores.portable.events import EventRepository, StoredEvent
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository
from workflow_scheduler.stores.portable.refusals import last_refusal
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.runs import RunRepository
from workflow_scheduler.stores.portable.scan import between

SHOWN_DECISIONS = 1_000
NEIGHBOURS_MAX = 50

ROUNDS_SAID = 3


class Explain:
    """Answers why something happened, and why something did not."""

    def __init__(
        self, store: Store, clock: Clock, catalog: Catalog, matcher: Judges, trigger_types: Mapping[str, ModuleType]
    ) -> None:
        """Read records from `store`, and judge what was never recorded through `matcher`."""
        self._store = store
        self._clock = clock
        self._catalog = catalog
        self._matcher = matcher
        self._types = trigger_types
        self._events = EventRepository(store)
        self._decisions = DecisionRepository(store)
        self._runs = RunRepository(store)
        self._occurrences = OccurrenceRepository(store)
        self._time = TimeExplainer(store, trigger_types)
        self._joins = Joins(store, trigger_types)

    async def anything(self, principal: Principal, reference: str, at: int | None = None) -> dict[str, Any]:
        """Explain an event, a run or a trigger, whichever `reference` is; `kind` in the answer says which.

        Raises:
            NotFound: it is none of them in this tenant.

        """
        for kind, explain in (("event", self.event), ("run", self.run)):
            try:
                return {"kind": kind, **(await explain(principal, reference))}
            except NotFound:
                continue
        return {"kind": "trigger", **(await self.trigger(principal, reference, at))}

    async def event(self, principal: Principal, event_id: str) -> dict[str, Any]:
        """Explain what an event led to: every decision with its predicates, and the triggers that were no candidates.

        Raises:
            NotFound: the tenant has no such event.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        event = await self._events.get(tenant, event_id, now)
        if isinstance(event, Malformed):
            shown = malformed_shape(event)
            return {"event": shown, "decisions": [], "duplicates": 0, "runs": [], "summary": shown["error"]["message"]}
        rows = await self._decisions.of_event(tenant, event_id, now, limit=SHOWN_DECISIONS + 1)
        decisions, broken = shaped(rows[:SHOWN_DECISIONS], "decisions", _decision_id, decision_line)
        shown_events, broken_events = shaped([event], "events", lambda one: one.id, event_shape)
        await quarantine(self._store, tenant, [*broken, *broken_events], now)
        shown = shown_events[0]
        known = {row.trigger_id for row in rows if isinstance(row, DecisionRow)}
        if "error" not in shown and len(rows) <= SHOWN_DECISIONS:
            decisions += await self._neighbours(event, known)
        runs = [
            {"id": line["run_id"], "status": line["run_status"], "workflow": line["workflow"]}
            for line in decisions
            if line.get("run_id")
        ]
        return {
            "event": shown,
            "summary": event_summary(shown, decisions),
            "decisions": decisions,
            "decisions_truncated": len(rows) > SHOWN_DECISIONS,
            "duplicates": event.duplicates,
            "runs": runs,
        }

    async def _neighbours(self, event: StoredEvent, known: set[str]) -> list[dict[str, Any]]:
        """Return the live triggers under the event's index keys that have no recorded decision, and why not."""
        if event.target_trigger_id is not None:
            return []
        found: dict[str, Trigger] = {}
        for key in event.index_keys[:5]:
            for trigger in await self._catalog.by_key(event.tenant_id, event.provider, key, NEIGHBOURS_MAX):
                if trigger.id not in known:
                    found[trigger.id] = trigger
        names = await self._decisions.triggers(event.tenant_id, list(found)[:NEIGHBOURS_MAX])
        view = EventView(event)
        return [
            self._neighbour(view, found[trigger_id], named.created_at, named.updated_at)
            for trigger_id, named in names.items()
        ]

    def _neighbour(self, view: EventView, trigger: Trigger, created_at: int, updated_at: int) -> dict[str, Any]:
        event = view.event
        judged = self._matcher.judge(trigger, view, event.received_at)
        lines = [self._absence(event, trigger, created_at, updated_at), *judged.verdict.predicates]
        shape = {
            "event_id": event.id,
            "trigger_id": trigger.id,
            "trigger": trigger.name,
            "trigger_type": trigger.type,
            "workflow_id": trigger.workflow_id,
            "workflow": trigger.workflow,
            "outcome": Outcome.FILTERED.value,
            "reason": Reason.PREDICATE_FALSE.value,
            "predicates": msgspec.to_builtins(lines),
            "run_id": None,
            "run_status": None,
            "decided_at": None,
            "recorded": False,
            "today": {"outcome": judged.outcome.value, "reason": judged.reason.value},
        }
        return {**shape, "summary": decided(shape)}

    def _absence(self, event: Event, trigger: Trigger, created_at: int, updated_at: int) -> Predicate:
        """Return the predicate that says why a trigger was not asked about an event."""
        received = instant(event.received_at)
        if created_at > event.received_at:
            return Predicate("created", f"before {received}", instant(created_at), verdict=False)
        wanted = self._sub_keys(trigger)
        if wanted is not None and not set(wanted) & set(event.sub_keys):
            return Predicate("sub_key", list(wanted), list(event.sub_keys), verdict=False)
        note = "it was deployed, changed or undeployed between then and now"
        return Predicate("live", f"at {received}", f"changed {instant(updated_at)}", verdict=False, note=note)

    def _sub_keys(self, trigger: Trigger) -> tuple[str, ...] | None:
        module: Any = self._types.get(trigger.type)
        if module is None or not hasattr(module, "sub_keys"):
            return None
        try:
            keys: tuple[str, ...] = module.sub_keys(module.Config.model_validate(trigger.config))
        except (ValueError, SchedulerError):
            return None
        return keys

    async def run(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """Explain why a run started: its event, trigger, decision, times and dispatch attempts.

        Raises:
            NotFound: the tenant has no such run.

        """
        run = await self._runs.get(principal.tenant_id, run_id, self._clock.now())
        if isinstance(run, Malformed):
            shown = malformed_shape(run)
            return {"run": shown, "summary": shown["error"]["message"]}
        cause = await self.cause(principal.tenant_id, run)
        brief = {"id": run.id, "workflow": run.workflow, "version": run.version, "status": run.status.value}
        return {"run": brief, **cause}

    async def cause(self, tenant_id: str, run: Run) -> dict[str, Any]:
        """Return the event, trigger and decision that made a run, its times, and a sentence."""
        now = self._clock.now()
        found = await self._events.several(tenant_id, [run.event_id], now)
        event = found[0] if found and isinstance(found[0], StoredEvent) else None
        decision = await self._decisions.of_run(tenant_id, run.event_id, run.trigger_id, now)
        named = (await self._decisions.triggers(tenant_id, [run.trigger_id])).get(run.trigger_id)
        occurrence = None
        if run.scheduled_for is not None and run.trigger_type in TIMERS:
            occurrence = await self._occurrences.of_run(tenant_id, run.trigger_id, run.scheduled_for, now)
        trigger = {
            "id": run.trigger_id,
            "name": named.name if named else None,
            "type": run.trigger_type,
            "workflow": run.workflow,
        }
        received = event.received_at if event else run.created_at
        upstream = await self._upstream(tenant_id, run)
        brief, broken = shaped([event] if event else [], "events", lambda one: one.id, event_brief)
        shown, more = shaped([decision] if decision else [], "decisions", _decision_id, decision_line)
        await quarantine(self._store, tenant_id, [*broken, *more], now)
        facts = {
            "trigger": trigger,
            "event": brief[0] if brief else None,
            "paused": decision is not None and getattr(decision, "reason", None) is Reason.STARTED_WHILE_PAUSED,
            "received": received,
            "timezone": occurrence.timezone if occurrence else None,
            "upstream": upstream,
            **_own_facts(run),
        }
        late = None if run.scheduled_for is None else (received - run.scheduled_for) / 1000
        return {
            "summary": started_by(facts),
            "event": brief[0] if brief else None,
            "trigger": trigger,
            "decision": shown[0] if shown else None,
            "scheduled_for": instant(run.scheduled_for),
            "fired_at": instant(received),
            "lateness_ms": late,
            "occurrence_note": occurrence.note if occurrence else None,
            "upstream": upstream,
            "backfill_id": run.backfill_id,
            "rerun_of": run.rerun_of,
            "dispatch": {
                "engine": run.engine,
                "attempts": run.deliveries,
                "owner": run.owner,
                "external_id": run.external_id,
                "next_attempt_at": instant(run.next_attempt_at),
            },
        }

    async def _upstream(self, tenant_id: str, run: Run) -> dict[str, Any] | None:
        if run.cause_run_id is None:
            return None
        upstream = (await self._runs.several(tenant_id, [run.cause_run_id])).get(run.cause_run_id)
        if upstream is None:
            return {"run_id": run.cause_run_id, "workflow": None, "status": None}
        return {"run_id": upstream.id, "workflow": upstream.workflow, "status": upstream.status.value}

    async def trigger(self, principal: Principal, reference: str, at: int | None = None) -> dict[str, Any]:
        """Explain a trigger around the instant `at` (microseconds; None = now).

        `reference` is a trigger's id, `workflow/trigger`, or a workflow with a single trigger. For a time trigger the
        answer says whether it ran at that nominal time and why or why not; for others it holds the decisions around it.

        Raises:
            NotFound: the tenant has no such trigger.
            Conflict: the workflow has several triggers.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        found = await self._decisions.find_trigger(tenant, reference)
        if not found:
            raise NotFound(f"There is no trigger `{reference}`.", fix="List them: GET /api/v1/triggers")
        if len(found) > 1:
            names = ", ".join(f"{one.workflow}/{one.name}" for one in found[:10])
            raise Conflict(f"`{reference}` has several triggers.", fix=f"Name one of them: {names}")
        if found[0].type in self._types and self._types[found[0].type].shape == "timer":
            return await self._time.explain(tenant, found[0], at, now)
        instant_at = now if at is None else at
        rows, _ = await self._decisions.of_trigger(
            tenant, found[0].id, between(None, None, instant_at + HOUR_US), 20, now
        )
        items, broken = shaped(rows, "decisions", _decision_id, decision_line)
        await quarantine(self._store, tenant, broken, now)
        return {
            "trigger": trigger_shape(found[0]),
            "at": instant(instant_at),
            "summary": _around(found[0].name, items)
            + await self._refused(tenant, found[0].id)
            + await self._waiting(principal, found[0].id),
            "decisions": items,
        }

    async def _refused(self, tenant: str, trigger_id: str) -> str:
        """Return in words when a push trigger last refused a request, which no event tells of."""
        last = await last_refusal(self._store, tenant, trigger_id)
        return "" if last is None else f" It last refused a request at {instant(last.at)}: {last.why}"

    async def _waiting(self, principal: Principal, trigger_id: str) -> str:
        """Return in words which members are missing now, for a trigger that waits for several workflows."""
        try:
            page = await self._joins.page(principal, trigger_id)
        except (NotFound, Conflict):  # deleted since, or not to be read
            return ""
        rounds = [one["summary"] + (f" for {one['key']}" if one["key"] else "") for one in page["items"]]
        rest = f", and {len(rounds) - ROUNDS_SAID} more" if len(rounds) > ROUNDS_SAID else ""
        return f" Now {'; '.join(rounds[:ROUNDS_SAID])}{rest}." if rounds else ""


def _own_facts(run: Run) -> dict[str, Any]:
    """Return what the run itself tells about its cause."""
    return {
        "replay_of": run.replay_of,
        "rerun_of": run.rerun_of,
        "backfill_id": run.backfill_id,
        "user_id": run.user_id,
        "due": run.scheduled_for,
    }


def _decision_id(row: DecisionRow) -> str:
    return f"{row.event_id}/{row.trigger_id}"


def _around(name: str, items: list[dict[str, Any]]) -> str:
    if not items:
        return f"*{name}* has been asked about no event up to then: nothing came that carries its key."
    started = sum(1 for item in items if item.get("outcome") == "run_started")
    return f"*{name}*: of the last {len(items)} events it was asked about, {started} started a run."
