"""The entry point of `workflow-scheduler` and `wfs`: global options, commands and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from workflow_scheduler.cli import (
    backfill,
    bench,
    blackout,
    calendar,
    connection,
    dead,
    definitions,
    demo,
    deployment,
    doctor,
    events,
    explain,
    forecast,
    github,
    importing,
    key,
    login,
    member,
    migrations,
    next,  # noqa: A004 -- the command is called `next`
    output,
    pauses,
    quarantine,
    replay,
    run,
    runs,
    schedule,
    secret,
    template,
    tenant,
    trigger,
    trigger_check,
    trigger_joins,
    trigger_listen,
    trigger_simulate,
    up,
    waits,
    worker,
    workflow,
)
from workflow_scheduler.cli.exits import exit_of
from workflow_scheduler.cli.session import SERVER, Form, Session
from workflow_scheduler.core.errors import SchedulerError

_INTERRUPTED = 130
_FLAGS = frozenset({"--json", "--jsonl"})
_HELP = "Turns whatever happens into exactly one run of each workflow that asked for it, and can say why."
_EPILOG = (
    "--server, --json and --jsonl may also stand after the command. Exit codes: 0 ok, 1 a run or a check failed, "
    "2 usage, 3 not found, 4 credentials, 5 conflict, 6 unreachable, 7 waited too long."
)

app = typer.Typer(
    name="workflow-scheduler",
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        output.write(importlib.metadata.version("workflow-scheduler"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    server: Annotated[
        str | None,
        typer.Option(envvar="WFS_SERVER", help=f"Address of the service; that of `login`, or {SERVER}."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    as_lines: Annotated[bool, typer.Option("--jsonl", help="One JSON object on each line.")] = False,
    version: Annotated[  # noqa: ARG001 -- its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that all commands share. The API key comes from WFS_API_KEY, or from `login`."""
    context.obj = Session(server, os.environ.get("WFS_API_KEY") or None, _form(as_json, as_lines))


def _form(as_json: bool, as_lines: bool) -> Form:
    if as_lines:
        return "jsonl"
    return "json" if as_json else "text"


for _command, _name in (
    (up.up, "up"),
    (worker.worker, "worker"),
    (demo.demo, "demo"),
    (definitions.validate, "validate"),
    (definitions.plan, "plan"),
    (deployment.deploy, "deploy"),
    (deployment.undeploy, "undeploy"),
    (deployment.rollback, "rollback"),
    (definitions.diff, "diff"),
    (run.run, "run"),
    (next.next_, "next"),
    (forecast.forecast, "forecast"),
    (pauses.pause, "pause"),
    (pauses.resume, "resume"),
    (backfill.backfill, "backfill"),
    (explain.explain, "explain"),
    (replay.replay, "replay"),
    (doctor.doctor, "doctor"),
    (definitions.schema, "schema"),
    (migrations.migrate_db, "migrate-db"),
    (bench.bench, "bench"),
    (login.login, "login"),
    (login.logout, "logout"),
    (member.audit, "audit"),
):
    app.command(_name)(_command)
trigger.app.command("joins")(trigger_joins.joins)
trigger.app.command("listen")(trigger_listen.listen)
trigger.app.command("simulate")(trigger_simulate.simulate)
trigger.app.command("check")(trigger_check.check)
for _group, _name in (
    (workflow.app, "workflow"),
    (trigger.app, "trigger"),
    (schedule.app, "schedule"),
    (backfill.app, "backfills"),
    (calendar.app, "calendar"),
    (events.app, "events"),
    (runs.app, "runs"),
    (dead.app, "dead"),
    (waits.app, "waits"),
    (quarantine.app, "quarantine"),
    (blackout.app, "blackout"),
    (secret.app, "secret"),
    (connection.app, "connection"),
    (github.app, "github"),
    (template.app, "template"),
    (tenant.app, "tenant"),
    (key.app, "key"),
    (member.app, "member"),
    (importing.app, "import"),
):
    app.add_typer(_group, name=_name)


def hoisted(arguments: list[str]) -> list[str]:
    """Return the arguments with `--server`, `--json` and `--jsonl` moved to the front, up to a `--`."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        if one == "--":
            rest += [one, *waiting]
            break
        if one in _FLAGS or one.startswith("--server="):
            front.append(one)
        elif one == "--server" and waiting:
            front += [one, waiting.pop(0)]
        else:
            rest.append(one)
    return front + rest


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = hoisted(sys.argv[1:] if arguments is None else arguments)
    session = Session(form=_form("--json" in given, "--jsonl" in given))
    try:
        app(args=given, prog_name="workflow-scheduler")
    except SystemExit as end:
        return _code(end.code)
    except SchedulerError as error:
        output.complain(session, error)
        return int(exit_of(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _code(code: Any) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else 1
