"""What must become of every nominal time, written from the law on time and from nothing else.

A Plan is one schedule, a Book the schedules of one workflow. All times are microseconds UTC. A fate is a pair of
outcome and reason, as the ledger says them.
"""

import copy
from hashlib import sha256

from timesim.nominal import DAY, MINUTE, SECOND

FIRED = ("run_started", "matched")
COALESCED = ("absorbed", "coalesced")
SUPERSEDED = ("skipped", "superseded")
BY_HAND = ("skipped", "skipped_by_hand")
DOWN, PAUSED, WINDOW = (("skipped", f"missed_{cause}") for cause in ("down", "paused", "window"))
UNDEPLOYED = ("skipped", "undeployed")
_BY_MODE = {
    "enabled": FIRED,
    "disabled": ("skipped", "trigger_disabled"),
    "suspended": ("suspended", "trigger_suspended"),
}
_HEARD = set(_BY_MODE.values())
_UNITS = {"s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": DAY}
FAR = 400 * DAY


def span(text):
    return int(text[:-1]) * _UNITS[text[-1]]


class Plan:
    """A schedule: what is settled (`fates`), from which nominal time on nothing is (`place`), and how it rests."""

    def __init__(self, trigger_id, rule, now):
        self.id = trigger_id
        self.fates = {}
        self.runs = 0
        self.edited = self.renewed = False
        self.skips = frozenset()
        self.mode = "enabled"
        self.paused = self.by_workflow = self.live = False
        self.until = None
        self.begin(rule, now, anchor=now)

    def copy(self):
        twin = copy.copy(self)
        twin.fates = dict(self.fates)
        return twin

    # When

    def times(self, start, end):
        return self.rule.times(self.anchor, start, end)

    def following(self, instant):
        """Return the first nominal time later than `instant`, or None."""
        for reach in (DAY, FAR):
            if found := self.times(instant + 1, instant + reach):
                return found[0]
        return None

    def due_at(self, nominal):
        """Return when a nominal time is due: spread by the hash of its identity, never past the next one."""
        spread = span(self.rule.config.get("jitter", "0s"))
        following = self.following(nominal) if spread else None
        room = spread if following is None else min(spread, following - nominal)
        digest = sha256(f"{self.id}:{nominal}".encode()).digest()
        return nominal + (int.from_bytes(digest[:8], "big") * room >> 64)

    def resting(self, now):
        return self.paused or self.by_workflow or (self.until is not None and now < self.until)

    @property
    def completed(self):
        return self.live and self.place is None

    # What happens

    def begin(self, rule, now, *, anchor):
        """Count from now on: edits, deployments and re-enabling never fire the past."""
        self.rule, self.anchor, self.live, self.renewed = rule, anchor, True, False
        self.place = self.following(now)

    def edit(self, rule, now):
        """Take another rule: what was due and not settled, and the next time of the old rule, are superseded."""
        resting = self.paused or self.by_workflow or (self.until is not None and (self.place or now) < self.until)
        cause = (PAUSED if resting else SUPERSEDED) if self.live else UNDEPLOYED
        upcoming, was_live = None, self.live
        if self.place is not None:
            self._settle(now, "none", -1, cause)
            upcoming = self.place
        self._forget_superseded(now)
        self.edited = True
        self.begin(rule, now, anchor=now)
        if was_live and upcoming is not None and not self.times(upcoming, upcoming + 1):
            self._record([upcoming], SUPERSEDED)

    def renew(self, rule):
        """Take another rule while out of service: it counts from the next deployment."""
        self.rule, self.place, self.edited, self.renewed = rule, None, True, True

    def end(self):
        """Take out of service."""
        self.live = False

    def back(self, now):
        """Put into service again; a schedule that was completed stays so."""
        if self.renewed:
            self._forget_superseded(now)
            self.begin(self.rule, now, anchor=now)
        elif self.place is not None:
            self._settle(now, "none", -1, UNDEPLOYED)
            self._forget_superseded(now)
            self.begin(self.rule, now, anchor=self.anchor)
        self.live = True

    def _forget_superseded(self, now):
        self.fates = {at: fate for at, fate in self.fates.items() if at <= now or fate != SUPERSEDED}

    def tick(self, now):
        """Settle what is due, as a service that runs at `now` does."""
        if not self.live or self.paused or self.by_workflow or self.place is None:
            return
        if self.until is not None:
            if now < self.until:
                return
            self._settle(self.until - 1, self._on_resume(by_itself=True), -1, PAUSED)
        config = self.rule.config
        self._settle(now, config.get("catchup", "latest"), span(config.get("misfire_grace", "60s")), DOWN)

    def _on_resume(self, *, by_itself=False):
        """Return what runs of the times of a pause unless somebody says otherwise; a single time is late, not lost."""
        once = by_itself and self.rule.config["type"] == "once"
        return self.rule.config.get("on_resume", "latest" if once else "none")

    def pause(self, until=None):
        self.paused, self.until = until is None, until

    def resume(self, now, missed):
        """End a pause of the schedule: nothing of the past runs unless it is asked for."""
        if self.paused or (self.until is not None and now < self.until):
            self._settle(now, missed or self._on_resume(), -1, PAUSED)
            self.paused, self.until = False, None

    def workflow_resumes(self, now, missed):
        if self.by_workflow:
            self.by_workflow = False
            if self.live and not self.resting(now):
                self._settle(now, missed or self._on_resume(), -1, PAUSED)

    def _take(self, until):
        """Return the nominal times from the place to `until`, and move on behind them."""
        if self.place is None or self.place > until:
            return []
        taken = self.times(self.place, until + 1)
        self.place = self.following(taken[-1])
        return taken

    def _settle(self, now, catchup, grace, cause):
        if self.place is None or self.place > now:
            return
        times = self.times(self.place, now + 1)
        while times and self.due_at(times[-1]) > now:
            times.pop()
        if not times:
            return
        self._take(times[-1])
        config = self.rule.config
        window = FAR * 100 if config["type"] == "once" else span(config.get("catchup_window", "1d"))
        self._record([one for one in times if one in self.skips], BY_HAND)
        rest = [one for one in times if one not in self.skips]
        fresh = [one for one in rest if now - self.due_at(one) <= grace]
        late = rest[: len(rest) - len(fresh)]
        inside = [one for one in late if one >= now - window]
        outside = late[: len(late) - len(inside)]
        if catchup == "none":
            self._record(late, cause)
        elif catchup == "latest":
            self._record(outside, WINDOW)
            kept = [] if fresh else inside[-1:]
            self._record(inside[: len(inside) - len(kept)], COALESCED)
            self._fire(kept)
        else:
            kept = inside[-config.get("catchup_max", 100) :]
            self._record(outside + inside[: len(inside) - len(kept)], WINDOW)
            self._fire(kept)
        self._fire(fresh)

    def _fire(self, times):
        for nominal in times:
            if self.mode == "enabled" and self.fates.get(nominal) not in _HEARD:
                self.runs += 1
                self.fates[nominal] = FIRED
        self._record(times, _BY_MODE[self.mode])

    def _record(self, times, fate):
        for nominal in times:
            self.fates.setdefault(nominal, fate)

    # What the ledger must say

    def expected(self, start, end, now):
        """Return {nominal: fate} for the times in [start, end)."""
        found = {one: fate for one, fate in self.fates.items() if start <= one < end}
        if not self.live or self.place is None:
            return found
        for nominal in self.times(max(start, self.place), end):
            if nominal in self.skips:
                fate = BY_HAND
            elif self.paused or self.by_workflow or (self.until is not None and nominal < self.until):
                left_out = self._on_resume(by_itself=not (self.paused or self.by_workflow)) == "none"
                passed = PAUSED if left_out else ("pending", "missed_paused")
                fate = passed if nominal <= now else ("planned", "missed_paused")
            else:
                fate = ("pending", None) if nominal <= now else ("planned", None)
            found.setdefault(nominal, fate)
        return found


class Book:
    """A workflow: its versions as {trigger: Rule}, which of them is live, and the plan of every trigger it ever had."""

    def __init__(self, trigger_id):
        self.trigger_id = trigger_id
        self.plans = {}
        self.versions = []
        self.live = None
        self.paused = False
        self.until = None
        self.extra = 0

    def copy(self):
        twin = copy.copy(self)
        twin.plans = {name: plan.copy() for name, plan in self.plans.items()}
        twin.versions = list(self.versions)
        return twin

    @property
    def running(self):
        """The plans of the triggers that are live."""
        return {name: plan for name, plan in self.plans.items() if plan.live}

    def store(self, version):
        if not self.versions or self.versions[-1] != version:
            self.versions.append(version)
            for name, rule in version.items():
                plan = self.plans.get(name)
                if plan is not None and not plan.live and plan.rule.config != rule.config:
                    plan.renew(rule)
        return len(self.versions)

    def publish(self, number, now):
        """Make a version live: what changed counts from now on, what did not goes on undisturbed."""
        self.live, wanted = number, self.versions[number - 1]
        for name, plan in self.running.items():
            if name not in wanted:
                plan.end()
        for name, rule in wanted.items():
            plan = self.plans.get(name)
            if plan is None:
                plan = self.plans[name] = Plan(self.trigger_id(name), rule, now)
                plan.by_workflow = self.paused
            elif plan.rule.config != rule.config:
                plan.edit(rule, now)
            elif not plan.live:
                plan.back(now)
            plan.by_workflow |= self.paused and not plan.paused

    def unpublish(self, now):
        self.live = None
        for plan in self.running.values():
            plan.end()

    def pause(self, until):
        self.paused, self.until = True, until
        for plan in self.running.values():
            plan.by_workflow |= not plan.paused

    def resume(self, now, missed):
        self.paused, self.until = False, None
        for plan in self.plans.values():
            plan.workflow_resumes(now, missed)

    def tick(self, now):
        """Let a service look at everything at `now`."""
        if self.paused and self.until is not None and self.until <= now:
            self.resume(self.until - 1, None)
        for plan in self.plans.values():
            plan.tick(now)
