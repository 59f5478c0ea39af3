"""CronJobs of Kubernetes, whose controller evaluates expressions with robfig/cron.

A time in a gap does not run, a doubled one runs twice. Both day fields set means either, as with cron; but `*/2` counts
as set there, so that it is written as a range here. Without `timeZone` the zone is the controller's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import re2

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.time import cron, zone
from workflow_scheduler.core.time.dialects import robfig
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, literal, single

_RULES = Rules("skip", "both")
_FIELDS = 5
_DAY, _WEEKDAY = 2, 4
_SPANS = {_DAY: "1-31", _WEEKDAY: "0-6"}
_KINDS = frozenset({"CronJob"})
_SPAN = re2.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def entries(documents: Iterable[Any], timezone: str) -> Iterator[Imported | Unread]:
    """Yield the CronJobs among manifests, lists included; `timezone` is that of the controller.

    Raises:
        ValidationFailed: `timezone` is not an IANA name.

    """
    zone.load(timezone)
    names = Names()
    for document in documents:
        for one in _manifests(document):
            if one.get("kind") in _KINDS:
                yield _entry(one, timezone, names)


def _manifests(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, Mapping):
        yield document
        if isinstance(document.get("items"), list):
            yield from (one for one in document["items"] if isinstance(one, Mapping))


def _entry(manifest: Mapping[str, Any], timezone: str, names: Names) -> Imported | Unread:
    spec = _part(manifest, "spec")
    title = str(_part(manifest, "metadata").get("name") or "cronjob")
    schedule = spec.get("schedule")
    if not isinstance(schedule, str):
        return Unread(title, "it has no `spec.schedule`")
    named, schedule = _zone_prefix(schedule.strip())
    named = spec.get("timeZone") or named
    place = str(named or timezone)
    notes = [] if named else [f"it names no `timeZone`: the controller's is taken to be {timezone}"]
    try:
        there = zone.load(place)
        trigger = _trigger(schedule, place)
    except ValidationFailed as error:
        return Unread(f"{title}: {schedule}", because(error))
    written = f"`{trigger['cron']}`" if "cron" in trigger else f"every {trigger['every']}, counted from the deployment,"
    notes += [f"`{schedule}` is written {written} here"] if written != f"`{schedule}`" else []
    if spec.get("suspend") is True:
        trigger["enabled"] = False
    policy = spec.get("concurrencyPolicy")
    if policy in {"Forbid", "Replace"}:
        notes.append(f"its concurrencyPolicy is {policy}; here runs may overlap unless `concurrency` says otherwise")
    before = robfig.fires(cron.parse(trigger["cron"]), there) if "cron" in trigger else None
    return Imported(names.of(title), schedule, trigger, single(_job(spec, notes)), _RULES, notes, before=before)


def _zone_prefix(schedule: str) -> tuple[str | None, str]:
    """Return the zone that robfig/cron reads from `TZ=` or `CRON_TZ=` before an expression, and the expression."""
    head, _, rest = schedule.partition(" ")
    name, equals, place = head.partition("=")
    return (place, rest.strip()) if equals and name in {"TZ", "CRON_TZ"} else (None, schedule)


def _trigger(schedule: str, place: str) -> dict[str, Any]:
    if not schedule.startswith("@every"):
        return {"type": "cron", "cron": cron.parse(translated(schedule)).expression, "timezone": place}
    text = schedule.removeprefix("@every").strip()
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f"`{schedule[:60]}` is no duration such as @every 1h30m"
        raise ValidationFailed(message, errors=[FieldError("schedule", message)])
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return {"type": "interval", "every": f"{max(1, round(seconds))}s"}


def translated(schedule: str) -> str:
    """Return an expression of robfig/cron as ours: `?` is `*`, and steps of the day fields are no stars."""
    parts = schedule.split()
    if len(parts) != _FIELDS:
        return schedule
    for number, span in _SPANS.items():
        pieces = [_piece(one, span) for one in parts[number].split(",")]
        parts[number] = "*" if "*" in pieces else ",".join(pieces)
    return " ".join(part.replace("?", "*") for part in parts)


def _piece(text: str, span: str) -> str:
    head, slash, step = text.partition("/")
    if head not in {"*", "?"}:
        return text
    return f"{span}/{step}" if slash and step != "1" else "*"


def _job(spec: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    pod = _part(_part(_part(_part(spec, "jobTemplate"), "spec"), "template"), "spec")
    containers = pod.get("containers")
    first = containers[0] if isinstance(containers, list) and containers and isinstance(containers[0], Mapping) else {}
    words = [str(word) for name in ("command", "args") for word in first.get(name) or ()]
    if first.get("image"):
        notes.append(f"it ran in the image {first['image']}; here the command runs beside the service")
    if not words:
        notes.append("its image names the command: write it into the job")
        return {"uses": "noop"}
    variables = {
        str(one["name"]): literal(str(one["value"]))
        for one in first.get("env") or ()
        if isinstance(one, Mapping) and "name" in one and "value" in one
    }
    return {"run": literal(shlex.join(words))} | ({"env": variables} if variables else {})


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
