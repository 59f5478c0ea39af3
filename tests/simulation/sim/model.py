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
    """An event that was acknowledged as new, with what was live when it was sent and when it was answered."""

    key: str
    event_id: str
    kind: str
    data: dict
    before: State
    after: State


class Ledger:
    """Everything that was acknowledged."""

    def __init__(self):
        self.events = {}
        self.tried = {}
        self.manual = {}
        self.complaints = []

    def acknowledged(self, key, receipt, sent):
        """Take note of an answer; the same key must always get the same event."""
        known = self.events.get(key)
        if known is not None:
            if receipt.event_id != known.event_id or not receipt.duplicate:
                self.complaints.append(f"{key} was {known.event_id} and is now {receipt}")
        elif not receipt.duplicate:
            self.events[key] = sent._replace(event_id=receipt.event_id)
        elif not self.tried.get(key):
            self.complaints.append(f"{key} was never sent before and is a duplicate: {receipt}")
        else:
            # An earlier attempt without an answer was stored; what was live then is known only by its own state.
            self.events[key] = sent._replace(event_id=receipt.event_id, before=None)
