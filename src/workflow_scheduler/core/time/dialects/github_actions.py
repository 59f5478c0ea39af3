"""Scheduled workflows of GitHub Actions: five fields, always in UTC, so that no clock change touches them.

GitHub may start them late or leave them out under load, and runs none more often than every five minutes; here each one
starts on time. The steps of a job are not taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, single

_ZONE = "UTC"


def entries(documents: Iterable[Any]) -> Iterator[Imported | Unread]:
    """Yield the schedules of workflow files; one workflow may have several."""
    names = Names()
    for document in documents:
        if not isinstance(document, Mapping):
            continue
        title = str(document.get("name") or "workflow")
        for one in _schedules(document):
            yield _entry(title, one, document, names)


def _schedules(document: Mapping[str, Any]) -> list[Any]:
    events = document.get("on")
    found = events.get("schedule") if isinstance(events, Mapping) else None
    return found if isinstance(found, list) else []


def _entry(title: str, one: Any, document: Mapping[str, Any], names: Names) -> Imported | Unread:
    text = one.get("cron") if isinstance(one, Mapping) else None
    if not isinstance(text, str):
        return Unread(title, "an entry of `on.schedule` has no `cron`")
    if text.lstrip().startswith("@"):
        return Unread(f"{title}: {text}", "GitHub has no nicknames such as @daily: this entry never ran")
    try:
        parsed = cron.parse(text)
    except ValidationFailed as error:
        return Unread(f"{title}: {text}", because(error))
    jobs = document.get("jobs")
    listed = ", ".join(sorted(str(name) for name in jobs)) if isinstance(jobs, Mapping) else ""
    notes = [f"write its jobs ({listed}) into the definition" if listed else "write the work into the job"]
    trigger = {"type": "cron", "cron": parsed.expression, "timezone": _ZONE}
    return Imported(names.of(title), text, trigger, single({"uses": "noop"}), Rules(), notes)
