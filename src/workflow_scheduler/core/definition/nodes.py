"""The node form of a definition, converted to the document that everything else works on.

`{"nodes": [{"id", "type": "TRIGGER", "subtype": "CRON", "parameters": {…}}, …], "connections": […]}`: trigger nodes
become triggers with their `parameters` as configuration; every other node becomes a job whose type is the `subtype`,
whose `with` are the `parameters`, and whose other keys are those of a job; connections become `needs`. Where an engine
elsewhere runs the jobs, their types and parameters stay as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from workflow_scheduler.core.definition.connections import Connection, read_connections
from workflow_scheduler.core.definition.document import Document, Origin, Path, dotted
from workflow_scheduler.core.errors import FieldError, did_you_mean
from workflow_scheduler.core.model.workflow import JOB_PATTERN, NAME_PATTERN

TRIGGER: Final = "TRIGGER"
PARAMETERS: Final = ("parameters", "configurations", "config")
# What editors keep on a node for themselves; it says nothing about what runs.
DRAWING: Final = frozenset(
    {"position", "metadata", "notes", "typeVersion", "icon", "color", "input_params", "output_params", "data", "width"}
    | {"height", "selected", "dragging", "measured"}
)
_KINDS: Final = frozenset(
    {"action", "external_action", "job", "task", "node", "tool", "flow", "human_in_the_loop", "step"}
)
_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "http_request": "http",
        **dict.fromkeys(("shell", "bash", "command"), "run"),
        **dict.fromkeys(("delay", "wait", "sleep"), "sleep_for"),
        **dict.fromkeys(("merge", "no_op"), "noop"),
        **dict.fromkeys(("sub_workflow", "subworkflow", "execute_workflow"), "workflow"),
        "send_email": "email",
    }
)
_JOB_NAME = re.compile(JOB_PATTERN)
_TRIGGER_NAME = re.compile(NAME_PATTERN)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


def document_of(document: Document) -> Document:
    """Return the document of a definition in node form; any other document as it is."""
    if not isinstance(document.value, dict) or "nodes" not in document.value:
        return document
    return _Conversion(document).run()


class _Node(msgspec.Struct):
    """One node under conversion: its place, whether it is a trigger, and its name in the document."""

    path: Path
    is_trigger: bool
    name: str


class _Conversion:
    """The conversion of one definition."""

    def __init__(self, document: Document) -> None:
        self._written = document
        self._value: dict[str, Any] = document.value
        self._opaque = self._value.get("engine", "embedded") != "embedded"
        self._errors: list[FieldError] = list(document.errors)
        self._triggers: dict[str, Any] = {}
        self._jobs: dict[str, Any] = {}
        self._nodes: dict[str, _Node] = {}
        self._titles: dict[str, _Node] = {}
        self._origin = Origin(self._value, {("triggers",): ("nodes",), ("jobs",): ("nodes",)})

    def _complain(self, path: Path, message: str, suggestion: str | None = None) -> None:
        line, column = self._written.place(path)
        self._errors.append(FieldError(dotted(path), message, line=line, column=column, suggestion=suggestion))

    def run(self) -> Document:
        """Return the converted document with the mistakes of the node form."""
        for word in ("triggers", "jobs"):
            if word in self._value:
                self._complain((word,), f"write `nodes`, or `triggers` and `jobs`; not `nodes` and `{word}`")
        nodes = self._value["nodes"]
        if isinstance(nodes, list):
            for number, node in enumerate(nodes):
                self._add(node, ("nodes", number))
        else:
            self._complain(("nodes",), "must be a list of nodes")
        self._connect(read_connections(self._value.get("connections"), self._complain))
        made = {"nodes", "connections", "triggers", "jobs"}
        converted = {key: part for key, part in self._value.items() if key not in made}
        converted |= ({"triggers": self._triggers} if self._triggers else {}) | (
            {"jobs": self._jobs} if self._jobs else {}
        )
        return Document(converted, self._written.find_places, tuple(self._errors), self._origin)

    def _add(self, node: Any, path: Path) -> None:
        if not isinstance(node, dict):
            self._complain(path, "a node is a mapping with id, type, subtype and parameters")
            return
        node_id = node.get("id", node.get("name"))
        if isinstance(node_id, int) and not isinstance(node_id, bool):
            node_id = str(node_id)
        if not isinstance(node_id, str) or not node_id:
            self._complain((*path, "id"), "`id` is required: a text that no other node has")
            return
        if node_id in self._nodes:
            self._complain((*path, "id"), f"`{node_id}` is the id of {dotted(self._nodes[node_id].path)} as well")
            return
        parameters, key = self._parameters(node, path)
        kind = node.get("type")
        if not isinstance(kind, str) or not kind:
            self._complain((*path, "type"), f"`type` is required: {TRIGGER}, or the kind of the node, such as ACTION")
            return
        is_trigger = kind.upper() == TRIGGER
        name = self._name(node_id, node.get("name"), is_trigger=is_trigger)
        self._nodes[node_id] = made = _Node(path, is_trigger, name)
        if isinstance(node.get("name"), str):
            self._titles.setdefault(node["name"], made)
        if is_trigger:
            self._add_trigger(made, node, parameters, key)
        else:
            self._add_job(made, node, parameters, key)

    def _parameters(self, node: dict[str, Any], path: Path) -> tuple[dict[str, Any] | None, str]:
        key = next((name for name in PARAMETERS if name in node), PARAMETERS[0])
        found = node.get(key)
        if found is not None and not isinstance(found, dict):
            self._complain((*path, key), "must be a mapping")
            return None, key
        return found, key

    def _name(self, node_id: str, title: Any, *, is_trigger: bool) -> str:
        """Return the name of a node in the document: its id, else its name, else what letters there are in the id."""
        rule, taken = (_TRIGGER_NAME, self._triggers) if is_trigger else (_JOB_NAME, self._jobs)
        for one in (node_id, title):
            if isinstance(one, str) and rule.fullmatch(one) and one not in taken:
                return one
        plain = _NOT_IN_NAMES.sub("_", node_id).strip("_")[:50]
        plain = plain if _JOB_NAME.fullmatch(plain) else f"node_{plain}"
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        return name

    def _add_trigger(self, made: _Node, node: dict[str, Any], parameters: dict[str, Any] | None, key: str) -> None:
        kind = node.get("subtype")
        if not isinstance(kind, str) or not kind:
            self._complain((*made.path, "subtype"), "`subtype` is required: the trigger type, for example CRON")
            return
        value = {"type": kind.lower() if kind.isupper() else kind, **(parameters or {})}
        if parameters is not None and "type" in parameters:
            self._complain((*made.path, key, "type"), "the type of a trigger is the `subtype` of its node")
            value["type"] = kind.lower()
        if isinstance(node.get("disabled"), bool):
            value.setdefault("enabled", not node["disabled"])
        for word in ("enabled", "description"):
            if word in node:
                value.setdefault(word, node[word])
        self._unknown(node, made.path, {"id", "type", "subtype", "name", key, "disabled", "enabled", "description"})
        self._triggers[made.name] = value
        place: Path = ("triggers", made.name)
        self._origin.whole[place] = made.path
        self._origin.whole[(*place, "type")] = (*made.path, "subtype")
        self._origin.inside[place] = (*made.path, key)

    def _unknown(self, node: dict[str, Any], path: Path, known: set[str]) -> None:
        for word in node:
            if word not in known and word not in DRAWING:
                near = did_you_mean(word, known)
                hint = f"did you mean `{near}`?" if near else "what configures a trigger goes into `parameters`"
                self._complain((*path, word), f"unknown key `{word}`; {hint}", near)

    def _add_job(self, made: _Node, node: dict[str, Any], parameters: dict[str, Any] | None, key: str) -> None:
        left_out = {"id", "type", "subtype", "name", key, "disabled"} | DRAWING
        job = {word: part for word, part in node.items() if word not in left_out}
        if isinstance(job.get("needs"), list):
            job["needs"] = list(job["needs"])
        uses = self._uses(node, made.path)
        if uses is not None:
            job["uses"] = uses
        if parameters is not None:
            job["with"] = parameters
        title = node.get("name")
        if isinstance(title, str) and title != made.name:
            job.setdefault("description", title)
        if node.get("disabled") is True:
            self._complain(
                (*made.path, "disabled"), "a job cannot be disabled: leave its node out, or write `if: false`"
            )
        self._jobs[made.name] = job
        place: Path = ("jobs", made.name)
        self._origin.inside[place] = made.path
        self._origin.inside[(*place, "with")] = (*made.path, key)
        self._origin.whole[(*place, "uses")] = (*made.path, "subtype" if "subtype" in node else "type")

    def _uses(self, node: dict[str, Any], path: Path) -> str | None:
        kind, subtype = node["type"], node.get("subtype")
        if subtype is not None and not isinstance(subtype, str):
            self._complain((*path, "subtype"), "must be a text: the type of the job")
            return None
        is_plain = kind.lower() in _KINDS
        if self._opaque:
            if kind.lower() in {"job", "action"}:
                return subtype or None
            return f"{kind}.{subtype}" if subtype else kind
        word = subtype or ("" if is_plain else kind)
        if not word:
            if "run" not in node:
                self._complain((*path, "subtype"), "`subtype` is required: the type of the job, for example HTTP")
            return None
        word = word.lower() if word.isupper() else word
        return _OTHER_NAMES.get(word, word)

    def _connect(self, connections: list[Connection]) -> None:
        started: dict[str, list[Connection]] = {}
        for one in connections:
            start, end = self._end(one.start, one.path), self._end(one.end, one.path)
            if start is None or end is None:
                continue
            if end.is_trigger:
                self._complain(one.path, f"nothing comes before a trigger: `{one.end}` is one")
            elif start.is_trigger:
                started.setdefault(start.name, []).append(one)
            elif end.name in self._jobs:
                self._need(start.name, end.name, one)
        if not self._opaque:
            self._check_starts(started)

    def _end(self, word: str, path: Path) -> _Node | None:
        found = self._nodes.get(word) or self._titles.get(word)
        if found is None:
            near = did_you_mean(word, [*self._nodes, *self._titles])
            hint = f", did you mean `{near}`?" if near else ""
            self._complain(path, f"there is no node `{word}`{hint}", near)
        return found

    def _need(self, start: str, end: str, one: Connection) -> None:
        needs = self._jobs[end].setdefault("needs", [])
        if not isinstance(needs, list):
            return
        self._origin.inside["jobs", end, "needs", len(needs)] = one.path
        if one.condition is not None:
            needs.append({"job": start, "condition": one.condition})
        else:
            needs.append({"job": start} if one.explicit else start)

    def _check_starts(self, started: Mapping[str, list[Connection]]) -> None:
        """Refuse triggers that are drawn to start only a part: here every trigger starts the whole workflow."""
        first = [name for name, job in self._jobs.items() if not job.get("needs")]
        for trigger, connections in started.items():
            ends = {node.name for one in connections if (node := self._end(one.end, one.path)) is not None}
            missed = [name for name in first if name not in ends]
            if missed and any(name in ends for name in first):
                self._complain(
                    connections[0].path,
                    f"a trigger starts the whole workflow, but `{trigger}` is not connected to `{missed[0]}`: connect "
                    "it to every first node, leave its connections out, or make two workflows",
                )
