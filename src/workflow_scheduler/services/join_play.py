"""Rounds on a virtual clock: what ends that were received would have started, had a trigger waited for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.dependencies.need import lacking
from workflow_scheduler.core.dependencies.rounds import Rule, due, number_of, step
from workflow_scheduler.core.dependencies.values import correlation_of, value_of
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.reasons import Outcome, Reason


class JoinPlay:
    """The rounds of one trigger; events are to come in the order of their ends.

    `missed` is how many runs would have started because a window was over.
    """

    def __init__(self, trigger: Trigger, types: Mapping[str, ModuleType]) -> None:
        """Begin without any round; a type that never waits leaves every decision as it is."""
        module: Any = types.get(trigger.type)
        self._trigger, self._module = trigger, module
        self._config = module.Config.model_validate(trigger.config) if hasattr(module, "rule") else None
        self._rule: Rule | None = None if self._config is None else module.rule(self._config)
        self._rounds: dict[tuple[str, int], dict[str, int]] = {}
        self.missed = 0

    @property
    def waits(self) -> bool:
        """Whether the trigger waits for several."""
        return self._rule is not None

    def put(self, correlation: str, number: int, arrived: Mapping[str, int]) -> None:
        """Begin with a round in which some members have ended already (member -> when)."""
        if self._rule is not None:
            kept = {name: at for name, at in arrived.items() if name in self._rule.names}
            self._rounds[correlation, number] = kept

    def decide(self, event: Event, decision: dict[str, Any]) -> dict[str, Any]:
        """Return what becomes of a decision that lets an event through."""
        rule = self._rule
        if rule is None or decision["outcome"] != Outcome.RUN_STARTED:
            return decision
        self.settle(event.time)
        view = EventView(event)
        value, problem = value_of(rule, view, self._trigger, event.received_at)
        if problem is not None:
            return self._as(decision, Outcome.FILTERED, Reason.UNKNOWN_SKIPPED, problem)
        place = correlation_of(value), number_of(rule, event.time)
        names = self._module.arrives(self._config, view)
        done = step(rule, self._rounds.get(place, {}), names, event.time)
        if done.late:
            return self._as(decision, Outcome.FILTERED, Reason.WINDOW_OVER, "it ended too long before the others")
        if done.over and rule.on_miss == "run":
            self.missed += 1
        if done.complete:
            self._rounds.pop(place, None)
            return decision
        self._rounds[place] = dict(done.kept)
        missing = lacking(rule.need, done.kept)
        return self._as(decision, Outcome.ABSORBED, Reason.WAITING_FOR_MEMBERS, f"still missing: {missing}")

    def settle(self, now: int) -> None:
        """Let the rounds end that are over at `now`."""
        assert self._rule is not None
        for place, kept in list(self._rounds.items()):
            if not kept:
                continue
            over_at = due(self._rule, kept, max(kept.values()), single=self._rule.correlate_by is not None)
            if over_at is not None and over_at < now:
                del self._rounds[place]
                self.missed += self._rule.on_miss == "run"

    def _as(self, decision: dict[str, Any], outcome: Outcome, reason: Reason, note: str) -> dict[str, Any]:
        assert self._rule is not None
        line = {"name": self._rule.label, "expected": list(self._rule.names), "actual": None, "verdict": False,
                "note": note}  # fmt: skip
        lines = [*decision["predicates"], line]
        return {**decision, "outcome": outcome.value, "reason": reason.value, "would_start": False, "predicates": lines}
