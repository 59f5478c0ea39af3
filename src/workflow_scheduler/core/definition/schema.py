"""The JSON Schema (2020-12) of a whole definition file, with every trigger and job type that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.definition.problems import aliases
from workflow_scheduler.core.definition.trigger_check import SharedKeys
from workflow_scheduler.core.model.workflow import JOB_PATTERN, NAME_PATTERN, Definition
from workflow_scheduler.core.registry import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_PATH = "/schemas/workflow/v1.json"
_NODE = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {
        "id": {"type": ["string", "integer"], "description": "The name of the trigger or job."},
        "type": {"type": "string", "description": "TRIGGER, or the kind of the node, such as ACTION."},
        "subtype": {"type": "string", "description": "The trigger type (CRON) or the job type (HTTP)."},
        "parameters": {"type": ["object", "null"], "description": "The configuration of the type."},
    },
}
_NODE_FORM = {
    "nodes": {
        "type": "array",
        "minItems": 1,
        "items": _NODE,
        "description": "In place of `triggers` and `jobs`: the node form. Other keys of a node are those of a job.",
    },
    "connections": {
        "type": ["array", "object", "null"],
        "description": "Which node comes before which: a list of {from, to, condition}, or a mapping.",
    },
}
_TEMPLATE = {"type": "string", "pattern": r"\$\{", "description": "An expression, filled in when the job runs."}


def schema(trigger_types: Mapping[str, ModuleType], job_types: Mapping[str, ModuleType]) -> dict[str, Any]:
    """Return the schema of definition files, for editors and for `wfs schema`."""
    whole = Definition.model_json_schema(by_alias=True)
    definitions = whole.setdefault("$defs", {})
    for name in sorted(trigger_types):
        definitions[f"trigger.{name}"] = _trigger(name, trigger_types[name], definitions)
    for name in sorted(job_types):
        definitions[f"job.{name}"] = _templated(_hoisted(f"job.{name}", job_types[name].Config, definitions))
    for name in [key for key in definitions if key.startswith("job.") and key.count(".") > 1]:
        definitions[name] = _templated(definitions[name])
    definitions["trigger"] = _choice(sorted(trigger_types))
    definitions["Job"] = _job(definitions["Job"], sorted(job_types))
    whole["properties"]["triggers"] |= {
        "additionalProperties": {"$ref": "#/$defs/trigger"},
        "propertyNames": {"pattern": NAME_PATTERN},
    }
    whole["properties"]["jobs"] |= {"propertyNames": {"pattern": JOB_PATTERN}}
    whole["properties"] |= _NODE_FORM
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_PATH,
        **whole,
        "title": "Workflow definition",
        "description": "A workflow of workflow_scheduler, version 1 of the format.",
    }


def config_schema(kind: type[Config]) -> dict[str, Any]:
    """Return the schema of one configuration, every spelling of its fields included."""
    return _with_spellings(kind, kind.model_json_schema(by_alias=True))


def _hoisted(prefix: str, kind: type[Config], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a configuration, its own definitions moved into the common ones."""
    schema = kind.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, part in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = part
    return _with_spellings(kind, schema)


def _with_spellings(kind: type[Config], schema: dict[str, Any]) -> dict[str, Any]:
    """Add the other spellings of fields; a required field may be there under any of them."""
    properties = schema.setdefault("properties", {})
    required = list(schema.get("required", ()))
    alternatives = []
    for name, field in kind.model_fields.items():
        spellings = [spelling for spelling in aliases(field.validation_alias) if spelling]
        main = spellings[0] if spellings else name
        if main not in properties:
            continue
        for spelling in spellings[1:]:
            properties[spelling] = {**properties[main], "deprecated": True, "description": f"Same as `{main}`."}
        if main in required and len(spellings) > 1:
            required.remove(main)
            alternatives.append({"anyOf": [{"required": [spelling]} for spelling in spellings]})
    if alternatives:
        schema["allOf"] = [*schema.get("allOf", ()), *alternatives]
        schema["required"] = required
    if not required:
        schema.pop("required", None)
    return schema


def _trigger(name: str, module: ModuleType, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _hoisted(f"trigger.{name}", module.Config, definitions)
    whole = SharedKeys.model_json_schema()
    definitions |= whole.get("$defs", {})
    shared = whole["properties"]
    short = getattr(module, "short_fields", {})
    schema["properties"] = {**shared, **schema["properties"], **short, "type": {"const": name}}
    schema["required"] = ["type", *schema.get("required", ())]
    schema["title"] = module.title
    return schema


def _choice(names: list[str]) -> dict[str, Any]:
    cases = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/trigger.{name}"},
        }
        for name in names
    ]
    return {"type": "object", "required": ["type"], "properties": {"type": {"enum": names}}, "allOf": cases}


def _job(job: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Tie `with` to the type that `uses` names; types of external engines are left open."""
    cases = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {"properties": {"with": {"$ref": f"#/$defs/job.{name}"}}},
        }
        for name in names
        if name != "run"
    ]
    job["properties"]["uses"]["examples"] = names
    job["anyOf"] = [{"required": ["run"]}, {"required": ["uses"]}]
    job["allOf"] = cases
    return job


def _templated(schema: dict[str, Any]) -> dict[str, Any]:
    """Let every value of a job's configuration be an expression as well."""
    properties = {
        name: part if part.get("type") == "string" else {"anyOf": [part, _TEMPLATE]}
        for name, part in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema
