"""Templates of Argo that do something: containers, scripts, pauses, requests."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any

import re2

from workflow_scheduler.core.definition.document import Path
from workflow_scheduler.core.imports.argo_text import Names
from workflow_scheduler.core.imports.outcome import Report

_KNOWN = frozenset(
    {"name", "inputs", "outputs", "container", "script", "suspend", "http", "retryStrategy", "activeDeadlineSeconds",
     "parallelism", "metadata"}
)  # fmt: skip
_CONTAINER = frozenset({"name", "image", "imagePullPolicy", "command", "args", "env", "source"})
# An expression that was written here; `$${` stands for itself.
_FILLED = re2.compile(r"\$\{[^{}]*\}")
_SPAN = re2.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, None: 1.0}
_ATTEMPTS_MAX = 100


def leaf(template: dict[str, Any], path: Path, names: Names, report: Report) -> dict[str, Any]:
    """Return the job of a template, its parameters filled in; what is lost goes into `report`."""
    report.unread(template, path, _KNOWN)
    for side in ("inputs", "outputs"):
        if isinstance(template.get(side), dict) and template[side].get("artifacts"):
            report.lost((*path, side, "artifacts"), "artifacts are not taken over; pass files by their place")
    if isinstance(template.get("outputs"), dict) and template["outputs"].get("parameters"):
        report.lost((*path, "outputs", "parameters"), "print what later jobs need: `jobs.NAME.output.stdout` has it")
    if isinstance(template.get("container"), dict):
        return _container(template["container"], (*path, "container"), names, report)
    if isinstance(template.get("script"), dict):
        return _script(template["script"], (*path, "script"), names, report)
    if "suspend" in template:
        return _suspend(template["suspend"])
    if isinstance(template.get("http"), dict):
        return _http(template["http"], (*path, "http"), names, report)
    kinds = sorted(set(template) - _KNOWN) or ["nothing"]
    report.lost(path, f"a template with `{kinds[0]}` has no counterpart; write its work into the job")
    return {"uses": "noop"}


def _container(value: dict[str, Any], path: Path, names: Names, report: Report) -> dict[str, Any]:
    report.unread(value, path, _CONTAINER)
    words = [str(word) for part in ("command", "args") for word in _words(value.get(part))]
    if not words:
        report.lost(path, f"the image {value.get('image')} names the command; write it into the job")
        return {"uses": "noop"} | _env(value, path, names, report)
    # A word that is filled in is quoted where it is filled in.
    line = " ".join(_word(word, path, names, report) for word in words)
    return {"run": line} | _env(value, path, names, report)


def _word(word: str, path: Path, names: Names, report: Report) -> str:
    if "{{" not in word:
        return _quoted(word) or "''"
    text = names.text(word, partial(report.lost, path))
    parts, end = [], 0
    for found in _FILLED.finditer(text):
        if text[: found.start()].endswith("$"):
            continue
        parts += [_quoted(text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*parts, _quoted(text[end:])]) or "''"


def _quoted(text: str) -> str:
    """Return a literal part of a word, quoted for the shell."""
    return shlex.quote(text.replace("$${", "${")).replace("${", "$${") if text else ""


def _script(value: dict[str, Any], path: Path, names: Names, report: Report) -> dict[str, Any]:
    report.unread(value, path, _CONTAINER)
    source = names.text(str(value.get("source") or ""), partial(report.lost, (*path, "source")))
    if not source.strip():
        report.lost(path, "the script has no `source`")
        return {"uses": "noop"}
    command = _words(value.get("command"))
    shell = str(command[0]) if command else "sh"
    job: dict[str, Any] = {"run": source}
    name = shell.rsplit("/", 1)[-1]
    if name not in {"sh", "bash", "ash", "dash", "zsh"}:
        job["with"] = {"shell": shell}
        if "${" in source.replace("$${", ""):
            report.lost((*path, "source"), f"values are filled in as words of a shell; look at them in `{name}`")
    elif name != "sh":
        job["with"] = {"shell": shell}
    return job | _env(value, path, names, report)


def _env(value: dict[str, Any], path: Path, names: Names, report: Report) -> dict[str, Any]:
    found: dict[str, str] = {}
    listed = value.get("env")
    for place, one in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(one, dict) or "name" not in one:
            continue
        at = (*path, "env", place)
        if "value" in one:
            found[str(one["name"])] = names.text(str(one["value"]), partial(report.lost, at))
        else:
            report.lost(at, f"the value of `{one['name']}` comes from the cluster; store it as a secret or write it")
    return {"env": found} if found else {}


def _suspend(value: Any) -> dict[str, Any]:
    duration = seconds(value.get("duration")) if isinstance(value, dict) else None
    if duration:
        return {"uses": "sleep_for", "with": {"duration": f"{duration}s"}}
    return {"uses": "approval", "with": {"ask": "Shall the run go on?"}}


def _http(value: dict[str, Any], path: Path, names: Names, report: Report) -> dict[str, Any]:
    def text(one: Any, name: str) -> str:
        return names.text(str(one), partial(report.lost, (*path, name)))

    report.unread(value, path, frozenset({"url", "method", "headers", "body", "timeoutSeconds"}))
    given: dict[str, Any] = {
        "url": text(value.get("url", ""), "url"),
        "method": str(value.get("method", "GET")).upper(),
    }
    headers = {
        str(one["name"]): text(one["value"], "headers")
        for one in value.get("headers") or ()
        if isinstance(one, dict) and "name" in one and "value" in one
    }
    given |= {"headers": headers} if headers else {}
    given |= {"body": text(value["body"], "body")} if value.get("body") else {}
    return {"uses": "http", "with": given}


def retry_of(template: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
    """Return the retry policy of a template; nothing where it has none."""
    value = template.get("retryStrategy")
    if not isinstance(value, dict):
        return {}
    at = (*path, "retryStrategy")
    report.unread(value, at, frozenset({"limit", "backoff", "retryPolicy"}))
    if value.get("retryPolicy") not in {None, "Always", "OnFailure"}:
        report.lost((*at, "retryPolicy"), "every failure is retried")
    try:
        attempts = int(str(value["limit"])) + 1 if "limit" in value else _ATTEMPTS_MAX
    except ValueError:
        attempts = 1
        report.lost((*at, "limit"), f"`{value['limit']}` is no number; nothing is retried")
    if "limit" not in value:
        report.lost(at, f"without a limit it is tried {_ATTEMPTS_MAX} times")
    found: dict[str, Any] = {"attempts": max(1, min(attempts, _ATTEMPTS_MAX))}
    backoff = value.get("backoff")
    if isinstance(backoff, dict):
        found["delay"] = f"{seconds(backoff.get('duration')) or 1}s"
        try:
            grows = float(str(backoff.get("factor", 1))) > 1
        except ValueError:
            grows = False
        found |= {"backoff": "exponential"} if grows else {}
        if backoff.get("maxDuration"):
            report.lost((*at, "backoff", "maxDuration"), "the attempts are bounded by their number; see also `timeout`")
    return found


def seconds(value: Any) -> int | None:
    """Return a duration of Argo in whole seconds, at least one; None where it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value > 0 else None
    if not isinstance(value, str):
        return None
    parts = _SPAN.findall(value.strip())
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return max(1, round(sum(float(number) * _SECONDS[unit or None] for number, unit in parts)))


def _words(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []
