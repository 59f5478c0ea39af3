"""`demo`: the whole path on this machine, in about a minute."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from workflow_scheduler.cli import output, samples
from workflow_scheduler.cli.demo_service import DemoService, free_port
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.core.errors import JobFailed, SchedulerError

_PORT = 8003


def demo(
    context: typer.Context,
    leave: Annotated[bool, typer.Option("--exit", help="Stop at the end instead of staying up.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; another free one if it is taken.")] = _PORT,
) -> None:
    """Start a service on a temporary folder, let five sample workflows run, and say why each of them started."""
    session = session_of(context)
    signal.signal(signal.SIGTERM, _stop)
    with DemoService(free_port(port)) as service:
        local = Session(service.url, None, session.form)
        try:
            told = _tell(local, say=_mute if session.machine else output.write)
        except SchedulerError as error:
            output.complain(session, error)
            output.note(f"  the service said:\n{service.log.read_text(errors='replace')[-2_000:]}")
            raise typer.Exit(Exit.FAILED) from None
        if session.machine:
            output.put({"url": service.url, "items": told, "next": None}, line=session.form == "jsonl")
        if not leave:
            _stay(service, session)
        status = service.stop()
    if status:
        raise JobFailed(f"the service ended with exit status {status}")


def _stop(number: int, frame: object) -> NoReturn:  # noqa: ARG001 -- the signature of signal handlers
    raise SystemExit(128 + number)


def _mute(text: str) -> None:
    """Say nothing: a program reads the result."""


def _stay(service: DemoService, session: Session) -> None:
    if not session.machine:
        output.write(f"The service stays up: {service.url} (API: {service.url}/docs). Ctrl-C stops it.")
        output.note(f"  try: workflow-scheduler --server {service.url} runs ls")
    try:
        service.wait()
    except KeyboardInterrupt:
        output.note("stopping")


def _tell(session: Session, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Let everything happen, and say what became of it; return it for programs."""
    from workflow_scheduler.cli.demo_story import Story, Told
    from workflow_scheduler.cli.run_view import plain

    say(f"The service runs at {session.server} on a temporary folder.")
    story = Story(session, samples.folder())
    names = [status["workflow"] for status in story.deploy()]
    say(f"Deployed: {', '.join(names)}.\n")
    told: list[dict[str, Any]] = []

    def keep(one: Told) -> None:
        told.append({"title": one.title, "why": one.why, "run": one.run, "explanation": one.explanation})
        say(f"{len(told)}. {one.title}")
        if one.run is not None:
            say(f"   {one.run['workflow']} {one.run['status']} (run {one.run['id']}, {one.run['duration_ms']:.0f} ms)")
            say(f"   why: {plain(one.why)}")
        else:
            say(f"   nothing ran. why not: {plain(one.why)}")
        say("")

    for step in (story.by_hand, story.webhook, story.dependency, story.push, story.small_order, story.other_branch):
        keep(step())
    keep(story.cron(_wait))
    return told


def _wait(seconds: float) -> None:
    """Wait, and show on a terminal how many seconds are left."""
    from workflow_scheduler.cli.demo_story import pause

    if not sys.stderr.isatty():
        output.note(f"   waiting for the clock: `heartbeat` is due in {seconds:.0f} s")
        pause(seconds)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("waiting for the clock: `heartbeat` is due", total=max(1, round(seconds)))
        while seconds > 0:
            pause(min(1.0, seconds))
            seconds -= 1.0
            progress.advance(task)
