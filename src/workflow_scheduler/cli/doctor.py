"""`doctor`: checks of the service and of this machine."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.exits import Exit, exit_of
from workflow_scheduler.cli.session import Session, session_of
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.clock import SECOND_US, SystemClock, from_iso

OK, WARNING, FAILED = "ok", "warning", "failed"
_SKEW_SECONDS = 2.0
_FREE_BYTES = 1 << 30
_KEY_MODE = 0o077


def _line(check: str, status: str, detail: str, fix: str | None = None) -> dict[str, Any]:
    return {"check": check, "status": status, "detail": detail, "fix": fix}


def doctor(context: typer.Context) -> None:
    """Check the service, its store, clocks, time zones and credentials, and this machine's disk. 0 when all is well."""
    session = session_of(context)
    items = [_disk(), _key_file()]
    code = Exit.OK
    try:
        items = [*_service(session), *items]
    except SchedulerError as error:
        items.insert(0, _line("service", FAILED, error.detail, error.fix))
        code = exit_of(error)
    worst = any(one["status"] == FAILED for one in items)
    value = {"healthy": not worst, "items": items, "next": None}
    output.show(session, value, _tell)
    raise typer.Exit(code or (Exit.FAILED if worst else Exit.OK))


def _tell(value: dict[str, Any]) -> None:
    columns = {"CHECK": "check", "STATUS": "status", "DETAIL": "detail", "FIX": lambda one: one["fix"] or ""}
    output.table(value["items"], columns)


def _service(session: Session) -> list[dict[str, Any]]:
    answer = session.client.send("GET", "/health/detailed")
    health = answer.value()
    if not isinstance(health, dict) or health.get("service") != "workflow_scheduler":
        return [_line("service", FAILED, f"{session.server} is another service", "check --server or WFS_SERVER")]
    found = [_line("service", OK, f"{session.server} answers"), _version(health)]
    for name, part in health["components"].items():
        status = part if isinstance(part, str) else part["status"]
        found.append(_line(name, {"healthy": OK, "degraded": WARNING}.get(status, FAILED), _detail(part)))
    checks: list[tuple[str, Callable[[Session], dict[str, Any]]]] = [("clock", _clock), ("credentials", _credentials)]
    for name, check in checks:
        try:
            found.append(check(session))
        except SchedulerError as error:
            found.append(_line(name, FAILED, error.detail, error.fix))
    return [*found, _zones(health)]


def _detail(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    shown = {name: value for name, value in part.items() if name != "status"}
    return ", ".join(f"{name} {output.brief(value, 60)}" for name, value in shown.items()) or "works"


def _version(health: dict[str, Any]) -> dict[str, Any]:
    own = importlib.metadata.version("workflow-scheduler")
    if health["version"] == own:
        return _line("version", OK, own)
    return _line("version", WARNING, f"service {health['version']}, this command {own}", "install the same version")


def _zones(health: dict[str, Any]) -> dict[str, Any]:
    from workflow_scheduler.core.time.zone import tzdata_version

    own = tzdata_version()
    if health["tzdata"] == own:
        return _line("tzdata", OK, own)
    return _line("tzdata", WARNING, f"service {health['tzdata']}, this command {own}: `next --cron` may differ")


def _clock(session: Session) -> dict[str, Any]:
    """Compare clocks: a preview of a ten-second interval begins at the service's own now."""
    clock = SystemClock()
    before = clock.now()
    fires = session.client.post("/api/v1/schedules/preview", {"every": "10s", "count": 1})["fires"]
    after = clock.now()
    skew = (from_iso(fires[0]["utc"]) - 10 * SECOND_US - (before + after) // 2) / SECOND_US
    detail = f"differs by {skew:+.3f} s"
    if abs(skew) <= _SKEW_SECONDS + (after - before) / SECOND_US:
        return _line("clock", OK, detail)
    return _line("clock", WARNING, detail, "set both clocks by NTP")


def _credentials(session: Session) -> dict[str, Any]:
    session.client.get("/api/v1/workflows", limit=1)
    return _line("credentials", OK, "WFS_API_KEY is accepted" if session.key else "none needed: open local tenant")


def _folder() -> Path:
    return Path(os.environ.get("WFS_DATA", ".workflow-scheduler"))


def _disk() -> dict[str, Any]:
    folder = _folder()
    place = folder if folder.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    detail = f"{free / (1 << 30):.1f} GiB free at {folder}"
    return _line("disk", OK, detail) if free >= _FREE_BYTES else _line("disk", WARNING, detail, "free some space")


def _key_file() -> dict[str, Any]:
    file = _folder() / "keys.json"
    if not file.exists():
        return _line("key file", OK, f"no {file} on this machine; the service makes one at its first start")
    if file.stat().st_mode & _KEY_MODE:
        return _line("key file", FAILED, f"{file} can be read by others", f"chmod 600 {file}")
    return _line("key file", OK, f"{file} is private; back it up: without it secrets cannot be read")
