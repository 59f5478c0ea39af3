"""`validate`, `schema`, `plan` and `diff`: looking at definitions before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import definition_files, located, readings
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError, NotFound, SchedulerError, TooLarge

if TYPE_CHECKING:
    from workflow_scheduler.core.definition.load import Reading

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Definition files or folders; `-` is stdin.")]
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def validate(context: typer.Context, files: Files) -> None:
    """Check definition files, with the line and column of every mistake. Needs no service."""
    session = session_of(context)
    found = [one for name in definition_files(files) for one in _checked(name)]
    valid = all(one["valid"] for one in found)
    output.show(session, {"valid": valid, "items": found, "next": None}, output.each(_tell))
    raise typer.Exit(Exit.OK if valid else Exit.FAILED)


def _checked(name: str) -> list[dict[str, Any]]:
    try:
        return [_inspected(name, reading) for reading in readings(name)]
    except (DefinitionInvalid, TooLarge) as error:
        errors = error.errors or (FieldError("", error.detail, line=1, column=1),)
        return [_finding(name, None, errors=errors)]


def _inspected(name: str, reading: Reading) -> dict[str, Any]:
    from workflow_scheduler.app import job_types, trigger_types
    from workflow_scheduler.core.definition.check import inspect
    from workflow_scheduler.core.time.clock import SystemClock

    value = reading.document.value
    workflow = value.get("name") if isinstance(value, dict) else None
    try:
        checked = inspect(reading, trigger_types(), job_types(), SystemClock().now())
    except DefinitionInvalid as error:
        return _finding(name, workflow, errors=error.errors)
    return _finding(name, workflow, warnings=checked.warnings)


def _finding(
    name: str, workflow: Any, *, errors: tuple[FieldError, ...] = (), warnings: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "file": name,
        "workflow": workflow,
        "valid": not errors,
        "errors": [msgspec.to_builtins(one) for one in errors],
        "warnings": list(warnings),
    }


def _tell(found: dict[str, Any]) -> None:
    for one in found["errors"]:
        output.write(output.issue(msgspec.convert(one, FieldError), found["file"]))
    for sentence in found["warnings"]:
        output.note(f"{found['file']}: warning: {sentence}")
    if found["valid"]:
        output.write(f"{found['file']}: {found['workflow']} is valid")


def schema(context: typer.Context) -> None:
    """Print the JSON Schema of definition files, for editors. Needs no service."""
    from workflow_scheduler.app import job_types, trigger_types
    from workflow_scheduler.core.definition.schema import schema as whole

    output.put(whole(trigger_types(), job_types()), line=session_of(context).form == "jsonl")


def plan(context: typer.Context, files: Files) -> None:
    """Show what a deploy would change, with the next fires before and after. Nothing is changed."""
    session = session_of(context)
    plans = [planned(session, name, reading) for name in definition_files(files) for reading in read_file(name)]
    value = plans[0] if len(plans) == 1 else {"items": plans, "next": None}
    output.show(session, value, lambda _: output.each(tell_plan)(plans))
    if any(one["problems"] for one in plans):
        raise typer.Exit(Exit.FAILED)


def read_file(name: str) -> list[Reading]:
    """Return the documents of a file whose text can be read.

    Raises:
        DefinitionInvalid: it cannot be read; the message names the file.

    """
    try:
        return readings(name)
    except DefinitionInvalid as error:
        raise in_file(name, error.errors) from None


def in_file(name: str, errors: tuple[FieldError, ...]) -> DefinitionInvalid:
    """Return the error of a file that has mistakes."""
    shown = [FieldError("", output.issue(one, name)) for one in errors]
    count = f"{len(shown)} mistake" + ("" if len(shown) == 1 else "s")
    return DefinitionInvalid(f"{name} has {count}", errors=shown, fix=f"workflow-scheduler validate {name}")


def spec_of(reading: Reading, *, alone: bool) -> Any:
    """Return what is sent of a document: its text where it is alone in its file, so that comments are kept."""
    return reading.source if alone and reading.source is not None else reading.document.value


def planned(session: Session, name: str, reading: Reading) -> dict[str, Any]:
    """Return the service's plan of one document.

    Raises:
        DefinitionInvalid: it has mistakes; each is named with its place in the file.

    """
    try:
        found: dict[str, Any] = session.client.post("/api/v1/deployment/plan", reading.document.value)
    except DefinitionInvalid as error:
        raise in_file(name, tuple(located(reading, error.errors))) from None
    return found


def tell_plan(plan: dict[str, Any]) -> None:
    """Write a plan for people."""
    output.write(f"{plan['workflow']}: {'nothing to change' if plan['action'] == 'none' else plan['action']}")
    for kind in ("triggers", "jobs"):
        for how, sign in _SIGNS.items():
            for one in plan[kind].get(how, ()):
                _tell_part(sign, kind.removesuffix("s"), one)
    for one in plan["settings"] if plan["action"] == "update" else ():
        output.write(f"  ~ {change(one)}")
    for sentence in plan["warnings"]:
        output.note(f"  warning: {sentence}")
    for one in plan["problems"]:
        output.note(f"  problem: {one.get('message') or one.get('detail') or output.brief(one)}")


def _tell_part(sign: str, kind: str, one: Any) -> None:
    if not isinstance(one, dict):
        output.write(f"  {sign} {kind} {one}")
        return
    output.write(f"  {sign} {kind} {one['name']}" + (f" ({one['type']})" if "type" in one else ""))
    for part in one.get("changes", ()):
        output.write(f"      {change(part)}")
    for title, key in (("next before", "next_fires_before"), ("next", "next_fires")):
        fires = one.get(key) or []
        if fires:
            output.write(f"      {title}: " + ", ".join(fire["local"] for fire in fires[:3]))


def change(one: dict[str, Any]) -> str:
    """Return one difference as a line."""
    path = ".".join(str(step) for step in one["path"])
    if one["op"] == "changed":
        return f"{path}: {output.brief(one.get('before'))} -> {output.brief(one.get('after'))}"
    value = one.get("after") if one["op"] == "added" else one.get("before")
    return f"{path} {one['op']}" + ("" if value is None else f": {output.brief(value)}")


def diff(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id of the workflow.")],
    old: Annotated[int | None, typer.Option("--from", min=1, help="Version; by default the one before.")] = None,
    new: Annotated[int | None, typer.Option("--to", min=1, help="Version; by default the latest.")] = None,
) -> None:
    """Show what one version of a workflow changed against another."""
    session = session_of(context)
    path = f"/api/v1/workflows/{segment(name)}"
    last = new if new is not None else int(session.client.get(path)["version"])
    first = old if old is not None else last - 1
    if first < 1:
        raise NotFound(f"`{name}` has a single version", fix=f"workflow-scheduler workflow show {name}")
    found = session.client.call("GET", f"{path}/diff", query={"from": first, "to": last})
    output.show(session, found, lambda value: _tell_diff(value, first, last))


def _tell_diff(value: dict[str, Any], first: int, last: int) -> None:
    if not value["changes"]:
        output.note(f"versions {first} and {last} are equal")
    for one in value["changes"]:
        output.write(change(one))


def raised(error: SchedulerError, name: str, reading: Reading) -> SchedulerError:
    """Return a refusal of the service with places in the file, where it is about the definition."""
    if isinstance(error, DefinitionInvalid):
        return in_file(name, tuple(located(reading, error.errors)))
    return error
