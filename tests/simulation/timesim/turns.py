"""What becomes of a fire while an earlier run of its trigger is under way, written from the law on overlap."""

STARTED = ("run_started", "matched")
SKIPPED = ("skipped", "overlap_skipped")
QUEUED = ("deferred", "overlap_queued")
FULL = ("skipped", "overlap_queue_full")
GIVEN_UP = ("skipped", "overlap_superseded")
LIMIT = 1_000


class Turns:
    """The runs of one trigger that must not overlap, by their nominal times: one is under way, others wait."""

    def __init__(self):
        self.under_way = None
        self.waiting = ()
        self.asked = False

    def take(self, nominal, overlap):
        """Return the fate of a fire, and {nominal: fate} of those that it pushes aside."""
        policy, limit = (overlap, LIMIT) if isinstance(overlap, str) else (overlap["policy"], overlap["limit"])
        if self.under_way is None:
            self.under_way = nominal
            return STARTED, {}
        if policy == "skip":
            return SKIPPED, {}
        if policy == "queue_all":
            if len(self.waiting) >= limit:
                return FULL, {}
            self.waiting += (nominal,)
            return QUEUED, {}
        pushed = dict.fromkeys(self.waiting, GIVEN_UP)
        if policy == "terminate_running":
            self.under_way, self.waiting = nominal, ()
            return STARTED, pushed
        self.waiting = (nominal,)
        self.asked |= policy == "cancel_running"
        return QUEUED, pushed

    def stop(self):
        """Let a run that was asked to stop do so."""
        if self.asked:
            self.end()

    def end(self):
        """End the run that is under way; the first that waits gets its turn."""
        self.asked = False
        self.under_way, self.waiting = (self.waiting[0], self.waiting[1:]) if self.waiting else (None, ())
