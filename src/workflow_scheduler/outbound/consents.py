"""The authorization code grant at GitHub, Slack and Google: the address of the page, the exchange, and the renewal.

Sources: RFC 6749 and RFC 7636 (PKCE); "Authorizing OAuth apps" and "Refreshing user access tokens" of GitHub, which
answers a refusal with status 200 and `error`; `oauth.v2.access` and "Using token rotation" of Slack, which answers it
with status 200 and `ok: false`; "Using OAuth 2.0 for Web Server Applications" of Google.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.inbound.answers import object_of
from workflow_scheduler.core.model.consent import Granted, Provider
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest, Outbound
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.retry_after import retry_after_seconds

TIMEOUT_SECONDS: Final = 20.0
RETRY_SECONDS: Final = 30.0
WORDS_CHARACTERS_MAX: Final = 300
_OK = 300
_TOO_MANY = 429
_SERVER_ERROR = 500
_FIX: Final = (
    "connect it again; if that does not help, check the client id, secret and redirect address at the provider"
)


def page_address(provider: Provider, *, state: str, redirect_uri: str, scopes: str, verifier: str) -> str:
    """Return the address at which the provider asks the person."""
    query = {
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": provider.separator.join(scopes.split()),
        "state": state,
        **provider.extra,
    }
    if provider.pkce:
        query |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    return f"{provider.authorize_url}?{urlencode(query)}"


def challenge(verifier: str) -> str:
    """Return what is shown of a PKCE verifier before it is given itself (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


async def exchange(
    outbound: Outbound, provider: Provider, *, code: str, redirect_uri: str, verifier: str, now: int
) -> Granted:
    """Return what the provider gives for a code; `now` in microseconds.

    Raises:
        Rejected: it refuses, or gives no lasting token.
        RetryAfter, NotConnected: it asks to wait, or does not work now.
        SchedulerError: as core.ports.resources.Outbound.

    """
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if provider.pkce:
        form["code_verifier"] = verifier
    granted = _READ[provider.name](provider, await _ask(outbound, provider, form, now), now)
    if provider.name != "github":
        return granted
    return msgspec.structs.replace(granted, account=await _github_user(outbound, provider, granted.secrets["secret"]))


async def renew(outbound: Outbound, provider: Provider, token: str, now: int) -> Granted:
    """Return what the provider gives in place of a token that ends; errors as for `exchange`."""
    told = await _ask(outbound, provider, {"grant_type": "refresh_token", "refresh_token": token}, now)
    return _READ[provider.name](provider, told, now)


async def _ask(outbound: Outbound, provider: Provider, form: Mapping[str, str], now: int) -> Mapping[str, Any]:
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    own = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    if provider.name == "slack":  # which wants them there if possible
        pair = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        own = {}
    # No redirect is followed: the client's secret goes to the address of the settings and to no other.
    reply = await outbound.send(
        HttpRequest(
            method="POST", url=provider.token_url, headers=headers, body=urlencode({**form, **own}).encode(),
            timeout_seconds=TIMEOUT_SECONDS, redirects_max=0,
        )
    )  # fmt: skip
    told = object_of(reply.body)
    refused = told.get("error") is not None or told.get("ok") is False
    if reply.status < _OK and told and not refused:
        return told
    raise _problem(provider, reply, told, now)


def _problem(provider: Provider, reply: HttpReply, told: Mapping[str, Any], now: int) -> Exception:
    if reply.status == _TOO_MANY or told.get("error") == "ratelimited":
        wait = retry_after_seconds(reply.headers.get("retry-after"), now)
        return RetryAfter(f"{provider.title} asks to wait", retry_after_seconds=RETRY_SECONDS if wait is None else wait)
    if reply.status >= _SERVER_ERROR:
        return NotConnected(f"{provider.title} answered {reply.status}")
    words = " ".join(str(told[key]) for key in ("error", "error_description") if told.get(key))
    said = words[:WORDS_CHARACTERS_MAX] or f"an answer that is not its own ({reply.status})"
    return Rejected(f"{provider.title} gives no token: {said}", fix=_FIX)


def _github(provider: Provider, told: Mapping[str, Any], now: int) -> Granted:
    renewal, ends, last = _text(told, "refresh_token"), _end(told, "expires_in", now), None
    if renewal is not None:
        last = _end(told, "refresh_token_expires_in", now)
    return Granted(
        fields={"auth": "bearer", "url": provider.api_url},
        secrets={"secret": _needed(provider, told, "access_token")},
        renewal=renewal,
        token_ends_at=ends,
        ends_at=ends if renewal is None else last,
        scopes=str(told.get("scope") or "").replace(",", " "),
    )


def _slack(provider: Provider, told: Mapping[str, Any], now: int) -> Granted:
    team = told.get("team")
    named = team if isinstance(team, Mapping) else {}
    renewal, ends = _text(told, "refresh_token"), _end(told, "expires_in", now)
    return Granted(
        fields={"api_url": provider.api_url},
        secrets={"token": _needed(provider, told, "access_token")},
        renewal=renewal,
        token_ends_at=ends,
        ends_at=ends if renewal is None else None,
        scopes=str(told.get("scope") or "").replace(",", " "),
        account=" ".join(str(named[key]) for key in ("name", "id") if named.get(key)),
    )


def _google(provider: Provider, told: Mapping[str, Any], now: int) -> Granted:
    return Granted(
        fields={"client_id": provider.client_id},
        secrets={"refresh_token": _needed(provider, told, "refresh_token")},
        ends_at=_end(told, "refresh_token_expires_in", now),
        scopes=str(told.get("scope") or ""),
        account=_email(_text(told, "id_token")),
    )


_READ: Final[Mapping[str, Callable[[Provider, Mapping[str, Any], int], Granted]]] = {
    "github": _github,
    "slack": _slack,
    "google": _google,
}


async def _github_user(outbound: Outbound, provider: Provider, token: str) -> str:
    """Return whose token it is, which also shows that it works where it will be used."""
    headers = {"Accept": "application/vnd.github+json", "Authorization": f"Bearer {token}"}
    request = HttpRequest(
        method="GET", url=f"{provider.api_url}/user", headers=headers, timeout_seconds=TIMEOUT_SECONDS, redirects_max=0
    )
    reply = await outbound.send(request)
    login = object_of(reply.body).get("login")
    if reply.status >= _SERVER_ERROR:
        raise NotConnected(f"{request.url} answered {reply.status}")
    if reply.status >= _OK or not isinstance(login, str):
        raise Rejected(f"{request.url} does not take the token ({reply.status})", fix="check WFS_GITHUB_API_URL")
    return login


def _email(id_token: str | None) -> str:
    """Return the address in an ID token. Its signature says nothing more: it came from Google itself, over TLS."""
    if id_token is None:
        return ""
    middle = [*id_token.split("."), ""][1]
    try:
        claims = object_of(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (binascii.Error, ValueError):
        return ""
    return str(claims.get("email") or "")[:WORDS_CHARACTERS_MAX]


def _needed(provider: Provider, told: Mapping[str, Any], name: str) -> str:
    value = _text(told, name)
    if value is None:
        raise Rejected(f"{provider.title} answered without `{name}`", fix=_FIX)
    return value


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None


def _end(told: Mapping[str, Any], name: str, now: int) -> int | None:
    """Return when something ends that lasts so many seconds; None where the provider names no end."""
    try:
        seconds = int(told.get(name) or 0)
    except (TypeError, ValueError):
        return None
    return now + seconds * SECOND_US if seconds > 0 else None
