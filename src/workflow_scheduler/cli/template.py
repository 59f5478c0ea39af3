"""`template ls|show|create|update|rm|run`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflow_scheduler.cli import options, output
from workflow_scheduler.cli.files import input_of, value_of
from workflow_scheduler.cli.run import Timeout, follow
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment

app = typer.Typer(help="Templates: run a definition with an input, or make workflows from it.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the template.")]
Data = Annotated[list[str] | None, typer.Option("--data", "-d", metavar="K=V", help="A field of the input.")]
Input = Annotated[str | None, typer.Option("--input", "-i", help="Input from a JSON or YAML file.")]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", help="JSON or YAML: description, category, input_schema and definition; - for stdin."),
]
_BASE = "/api/v1/templates"
_FACTS = ("name", "category", "builtin", "version", "triggers", "updated_at", "updated_by")


@app.command("ls")
def list_(
    context: typer.Context,
    category: Annotated[str | None, typer.Option(help="Only those of this category.")] = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
) -> None:
    """List templates: your own and those that come with the program."""
    session = session_of(context)
    columns = {
        "NAME": "name",
        "CATEGORY": "category",
        "OWN": lambda one: "-" if one["builtin"] else "yes",
        "UPDATED": lambda one: short(one["updated_at"]),
        "DESCRIPTION": lambda one: one["description"].partition(". ")[0],
    }
    page = session.collect(_BASE, limit, cursor, category=category)
    output.show(session, page, lambda value: output.table(value["items"], columns, "no templates"))


@app.command()
def show(context: typer.Context, name: Name) -> None:
    """Show a template and the fields of its input."""
    session = session_of(context)
    output.show(session, session.client.get(f"{_BASE}/{segment(name)}"), _tell)


def _tell(template: dict[str, Any]) -> None:
    output.write(template["description"])
    output.write()
    output.pairs(template, _FACTS)
    output.write()
    schema = template["input_schema"]
    required = schema.get("required", [])
    rows = [
        {"name": name, "needed": "yes" if name in required else "", **(field if isinstance(field, dict) else {})}
        for name, field in schema.get("properties", {}).items()
    ]
    columns = {
        "INPUT": "name",
        "NEEDED": "needed",
        "TYPE": lambda one: one.get("type", ""),
        "DEFAULT": lambda one: one.get("default", ""),
        "MEANING": lambda one: one.get("description") or one.get("title", ""),
    }
    output.table(rows, columns, "any object is taken as input")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the template, or of the workflow to make.")],
    file: File = None,
    source: Annotated[str | None, typer.Option("--from", help="Make a workflow from this template instead.")] = None,
    data: Data = None,
    given: Input = None,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="With --from: make it live at once.")] = True,
) -> None:
    """Keep a definition as a template (--file), or make a workflow from a template (--from).

    Example: workflow-scheduler template create welcome --from welcome-email -d mail=smtp -d from=me@example.test
    """
    session = session_of(context)
    if (file is None) == (source is None):
        raise typer.BadParameter("give either --file, to keep a template, or --from, to make a workflow from one")
    if source is None:
        made = session.client.post(_BASE, {**_file(file), "name": name})
        output.show(session, made, lambda one: output.note(f"template {one['name']} is kept"))
        return
    body = {"workflow": name, "input": input_of(data or [], given), "deploy": deploy}
    made = session.client.post(f"{_BASE}/{segment(source)}/instantiate", body)
    output.show(session, made, _made)


def _made(workflow: dict[str, Any]) -> None:
    output.note(f"workflow {workflow['name']} is made: {workflow['deployment_status']}")


@app.command()
def update(context: typer.Context, name: Name, file: File = None) -> None:
    """Replace a template of yours. Its runs and the workflows made from it stay as they are."""
    if file is None:
        raise typer.BadParameter("give the template with --file")
    session = session_of(context)
    body = {part: value for part, value in _file(file).items() if part != "name"}
    made = session.client.call("PUT", f"{_BASE}/{segment(name)}", body=body)
    output.show(session, made, lambda one: output.note(f"template {one['name']} is at version {one['version']}"))


def _file(name: str | None) -> dict[str, Any]:
    value = value_of(name or "-")
    if not isinstance(value, dict):
        raise typer.BadParameter("a template is an object with `definition`, `input_schema`, …")
    return value


@app.command()
def rm(context: typer.Context, name: Name) -> None:
    """Delete a template of yours."""
    session = session_of(context)
    session.client.delete(f"{_BASE}/{segment(name)}")
    output.show(session, {"deleted": name}, lambda _: output.note(f"deleted {name}"))


@app.command()
def run(
    context: typer.Context,
    name: Name,
    data: Data = None,
    given: Input = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when the run fails.")] = False,
    timeout: Timeout = "5m",
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: equal keys start one run.")] = None,
) -> None:
    """Start one run of a template, with an input that fits its schema."""
    session = session_of(context)
    body = {"input": input_of(data or [], given)}
    started = session.client.post(f"{_BASE}/{segment(name)}/run", body, idempotency_key=key)
    follow(session, started, timeout if wait else None)
