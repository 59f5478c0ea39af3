"""The few pages the API itself has: its documentation at `/docs`, and one page for each kind of problem."""

from __future__ import annotations

from html import escape
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from workflow_scheduler.api import problems
from workflow_scheduler.core.errors import NotFound

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {"docs.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8"}
_HEADERS = {"content-security-policy": POLICY, "cache-control": "no-cache"}

router = APIRouter(include_in_schema=False)


def _static(name: str) -> bytes:
    return resources.files("workflow_scheduler.api").joinpath("static", name).read_bytes()


@router.get("/docs")
async def docs() -> Response:
    """Show the API's documentation; everything on the page comes from this service."""
    return HTMLResponse(_static("docs.html"), headers=_HEADERS)


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """Return a file of the documentation page."""
    if name not in _FILES:
        raise NotFound("there is no such path")
    return Response(_static(name), media_type=_FILES[name], headers=_HEADERS)


@router.get("/redoc")
async def redoc() -> Response:
    """Lead to the one documentation page there is."""
    return RedirectResponse("/docs")


@router.get("/problems/{code}")
async def problem(code: str) -> Response:
    """Explain one kind of problem."""
    kind = problems.kinds().get(code)
    if kind is None:
        raise NotFound(f"there is no kind of problem `{code[:60]}`")
    title = escape((kind.__doc__ or "").strip().split("\n")[0])
    again = "Trying again may help." if kind.retryable else "Trying again without a change will not help."
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(code)}</title>'
        f'<link rel="stylesheet" href="/docs/docs.css"><main><h1>{escape(code)}</h1><p>{title}</p>'
        f"<p>HTTP status {kind.status}. {again}</p></main></html>"
    )
    return HTMLResponse(page, headers=_HEADERS)
