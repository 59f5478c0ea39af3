"""`/api/v1/auth/{provider}/start` and `/callback`: a person consents at a provider, and a connection comes of it.

The browser that comes back from the provider shows no credentials, since those are kept by the page that began. It is
led on to a page of the app, which asks the callback once more, as the person who is signed in there: a code that was
put into somebody else's browser connects nothing.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from workflow_scheduler.api import answer_forms, roles
from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.connections import ShownConnection
from workflow_scheduler.api.context import ApiContext, Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import BadRequest, Conflict, Forbidden, SchedulerError, Unauthenticated
from workflow_scheduler.core.model.consent import Pending
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.services.consents import HOME, Asked
from workflow_scheduler.settings import is_loopback

router = APIRouter(prefix="/api/v1/auth", tags=["connections"])
FINISH = "/connections/consent"
_SHOWN = frozenset({"authorization", "x-api-key"})
_PROVIDER = Path(description="github, slack or google.", max_length=32, examples=["google"])
_WAY: dict[int | str, dict[str, Any]] = {
    302: {"description": "To the page of the provider, for callers that do not ask for JSON."}
}
_BACK: dict[int | str, dict[str, Any]] = {
    303: {"description": "For browsers: to the page that was asked for, or to the one that finishes the consent."}
}
ProviderName = Annotated[str, _PROVIDER]


class ProviderShown(BaseModel):
    """A provider at which people may consent."""

    provider: str
    title: str
    kind: str = Field(description="The kind of the connections that come of it.")
    configured: bool = Field(description="Whether this installation is registered there.")
    scopes: list[str] = Field(description="What is asked for where a consent names nothing else.")
    settings: list[str] = Field(description="The settings that hold the registration.")
    redirect_uri: str | None = Field(
        description="The address to register there; null where WFS_PUBLIC_URL must say it."
    )


class ProviderPage(BaseModel):
    """All providers."""

    items: list[ProviderShown]
    next: str | None


class Wanted(BaseModel):
    """What to begin."""

    connection: str | None = Field(default=None, max_length=256, description="Its name; else that of the provider.")
    scopes: str = Field(default="", max_length=4_000, description="What to ask for, in place of the usual.")
    return_to: str = Field(default=HOME, max_length=1_000, description="The page of this service to see afterwards.")


class Told(BaseModel):
    """What a provider says by the browser that it sends back."""

    code: str | None = Field(default=None, max_length=4_000, description="What is exchanged for a token.")
    state: str | None = Field(default=None, max_length=200, description="What the consent was begun with.")
    error: str | None = Field(default=None, max_length=1_000, description="Why there is no code.")


class Begun(BaseModel):
    """A consent that was begun."""

    provider: str
    connection: str
    address: str = Field(description="Where the provider asks the person: to be opened in a browser.")
    redirect_uri: str
    expires_at: str = Field(description="Until when the answer counts.")


class Finished(BaseModel):
    """What came of a consent."""

    connection: ShownConnection
    return_to: str = Field(description="The page that the person wanted to see afterwards.")


@router.get("", response_model=ProviderPage, summary="List the providers of consents")
async def list_providers(request: Request, context: Context, _caller: Caller) -> dict[str, Any]:
    """List the providers at which people may consent to a connection, and what to register there."""
    return {"items": context.consents.providers(_base_url(request, context)), "next": None}


@router.get("/{provider}/start", response_model=Begun, responses=_WAY, summary="Begin a consent")
async def begin_consent(
    provider: ProviderName,
    request: Request,
    context: Context,
    caller: Caller,
    wanted: Annotated[Wanted, Query()],
) -> Response:
    """Begin a consent: lead to the provider, or with `Accept: application/json` say where the person has to go."""
    base_url = _base_url(request, context)
    if base_url is None:
        raise Conflict(
            "it is not known at which address browsers reach this service, where the provider has to send them back",
            fix="set WFS_PUBLIC_URL, such as https://flows.example.com",
        )
    asked = Asked(wanted.connection or provider, wanted.scopes, wanted.return_to)
    begun = await context.consents.begin(caller, provider, asked, base_url)
    if "application/json" in request.headers.get("accept", ""):
        return answer(begun)
    return RedirectResponse(begun["address"], 302)


@router.get("/{provider}/callback", response_model=Finished, responses=_BACK, summary="Finish a consent")
async def finish_consent(
    provider: ProviderName,
    request: Request,
    context: Context,
    told: Annotated[Told, Query()],
) -> Response:
    """Finish a consent as the person who began it. A browser that shows no credentials is led to where it has them."""
    try:
        if told.state is None or (told.code is None and told.error is None):
            raise BadRequest("the provider sends `state` with `code` or `error`", fix="begin at …/start")
        caller = await _caller(request, context)
        pending = await context.consents.find(provider, told.state)
        if told.code is None or told.error is not None:
            raise await context.consents.refuse(pending, told.error or "no code")
        if caller is None:
            there = urlencode({"provider": provider, "code": told.code, "state": told.state})
            return RedirectResponse(f"{FINISH}#{there}", 303)
        shown = await _finish(context, caller, pending, told.code)
    except SchedulerError as problem:
        if not answer_forms.wants_page(request):
            raise
        return _page(problem)
    if answer_forms.wants_page(request):
        return RedirectResponse(pending.return_to, 303)
    return answer({"connection": shown, "return_to": pending.return_to})


async def _finish(context: ApiContext, caller: Principal, pending: Pending, code: str) -> dict[str, Any]:
    """Store the connection, and who changed it in the audit log."""
    change = ("PUT", f"/api/v1/connections/{pending.connection}")
    entry = await context.audit.begin(caller, *change)
    try:
        roles.check(caller, *change)
        shown = await context.consents.finish(caller, pending, code)
    except SchedulerError as error:
        await context.audit.end(caller, entry, error.status)
        raise
    await context.audit.end(caller, entry, 200)
    return shown


async def _caller(request: Request, context: ApiContext) -> Principal | None:
    """Return who shows credentials, or may do without; None for a browser that was sent here."""
    try:
        return await context.authenticator.authenticate(request.scope["headers"])
    except (Unauthenticated, Forbidden):
        if _SHOWN & set(request.headers):
            raise
        return None


def _base_url(request: Request, context: ApiContext) -> str | None:
    """Return where browsers reach this service; a Host header is believed on this machine only."""
    if context.settings.public_url:
        return context.settings.own_url
    host = request.url.hostname
    return f"http://{request.url.netloc}" if host is not None and is_loopback(host) else None


def _page(error: SchedulerError) -> Response:
    fix = f"<p>{escape(error.fix[0].upper() + error.fix[1:])}.</p>" if error.fix else ""
    words = escape(error.detail[0].upper() + error.detail[1:])
    content = f'<h1>Nothing was connected</h1><p>{words}.</p>{fix}<p><a href="{HOME}">Connections</a></p>'
    return answer_forms.document(content, error.status, "Connections")
