"""`bench`: figures of this program on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import workflow_scheduler
from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.core.time.clock import Clock, SystemClock

_ROUNDS = 20_000
_RATE = 1_000_000


def bench(
    context: typer.Context,
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to the benchmarks of a checkout.")] = None,
) -> None:
    """Measure. In a checkout the whole table of `make bench`; elsewhere the parts that need no load generator."""
    checkout = Path(workflow_scheduler.__file__).parents[2]
    if (checkout / "bench" / "__main__.py").is_file():
        form = ["--json"] if session_of(context).machine else []
        command = [sys.executable, "-m", "bench", *(arguments or []), *form]
        raise typer.Exit(subprocess.call(command, cwd=checkout))  # noqa: S603 -- our own module
    items = [_measured(name, build()) for name, build in _PARTS.items()]
    columns = {"WHAT": "what", "MICROSECONDS": lambda one: f"{one['microseconds']:.2f}"}
    output.show(
        session_of(context), {"items": items, "next": None}, lambda value: output.table(value["items"], columns)
    )


def _measured(what: str, step: Callable[[], object], clock: Clock | None = None) -> dict[str, Any]:
    """Return the mean time of one step in microseconds, after a tenth of the rounds to warm up."""
    clock = clock or SystemClock()
    for _ in range(_ROUNDS // 10):
        step()
    began = clock.monotonic()
    for _ in range(_ROUNDS):
        step()
    return {"what": what, "rounds": _ROUNDS, "microseconds": (clock.monotonic() - began) / _ROUNDS * _RATE}


def _next_fire() -> Callable[[], object]:
    from workflow_scheduler.core.time import cron, dst, zone

    parsed, place = cron.parse("*/15 9-17 * * MON-FRI"), zone.load("America/New_York")
    now = SystemClock().now()
    return lambda: dst.next_fire(parsed, place, now)


def _condition() -> Callable[[], object]:
    from workflow_scheduler.core.match.expression import compile_expression

    compiled = compile_expression("event.data.amount > 100", ("event",))
    given = {"event": {"data": {"amount": 150}}}
    return lambda: compiled.value(given)


def _identifier() -> Callable[[], object]:
    from workflow_scheduler.core.ids import mint

    now = SystemClock().now()
    return lambda: mint(now)


_PARTS: dict[str, Callable[[], Callable[[], object]]] = {
    "next fire of a cron expression in a zone with clock changes": _next_fire,
    "one condition in CEL": _condition,
    "one id": _identifier,
}
