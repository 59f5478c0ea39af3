"""`trigger check`: definitions against fixtures, without a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.definitions import in_file, read_file
from workflow_scheduler.cli.exits import Exit
from workflow_scheduler.cli.files import definition_files
from workflow_scheduler.cli.run_view import tell_decision
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.core.errors import DefinitionInvalid, ValidationFailed
from workflow_scheduler.core.fixtures import Fixture, is_fixture, lets_through, read

if TYPE_CHECKING:
    from workflow_scheduler.core.definition.check import Checked
    from workflow_scheduler.core.definition.trigger_check import CheckedTrigger

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Definitions and fixtures, or folders of them.")]
_TIMERS = "timer"


def check(context: typer.Context, files: Files) -> None:
    """Judge fixtures by the triggers of definitions. Needs no service; exit code 1 when one is not as expected.

    A fixture is an event (`events fixture EVENT > FILE`) with what each trigger is to make of it.
    """
    session = session_of(context)
    definitions, fixtures = _sorted(definition_files(files))
    if not definitions or not fixtures:
        raise typer.BadParameter("name at least one definition and at least one fixture")
    found = [line for file, fixture in fixtures for line in _judged(file, fixture, definitions)]
    failed = [line for line in found if not line["ok"]]
    value = {"ok": not failed, "checked": len(found), "failed": len(failed), "items": found, "next": None}
    output.show(session, value, _show)
    raise typer.Exit(Exit.FAILED if failed else Exit.OK)


def _sorted(files: list[str]) -> tuple[list[Checked], list[tuple[str, Fixture]]]:
    from workflow_scheduler.app import job_types, trigger_types
    from workflow_scheduler.core.definition.check import inspect
    from workflow_scheduler.core.time.clock import SystemClock

    types, jobs, now = trigger_types(), job_types(), SystemClock().now()
    definitions: list[Checked] = []
    fixtures: list[tuple[str, Fixture]] = []
    for file in files:
        for reading in read_file(file):
            value = reading.document.value
            try:
                if is_fixture(value):
                    fixtures.append((file, read(value)))
                else:
                    accepted = (value.get("triggers") or {}) if isinstance(value, dict) else {}
                    definitions.append(inspect(reading, types, jobs, now, accepted=accepted))
            except DefinitionInvalid as error:
                raise in_file(file, error.errors) from None
            except ValidationFailed as error:
                raise ValidationFailed(f"{file}: {error.detail}", errors=error.errors) from None
    return definitions, fixtures


def _judged(file: str, fixture: Fixture, definitions: list[Checked]) -> Iterator[dict[str, Any]]:
    """Yield one line for each trigger that expects something of the fixture, or lets it through unexpectedly."""
    wanted = dict(fixture.expect or {})
    known = {checked.definition.name for checked in definitions}
    for checked in definitions:
        for trigger in checked.triggers.values():
            name = f"{checked.definition.name}/{trigger.name}"
            expected = wanted.pop(name, None)
            if trigger.module.shape == _TIMERS and expected is None:
                continue
            line = _decision(checked, trigger, fixture)
            passes = lets_through(line["outcome"])
            if expected is None and not passes:
                continue
            ok = fixture.expect is None or passes is bool(expected)
            yield {"fixture": file, "expected": expected, "lets_through": passes, "ok": ok, **line}
    for name, expected in wanted.items():
        workflow, _, trigger_name = name.partition("/")
        if workflow in known:
            yield {"fixture": file, "expected": expected, "lets_through": False, "ok": not expected,
                   "workflow": workflow, "trigger": trigger_name, "outcome": "absent", "reason": "no such trigger",
                   "predicates": []}  # fmt: skip


def _decision(checked: Checked, trigger: CheckedTrigger, fixture: Fixture) -> dict[str, Any]:
    from workflow_scheduler.core.model.event import EventView
    from workflow_scheduler.pipeline.candidates import Compiled
    from workflow_scheduler.pipeline.matcher import judge

    event = fixture.event
    keys, sub_keys = _keys(trigger)
    predicates: list[Any] = []
    outcome, reason = "filtered", "predicate_false"
    if event.provider != trigger.type:
        predicates = [{"name": "type", "expected": trigger.type, "actual": event.provider, "verdict": False}]
    elif event.index_keys and not _meets(event.index_keys, keys):
        predicates = [{"name": "key", "expected": list(keys), "actual": list(event.index_keys), "verdict": False}]
    elif event.index_keys and not set(event.sub_keys) & set(sub_keys):
        predicates = [{"name": "key", "expected": list(sub_keys), "actual": list(event.sub_keys), "verdict": False}]
    else:
        compiled = Compiled(_live(checked, trigger), {trigger.type: trigger.module})
        judged = judge(compiled, EventView(event), event.received_at)
        outcome, reason = judged.outcome.value, judged.reason.value
        predicates = [msgspec.to_builtins(line) for line in judged.verdict.predicates]
    return {"workflow": checked.definition.name, "trigger": trigger.name, "outcome": outcome, "reason": reason,
            "predicates": predicates}  # fmt: skip


def _keys(trigger: CheckedTrigger) -> tuple[tuple[str, ...], tuple[str, ...]]:
    module: Any = trigger.module
    sub_keys = module.sub_keys(trigger.config) if hasattr(module, "sub_keys") else ("",)
    return module.index_keys(trigger.config), sub_keys


def _meets(heard: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    """Return whether an event finds a trigger; an address that is made of an id is known to a service only."""
    return not keys or bool(set(heard) & set(keys)) or all(key.startswith(("id:", "wf:")) for key in heard)


def _live(checked: Checked, trigger: CheckedTrigger) -> Any:
    from workflow_scheduler.core.model.trigger import Mode, Trigger

    name = checked.definition.name
    return Trigger(
        id=f"{name}/{trigger.name}", tenant_id="local", workflow_id=name, workflow=name, workflow_version=1,
        name=trigger.name, type=trigger.type, config=trigger.plain, index_key=None, mode=Mode.ENABLED,
        condition=trigger.shared.condition, on_unknown=trigger.shared.on_unknown,
        max_depth=checked.definition.max_depth, updated_at=0,
    )  # fmt: skip


def _show(value: dict[str, Any]) -> None:
    for line in value["items"]:
        if line["ok"]:
            what = "lets it through" if line["lets_through"] else "stays silent"
            output.write(f"ok    {line['fixture']}: {line['workflow']}/{line['trigger']} {what}")
            continue
        wanted = "let it through" if line["expected"] else "stay silent"
        output.write(f"WRONG {line['fixture']}: {line['workflow']}/{line['trigger']} was to {wanted}")
        tell_decision(line)
    output.write(f"{value['checked']} checked, {value['failed']} wrong")
