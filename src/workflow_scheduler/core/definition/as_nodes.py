"""A document in node form: what `nodes.document_of` converts back to the same document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_scheduler.core.definition.nodes import TRIGGER

_KIND = "ACTION"


def as_nodes(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a valid definition in node form; triggers are connected to the jobs that need nothing."""
    triggers, jobs = definition.get("triggers") or {}, definition.get("jobs") or {}
    opaque = definition.get("engine", "embedded") != "embedded"
    ids = {name: f"trigger:{name}" if name in jobs else name for name in triggers}
    nodes = [_trigger(ids[name], name, value) for name, value in triggers.items()]
    nodes += [_job(name, value, opaque=opaque) for name, value in jobs.items()]
    first = [name for name, job in jobs.items() if not job.get("needs")]
    connections: list[dict[str, Any]] = [{"from": ids[name], "to": end} for name in triggers for end in first]
    connections += [_connection(need, name) for name, job in jobs.items() for need in job.get("needs", ())]
    rest = {key: value for key, value in definition.items() if key not in {"triggers", "jobs"}}
    return {**rest, "nodes": nodes, "connections": connections}


def _trigger(node_id: str, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key: part for key, part in value.items() if key != "type"}
    title = {} if node_id == name else {"name": name}
    return {"id": node_id, **title, "type": TRIGGER, "subtype": _shown(value["type"]), "parameters": parameters}


def _shown(word: str) -> str:
    """Return a type in capitals, as node forms write it, where that can be taken back."""
    return word.upper() if word.upper().isupper() and word.upper().lower() == word else word


def _job(name: str, value: Mapping[str, Any], *, opaque: bool) -> dict[str, Any]:
    node: dict[str, Any] = {"id": name, "type": _KIND}
    uses = value.get("uses")
    if uses is not None:
        node |= _kind(uses) if opaque else {"subtype": _shown(uses)}
    if "with" in value:
        node["parameters"] = value["with"]
    if "needs" in value and not value["needs"]:
        node["needs"] = []
    return node | {key: part for key, part in value.items() if key not in {"uses", "with", "needs"}}


def _kind(uses: str) -> dict[str, Any]:
    """Return type and subtype of a job that an engine elsewhere runs, as they were written."""
    kind, _, subtype = uses.partition(".")
    taken = {"trigger", "job", "action"}
    if kind and subtype and kind.lower() not in taken:
        return {"type": kind, "subtype": subtype}
    return {"subtype": uses}


def _connection(need: str | Mapping[str, Any], end: str) -> dict[str, Any]:
    if isinstance(need, str):
        return {"from": need, "to": end}
    return {"from": need["job"], "to": end, "condition": need.get("condition")}
