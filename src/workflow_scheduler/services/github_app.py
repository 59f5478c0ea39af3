"""The GitHub App of this service: whose its installations are, who hears its deliveries, who uses its tokens.

An installation belongs to one tenant. The local tenant, who set the App up, gets what it deploys for; every other one
must show once that the account is its own, with a token of a person who owns it. It stays so until the App is
uninstalled or the tenant gives it up. Deliveries of the App's hook are heard by the owner of their installation alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.inbound.github import payload_of
from workflow_scheduler.core.inbound.github_reach import APP_SECRET
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.model.github import (
    LIFECYCLE,
    Installation,
    installation_number,
    news_of,
)
from workflow_scheduler.core.model.principal import LOCAL_TENANT
from workflow_scheduler.core.ports.connections import Connections
from workflow_scheduler.core.ports.github_app import GitHubAccess
from workflow_scheduler.core.ports.resolving import GitHubPlace
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.outbound.github_app import GitHubAppClient
from workflow_scheduler.services.github_access import AppAccess
from workflow_scheduler.stores.portable.github_installations import InstallationRepository

_FORM: Final = "application/x-www-form-urlencoded"
_OPERATOR: Final = "Have GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and WFS_GITHUB_API_URL checked by who runs the service."
_NOT_INSTALLED: Final = "the GitHub App of this service is not installed at `{}`"
_INSTALL: Final = (
    "Install it there, with access to the repository; or add a webhook to the repository and write `via: webhook`."
)
_TAKEN: Final = "the installation at `{}` is in use by another tenant of this service"
_GIVE_UP: Final = "Have that tenant give it up (workflow-scheduler github release ID), or write `via: webhook`."
_SHOW: Final = "that `{}` is yours must be shown once before its installation of the GitHub App can be used"
_HOW: Final = (
    "Name in `connection` one of kind `http` with a token of an owner of the account (of an organization: scope "
    "`read:org`); once deployed, it can be left out again."
)


class _Concerned(msgspec.Struct, frozen=True):
    """The part of a payload that says whose it is."""

    installation: dict[str, Any] | None = None


class GitHubApp:
    """The App, for all tenants. `provider` and `secret` say which deliveries are its own."""

    provider = "github"
    given = frozenset({(provider, APP_SECRET)})
    """The secret that triggers of the type need not have."""

    def __init__(
        self, client: GitHubAppClient, rows: InstallationRepository, connections: Connections, clock: Clock, secret: str
    ) -> None:
        """Ask GitHub through `client`; `connections` hold the tokens by which people show what is theirs."""
        self.secret = secret
        self._client = client
        self._rows = rows
        self._connections = connections
        self._clock = clock

    async def hearers(self, request: PushRequest, fitting: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
        """Return who may hear a delivery that the App's secret fits: by tenant, the secrets it counts as signed with.

        `fitting` are those whose secrets fit, which decides where a delivery names no installation: it is then of a
        webhook of a repository. What is of an installation that is nobody's is the local tenant's.
        """
        number = _installation(request)
        if number is None:
            return fitting
        owner = await self._rows.owner(number)
        if owner is None:
            return {tenant: names for tenant, names in fitting.items() if tenant == LOCAL_TENANT}
        return {owner: [APP_SECRET]}

    async def note(self, request: PushRequest) -> None:
        """Take note of what a delivery says about an installation."""
        event = request.headers.get("x-github-event", "")
        if event in LIFECYCLE:
            await self._note(event, payload_of(request.body, request.headers.get("content-type", ""))[1])

    async def cover(self, tenant_id: str, actor: str, place: GitHubPlace) -> str:
        """Return the id of the installation that covers a place, which is the tenant's from now on.

        Raises:
            ValidationFailed: the App is not installed there, or the installation is not the tenant's.
            Rejected: GitHub does not know the App.
            SchedulerError: GitHub cannot be asked now.

        """
        try:
            found = await self._client.installation(place.account, place.repository)
        except Rejected as error:
            raise Rejected(f"GitHub refuses the App of this service: {error.detail}", fix=_OPERATOR) from error
        if found is None:
            raise ValidationFailed.at("repository", _NOT_INSTALLED.format(place.repository or place.account), _INSTALL)
        if found.suspended_at is not None:
            raise ValidationFailed.at(
                "repository", f"the GitHub App is suspended at `{found.account}`", "Unsuspend it at GitHub."
            )
        await self._rows.keep(found, self._clock.now())
        owner = await self._rows.owner(found.id)
        if owner != tenant_id:
            if tenant_id != LOCAL_TENANT:
                await self._check_proof(tenant_id, place.connection, found)
            if not await self._rows.claim(found.id, tenant_id, actor, self._clock.now()):
                raise ValidationFailed.at("repository", _TAKEN.format(found.account), _GIVE_UP)
        return str(found.id)

    def access(self, tenant_id: str) -> GitHubAccess:
        """Return the App as a tenant may use it."""
        return AppAccess(self._client, self._rows, self._note, tenant_id)

    def forget(self, number: int) -> None:
        """Keep no token of an installation any more."""
        self._client.forget(number)

    async def _note(self, event: str, payload: Any) -> None:
        news = news_of(event, payload)
        if news is not None:
            await self._rows.note(news, self._clock.now())
            self._client.forget(news.installation.id)

    async def _check_proof(self, tenant_id: str, name: str | None, found: Installation) -> None:
        """Refuse a tenant that does not show that it owns the account of an installation.

        The token is tried at the App's own GitHub, wherever its connection points to.

        Raises:
            ValidationFailed: it does not.

        """
        account = found.account
        if name is None:
            raise ValidationFailed.at("connection", _SHOW.format(account), _HOW)
        connection = await self._connections.open(tenant_id, name)
        if connection is None or not isinstance(connection.fields, Http):
            raise ValidationFailed.at("connection", f"`{name}` is not a connection of kind `http`", _HOW)
        sign = partial(_headers, connection.fields, self._clock.now())
        try:
            if found.account_type == "User":
                told = await self._client.ask_as(sign, "/user")
                fits = isinstance(told, dict) and told.get("id") == found.account_id
            else:
                told = await self._client.ask_as(sign, f"/user/memberships/orgs/{quote(account, safe='')}")
                fits = isinstance(told, dict) and _owns(told, found)
        except Rejected as error:
            raise ValidationFailed.at(
                "connection", f"GitHub refuses the token of `{name}`: {error.detail}", _HOW
            ) from error
        if not fits:
            raise ValidationFailed.at("connection", f"the token of `{name}` is not of an owner of `{account}`", _HOW)


def _headers(fields: Http, now: int, url: str) -> Mapping[str, str]:
    return headers_of(fields, url, b"", now)


def _owns(told: dict[str, Any], found: Installation) -> bool:
    """Return whether a membership is that of an owner of the organization."""
    organization = told.get("organization")
    same = isinstance(organization, dict) and organization.get("id") == found.account_id
    return same and told.get("state") == "active" and told.get("role") == "admin"


def _installation(request: PushRequest) -> int | None:
    """Return the installation that a delivery is of; None where it names none, as those of webhooks do not."""
    body = request.body
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        body = payload_of(body, _FORM)[0]
    try:
        concerned = msgspec.json.decode(body, type=_Concerned).installation
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # the trigger type says what is wrong with it
    return None if concerned is None else installation_number(concerned.get("id"))
