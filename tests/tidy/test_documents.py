"""The documentation says what the code does: generated pages are current, links lead somewhere, samples are valid."""

import importlib.util
import re

import pytest

from workflow_scheduler.app import job_types, trigger_types
from workflow_scheduler.core.definition.check import inspect
from workflow_scheduler.core.definition.load import read
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.services.sentences import REASONS
from workflow_scheduler.settings import Settings
from workflow_scheduler.telemetry.metrics import Metrics

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NOW = 1_800_000_000_000_000


@pytest.fixture(scope="module")
def generator(project):
    spec = importlib.util.spec_from_file_location("generate", project.root / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_current(generator):
    assert generator.stale() == [], "run `make docs`"


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert [name for name, field in Settings.model_fields.items() if not field.validation_alias] == []


def test_every_reason_and_outcome_is_described(generator):
    page = generator.reasons_page()
    assert [one for one in Reason if f"| `{one.value}` |" not in page] == []
    assert [one for one in Outcome if f"`{one.value}`" not in page] == []
    assert [one for one in Reason if one not in REASONS] == []


def test_every_metric_is_described():
    assert [family.name for family in Metrics().collect() if not family.documentation] == []


@pytest.mark.parametrize("module", [*trigger_types().values(), *job_types().values()], ids=lambda one: one.__name__)
def test_every_plug_in_and_its_fields_are_described(module):
    assert len(module.__doc__ or "") > 40
    schema = module.Config.model_json_schema()
    fields = schema.get("properties", {})
    assert [name for name, part in fields.items() if not (part.get("description") or part.get("title"))] == []


def test_links_between_pages_lead_somewhere(project):
    broken = []
    for name in project.files():
        if name.endswith(".md"):
            folder = (project.root / name).parent
            broken += [f"{name}: {link}" for link in LINK.findall(project.text(name)) if not (folder / link).exists()]
    assert broken == []


def yaml_blocks(text):
    return [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "version: 1" in block]


def test_the_definitions_in_the_documentation_are_valid(project):
    texts = [(name, project.text(name)) for name in project.files() if name.endswith(".md")]
    blocks = [(name, block) for name, text in texts for block in yaml_blocks(text)]
    blocks += [(name, project.text(name)) for name in project.files() if re.fullmatch(r"examples/[\w-]+\.yaml", name)]
    assert len(blocks) > 5
    for _, block in blocks:
        for reading in read(block):
            inspect(reading, trigger_types(), job_types(), NOW)


def test_every_command_of_the_interface_is_there(generator):
    import typer.main

    from workflow_scheduler.cli.root import app

    names = {" ".join(names) for names, _ in generator.commands(typer.main.get_command(app), ())}
    wanted = [
        "up", "demo", "validate", "plan", "deploy", "undeploy", "rollback", "diff", "run", "next", "pause", "resume",
        "explain", "replay", "doctor", "schema", "migrate-db", "bench",
    ]  # fmt: skip
    groups = {
        "trigger": "ls show enable disable suspend fire test types",
        "events": "ls show tail send",
        "runs": "ls show watch logs cancel",
        "dead": "ls show replay discard",
        "secret": "set ls rm",
        "connection": "add ls show test rotate rm",
        "key": "create ls revoke",
        "schedule": "ls create pause resume preview",
    }
    wanted += [f"{group} {name}" for group, below in groups.items() for name in below.split()]
    assert sorted(set(wanted) - names) == []
