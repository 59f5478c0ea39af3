"""Compares what the service says and stores with what the law allows."""

import re
from collections import Counter

from timesim.law import COALESCED, FIRED, SUPERSEDED
from timesim.nominal import DAY, HOUR
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import from_iso

_MISSED = {"missed_down", "missed_paused", "missed_window"}
PAGE = 1000


async def differences(world, book, since, *, whole):
    """Return what differs from the state `book`; `whole` looks at every single time, otherwise at sums."""
    stored = world.select("SELECT latest_version, live_version, paused FROM workflows")[0]
    wanted = (len(book.versions), book.live, int(book.paused))
    if stored != wanted:
        return [f"the workflow is {stored} in place of {wanted}"]
    found = _runs(world, book)
    states = _states(world)
    for name, plan in sorted(book.running.items()):
        if states.get(plan.id) != (plan.mode, plan.paused, plan.until):
            found.append(f"{name} is {states.get(plan.id)} in place of {plan.mode, plan.paused, plan.until}")
        now = world.clock.now()
        until = max(now, *plan.fates, since) + 2 * DAY if plan.fates else now + 2 * DAY
        expected = plan.expected(since, until, now)
        if whole:
            found += [f"{name}: {line}" for line in await _listed(world, plan, since, until, expected)]
        found += [f"{name}: {line}" for line in await _summed(world, plan, since, until, expected)]
        if plan.edited:
            continue  # a record of an older rule that speaks for many times is not cut by the ledger
        middle = since + (until - since) // 2 + world.random.randrange(HOUR)
        expected = {at: fate for at, fate in expected.items() if at >= middle}
        found += [f"{name}: {line}" for line in await _summed(world, plan, middle, until, expected)]
    return found


def _states(world):
    """Return the mode of each schedule, whether it is paused itself, and until when."""
    rows = world.select(
        "SELECT t.id, t.mode, s.paused = 1 AND s.paused_by IS NOT 'workflow', s.paused_until FROM trigger_index t "
        "JOIN schedules s ON s.trigger_id = t.id"
    )
    return {row[0]: (row[1], bool(row[2]), row[3]) for row in rows}


def _runs(world, book):
    """Exactly the expected runs, none early, and one for each time."""
    rows = world.select("SELECT trigger_id, scheduled_for, created_at FROM runs WHERE scheduled_for IS NOT NULL")
    counts = Counter(row[0] for row in rows)
    found = [
        f"{name}: {counts[plan.id]} runs in place of {plan.runs}"
        for name, plan in book.plans.items()
        if counts[plan.id] != plan.runs
    ]
    doubled = [key for key, number in Counter(row[:2] for row in rows).items() if number > 1]
    names = {plan.id: plan for plan in book.plans.values()}
    early = [row for row in rows if row[0] not in names or row[2] < row[1]]
    extra = world.select("SELECT COUNT(*) FROM runs WHERE scheduled_for IS NULL")[0][0]
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
    items, place, found = {}, None, []
    while True:
        page = await _page(world, plan, since, until, place=place, limit=PAGE)
        if page is None:
            return ["there is no such schedule"]
        for item in page["items"]:
            for at in _covered(item, expected):
                if at in items:
                    found.append(f"{item['utc']} is listed twice")
                items[at] = (item["outcome"], item["reason"])
        if page["next"] is None:
            break
        place = from_iso(page["next"])
    wrong = [at for at in sorted({*items, *expected}) if items.get(at) != expected.get(at)]
    return found + [f"{at} is {items.get(at)} in place of {expected.get(at)}" for at in wrong[:3]]


def _covered(item, expected):
    """Return the times that an item is about: one, or where the rule is another one by now, those that it counts."""
    first = from_iso(item["utc"])
    if "count" not in item:
        return [first]
    last = from_iso(re.search(r"fires until (\S+?Z)", item["note"])[1])
    times = [at for at in expected if first <= at <= last and expected[at] == (item["outcome"], item["reason"])]
    return times if len(times) == item["count"] else []


async def _summed(world, plan, since, until, expected):
    page = await _page(world, plan, since, until, limit=1)
    if page is None:
        return ["there is no such schedule"]
    sums = page["sums"]
    wanted = Counter(_column(fate) for fate in expected.values())
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    wrong = [f"{part} is {sums[part]} in place of {wanted[part]}" for part in parts if sums[part] != wanted[part]]
    if sums["planned"] != sum(sums[part] for part in parts):
        wrong.append(f"the sums do not add up: {sums}")
    return [f"the sums since {since}: {', '.join(wrong)}"] if wrong else []


def _column(fate):
    if fate in (FIRED, COALESCED, SUPERSEDED):
        return {FIRED: "fired", COALESCED: "coalesced", SUPERSEDED: "superseded"}[fate]
    if fate[0] in ("pending", "planned"):
        return {"pending": "pending", "planned": "upcoming"}[fate[0]]
    return "missed" if fate[1] in _MISSED else "skipped"
