"""Who is calling: API keys and tokens become a Principal; without either, one local tenant on loopback only.

The tenant comes from the credentials and from nothing else. Repositories ask for rows of that tenant only, so a
foreign id gives the same 404 as an id that never was. What a role may do is decided by `api.roles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
from fastapi import Depends, Request

from workflow_scheduler.core.errors import Forbidden, Unauthenticated, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.keys import KEY_PREFIX, KeyOwner, digest
from workflow_scheduler.settings import Settings, is_loopback

if TYPE_CHECKING:
    from workflow_scheduler.api.tokens import TokenVerifier

CACHE_ENTRIES_MAX = 4_096
CACHE_SECONDS = 15.0
CREDENTIAL_CHARACTERS_MAX = 8_192
_WANTED = frozenset({b"authorization", b"x-api-key", b"host", b"origin", b"sec-fetch-site"})
_FIX = "send `Authorization: Bearer wfs_…` or `X-API-Key: wfs_…`; `workflow-scheduler key create` makes a key"


class KeyLookup(Protocol):
    """Finds API keys by their digest, over all tenants: a key is what names the tenant."""

    async def owner(self, digest: str) -> KeyOwner | None:
        """Return the owner of a key that has not been revoked."""
        ...

    async def any_active(self) -> bool:
        """Return whether there is a key that has not been revoked."""
        ...


class MemberRoles(Protocol):
    """Knows the roles of people."""

    async def role_of(self, tenant_id: str, user_id: str, claimed: str) -> str:
        """Return the role that counts for a user whose token claims `claimed`; raise Forbidden for a removed one."""
        ...


class _Known(msgspec.Struct, frozen=True, gc=False):
    principal: Principal
    until: float
    expires_at: int | None


def check_bind(settings: Settings, *, has_keys: bool) -> str | None:
    """Return the sentence to print about who is served, or None when callers must authenticate.

    Raises:
        ValidationFailed: the service would listen beyond this machine with nobody being asked who they are.

    """
    if has_keys or settings.jwt_configured:
        return None
    if settings.loopback:
        return f"no API key exists: everyone on this machine is served as tenant `{LOCAL.tenant_id}`"
    raise ValidationFailed(
        f"refusing to listen on {settings.host} without authentication: anyone who reaches it could start workflows",
        fix="create a key (`workflow-scheduler key create`) or set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL, "
        "or listen on 127.0.0.1",
    )


class Authenticator:
    """Turns the headers of a request into a Principal."""

    def __init__(self, settings: Settings, keys: KeyLookup, clock: Clock, tokens: TokenVerifier | None = None) -> None:
        """Look keys up in `keys` and check tokens with `tokens`; `open` waits for `start`.

        `members` is set by the composition root.
        """
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._tokens = tokens
        self._known: dict[str, _Known] = {}
        self._open = False
        self.members: MemberRoles | None = None

    @property
    def open(self) -> bool:
        """Whether callers without credentials are served as the local tenant."""
        return self._open

    async def start(self) -> str | None:
        """Decide whether the local tenant is open, and return the sentence to print about it.

        Raises:
            ValidationFailed: see `check_bind`.

        """
        sentence = check_bind(self._settings, has_keys=await self._keys.any_active())
        self._open = sentence is not None
        return sentence

    def forget(self) -> None:
        """Forget who is known, so that a revoked key or another role counts at once."""
        self._known.clear()

    def key_created(self) -> None:
        """Serve nobody without credentials from now on: the first key closes the open local tenant."""
        self._open = False

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Return the caller.

        Raises:
            Unauthenticated: no credentials, or ones that are unknown, expired or revoked.
            Forbidden: a web page of another origin tried to use the open local tenant.

        """
        found = {name: value for name, value in headers if name in _WANTED}
        credential = _credential(found)
        if credential is not None:
            known = self._known.get(credential)
            if known is not None and self._fresh(known):
                return known.principal
            if credential.startswith(KEY_PREFIX):
                return await self._by_key(credential)
            if self._tokens is not None:
                return await self._by_token(credential)
        if not self._open:
            raise Unauthenticated(
                "no credentials were sent" if credential is None else "the credentials are of no known kind", fix=_FIX
            )
        _check_local(found)
        return LOCAL if credential is None else msgspec.structs.replace(LOCAL, bearer=credential)

    def _fresh(self, known: _Known) -> bool:
        if known.until < self._clock.monotonic():
            return False
        return known.expires_at is None or known.expires_at > self._clock.now()

    async def _by_key(self, key: str) -> Principal:
        owner = await self._keys.owner(digest(key))
        if owner is None or (owner.expires_at is not None and owner.expires_at <= self._clock.now()):
            raise Unauthenticated("the API key is unknown, revoked or expired", fix=_FIX)
        principal = Principal(tenant_id=owner.tenant_id, user_id=owner.user_id, role=owner.role, method="api_key")
        self._keep(key, principal, owner.expires_at)
        return principal

    async def _by_token(self, token: str) -> Principal:
        assert self._tokens is not None
        principal, expires_at = await self._tokens.verify(token, self._clock.now())
        if self.members is not None:
            role = await self.members.role_of(principal.tenant_id, principal.user_id, principal.role)
            principal = msgspec.structs.replace(principal, role=role)
        self._keep(token, principal, expires_at)
        return principal

    def _keep(self, credential: str, principal: Principal, expires_at: int | None) -> None:
        if len(self._known) >= CACHE_ENTRIES_MAX:
            self._known.clear()
        self._known[credential] = _Known(principal, self._clock.monotonic() + CACHE_SECONDS, expires_at)


def _credential(found: Mapping[bytes, bytes]) -> str | None:
    key = found.get(b"x-api-key")
    if key is not None:
        text = key.decode("latin-1").strip()
        if not text.startswith(KEY_PREFIX):
            raise Unauthenticated("X-API-Key does not hold an API key of this service", fix=_FIX)
    else:
        authorization = found.get(b"authorization")
        if authorization is None:
            return None
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise Unauthenticated("the Authorization header does not hold a bearer token", fix=_FIX)
    if len(text) > CREDENTIAL_CHARACTERS_MAX:
        raise Unauthenticated("the credentials are too long")
    return text


def _check_local(found: Mapping[bytes, bytes]) -> None:
    """Keep web pages out of the open local tenant: neither another origin nor a rebound host name may use it."""
    host = _host_name(found.get(b"host", b"localhost").decode("latin-1"))
    origin = found.get(b"origin", b"").decode("latin-1")
    foreign = origin not in {"", "null"} and not is_loopback(_host_name(origin.partition("://")[2]))
    if is_loopback(host) and not foreign and origin != "null" and found.get(b"sec-fetch-site") != b"cross-site":
        return
    raise Forbidden(
        "the open local tenant answers requests to localhost only, and no web page of another origin",
        fix="call http://127.0.0.1, or create an API key",
    )


def _host_name(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0][1:]
    return authority.partition(":")[0] if authority.count(":") <= 1 else authority


async def principal(request: Request) -> Principal:
    """Dependency: the caller of this request; the front has authenticated it already."""
    known = request.scope.get("state", {}).get("principal")
    if isinstance(known, Principal):
        return known
    authenticator: Authenticator = request.app.state.context.authenticator
    return await authenticator.authenticate(request.scope["headers"])


Caller = Annotated[Principal, Depends(principal)]
