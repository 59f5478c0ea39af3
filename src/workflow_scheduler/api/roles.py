"""What each role may ask for, decided once at the border, by method and path.

Looking needs `viewer`, changing needs `editor`, and what decides about people and credentials needs `owner`. A route
that is named nowhere below follows from its method, so that a new one is never open by mistake.
"""

from __future__ import annotations

from workflow_scheduler.core.errors import Forbidden
from workflow_scheduler.core.model.principal import Principal, Role

OWNED = ("/api/v1/keys", "/api/v1/members", "/api/v1/audit", "/api/v1/tenant")
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
# POSTs that change nothing: they compute an answer from their body.
_DRY_SUFFIXES = ("/validate", "/validate/dependencies", "/preview", "/lab", "/deployment/plan", "/test", "/simulate")
_DRY_PREFIX = "/api/v1/imports/"
# Whom an answer is wanted from is written in the wait itself.
_ANSWERED = "/api/v1/waits/"
# A browser is led through these with GET, and comes back with a connection.
_CONSENTS = "/api/v1/auth/"


def needed(method: str, path: str) -> Role:
    """Return the least role that may send such a request."""
    if any(path == prefix or path.startswith(prefix + "/") for prefix in OWNED):
        return Role.OWNER
    if path.startswith(_CONSENTS):
        return Role.EDITOR
    if method in _LOOKING or changes_nothing(path) or _answers(path):
        return Role.VIEWER
    return Role.EDITOR


def _answers(path: str) -> bool:
    """Return whether a POST to `path` answers a wait; making links that let others answer is not answering."""
    return path.startswith(_ANSWERED) and "/" not in path.removeprefix(_ANSWERED)


def changes_nothing(path: str) -> bool:
    """Return whether a POST to `path` only computes an answer."""
    if path.startswith(_DRY_PREFIX):
        return True
    return path.endswith(_DRY_SUFFIXES) and not path.startswith("/api/v1/connections/")


def check(principal: Principal, method: str, path: str) -> None:
    """Let the request pass.

    Raises:
        Forbidden: the caller's role is not enough.

    """
    wanted = needed(method, path)
    if not principal.may_act_as(wanted):
        raise Forbidden(
            f"this needs the role `{wanted}`, and the caller has `{principal.role[:40]}`",
            fix="ask an owner of the tenant: PUT /api/v1/members/{user_id}, or a key with that role",
        )
