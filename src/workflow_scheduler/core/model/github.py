"""What GitHub says about where an App is installed, and about deliveries of a hook.

Sources: GitHub REST API, "Get a repository installation for the authenticated app", "List deliveries for an app
webhook"; webhook payloads `installation` and `installation_repositories`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.time.clock import SECOND_US, from_iso

ID_DIGITS_MAX = 18
LIFECYCLE = frozenset({"installation", "installation_repositories"})


class Delivery(msgspec.Struct, frozen=True):
    """One delivery of a list; `status_code` is 0 where nobody answered."""

    id: int
    guid: str
    delivered_at: str
    status_code: int = 0
    event: str = ""
    installation_id: int | None = None

    @property
    def at(self) -> int:
        """When it was tried, microseconds."""
        return from_iso(self.delivered_at)


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """An account in which the App is installed. `said_at` is GitHub's time of this state, microseconds UTC."""

    id: int
    account_id: int
    account: str
    account_type: str
    selection: str
    permissions: dict[str, str]
    suspended_at: int | None
    said_at: int


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says about an installation: that it is gone, or how it is now."""

    installation: Installation
    gone: bool
    repositories: tuple[str, ...] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def installation_of(told: Any) -> Installation | None:
    """Return the installation of an answer or a payload; None where it is none."""
    account = told.get("account") if isinstance(told, dict) else None
    if not isinstance(account, dict) or not _is_id(told.get("id")) or not _is_id(account.get("id")):
        return None
    permissions = told.get("permissions")
    return Installation(
        id=told["id"],
        account_id=account["id"],
        account=str(account.get("login") or account.get("slug") or ""),
        account_type=str(account.get("type") or told.get("target_type") or ""),
        selection=str(told.get("repository_selection") or ""),
        permissions={str(key): str(value) for key, value in (permissions or {}).items()}
        if isinstance(permissions, dict | None)
        else {},
        suspended_at=_instant(told.get("suspended_at")),
        said_at=_instant(told.get("updated_at")) or 0,
    )


def news_of(event: str, payload: Any) -> News | None:
    """Return what a delivery of the events in LIFECYCLE says; None for others."""
    if event not in LIFECYCLE or not isinstance(payload, dict):
        return None
    found = installation_of(payload.get("installation"))
    if found is None:
        return None
    listed = payload.get("repositories")
    return News(
        installation=found,
        gone=event == "installation" and payload.get("action") == "deleted",
        repositories=_names(listed) if isinstance(listed, list) else None,
        added=_names(payload.get("repositories_added")),
        removed=_names(payload.get("repositories_removed")),
    )


def installation_number(value: object) -> int | None:
    """Return the id of an installation as a number; None where it can be none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX else None


def _names(listed: Any) -> tuple[str, ...]:
    found = listed if isinstance(listed, list) else []
    names = [one.get("full_name") for one in found if isinstance(one, dict)]
    return tuple(name for name in names if isinstance(name, str))


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value < 10**ID_DIGITS_MAX


def _instant(value: object) -> int | None:
    """Return an instant that GitHub writes as text, or in older payloads as seconds."""
    if type(value) is int:
        return value * SECOND_US
    try:
        return from_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
