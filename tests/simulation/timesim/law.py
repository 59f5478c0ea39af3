"""What must become of every nominal time, written from the law on time and from nothing else.

A Plan is one schedule; `book` has those of one workflow. All times are microseconds UTC. A fate is a pair of
outcome and reason, as the ledger says them.
"""

import copy
from hashlib import sha256
from typing import NamedTuple

from timesim import turns
from timesim.nominal import DAY, MINUTE, SECOND
from timesim.restraint import BLACKOUT
from timesim.turns import Turns

FIRED = turns.STARTED
SLOWED = ("deferred", "rate_limited")
BACKFILLED = ("run_started", "backfilled")
COALESCED = ("absorbed", "coalesced")
SUPERSEDED = ("skipped", "superseded")
BY_HAND = ("skipped", "skipped_by_hand")
SPENT = ("skipped", "max_fires")
DOWN, PAUSED, WINDOW = (("skipped", f"missed_{cause}") for cause in ("down", "paused", "window"))
UNDEPLOYED = ("skipped", "undeployed")
_BY_MODE = {
    "enabled": FIRED,
    "disabled": ("skipped", "trigger_disabled"),
    "suspended": ("suspended", "trigger_suspended"),
}
_HEARD = {*_BY_MODE.values(), SLOWED, BACKFILLED, turns.SKIPPED, turns.QUEUED, turns.FULL, turns.GIVEN_UP}
HAS_RUN = {FIRED, SLOWED, BACKFILLED, turns.QUEUED, turns.GIVEN_UP}
_LEFT_OUT = {BY_HAND, ("suspended", "trigger_suspended")}
_UNITS = {"s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": DAY}
FAR = 400 * DAY
NEVER = -1


def span(text):
    return int(text[:-1]) * _UNITS[text[-1]]


def gap(rate):
    """Return the time between two starts at a rate such as 10/m."""
    number, _, unit = rate.partition("/")
    return -(-_UNITS[unit] // int(number))


class Verdict(NamedTuple):
    """What one look at due times leads to: `settled` as (times, fate), the times that start, and the last of all.

    `by_name`: how late they are is counted from their names, without jitter.
    """

    settled: list
    starts: list
    last: int
    by_name: bool


class Plan:
    """A schedule: what is settled (`fates`), from which nominal time on nothing is (`place`), and how it rests."""

    def __init__(self, trigger_id, rule, now, restraints):
        self.id = trigger_id
        self.restraints = restraints
        self.fates = {}
        self.again = frozenset()
        self.runs = self.spent = 0
        self.turns = Turns()
        self.edited = self.renewed = False
        self.skips = frozenset()
        self.mode = "enabled"
        self.paused = self.by_workflow = self.live = False
        self.until = self.workflow_until = None
        self.begin(rule, now, anchor=now)

    def copy(self):
        twin = copy.copy(self)
        twin.fates = dict(self.fates)
        twin.turns = copy.copy(self.turns)
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
        self.owed = self.held = None
        self.place = None if self._used_up else self.following(now)

    @property
    def _used_up(self):
        return self.spent >= self.rule.config.get("max_fires", self.spent + 1)

    def edit(self, rule, now):
        """Take another rule: what was due and not settled, and the next time of the old rule, are superseded."""
        resting = self.paused or self.by_workflow or (self.until is not None and (self.place or now) < self.until)
        cause = (PAUSED if resting else SUPERSEDED) if self.live else UNDEPLOYED
        upcoming, was_live = None, self.live
        if self.place is not None:
            self._close(now, cause)
            upcoming = self.place
        self._forget_superseded(now)
        self.edited = True
        self.begin(rule, now, anchor=now)
        if was_live and upcoming is not None and not self.times(upcoming, upcoming + 1):
            self._record([upcoming], SUPERSEDED)

    def renew(self, rule):
        """Take another rule while out of service: it counts from the next deployment, and all its runs are left."""
        self.rule, self.place, self.edited, self.renewed, self.spent = rule, None, True, True, 0

    def end(self):
        """Take out of service."""
        self.live = False

    def back(self, now):
        """Put into service again; a schedule that was completed stays so."""
        if self.renewed:
            self._forget_superseded(now)
            self.begin(self.rule, now, anchor=now)
        elif self.place is not None:
            self._close(now, UNDEPLOYED)
            self._forget_superseded(now)
            self.begin(self.rule, now, anchor=self.anchor)
        self.live = True

    def _forget_superseded(self, now):
        self.fates = {at: fate for at, fate in self.fates.items() if at <= now or fate != SUPERSEDED}

    def _close(self, now, cause):
        if self.place <= now:
            self._apply(self._judged(now, "none", NEVER, cause), now)

    def tick(self, now):
        """Settle what is due, as a service that runs at `now` does."""
        while self.live and not self.resting(now) and self.place is not None and self._look(now):
            pass
        self.turns.stop()

    def _look(self, now):
        """Settle what one look settles: the times of a rest, those that waited for the end of a window, or others."""
        if self.held is not None and now < self.held:
            return False
        config = self.rule.config
        catchup = config.get("catchup", "latest")
        rested, missed = self._rest()
        end = self.restraints.held_until(self.place, "defer")
        if self.place <= rested:
            if not self._rest_is_over(now):
                return False
            verdict = self._judged(min(now, rested), missed, NEVER, PAUSED)
        elif self.due_at(self.place) > now:
            return False
        elif end is not None and end <= now:
            verdict = self._judged(end - 1, catchup, NEVER, BLACKOUT)
        else:
            verdict = self._judged(now, catchup, span(config.get("misfire_grace", "60s")), DOWN)
        self.held = self.restraints.held_until(now) if verdict.starts else None
        if self.held is None:
            self._apply(verdict, now)
        return self.held is None

    def _rest(self):
        """Return the last instant of the rest that may still have to be settled, and what runs of its times."""
        if self.owed is not None:
            return self.owed
        if self.until is not None:
            return self.until - 1, self._on_resume(by_itself=True)
        return NEVER, "none"

    def _rest_is_over(self, now):
        """Nobody looks at a pause that ends by itself, and of which nothing runs, before the next time is due."""
        if self.owed is not None or self._rest()[1] != "none":
            return self.place <= now
        following = self.following(self.until - 1)
        return following is None or self.due_at(following) <= now

    def _on_resume(self, *, by_itself=False):
        """Return what runs of the times of a pause unless somebody says otherwise; a single time is late, not lost."""
        once = by_itself and self.rule.config["type"] == "once"
        return self.rule.config.get("on_resume", "latest" if once else "none")

    def pause(self, until=None):
        self.paused, self.until, self.owed = until is None, until, None

    def resume(self, now, missed):
        """End a pause of the schedule: nothing of the past runs unless it is asked for."""
        if self.paused or (self.until is not None and now < self.until):
            self.owed, self.held = (now, missed or self._on_resume()), None
            self.paused, self.until = False, None

    def workflow_resumes(self, now, missed, rested):
        if self.by_workflow:
            self.by_workflow, self.workflow_until = False, None
            if self.live and self.place is not None and not self.resting(now):
                missed = missed or self._on_resume(by_itself=rested is not None)
                self.owed, self.held = (now if rested is None else rested, missed), None

    def _judged(self, now, catchup, grace, cause):
        """Judge the times from the place on that are due at `now`; what belongs to a rest or a window goes by name."""
        times = self.times(self.place, now + 1)
        while grace != NEVER and times and self.due_at(times[-1]) > now:
            times.pop()
        config = self.rule.config
        window = FAR * 100 if config["type"] == "once" else span(config.get("catchup_window", "1d"))
        excluded = {one: fate for one in times if (fate := self._excluded(one)) is not None}
        settled = [([one], fate) for one, fate in excluded.items()]
        rest = [one for one in times if one not in excluded]
        fresh = [one for one in rest if grace != NEVER and now - self.due_at(one) <= grace]
        late = rest[: len(rest) - len(fresh)]
        inside = [one for one in late if one >= now - window]
        outside = late[: len(late) - len(inside)]
        if catchup == "none":
            return Verdict([*settled, (late, cause)], fresh, times[-1], grace == NEVER)
        if catchup == "latest":
            kept = [] if fresh else inside[-1:]
            left = [(outside, WINDOW), (inside[: len(inside) - len(kept)], COALESCED)]
        else:
            kept = inside[-config.get("catchup_max", 100) :]
            left = [(outside + inside[: len(inside) - len(kept)], WINDOW)]
        return Verdict(settled + left, kept + fresh, times[-1], grace == NEVER)

    def _excluded(self, nominal):
        return BY_HAND if nominal in self.skips else self.restraints.excluded(self.rule, nominal)

    def _apply(self, verdict, now):
        config = self.rule.config
        for times, fate in verdict.settled:
            self._record(times, fate)
        grace = span(config.get("misfire_grace", "60s"))
        late = sum(now - (one if verdict.by_name else self.due_at(one)) > grace for one in verdict.starts)
        apart = gap(config["catchup_rate"]) if "catchup_rate" in config else 0
        for number, nominal in enumerate(verdict.starts):
            if self._used_up:
                self._record([nominal], SPENT)
            else:
                self._fire(nominal, config.get("overlap"), slowed=number < late and number * apart > SECOND)
        self.place = None if verdict.starts and self._used_up else self.following(verdict.last)

    def _fire(self, nominal, overlap, *, slowed):
        if self.mode == "enabled" and self.fates.get(nominal) not in _HEARD:
            fate, pushed = (SLOWED if slowed else FIRED), {}
            if overlap is not None:
                fate, pushed = self.turns.take(nominal, overlap)
            self.fates[nominal] = fate
            self.fates |= pushed
            self.runs += fate in HAS_RUN
            self.spent += fate in HAS_RUN
        self._record([nominal], _BY_MODE[self.mode])

    def _record(self, times, fate):
        for nominal in times:
            self.fates.setdefault(nominal, fate)

    def backfill(self, since, until):
        """Run the times of a range that has passed and is settled, as far as they have no run and nothing bars them."""
        for nominal in self.times(since, until):
            fate = self.fates.get(nominal)
            if fate in HAS_RUN | _LEFT_OUT or nominal in self.again or self._excluded(nominal):
                continue
            self.again |= {nominal}
            self.runs += 1
            self._record([nominal], BACKFILLED)

    # What the ledger must say

    def expected(self, start, end, now):
        """Return {nominal: fate} for the times in [start, end)."""
        found = {one: fate for one, fate in self.fates.items() if start <= one < end}
        if not self.live or self.place is None:
            return found
        rest_end = self._rest_end()
        left_out = self._nothing_of_it()
        for nominal in self.times(max(start, self.place), end):
            when = "pending" if nominal <= now else "planned"
            fate = self._excluded(nominal)
            if fate is None and nominal < rest_end:
                fate = PAUSED if left_out and nominal <= now else (when, "missed_paused")
            elif fate is None:
                fate = (when, None if self.restraints.held_until(nominal, "defer") is None else "blackout")
            found.setdefault(nominal, fate)
        return found

    def _rest_end(self):
        """Return the instant before which times do not fire because of a pause."""
        if self.paused or (self.by_workflow and self.workflow_until is None):
            return FAR * 1000
        ends = [self.workflow_until if self.by_workflow else None, self.until, self._rest()[0] + 1]
        return max(end for end in ends if end is not None)

    def _nothing_of_it(self):
        """Tell whether nothing runs of the times that pass during the pause, unless somebody says otherwise."""
        if self.owed is not None and self.place <= self.owed[0]:
            return self.owed[1] == "none"
        by_itself = not self.paused and (self.until is not None or self.workflow_until is not None)
        return self._on_resume(by_itself=by_itself) == "none"
