"""What the clients know: which events were acknowledged, and what is live as far as their changes were answered."""

from typing import NamedTuple

from sim import scene


class State(NamedTuple):
    """What decides about an event for the triggers: what is live of the mover, what is paused, the modes."""

    variant: int | None = None
    paused: frozenset = frozenset()
    modes: tuple = ()

    def mode(self, workflow, trigger):
        return dict(self.modes).get((workflow, trigger), "enabled")

    def with_mode(self, workflow, trigger, mode):
        modes = {**dict(self.modes), (workflow, trigger): mode}
        return self._replace(modes=tuple(sorted(item for item in modes.items() if item[1] != "enabled")))

    def expected(self, kind, data):
        """Return {(workflow, trigger): (outcome, reason)} for an event that a client sends."""
        found = {}
        for workflow in (*scene.FIXED, scene.MOVER):
            for trigger, hears in scene.candidates(workflow, self.variant).items():
                matched = hears(kind, data)
                if matched is not None:
                    found[workflow, trigger] = self._decision(workflow, trigger, matched=matched)
        return found

    def _decision(self, workflow, trigger, *, matched):
        if not matched:
            return ("filtered", None)
        mode = self.mode(workflow, trigger)
        if mode == "disabled":
            return ("skipped", "trigger_disabled")
        if mode == "suspended":
            return ("suspended", "trigger_suspended")
        if workflow in self.paused:
            return ("skipped", "workflow_paused")
        return ("run_started", "matched")


class Sent(NamedTuple):
    """An event that was acknowledged, with everything that was live between its first sending and the answer."""

    key: str
    event_id: str
    kind: str
    data: dict
    states: frozenset


class Ledger:
    """What clients sent and what they were told. `tried` is key -> (place in the history of states, type, data)."""

    def __init__(self):
        self.events = {}
        self.tried = {}
        self.doubtful = set()
        self.manual = {}
        self.complaints = []

    def acknowledged(self, sent, receipt):
        """Take note of an answer; the same key must always get the same event."""
        known = self.events.get(sent.key)
        if known is not None:
            if receipt.event_id != known.event_id or not receipt.duplicate:
                self.complaints.append(f"{sent.key} was {known.event_id} and is now {receipt}")
            return
        if receipt.duplicate and sent.key not in self.doubtful:
            self.complaints.append(f"{sent.key} was never in doubt and is a duplicate: {receipt}")
        self.events[sent.key] = sent._replace(event_id=receipt.event_id)
