"""The plug-ins that are installed, and the store that the settings name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.registry import discover
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from workflow_scheduler.stores.postgres.store import PostgresStore

PRIVATE = 0o700  # of folders that are made here: they hold the database and the key file


def trigger_types() -> dict[str, ModuleType]:
    """Return the installed trigger types by name."""
    return discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")


def job_types() -> dict[str, ModuleType]:
    """Return the installed job types by name."""
    return discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def open_store(settings: Settings, clock: Clock) -> SqliteStore | PostgresStore:
    """Return the store that DATABASE_URL names.

    Raises:
        ValidationFailed: the URL is of another kind.

    """
    url = settings.database
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = Path(rest.removeprefix("/")) if rest.startswith("/") else Path(rest)
        path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        return SqliteStore(path, clock)
    if scheme in ("postgresql", "postgres"):
        from workflow_scheduler.stores.postgres.store import PostgresStore  # its driver loads where it is used

        return PostgresStore(url, clock)
    raise ValidationFailed(
        f"`{scheme}` is no database this program can use.",
        fix="Set DATABASE_URL to sqlite:///FILE or postgresql://USER@HOST/NAME.",
    )
