"""The triggers in a `quartz_jobs.xml` (job-scheduling-data), with their lines. Documents with a DTD are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import msgspec

from workflow_scheduler.core.time.dialects.entry import refuse

_CATCHUP = {
    "MISFIRE_INSTRUCTION_DO_NOTHING": "none",
    "MISFIRE_INSTRUCTION_FIRE_ONCE_NOW": "latest",
    "MISFIRE_INSTRUCTION_SMART_POLICY": "latest",
    "MISFIRE_INSTRUCTION_IGNORE_MISFIRE_POLICY": "all",
}
_FOREVER = {"-1", "REPEAT_INDEFINITELY"}
_DEPTH_MAX = 50


class Element(msgspec.Struct):
    """One element: its name without a prefix, its line, its text, and what is in it."""

    name: str
    line: int
    text: str = ""
    parts: list[Element] = []

    def get(self, name: str) -> str | None:
        """Return the text of the first part of that name."""
        return next((one.text.strip() for one in self.parts if one.name == name), None)

    def all(self, name: str) -> Iterator[Element]:
        """Yield the elements of that name below."""
        for one in self.parts:
            if one.name == name:
                yield one
            yield from one.all(name)


class Found(msgspec.Struct):
    """A trigger of the file. `problem` says why it cannot be taken over."""

    name: str
    job: str
    line: int
    cron: str | None = None
    every: str | None = None
    timezone: str | None = None
    settings: dict[str, Any] = {}
    bounds: dict[str, str] = {}
    notes: list[str] = []
    problem: str | None = None


def triggers(text: str) -> Iterator[Found]:
    """Yield the triggers of the document.

    Raises:
        ValidationFailed: it is not XML, or has a document type.

    """
    root = _parse(text)
    jobs = {one.get("name"): one for one in root.all("job")}
    for trigger in root.all("trigger"):
        for kind in trigger.parts:
            found = Found(kind.get("name") or "", kind.get("job-name") or "", kind.line)
            _describe(found, kind, jobs.get(found.job))
            if kind.name == "cron":
                found.cron, found.timezone = kind.get("cron-expression") or "", kind.get("time-zone") or None
            elif kind.name == "simple":
                _simple(found, kind)
            else:
                found.problem = f"triggers of type `{kind.name}` are not known here"
            yield found


def _describe(found: Found, kind: Element, job: Element | None) -> None:
    catchup = _CATCHUP.get(kind.get("misfire-instruction") or "")
    found.settings = {"catchup": catchup} if catchup else {}
    bounds = {"start_at": kind.get("start-time"), "end_at": kind.get("end-time")}
    found.bounds = {name: value for name, value in bounds.items() if value}
    notes = [f"its job class was {job.get('job-class')}"] if job and job.get("job-class") else []
    if any(one.name == "job-data-map" for one in [*kind.parts, *(job.parts if job else ())]):
        notes.append("its job-data-map is not taken over: write it as `input` or into the job")
    if kind.get("calendar-name"):
        notes.append(f"its calendar `{kind.get('calendar-name')}` excluded times; attach a calendar here")
    found.notes = notes


def _simple(found: Found, kind: Element) -> None:
    span, count = kind.get("repeat-interval") or "", kind.get("repeat-count") or "0"
    if count not in _FOREVER:
        found.problem = f"it repeats {count[:20]} times only; an `interval` needs `end_at`, a single time is `once`"
    elif not span.isdigit() or int(span) == 0 or int(span) % 1000:
        found.problem = f"its repeat-interval `{span[:20]}` is not a whole number of seconds in milliseconds"
    else:
        found.every = f"{int(span) // 1000}s"


def _parse(text: str) -> Element:
    parser = expat.ParserCreate()
    root = Element("", 0, parts=[])
    open_elements = [root]

    def begin(name: str, _: dict[str, str]) -> None:
        if len(open_elements) > _DEPTH_MAX:
            refuse("the XML is nested too deep")
        element = Element(name.rpartition(":")[2], parser.CurrentLineNumber, parts=[])
        open_elements[-1].parts.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def characters(data: str) -> None:
        open_elements[-1].text += data

    def doctype(*_: object) -> None:
        refuse("the XML has a document type (<!DOCTYPE …>): remove it")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    parser.buffer_text = True
    try:
        parser.Parse(text, True)  # noqa: FBT003 -- expat takes no keywords
    except expat.ExpatError as error:
        refuse(f"the file is not XML: {error}")
    return root
