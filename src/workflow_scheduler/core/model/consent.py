"""Providers at which a person consents to a connection, and what such a consent gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

CALLBACK: Final = "/api/v1/auth/{provider}/callback"
NAMES: Final = ("github", "slack", "google")


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as this installation knows it.

    `separator` stands between scopes, `pkce` says whether it takes a code challenge, `extra` is added to the address of
    its page. `settings` are those that must be set.
    """

    name: str
    title: str
    kind: str
    authorize_url: str
    token_url: str
    api_url: str
    scopes: tuple[str, ...]
    separator: str
    pkce: bool
    client_id: str
    client_secret: str
    extra: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Name it, never its secret: this text may reach a log."""
        return f"Provider({self.name})"

    @property
    def configured(self) -> bool:
        """Whether this installation is registered there."""
        return bool(self.client_id and self.client_secret)

    @property
    def settings(self) -> tuple[str, str]:
        """The names of the settings that hold the registration."""
        return f"{self.name.upper()}_CLIENT_ID", f"{self.name.upper()}_CLIENT_SECRET"


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider gives for a consent: fields and secrets of the connection, by their names.

    `renewal` is the token by which another one is asked for before `token_ends_at`; `ends_at` is when the whole consent
    ends. Times are microseconds UTC; None means that the provider names none.
    """

    secrets: Mapping[str, str]
    fields: Mapping[str, Any] = {}
    renewal: str | None = None
    token_ends_at: int | None = None
    ends_at: int | None = None
    scopes: str = ""
    account: str = ""

    def __repr__(self) -> str:
        """Name the account, never the tokens: this text may reach a log."""
        return f"Granted({self.account})"


class Pending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A consent that was asked for: for whom, for which connection, until when (microseconds UTC).

    `digest` is that of the state, which only the person's browser and the provider know.
    """

    tenant_id: str
    digest: str
    user_id: str
    provider: str
    connection: str
    scopes: str
    redirect_uri: str
    return_to: str
    sealed: bytes
    created_at: int
    expires_at: int


class Token(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The stored tokens of a connection that a person consented to; `sealed` holds them. Times as in `Granted`.

    `expires_at` is when the access token ends; `renewing_until` is the lease of the instance that renews it.
    """

    tenant_id: str
    id: str
    user_id: str
    provider: str
    account: str
    scopes: str
    sealed: bytes
    created_at: int
    updated_at: int
    connection: str
    expires_at: int | None = None
    renewing_until: int = 0


class Kept(msgspec.Struct, frozen=True):
    """What `Token.sealed` holds: the secrets of the connection, and the token that renews them."""

    secrets: dict[str, str]
    renewal: str | None = None

    def __repr__(self) -> str:
        """Say nothing of the tokens: this text may reach a log."""
        return "Kept()"
