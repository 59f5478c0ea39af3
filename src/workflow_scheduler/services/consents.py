"""Consents: a person allows this installation at a provider to act for them, and a connection comes of it.

The state that goes to the provider and comes back is random, known by its digest only, good for ten minutes and once,
and belongs to the person who began: it is of no use to anybody else who gets to see it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from workflow_scheduler.core.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    NotFound,
    Rejected,
    ValidationFailed,
)
from workflow_scheduler.core.model.consent import CALLBACK, Pending, Provider
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.connections import ConsentRows
from workflow_scheduler.core.ports.resources import Outbound
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import SECOND_US, Clock, to_iso
from workflow_scheduler.outbound import consents
from workflow_scheduler.services.connections import ConnectionStore

LIFE_US: Final = 600 * SECOND_US
SCOPES_CHARACTERS_MAX: Final = 2_000
RETURN_CHARACTERS_MAX: Final = 500
HOME: Final = "/connections"
_DENIED: Final = frozenset({"access_denied", "user_denied"})


class Asked(NamedTuple):
    """What a consent is asked for; without `scopes` those of the provider, separated by spaces or commas."""

    connection: str
    scopes: str = ""
    return_to: str = HOME


class Consents:
    """The consents of all tenants."""

    def __init__(
        self,
        rows: ConsentRows,
        connections: ConnectionStore,
        providers: Mapping[str, Provider],
        vault: Vault,
        clock: Clock,
        outbound: Outbound,
    ) -> None:
        """Keep in `rows` what was asked for, and exchange codes through `outbound`."""
        self._rows = rows
        self._connections = connections
        self._providers = providers
        self._vault = vault
        self._clock = clock
        self._outbound = outbound

    def providers(self, base_url: str | None) -> list[dict[str, Any]]:
        """Return what people may connect to; `base_url` is where this service is reached, if that is known."""
        return [
            {
                "provider": one.name,
                "title": one.title,
                "kind": one.kind,
                "configured": one.configured,
                "scopes": list(one.scopes),
                "settings": list(one.settings),
                "redirect_uri": None if base_url is None else _callback(base_url, one.name),
            }
            for one in self._providers.values()
        ]

    async def begin(self, principal: Principal, name: str, asked: Asked, base_url: str) -> dict[str, Any]:
        """Return the address at which the provider asks the person, and until when the answer counts.

        Raises:
            NotFound: there is no such provider.
            Conflict: this installation is not registered there, or there is another connection of that name.
            ValidationFailed: the name, a scope or the page to return to cannot be used.

        """
        provider = self._registered(name)
        scopes = _scopes(asked.scopes) or " ".join(provider.scopes)
        check_return(asked.return_to)
        await self._connections.check_grantable(principal, asked.connection, provider)
        state, verifier, now = secrets.token_urlsafe(32), secrets.token_urlsafe(48), self._clock.now()
        digest = _digest(state)
        pending = Pending(
            tenant_id=principal.tenant_id, digest=digest, user_id=principal.user_id, provider=provider.name,
            connection=asked.connection, scopes=scopes, redirect_uri=_callback(base_url, provider.name),
            return_to=asked.return_to, created_at=now, expires_at=now + LIFE_US,
            sealed=self._vault.seal(verifier.encode(), _context(principal.tenant_id, digest)),
        )  # fmt: skip
        await self._rows.add(pending)
        address = consents.page_address(
            provider, state=state, redirect_uri=pending.redirect_uri, scopes=scopes, verifier=verifier
        )
        return {
            "provider": provider.name,
            "connection": asked.connection,
            "address": address,
            "redirect_uri": pending.redirect_uri,
            "expires_at": to_iso(pending.expires_at),
        }

    async def find(self, name: str, state: str) -> Pending:
        """Return what a state was made for.

        Raises:
            NotFound: there is no such provider.
            BadRequest: it is unknown, was used already, took too long, or was made for another provider.

        """
        provider, digest = self._provider(name), _digest(state)
        found = await self._rows.find(digest)
        if (
            found is None
            or not hmac.compare_digest(found.digest, digest)
            or found.provider != provider.name
            or found.expires_at <= self._clock.now()
        ):
            raise BadRequest(
                "this consent is not waited for: it was used, took longer than ten minutes, or never began here",
                fix="begin again: the page Connections, or `workflow-scheduler connection authorize NAME`",
            )
        return found

    async def refuse(self, pending: Pending, error: str) -> Rejected:
        """Forget a consent that the provider did not give, and return the error that says so."""
        await self._rows.take(pending)
        title = self._provider(pending.provider).title
        if error in _DENIED:
            return Rejected(f"the consent was denied at {title}; nothing was connected", fix="begin again to allow it")
        return Rejected(
            f"{title} did not ask for consent: {error[:100]}; nothing was connected",
            fix="check the client id, the redirect address and the scopes at the provider",
        )

    async def finish(self, principal: Principal, pending: Pending, code: str) -> dict[str, Any]:
        """Exchange the code and store the connection.

        Raises:
            Forbidden: somebody else began it.
            BadRequest: it was used already.
            Rejected: the provider refuses the code.
            Conflict: there is another connection of that name by now.
            SchedulerError: the provider cannot be asked now.

        """
        if (principal.tenant_id, principal.user_id) != (pending.tenant_id, pending.user_id):
            raise Forbidden(
                "this consent was begun by somebody else, or as somebody else; nothing was connected",
                fix="sign in as who began it, or begin again",
            )
        provider = self._registered(pending.provider)
        if not await self._rows.take(pending):
            raise BadRequest("this consent was used already", fix="look at the connection, or begin again")
        verifier = self._vault.open(pending.sealed, _context(pending.tenant_id, pending.digest)).decode()
        granted = await consents.exchange(
            self._outbound, provider, code=code, redirect_uri=pending.redirect_uri, verifier=verifier,
            now=self._clock.now(),
        )  # fmt: skip
        return await self._connections.grant(principal, pending.connection, provider, granted)

    def _provider(self, name: str) -> Provider:
        found = self._providers.get(name)
        if found is None:
            raise NotFound(f"there is no provider `{name}`", fix=f"use one of {', '.join(self._providers)}")
        return found

    def _registered(self, name: str) -> Provider:
        provider = self._provider(name)
        if not provider.configured:
            raise Conflict(
                f"this installation is not registered at {provider.title}",
                fix=f"register it there and set {' and '.join(provider.settings)}; see docs/how-to/connections.md",
            )
        return provider


def check_return(path: str) -> None:
    """Refuse to lead a browser to anything but a page of this service.

    Raises:
        ValidationFailed: it is no path of this service.

    """
    plain = path.isascii() and path.isprintable() and " " not in path and "\\" not in path
    if not plain or not path.startswith("/") or path.startswith("//") or len(path) > RETURN_CHARACTERS_MAX:
        message = "must be a path of this service, such as /connections"
        raise ValidationFailed(f"return_to {message}", errors=[FieldError("return_to", message)])


def _scopes(text: str) -> str:
    """Return scopes separated by single spaces.

    Raises:
        ValidationFailed: one of them cannot be a scope (RFC 6749, 3.3).

    """
    words = text.replace(",", " ").split()
    if len(text) > SCOPES_CHARACTERS_MAX or any(not word.isascii() or {'"', "\\"} & set(word) for word in words):
        message = f"must be words of plain characters, {SCOPES_CHARACTERS_MAX} in all at most"
        raise ValidationFailed(f"scopes {message}", errors=[FieldError("scopes", message)])
    return " ".join(words)


def _callback(base_url: str, provider: str) -> str:
    return f"{base_url}{CALLBACK.format(provider=provider)}"


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _context(tenant_id: str, digest: str) -> str:
    """Bind the ciphertext to its place, so that it opens nowhere else."""
    return f"consent:{tenant_id}:{digest}"
