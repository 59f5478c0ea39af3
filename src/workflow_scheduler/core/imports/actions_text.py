"""The `${{ … }}` of GitHub Actions in texts and conditions, as `${…}` and CEL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import re2

from workflow_scheduler.core.time.dialects.entry import literal

_TAG = re2.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_NAME = re2.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TOKEN = re2.compile(
    r"\s*(?:('(?:[^']|'')*')|(==|!=|<=|>=|&&|\|\||[()<>!,])|(-?[0-9]+(?:\.[0-9]+)?)|([A-Za-z_][A-Za-z0-9_.*-]*))"
)
_GITHUB = {
    "sha": "event.data.after",
    "ref": "event.data.ref",
    "repository": "event.data.repository.full_name",
    "actor": "event.data.sender.login",
    "run_id": "run.id",
    "event_name": "event.attributes.event",
    "workflow": "run.workflow",
}
_PLAIN = {"matrix": "item", "inputs": "input", "env": "env"}
_CALLS = {"contains": "contains", "startsWith": "startsWith", "endsWith": "endsWith"}
_STATES = {"always": "all_done", "failure": "at_least_one_failed", "success": None}
_RESULTS = {"success": "SUCCEEDED", "failure": "FAILED", "cancelled": "CANCELLED", "skipped": "SKIPPED"}

Lost = Callable[[str], None]


def text_of(text: str, jobs: Mapping[str, str], lost: Lost) -> str:
    """Return a text with `${…}` for each tag; `jobs` are the names of jobs here. What cannot be said is told."""
    parts, end = [], 0
    for found in _TAG.finditer(text):
        parts.append(literal(text[end : found.start()]))
        expression = reference(found[1], jobs) if _NAME.fullmatch(found[1]) else None
        if expression is None:
            lost(f"`{found[0]}` has no counterpart here; it stands in the text as it is")
        parts.append(literal(found[0]) if expression is None else f"${{{expression}}}")
        end = found.end()
    return "".join([*parts, literal(text[end:])])


def reference(name: str, jobs: Mapping[str, str]) -> str | None:
    """Return the CEL of a context such as `matrix.os` or `github.ref`; None where there is none."""
    context, _, rest = name.partition(".")
    if context in _PLAIN:
        return _PLAIN[context] + _fields(rest) if rest else None
    if context == "needs":
        job, _, what = rest.partition(".")
        return f"jobs[{_quoted(jobs[job])}].status" if job in jobs and what == "result" else None
    return _of_event(rest) if context == "github" else None


def _of_event(name: str) -> str | None:
    for prefix, place in (("event.inputs.", "input"), ("event.", "event.data")):
        if name.startswith(prefix):
            return place + _fields(name.removeprefix(prefix))
    return _GITHUB.get(name)


def condition(text: str, jobs: Mapping[str, str]) -> tuple[str | None, str | None] | None:
    """Return `run_if` and `if` for a condition; None where it cannot be said.

    One of `always()`, `failure()` and `success()` may stand for itself, or before `&&`.
    """
    whole = _TAG.fullmatch(text.strip())
    tokens = _tokens(whole[1] if whole else text.strip())
    if not tokens:
        return None
    rule: str | None = None
    if len(tokens) >= 3 and tokens[0][1] in _STATES and [one[1] for one in tokens[1:3]] == ["(", ")"]:  # noqa: PLR2004
        rule, tokens = _STATES[tokens[0][1]], tokens[3:]
        if not tokens:
            return rule, None
        if tokens[0][1] != "&&":
            return None
        tokens = tokens[1:]
    said = _said(tokens, jobs)
    return None if said is None else (rule, said)


def _tokens(text: str) -> list[tuple[str, str]] | None:
    found, end = [], 0
    for one in _TOKEN.finditer(text):
        if text[end : one.start()].strip():
            return None
        kind = "text" if one[1] else "sign" if one[2] else "number" if one[3] else "name"
        found.append((kind, one[1] or one[2] or one[3] or one[4]))
        end = one.end()
    return None if text[end:].strip() else found


def _said(tokens: list[tuple[str, str]], jobs: Mapping[str, str]) -> str | None:
    out: list[str] = []
    place = 0
    while place < len(tokens):
        kind, word = tokens[place]
        if kind == "sign":
            if word == ",":
                return None
            out.append(f" {word} " if word not in {"(", ")", "!"} else word)
            place += 1
            continue
        if kind == "name" and place + 1 < len(tokens) and tokens[place + 1][1] == "(":
            call = _call(tokens[place : place + 6], jobs)
            if call is None:
                return None
            out.append(call)
            place += 6
            continue
        operand = _operand(tokens, place, jobs)
        if operand is None:
            return None
        out.append(operand)
        place += 1
    return "".join(out)


def _call(tokens: list[tuple[str, str]], jobs: Mapping[str, str]) -> str | None:
    """Return `contains(a, b)` and its like with two plain arguments."""
    shape = [one[1] for one in (tokens[1:2] + tokens[3:4] + tokens[5:6])]
    if tokens[0][1] not in _CALLS or shape != ["(", ",", ")"]:
        return None
    first, second = _plain(tokens[2], jobs), _plain(tokens[4], jobs)
    return None if first is None or second is None else f"{first}.{_CALLS[tokens[0][1]]}({second})"


def _operand(tokens: list[tuple[str, str]], place: int, jobs: Mapping[str, str]) -> str | None:
    """Return one side of a comparison; results of jobs have other names here."""
    kind, token = tokens[place]
    near = [tokens[at] for at in (place - 2, place + 2) if 0 <= at < len(tokens)]
    compared = any(one[0] == "name" and one[1].startswith("needs.") and one[1].endswith(".result") for one in near)
    if kind == "text" and compared and token[1:-1] in _RESULTS:
        return _quoted(_RESULTS[token[1:-1]])
    return _plain((kind, token), jobs)


def _plain(token: tuple[str, str], jobs: Mapping[str, str]) -> str | None:
    kind, text = token
    if kind == "text":
        return _quoted(text[1:-1].replace("''", "'"))
    if kind == "number" or text in {"true", "false", "null"}:
        return text
    return reference(text, jobs) if kind == "name" and "*" not in text else None


def _fields(path: str) -> str:
    return "".join(f"[{_quoted(one)}]" for one in path.split("."))


def _quoted(text: Any) -> str:
    return msgspec.json.encode(text).decode()
