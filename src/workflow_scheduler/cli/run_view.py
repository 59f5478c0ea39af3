"""What runs, decisions and explanations look like for people."""

from __future__ import annotations

import re
from typing import Any

from workflow_scheduler.cli import output
from workflow_scheduler.cli.times import short

_EMPHASIS = re.compile(r"\*([A-Za-z0-9_.-]+)\*")
_MARKS = {True: "yes", False: "NO", None: "?"}


def tell_run(run: dict[str, Any]) -> None:
    """Write a run with its jobs."""
    output.pairs(
        run,
        ("id", "workflow", "version", "status", "priority", "trigger_type", "event_id", "scheduled_for", "input",
         "output", "error", "created_at", "ended_at", "duration_ms"),
    )  # fmt: skip
    if run.get("parallelism"):
        output.write(_parallel(run["parallelism"]))
    columns = {
        "JOB": "id",
        "STATUS": lambda one: f"{one['status']}{' (kept)' if one.get('reused_from') else ''}",
        "ATTEMPT": "attempt",
        "STARTED": lambda one: short(one["started_at"]),
        "OUTPUT": lambda one: output.brief(one["error"] if one["error"] is not None else one["output"], 80),
    }
    output.table(run.get("jobs", ()), columns)


def _parallel(found: dict[str, Any]) -> str:
    """Return the sentence about how parallel a run was."""
    took, alone, saved = (found[name] / 1000 for name in ("elapsed_ms", "sequential_ms", "saved_ms"))
    return (
        f"parallel   {found['max']} jobs at most, {found['mean']:.2f} on average; {took:.3f} s instead of "
        f"{alone:.3f} s one after the other, {saved:.3f} s saved"
    )


def tell_explanation(found: dict[str, Any]) -> None:
    """Write an explanation of an event, a run or a trigger: the sentence, then each decision with its predicates."""
    output.write(plain(found["summary"]))
    decisions = found.get("decisions")
    if decisions is None and found.get("decision"):
        decisions = [found["decision"]]
    for one in decisions or ():
        tell_decision(one)
    for one in found.get("times", ()) or ():
        output.write(f"  {one.get('nominal_local')} {one.get('outcome')} {one.get('reason') or ''}".rstrip())
    if found.get("upstream"):
        output.write(f"  upstream run {found['upstream']['run_id']} of {found['upstream']['workflow']}")
    if found.get("event") and "decisions" not in found:
        output.write(f"  event {found['event']['id']}")


def tell_decision(one: dict[str, Any]) -> None:
    """Write one decision: its outcome, then expected against actual for each predicate."""
    if "error" in one:
        output.write(f"  {one['id']}: {one['error']['message']}")
        return
    name = f"{one.get('workflow') or one.get('workflow_id')}/{one.get('trigger') or one.get('trigger_id')}"
    run = f" run {one['run_id']}" if one.get("run_id") else ""
    output.write(f"  {name}: {one['outcome']} ({one['reason']}){run}")
    for line in one.get("predicates") or ():
        actual = f"expected {output.brief(line['expected'], 120)}, was {output.brief(line['actual'], 120)}"
        hint = f" ({line['note']})" if line.get("note") else ""
        output.write(f"    {_MARKS[line['verdict']]:<3} {line['name']}: {actual}{hint}")


def plain(sentence: str) -> str:
    """Return a sentence without the marks of emphasis."""
    return _EMPHASIS.sub(r"\1", sentence)
