"""The templates that come with the program: files in `workflow_scheduler/templates`, the same for all tenants."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from workflow_scheduler.core.definition.yaml_text import parse_yaml
from workflow_scheduler.core.model.template import Template


@cache
def builtin_templates() -> dict[str, Template]:
    """Return them by name, in the order of their names. Reading them for the first time takes about 0.1 s."""
    folder = resources.files("workflow_scheduler").joinpath("templates")
    found = [_template(one.read_text("utf-8")) for one in folder.iterdir() if one.name.endswith(".yaml")]
    return {template.name: template for template in sorted(found, key=lambda one: one.name)}


def _template(text: str) -> Template:
    value: dict[str, Any] = parse_yaml(text)[0].value
    return Template(
        name=value["name"],
        description=value["description"].strip(),
        category=value["category"],
        definition={**value["definition"], "name": value["name"]},
        input_schema=value["input_schema"],
        version=value["revision"],
        builtin=True,
    )
