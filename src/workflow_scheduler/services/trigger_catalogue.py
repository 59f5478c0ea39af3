"""The catalogue of trigger types: everything that forms, reference pages and linters are made from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.definition.schema import config_schema
from workflow_scheduler.core.definition.trigger_check import SharedKeys


def catalogue(trigger_types: Mapping[str, ModuleType]) -> list[dict[str, Any]]:
    """Return one entry for each trigger type, by name."""
    return [_entry(trigger_types[name]) for name in sorted(trigger_types)]


def _entry(module: ModuleType) -> dict[str, Any]:
    text = inspect.getdoc(module) or ""
    schema = config_schema(module.Config)
    return {
        "name": module.name,
        "title": module.title,
        "summary": text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".") + ".",
        "documentation": text,
        "icon": module.icon,
        "shape": module.shape,
        "since": module.since,
        "extras": module.extras,
        "schema": schema,
        "ui": _hints(schema),
        "shared": SharedKeys.model_json_schema(),
        "examples": [msgspec.to_builtins(example) for example in module.examples],
    }


def _hints(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what forms need to know about each field besides its schema."""
    return {
        name: {
            "title": part.get("title", name),
            "help": part.get("description", ""),
            "secret": bool(part.get("secret", False)),
            **part.get("ui", {}),
        }
        for name, part in schema.get("properties", {}).items()
    }
