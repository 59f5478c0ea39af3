"""The connections of the node form, in the shapes that editors write.

- a list of `{from, to}`, `{source, target}`, `{from_node, to_node}` or `[from, to]`, each with an optional `condition`;
- a mapping from a node to the nodes after it: `{a: b}`, `{a: [b, c]}`;
- n8n's mapping: `{a: {main: [[{node: b}]], error: [[{node: c}]]}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from workflow_scheduler.core.definition.document import Path

Complain = Callable[[Path, str], None]
CONDITIONS: Final = ("on_success", "on_failure", "on_completion")
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{word: word for word in CONDITIONS},
        **dict.fromkeys(("success", "ok"), "on_success"),
        **dict.fromkeys(("failure", "failed", "error", "on_error"), "on_failure"),
        **dict.fromkeys(("completion", "completed", "always", "done"), "on_completion"),
    }
)
_PLAIN_OUTPUTS: Final = frozenset({"main", "default", "output", "result", "source", "out"})
_FROM: Final = ("from", "source", "from_node")
_TO: Final = ("to", "target", "to_node")
_CONDITION: Final = ("condition", "on")
_OUTPUT: Final = ("sourceHandle", "source_handle", "output", "output_key")
_DRAWING: Final = frozenset(
    {"id", "type", "label", "animated", "style", "data", "targetHandle", "target_handle", "index"}
)
_BRANCHES = "its outputs are not told apart here: connect it once, and write an `if` on the node after it"


class Connection(msgspec.Struct, frozen=True):
    """One edge: `condition` is None where none was written, `explicit` whether the key was there all the same."""

    start: str
    end: str
    path: Path
    condition: str | None = None
    explicit: bool = False


def read_connections(value: Any, complain: Complain) -> list[Connection]:
    """Return the connections of any shape; what cannot be read is told to `complain` with its path."""
    path: Path = ("connections",)
    if value is None:
        return []
    if isinstance(value, list):
        found = [_one(item, (*path, number), complain) for number, item in enumerate(value)]
        return [one for one in found if one is not None]
    if isinstance(value, dict):
        return [one for start, after in value.items() for one in _after(start, after, (*path, start), complain)]
    complain(path, "must be a list of {from, to}, or a mapping from a node to those after it")
    return []


def _one(item: Any, path: Path, complain: Complain) -> Connection | None:
    if isinstance(item, list) and len(item) == 2 and all(isinstance(end, str) for end in item):  # noqa: PLR2004 -- ends
        return Connection(item[0], item[1], path)
    if not isinstance(item, dict):
        complain(path, "a connection is {from, to}")
        return None
    known = {*_FROM, *_TO, *_CONDITION, *_OUTPUT, *_DRAWING}
    for word in item:
        if word not in known:
            complain((*path, word), f"unknown key `{word}`; a connection has from, to and condition")
    start, end = _end(item, _FROM, path, complain), _end(item, _TO, path, complain)
    condition, good = _condition(item, path, complain)
    explicit = any(key in item for key in _CONDITION)
    return Connection(start, end, path, condition, explicit) if start and end and good else None


def _end(item: dict[str, Any], names: tuple[str, ...], path: Path, complain: Complain) -> str | None:
    for name in names:
        if name in item:
            found = item[name]
            found = found.get("node", found.get("id")) if isinstance(found, dict) else found
            if isinstance(found, int) and not isinstance(found, bool):
                return str(found)
            if isinstance(found, str) and found:
                return found
            complain((*path, name), "must be the id of a node")
            return None
    complain((*path, names[0]), f"`{names[0]}` is required: the id of a node")
    return None


def _condition(item: dict[str, Any], path: Path, complain: Complain) -> tuple[str | None, bool]:
    for name in (*_CONDITION, *_OUTPUT):
        found = item.get(name)
        if found is None or (name in _OUTPUT and found in _PLAIN_OUTPUTS):
            continue
        if isinstance(found, str) and found.lower() in _WORDS:
            return _WORDS[found.lower()], True
        message = _BRANCHES if name in _OUTPUT else f"must be one of {', '.join(CONDITIONS)}"
        complain((*path, name), message)
        return None, False
    return None, True


def _after(start: str, after: Any, path: Path, complain: Complain) -> Iterator[Connection]:
    if isinstance(after, str):
        yield Connection(start, after, path)
    elif isinstance(after, list):
        yield from _targets(start, after, None, path, complain)
    elif isinstance(after, dict):
        for output, branches in after.items():
            if output in _PLAIN_OUTPUTS:
                yield from _branches(start, branches, None, (*path, output), complain)
            elif output.lower() in _WORDS:
                yield from _branches(start, branches, _WORDS[output.lower()], (*path, output), complain)
            else:
                complain((*path, output), _BRANCHES)
    else:
        complain(path, "must name the nodes that come after it")


def _branches(start: str, value: Any, condition: str | None, path: Path, complain: Complain) -> Iterator[Connection]:
    """Yield the connections of one output: n8n nests them in one list for each of the output's branches."""
    if not isinstance(value, list):
        yield from _targets(start, [value], condition, path, complain)
    elif value and all(isinstance(branch, list) or branch is None for branch in value):
        yield from _targets(start, value[0] or [], condition, (*path, 0), complain)
        for number, branch in enumerate(value[1:], 1):
            if branch:
                complain((*path, number), _BRANCHES)
    else:
        yield from _targets(start, value, condition, path, complain)


def _targets(
    start: str, targets: list[Any], condition: str | None, path: Path, complain: Complain
) -> Iterator[Connection]:
    for number, target in enumerate(targets):
        here = (*path, number) if len(targets) > 1 or isinstance(target, dict) else path
        end = target.get("node", target.get("id")) if isinstance(target, dict) else target
        if not isinstance(end, str) or not end:
            complain(here, "must be the id of a node, or {node: ID}")
            continue
        own, good = _condition(target, here, complain) if isinstance(target, dict) else (None, True)
        if good:
            yield Connection(start, end, here, own or condition)
