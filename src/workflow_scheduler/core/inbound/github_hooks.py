"""The webhook of a repository or an organization, made at deploy by those who may.

Sources: GitHub REST API, "Repository webhooks" and "Organization webhooks": list, create and update a webhook. The
secret of one is never shown, and a change of `config` without it takes it away.

A webhook of ours has an address that names tenant and secret: it is found again, and those of others are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.inbound.answers import own_errors
from workflow_scheduler.core.inbound.github_api import API, GitHubApi, Refused
from workflow_scheduler.core.inbound.github_missed import ENDPOINT, MARK
from workflow_scheduler.core.inbound.github_reach import secret_of
from workflow_scheduler.core.inbound.identity import digest
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.ports.resolving import Resolved, Resolving
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest

_ALL: Final = "*"
_NOT_ALLOWED: Final = frozenset({401, 403, 404})
_MAY: Final = (
    "Give the token the scope `admin:repo_hook` (of an organization `admin:org_hook`), or a fine-grained one the "
    "permission `Webhooks: read and write`; or add the webhook by hand and leave `create_hook` out."
)
_BY_HAND: Final = (
    "the webhook {} of {} comes here already and is left as it is; its events must include those of the trigger, and "
    "its secret must be that of `{}`"
)


class Wanted(NamedTuple):
    """The webhook that a trigger needs; without `events` all of them."""

    repository: str
    connection: str
    secret: str
    events: tuple[str, ...]


class Hook(msgspec.Struct, frozen=True):
    """A webhook as GitHub lists it."""

    id: int
    config: dict[str, Any] = {}
    events: list[str] = []
    active: bool = True

    @property
    def url(self) -> str:
        """Where it delivers to."""
        return str(self.config.get("url"))


async def hooked(wanted: Wanted, around: Resolving) -> Resolved:
    """Make the webhook, or bring the one of an earlier deployment up to date.

    Raises:
        ValidationFailed: the service has no public address, a secret is not set, or GitHub refuses it.
        SchedulerError: GitHub cannot be asked now.

    """
    if not around.public_url:
        fix = "Set WFS_PUBLIC_URL, or add the webhook by hand and leave `create_hook` out."
        raise ValidationFailed.at("create_hook", "GitHub cannot reach this service: it has no public address", fix)
    secret = await secret_of(wanted.secret, around)
    api = await _api(wanted, around)
    owner, _, name = wanted.repository.partition("/")
    place = f"/orgs/{owner}/hooks" if name == "*" else f"/repos/{wanted.repository}/hooks"
    with _about(wanted):
        hooks = msgspec.convert(await api.items(place), list[Hook])
    plain = around.public_url + ENDPOINT
    by_hand = next((one for one in hooks if one.url == plain), None)
    if by_hand is not None:
        return Resolved(warnings=(_BY_HAND.format(by_hand.id, wanted.repository, wanted.secret),))
    mine = f"{plain}?{MARK}{digest(around.tenant_id, wanted.secret)}"
    known = next((one for one in hooks if one.url == mine), None)
    body = {
        "active": True,
        "events": _events(wanted, known),
        "config": {"url": mine, "content_type": "json", "secret": secret, "insecure_ssl": "0"},
    }
    with _about(wanted):
        if known is None:
            await api.write("POST", place, {"name": "web", **body})
        else:
            await api.write("PATCH", f"{place}/{known.id}", body)
    return Resolved()


async def _api(wanted: Wanted, around: Resolving) -> GitHubApi:
    connection = await around.connection(wanted.connection)
    if connection is None or not isinstance(connection.fields, Http):
        message = f"`{wanted.connection}` is not a connection of kind `http`"
        raise ValidationFailed.at("connection", message, "Name one with a token that may manage webhooks.")
    fields = connection.fields

    async def send(request: HttpRequest) -> HttpReply:
        with own_errors():
            return await around.outbound.send(request)

    async def sign(url: str, *, again: bool) -> Mapping[str, str]:  # noqa: ARG001 -- there is one token only
        return headers_of(fields, url, b"", around.now)

    return GitHubApi(fields.url or API, send, lambda: around.now, sign)


@contextmanager
def _about(wanted: Wanted) -> Iterator[None]:
    """Turn a refusal of GitHub into one that names the field that it is about."""
    try:
        yield
    except Refused as error:
        if error.http_status in _NOT_ALLOWED:
            message = f"the token of `{wanted.connection}` may not manage the webhooks of {wanted.repository}"
            raise ValidationFailed.at("connection", f"{message} (GitHub answers {error.http_status})", _MAY) from error
        raise ValidationFailed.at("create_hook", error.detail, "See what GitHub says about it.") from error


def _events(wanted: Wanted, known: Hook | None) -> list[str]:
    """Return the events to deliver: other triggers may need those that are delivered already."""
    there = [] if known is None else known.events
    if not wanted.events or _ALL in there:
        return [_ALL]
    return sorted({*wanted.events, *there})
