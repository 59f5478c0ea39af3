"""Compares what the service says and stores with what the law allows."""

import json
import re
from collections import Counter

from timesim import turns
from timesim.law import COALESCED, SUPERSEDED
from timesim.nominal import DAY, HOUR
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import from_iso

_MISSED = {"missed_down", "missed_paused", "missed_window"}
_PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
PAGE = 1000


async def differences(world, book, since, chance, *, whole):
    """Return what differs from the state `book`; `whole` looks at every single time, otherwise at some sums.

    `chance` is a random number generator of the audit's own: the steps are the same however closely one looks.
    """
    stored = (await world.read("SELECT latest_version, live_version, paused FROM workflows"))[0]
    wanted = (len(book.versions), book.live, int(book.paused))
    if tuple(stored) != wanted:
        return [f"the workflow is {stored} in place of {wanted}"]
    if restrained := await _restraints(world, book):
        return restrained
    found = await _runs(world, book)
    states = await _states(world)
    for name, plan in sorted(book.running.items()):
        if states.get(plan.id) != (plan.mode, plan.paused, plan.until):
            found.append(f"{name} is {states.get(plan.id)} in place of {plan.mode, plan.paused, plan.until}")
        if whole or chance.random() < 0.15:
            found += [f"{name}: {line}" for line in await _ledger(world, plan, since, chance, whole=whole)]
    return found


async def _restraints(world, book):
    """Compare calendars and windows: which of them hold shows in what comes only."""
    windows = {row[0]: row[1] for row in await world.read("SELECT name, definition FROM blackouts")}
    found = [] if windows == {name: one.said for name, one in book.restraints.windows.items()} else [f"{windows}"]
    rows = await world.read(
        "SELECT c.name, v.spec FROM calendars c JOIN calendar_versions v ON v.tenant_id = c.tenant_id "
        "AND v.name = c.name AND v.version = c.version"
    )
    calendars = {row[0]: sorted(one["date"] for one in json.loads(row[1])["dates"]) for row in rows}
    return found + ([] if calendars == book.restraints.calendars else [f"{calendars}"])


async def _ledger(world, plan, since, chance, *, whole):
    """Compare the ledger of one schedule from `since` to two days ahead."""
    now = world.clock.now()
    until = max(now, *plan.fates, since) + 2 * DAY if plan.fates else now + 2 * DAY
    if "max_fires" in plan.rule.config:
        until = now + 1  # what is ahead ends with the last of the runs, of which nobody knows when that will be
    expected = plan.expected(since, until, now)
    found = await _listed(world, plan, since, until, expected) if whole else []
    if not whole or chance.random() < 0.3:
        since += 0 if plan.edited or chance.random() < 0.5 else (until - since) // 2 + chance.randrange(HOUR)
        # A record of an older rule that speaks for many times is not cut by the ledger: of those all is asked for.
        expected = {at: fate for at, fate in expected.items() if at >= since}
        page = await _page(world, plan, since, until, limit=1)
        found += ["there is no such schedule"] if page is None else _summed(page["sums"], expected)
    return found


async def _states(world):
    """Return the mode of each schedule, whether it is paused itself, and until when."""
    rows = await world.read(
        "SELECT t.id, t.mode, s.paused, s.paused_by, s.paused_until FROM trigger_index t "
        "JOIN schedules s ON s.tenant_id = t.tenant_id AND s.trigger_id = t.id"
    )
    return {row[0]: (row[1], bool(row[2]) and row[3] != "workflow", row[4]) for row in rows}


async def _runs(world, book):
    """Exactly the expected runs, none early, and one for each time."""
    rows = [tuple(row) for row in await world.read("SELECT trigger_id, scheduled_for, created_at FROM runs")]
    extra = sum(row[1] is None for row in rows)
    rows = [row for row in rows if row[1] is not None]
    counts = Counter(row[0] for row in rows)
    found = [
        f"{name}: {counts[plan.id]} runs in place of {plan.runs}"
        for name, plan in book.plans.items()
        if counts[plan.id] != plan.runs
    ]
    doubled = [key for key, number in Counter(row[:2] for row in rows).items() if number > 1]
    names = {plan.id: plan for plan in book.plans.values()}
    early = [row for row in rows if row[0] not in names or row[2] < row[1]]
    found += [f"doubled: {key}" for key in doubled] + [f"early: {row}" for row in early]
    return found + ([f"{extra} runs by hand in place of {book.extra}"] if extra != book.extra else [])


async def _page(world, plan, since, until, **more):
    """Ask for the ledger of a schedule, again after a crash; None where the service knows no such schedule."""
    answer = None
    while answer is None or answer.kind == "unknown":
        work = world.app.context.schedules.occurrences(LOCAL, plan.id, since=since, until=until, **more)
        answer = await world.call(work)
    return answer.value if answer.kind == "ok" else None


async def _listed(world, plan, since, until, expected):
    items, place, found, sums = {}, None, [], None
    while True:
        page = await _page(world, plan, since, until, place=place, limit=PAGE)
        if page is None:
            return ["there is no such schedule"]
        sums = page["sums"]
        for item in page["items"]:
            for at in _covered(item, expected):
                if at in items:
                    found.append(f"{item['utc']} is listed twice")
                items[at] = (item["outcome"], item["reason"])
        if page["next"] is None:
            break
        place = from_iso(page["next"])
    wrong = [at for at in sorted({*items, *expected}) if items.get(at) != expected.get(at)]
    found += [f"{at} is {items.get(at)} in place of {expected.get(at)}" for at in wrong[:3]]
    return found + _summed(sums, expected)


def _covered(item, expected):
    """Return the times that an item is about: one, or where the rule is another one by now, those that it counts."""
    first = from_iso(item["utc"])
    if "count" not in item:
        return [first]
    last = from_iso(re.search(r"fires until (\S+?Z)", item["note"])[1])
    times = [at for at in expected if first <= at <= last and expected[at] == (item["outcome"], item["reason"])]
    return times if len(times) == item["count"] else []


def _summed(sums, expected):
    wanted = Counter()
    for fate, number in Counter(expected.values()).items():
        wanted[_column(fate)] += number
    wrong = [f"{part} is {sums[part]} in place of {wanted[part]}" for part in _PARTS if sums[part] != wanted[part]]
    if sums["planned"] != sum(sums[part] for part in _PARTS):
        wrong.append(f"the sums do not add up: {sums}")
    return [f"the sums: {', '.join(wrong)}"] if wrong else []


def _column(fate):
    outcome, reason = fate
    if fate in (SUPERSEDED, turns.GIVEN_UP):
        return "superseded"
    if outcome in ("run_started", "deferred"):
        return "fired"
    if outcome in ("pending", "planned"):
        return {"pending": "pending", "planned": "upcoming"}[outcome]
    return "coalesced" if fate == COALESCED else "missed" if reason in _MISSED else "skipped"
