"""The tokens of connections that people consented to: sealed, lent to jobs, and renewed before they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from workflow_scheduler.core.errors import Rejected, SchedulerError, Unavailable
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.connection import ConsentedGoogle
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.model.consent import Granted, Kept, Provider, Token
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.connections import ConnectionRow, ConnectionRows
from workflow_scheduler.core.ports.resources import Outbound
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import SECOND_US, Clock, to_iso
from workflow_scheduler.outbound import consents

EARLY_US: Final = 600 * SECOND_US
LEASE_US: Final = 60 * SECOND_US
WAIT_SECONDS: Final = 0.5
WAITS_MAX: Final = 40
_log = structlog.get_logger(__name__)


class ConsentTokens:
    """Opens and renews tokens. Several instances may want the same one at once: one of them asks the provider."""

    def __init__(
        self,
        rows: ConnectionRows,
        vault: Vault,
        clock: Clock,
        providers: Mapping[str, Provider] | None = None,
        outbound: Outbound | None = None,
    ) -> None:
        """Renew through `outbound` at `providers`; without them tokens are used as they are."""
        self._rows = rows
        self._vault = vault
        self._clock = clock
        self._providers = providers or {}
        self._outbound = outbound

    def sealed(self, principal: Principal, name: str, provider: Provider, granted: Granted, now: int) -> Token:
        """Return what a consent gave, to be stored."""
        return Token(
            tenant_id=principal.tenant_id, id=mint(now), user_id=principal.user_id, provider=provider.name,
            account=granted.account, scopes=granted.scopes, created_at=now, updated_at=now, connection=name,
            expires_at=granted.token_ends_at,
            sealed=self._seal(principal.tenant_id, name, Kept(dict(granted.secrets), granted.renewal)),
        )  # fmt: skip

    def secrets(self, row: ConnectionRow) -> dict[str, str]:
        """Return the secrets of a connection that its token holds.

        Raises:
            Rejected: they cannot be opened any more.

        """
        return {} if row.token is None else self._open(row.token).secrets

    def lend(self, fields: Fields) -> Fields:
        """Return fields as they can be used: those of a person at Google get the secret of this installation's client.

        Raises:
            Rejected: the person consented to a client that this installation is not any more.

        """
        if not isinstance(fields, ConsentedGoogle):
            return fields
        google = self._providers.get("google")
        if google is None or not google.configured or google.client_id != fields.client_id:
            raise Rejected(
                "the person consented to another OAuth client than this installation's",
                fix="set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET of that client, or connect the account again",
            )
        return fields.lent(google.client_secret, google.token_url)

    async def fresh(self, row: ConnectionRow) -> ConnectionRow:
        """Return the connection with a token that is good for a while.

        Raises:
            Rejected: its token has ended, and the provider gives no other one.
            Unavailable, NotConnected: it has ended, and none can be had now.

        """
        token = row.token
        for _ in range(WAITS_MAX):
            now = self._clock.now()
            if token is None or token.expires_at is None or token.expires_at - EARLY_US > now:
                return row
            kept, provider = self._open(token), self._providers.get(token.provider)
            good = token.expires_at > now
            if kept.renewal is None:
                return row  # `expires_at` of the connection says when it ends
            if provider is None or not provider.configured or self._outbound is None:
                if good:
                    return row
                raise _unregistered(row.name, token)
            if await self._rows.claim_renewal(token, now, now + LEASE_US):
                return await self._renewed(row, token, kept, provider, good=good)
            if good:
                return row
            await self._clock.sleep(WAIT_SECONDS)
            found = await self._rows.get(row.tenant_id, row.name)
            if found is None:
                break
            row, token = found, found.token
        raise Unavailable(
            f"the token of the connection `{row.name}` has ended and could not be renewed yet", retry_after_seconds=30
        )

    async def _renewed(
        self, row: ConnectionRow, token: Token, kept: Kept, provider: Provider, *, good: bool
    ) -> ConnectionRow:
        assert self._outbound is not None
        assert kept.renewal is not None
        try:
            granted = await consents.renew(self._outbound, provider, kept.renewal, self._clock.now())
        except SchedulerError as error:
            _log.warning("token.not_renewed", connection=row.name, provider=provider.name, detail=error.detail)
            if good:  # the lease stays: the provider is not asked again before it ends
                return row
            await self._rows.release_renewal(token)
            if not isinstance(error, Rejected):
                raise
            fix = f"connect it again: workflow-scheduler connection authorize {row.name} --provider {provider.name}"
            raise Rejected(f"the consent of the connection `{row.name}` has ended: {error.detail}", fix=fix) from error
        now = self._clock.now()
        content = Kept({**kept.secrets, **granted.secrets}, granted.renewal or kept.renewal)
        renewed = msgspec.structs.replace(
            token, sealed=self._seal(token.tenant_id, token.connection, content), updated_at=now,
            expires_at=granted.token_ends_at, renewing_until=0,
        )  # fmt: skip
        if not await self._rows.renewed(renewed, granted.ends_at):
            raise Unavailable(f"the connection `{row.name}` was connected anew meanwhile", retry_after_seconds=1)
        return msgspec.structs.replace(row, token=renewed, expires_at=granted.ends_at or row.expires_at)

    def _seal(self, tenant_id: str, name: str, kept: Kept) -> bytes:
        return self._vault.seal(msgspec.json.encode(kept), _context(tenant_id, name))

    def _open(self, token: Token) -> Kept:
        try:
            plain = self._vault.open(token.sealed, _context(token.tenant_id, token.connection))
        except Rejected:
            raise unreadable(token.connection) from None
        return msgspec.json.decode(plain, type=Kept)


def consent_shape(token: Token, ends_at: int | None) -> dict[str, Any]:
    """Return what the API says about the consent of a connection: never its tokens."""
    ends = token.expires_at if token.expires_at is not None and token.expires_at != ends_at else None
    return {
        "provider": token.provider,
        "account": token.account,
        "scopes": token.scopes,
        "user_id": token.user_id,
        "at": to_iso(token.created_at),
        "renews_at": None if ends is None else to_iso(ends),
    }


def _unregistered(name: str, token: Token) -> Rejected:
    setting = token.provider.upper()
    return Rejected(
        f"the token of the connection `{name}` has ended, and the service is registered at {token.provider} no more",
        fix=f"set {setting}_CLIENT_ID and {setting}_CLIENT_SECRET of the client that people consented to",
    )


def unreadable(name: str) -> Rejected:
    """Return the error for secrets that were sealed under another key."""
    return Rejected(
        f"the secrets of the connection `{name}` cannot be opened: the key file is another one",
        fix="restore the key file, or set the connection again",
    )


def _context(tenant_id: str, name: str) -> str:
    """Bind the ciphertext to its place, so that it opens nowhere else."""
    return f"token:{tenant_id}:{name}"
