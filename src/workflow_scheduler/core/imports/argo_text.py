"""The `{{…}}` of Argo in texts and conditions, as `${…}` and CEL; what cannot be said is noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import re2

from workflow_scheduler.core.time.dialects.entry import literal

_TAG = re2.compile(r"\{\{\s*(=?)(.*?)\s*\}\}")
_TASK = re2.compile(r"(?:tasks|steps)\.([A-Za-z0-9_-]+)\.(.+)")
_TOKEN = re2.compile(r"\s*(?:(\{\{.*?\}\})|('[^']*'|\"[^\"]*\")|(==|!=|<=|>=|&&|\|\||[()<>!])|([A-Za-z0-9_.:/@-]+))")
_NUMBER = re2.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_ORDER = frozenset({"<", ">", "<=", ">="})
_COMPARED = frozenset({"==", "!="}) | _ORDER
_RUN = {"workflow.name": "run.id", "workflow.uid": "run.id"}

Lost = Callable[[str], None]


class Names:
    """What the tags of one template stand for: CEL, or texts that were given to the template."""

    def __init__(self, given: Mapping[str, str], jobs: Mapping[str, str], parsed: frozenset[str]) -> None:
        """Read parameters from `given`; `jobs` are the job names of tasks, `parsed` those whose output is JSON."""
        self.given = given
        self.jobs = jobs
        self.parsed = parsed

    def text(self, text: str, lost: Lost) -> str:
        """Return a text with `${…}` for each tag."""
        parts, end = [], 0
        for found in _TAG.finditer(text):
            parts.append(literal(text[end : found.start()]))
            parts.append(self._filled(found, lost))
            end = found.end()
        return "".join([*parts, literal(text[end:])])

    def cel(self, tag: str) -> str | None:
        """Return the CEL of what stands between the braces; None where there is none."""
        if tag in _RUN or tag == "item":
            return _RUN.get(tag, tag)
        for prefix, place in (("workflow.parameters.", "input"), ("item.", "item")):
            if tag.startswith(prefix):
                return f"{place}[{_quoted(tag.removeprefix(prefix))}]"
        found = _TASK.fullmatch(tag)
        return None if found is None or found[1] not in self.jobs else self._of_job(self.jobs[found[1]], found[2])

    def _of_job(self, job: str, what: str) -> str | None:
        place = f"jobs[{_quoted(job)}]"
        if what == "outputs.result":
            return f"{place}.output" if job in self.parsed else f"{place}.output.stdout"
        return f"{place}.status" if what == "status" else None

    def _filled(self, found: Any, lost: Lost) -> str:
        equals, tag = found[1], found[2]
        name = tag.removeprefix("inputs.parameters.")
        if not equals and name != tag and name in self.given:
            return self.given[name]
        expression = None if equals else self.cel(tag)
        if expression is None:
            lost(f"`{found[0]}` has no counterpart here; it stands in the text as it is")
            return literal(found[0])
        return f"${{{expression}}}"


def condition(text: str, names: Names, given: Mapping[str, str]) -> str | None:
    """Return a `when` as CEL; None where it cannot be said.

    Words without quotes are texts in Argo, and texts are compared without the white space around them.
    """
    tokens = _tokens(text)
    if tokens is None:
        return None
    out: list[str] = []
    place = 0
    while place < len(tokens):
        kind, token = tokens[place]
        if kind == "sign":
            if token in _COMPARED:
                return None
            out.append(token)
            place += 1
            continue
        follows = place + 2 < len(tokens) and tokens[place + 1][1] in _COMPARED and tokens[place + 2][0] != "sign"
        if follows:
            sign = tokens[place + 1][1]
            sides = [_operand(one, names, given, number=sign in _ORDER) for one in (tokens[place], tokens[place + 2])]
            if None in sides:
                return None
            out.append(f"{sides[0]} {sign} {sides[1]}")
            place += 3
            continue
        if token not in {"true", "false"}:
            return None
        out.append(token)
        place += 1
    return " ".join(out)


def _tokens(text: str) -> list[tuple[str, str]] | None:
    found, end = [], 0
    for one in _TOKEN.finditer(text):
        if text[end : one.start()].strip():
            return None
        kind = "tag" if one[1] else "quoted" if one[2] else "sign" if one[3] else "word"
        found.append((kind, one[1] or one[2] or one[3] or one[4]))
        end = one.end()
    return None if text[end:].strip() else found


def _operand(token: tuple[str, str], names: Names, given: Mapping[str, str], *, number: bool) -> str | None:
    kind, text = token
    inner = text[1:-1] if kind == "quoted" else text
    tag = _TAG.fullmatch(inner)
    if tag is not None:
        if tag[1]:
            return None
        name = tag[2].removeprefix("inputs.parameters.")
        if name != tag[2] and name in given:
            return _constant(given[name], number=number)
        expression = names.cel(tag[2])
        if expression is None:
            return None
        if number:
            return f"double(string({expression}))"
        return f"string({expression})" if ".stdout" not in expression else f"string({expression}).trim()"
    return _constant(inner, number=number)


def _constant(text: str, *, number: bool) -> str | None:
    if text.startswith("${") and text.endswith("}"):
        inner = text[2:-1]
        return f"double(string({inner}))" if number else f"string({inner})"
    if number:
        return f"double({_quoted(text)})" if _NUMBER.fullmatch(text) else None
    return _quoted(text)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
