"""`deploy`, `undeploy` and `rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.definitions import Files, raised, read_file, spec_of
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import definition_files
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.client.http import segment
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError, SchedulerError, ValidationFailed

if TYPE_CHECKING:
    from workflow_scheduler.core.definition.load import Reading

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the workflow.")]
_BASE = "/api/v1/deployment/workflows"
_WEBHOOKS = "/api/v1/public/webhook/"


def deploy(context: typer.Context, files: Files) -> None:
    """Create or change the workflows in files and make them live; prints their next fires and addresses."""
    session = session_of(context)
    done: list[dict[str, Any]] = []
    try:
        for name in definition_files(files):
            for status in deployed(session, name):
                done.append(status)
                if not session.machine:
                    tell(session, status)
    except ValidationFailed as error:
        output.complain(session, error)
        raise typer.Exit(Exit.FAILED) from None
    if session.machine:
        output.show(session, done[0] if len(done) == 1 else {"items": done, "next": None}, output.put)


def deployed(session: Session, file: str) -> Iterator[dict[str, Any]]:
    """Deploy the workflows of one file, one after the other; yield their status with triggers and addresses.

    Raises:
        SchedulerError: the service refused one; BadParameter: the file cannot be read.

    """
    found = read_file(file)
    for reading in found:
        yield _deployed(session, file, reading, alone=len(found) == 1)


def _deployed(session: Session, file: str, reading: Reading, *, alone: bool) -> dict[str, Any]:
    value = reading.document.value
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name:
        problem = FieldError("name", "a definition needs a name", line=1, column=1)
        raise DefinitionInvalid(f"{file} has a mistake", errors=[problem], fix=f"workflow-scheduler validate {file}")
    try:
        body = {"workflow_spec": spec_of(reading, alone=alone)}
        status = _posted(session, name, body)
    except SchedulerError as error:
        raise raised(error, file, reading) from None
    return {**status, "file": file, "triggers": _triggers(session, status)}


def deploy_spec(session: Session, name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Deploy a definition that stands in no file; return its status with triggers and addresses.

    Raises:
        SchedulerError: the service refused it.

    """
    status = _posted(session, name, {"workflow_spec": definition})
    return {**status, "triggers": _triggers(session, status)}


def _posted(session: Session, name: str, body: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = session.client.post(f"{_BASE}/{segment(name)}/deploy", body)
    return status


def _triggers(session: Session, status: dict[str, Any]) -> list[dict[str, Any]]:
    workflow = session.client.get(f"/api/v1/workflows/{segment(status['workflow_id'])}")
    return [_with_address(session, one) for one in workflow["triggers"]]


def _with_address(session: Session, trigger: dict[str, Any]) -> dict[str, Any]:
    """Return a trigger with the address and an example call, where it has an address."""
    config, base = trigger.get("config") or {}, session.client.server
    if trigger["type"] == "webhook":
        url = f"{base}{_WEBHOOKS}{(config.get('path') or trigger['id']).strip('/')}"
        return {**trigger, "url": url, "curl": _curl(config, url)}
    if trigger["type"] == "github":
        return {**trigger, "url": f"{base}/api/v1/github/webhook"}
    return trigger


def _curl(config: dict[str, Any], url: str) -> str:
    """Return the command line that calls a webhook; what is secret is left to the caller."""
    method = (config.get("methods") or ["POST"])[0]
    signature = config.get("signature") or {}
    scheme = signature.get("scheme", "none") if isinstance(signature, dict) else str(signature)
    parts = ["curl", "-X", method]
    if method != "GET":
        parts += ["-H", "'content-type: application/json'", "-d", "'{}'"]
    if scheme == "basic":
        parts += ["-u", "USER:PASSWORD"]
    elif scheme != "none":
        header = signature.get("header") or "X-Signature"
        parts += ["-H", f"'{header}: …'"]
    return " ".join([*parts, url])


def tell(session: Session, status: dict[str, Any]) -> None:
    """Write for people what was deployed."""
    state = status["deployment_status"]
    output.write(f"{status['workflow']}: {state} version {status['version']}")
    for one in status["triggers"]:
        output.write(f"  {one['name']} ({one['type']}){_when(one)}")
        if "curl" in one:
            output.write(f"    {one['curl']}")
    for warning in status.get("warnings") or ():
        output.note(f"  warning: {warning}")
    if all(one["type"] == "manual" for one in status["triggers"]):
        output.note(f"  start it with: workflow-scheduler run {status['workflow']} --wait{_address(session)}")


def _when(trigger: dict[str, Any]) -> str:
    if trigger["mode"] != "enabled":
        return f" {trigger['mode']}"
    if trigger.get("next_fire_at"):
        return f" next {short(trigger['next_fire_at'])}"
    return f" {trigger['url']}" if "url" in trigger else ""


def _rolled(one: dict[str, Any]) -> None:
    output.write(f"{one['workflow']}: {one['deployment_status']} version {one['version']}")


def _address(session: Session) -> str:
    from workflow_scheduler.cli.session import SERVER

    return "" if session.server == SERVER else f" --server {session.server}"


def undeploy(context: typer.Context, name: Name) -> None:
    """Take a workflow out of service; runs that are under way go on."""
    session = session_of(context)
    status = session.client.post(f"{_BASE}/{segment(name)}/undeploy")
    output.show(session, status, lambda one: output.write(f"{one['workflow']}: {one['deployment_status']}"))


def rollback(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="By default the version live before.")],
) -> None:
    """Make an earlier version of a workflow live again."""
    session = session_of(context)
    name, sign, version = target.rpartition("@")
    if not sign:
        name, version = target, ""
    if version and not version.isdigit():
        raise typer.BadParameter(f"`{version}` is no version; write {name}@3")
    body = {"version": int(version)} if version else {}
    status = session.client.post(f"{_BASE}/{segment(name)}/rollback", body)
    output.show(session, status, _rolled)
    if status["deployment_status"] != "DEPLOYED":
        raise typer.Exit(Exit.FAILED)
