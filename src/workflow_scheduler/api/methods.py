"""Which methods a path takes: the framework names only those of the first route that fits."""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_RAW = {"/api/v1/events": "POST"}  # heard by the ingress, which the framework knows nothing of


def allowed(request: Request) -> list[str]:
    """Return the methods that any route takes at the request's path, for `Allow`."""
    raw = _RAW.get(request.scope["path"])
    return [method for method in _METHODS if method == raw or _is_taken(request, method)]


def _is_taken(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
