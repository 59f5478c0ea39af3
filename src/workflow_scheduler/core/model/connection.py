"""Connections: named credentials of a tenant, by kind. Secret fields are sealed and never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.model.brokers import Amqp, Kafka, Mqtt, Nats, Redis
from workflow_scheduler.core.model.connection_fields import Fields, Line, Url, secret

GOOGLE_TOKENS: Final = "https://oauth2.googleapis.com/token"
_PASSWORD_OPTIONS = frozenset({"password", "passwd", "pwd", "sslpassword"})
Security = Literal["starttls", "tls", "none"]


class Smtp(Fields):
    """A mail server."""

    host: Line = Field(title="Host", description="Name or address of the mail server.")
    port: int = Field(default=587, title="Port", description="587 for STARTTLS, 465 for TLS.", ge=1, le=65_535)
    security: Security = Field(
        default="starttls", title="Security", description="starttls, tls from the first byte, or none."
    )
    username: Line | None = Field(default=None, title="User name", description="None sends without a log-in.")
    password: str | None = secret("Password", "Password of the user.", default=None)
    sender: Line | None = Field(default=None, title="Sender", description="The `from` of mails that name none.")
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the server's certificate."
    )

    @model_validator(mode="after")
    def _whole(self) -> Smtp:
        if (self.username is None) != (self.password is None):
            message = "`username` and `password` belong together"
            raise ValueError(message)
        if self.password is not None and self.security == "none":
            message = "a password is not sent over an unencrypted connection; use starttls or tls"
            raise ValueError(message)
        return self


class Imap(Fields):
    """A mailbox that is read over IMAP."""

    host: Line = Field(title="Host", description="Name or address of the mail server.")
    port: int = Field(default=993, title="Port", description="993 for TLS, 143 for STARTTLS.", ge=1, le=65_535)
    security: Literal["tls", "starttls"] = Field(
        default="tls", title="Security", description="tls from the first byte, or starttls."
    )
    username: Line = Field(title="User name", description="Who logs in, often the address.")
    password: str = secret("Password", "Password of the user; an app password where the provider wants one.")
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the server's certificate."
    )


class Sql(Fields):
    """A database."""

    url: str = Field(
        title="URL",
        description="SQLAlchemy URL, for example postgresql://reports@db.example/shop; the password stands apart.",
        min_length=3,
        max_length=2_000,
    )
    password: str | None = secret("Password", "Password of the user in the URL.", default=None)

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, given: Any) -> Any:
        """Take the password out of the URL, so that the URL can be shown."""
        url = given.get("url") if isinstance(given, dict) else None
        if not isinstance(url, str) or "@" not in url or "://" not in url:
            return given
        scheme, _, rest = url.partition("://")
        authority, at, behind = rest.partition("/")[0].rpartition("@")
        user, colon, password = authority.partition(":")
        if not at or not colon:
            return given
        tail = rest[len(rest.partition("/")[0]) :]
        return {"password": unquote(password), **given, "url": f"{scheme}://{user}@{behind}{tail}"}

    @model_validator(mode="after")
    def _shown_safely(self) -> Sql:
        scheme, separator, rest = self.url.partition("://")
        if not separator or not scheme:
            message = "`url` must begin with a dialect, as in postgresql://USER@HOST/DATABASE"
            raise ValueError(message)
        if any(key.lower() in _PASSWORD_OPTIONS for key, _ in parse_qsl(rest.partition("?")[2])):
            message = "`url` must not hold a password among its options; give it in `password`"
            raise ValueError(message)
        return self


class Slack(Fields):
    """A Slack workspace."""

    token: str = secret("Token", "Bot token (xoxb-…).", min_length=8, max_length=1_000)
    app_token: str | None = secret(
        "App token", "App-level token (xapp-…), for Socket Mode.", default=None, min_length=8, max_length=1_000
    )
    api_url: Url = Field(
        default="https://slack.com/api",
        title="API address",
        description="Where the Web API is; Slack's own by default.",
    )


class Http(Fields):
    """Credentials of a web service."""

    auth: Literal["bearer", "basic", "header", "hmac"] = Field(
        title="Kind", description="bearer: a token; basic: user name and password; header: an API key; hmac: signed."
    )
    secret: str = secret("Secret", "The token, password, API key or signing key.", min_length=1, max_length=10_000)
    username: Line | None = Field(default=None, title="User name", description="For basic.")
    header: Line | None = Field(default=None, title="Header", description="For header and hmac: the header's name.")
    url: Url | None = Field(
        default=None,
        title="URL",
        description="The service; the secret is sent to this origin only, and `test` asks it.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Http:
        needed = {"basic": "username", "header": "header"}.get(self.auth)
        if needed is not None and getattr(self, needed) is None:
            message = f"auth of type {self.auth} needs `{needed}`"
            raise ValueError(message)
        return self


class Aws(Fields):
    """Keys of Amazon Web Services."""

    region: Line = Field(title="Region", description="For example eu-central-1.")
    access_key_id: Line = Field(title="Access key id", description="Of a user or a role.")
    secret_access_key: str = secret("Secret access key", "The secret of the key.", min_length=1, max_length=1_000)
    session_token: str | None = secret("Session token", "Of temporary keys.", default=None)
    endpoint: Url | None = Field(
        default=None, title="Endpoint", description="Another address than that of the region, for every service."
    )


class Google(Fields):
    """An account at Google: of a service, or of a person who consented."""

    service_account: str | None = secret(
        "Service account", "The JSON key of a service account.", default=None, max_length=20_000
    )
    subject: Line | None = Field(
        default=None,
        title="Subject",
        description="The person for whom a service account acts (domain-wide delegation).",
    )
    client_id: Line | None = Field(
        default=None, title="Client id", description="Of the OAuth client that a person consented to."
    )
    client_secret: str | None = secret("Client secret", "Of the OAuth client.", default=None, max_length=1_000)
    refresh_token: str | None = secret("Refresh token", "What the consent gave.", default=None, max_length=4_000)
    endpoint: Url | None = Field(
        default=None,
        title="Endpoint",
        description="Another address than Google's, for every service, such as an emulator; needs no credentials.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Google:
        person = [self.client_id, self.client_secret, self.refresh_token]
        if any(one is not None for one in person) and any(one is None for one in person):
            message = "`client_id`, `client_secret` and `refresh_token` belong together"
            raise ValueError(message)
        if self.service_account is not None and self.refresh_token is not None:
            message = "give a service account or what a person consented to, not both"
            raise ValueError(message)
        if self.service_account is None and self.refresh_token is None and self.endpoint is None:
            message = "give `service_account`, or `client_id`, `client_secret` and `refresh_token`"
            raise ValueError(message)
        if self.service_account is not None:
            self.account()
        elif self.subject is not None:
            message = "only a service account acts for a `subject`"
            raise ValueError(message)
        return self

    @property
    def tokens(self) -> str:
        """The address that exchanges what a person consented to for a token."""
        return GOOGLE_TOKENS if self.endpoint is None else f"{self.endpoint.rstrip('/')}/token"

    def account(self) -> GoogleAccount:
        """Return what the JSON key of the service account says.

        Raises:
            ValueError: it is no such key.

        """
        try:
            return msgspec.json.decode(self.service_account or "", type=GoogleAccount)
        except msgspec.MsgspecError:
            message = "`service_account` must be the JSON key file of a service account, whole"
            raise ValueError(message) from None


class ConsentedGoogle(Google):
    """An account of a person who consented to this installation's own OAuth client.

    The connection stores neither the client's secret nor where it is sent: both are lent to it while it is open, so
    that no tenant can read the one or choose the other.
    """

    token_url: str = Field(default=GOOGLE_TOKENS, exclude=True, repr=False)

    @model_validator(mode="after")
    def _whole(self) -> ConsentedGoogle:
        own = ("endpoint", "service_account", "subject", "client_secret")
        wrong = next((name for name in own if getattr(self, name) is not None), None)
        if wrong is not None:
            message = f"a person consented to this account, which has no `{wrong}`; give all credentials anew instead"
            raise ValueError(message)
        if self.client_id is None or self.refresh_token is None:
            message = "`client_id` and `refresh_token` belong together"
            raise ValueError(message)
        return self

    @property
    def tokens(self) -> str:
        """The address that exchanges its credentials for a token."""
        return self.token_url

    def lent(self, client_secret: str, token_url: str) -> ConsentedGoogle:
        """Return it with what it needs to be used."""
        return self.model_copy(update={"client_secret": client_secret, "token_url": token_url})


class GoogleAccount(msgspec.Struct, frozen=True):
    """What counts of the JSON key of a service account."""

    client_email: str
    private_key: str
    token_uri: str = GOOGLE_TOKENS

    def __repr__(self) -> str:
        """Name it, never its key: this text may reach a log."""
        return f"GoogleAccount({self.client_email})"


KINDS: Final[Mapping[str, type[Fields]]] = MappingProxyType(
    {
        "smtp": Smtp,
        "imap": Imap,
        "sql": Sql,
        "slack": Slack,
        "http": Http,
        "redis": Redis,
        "kafka": Kafka,
        "nats": Nats,
        "aws": Aws,
        "google": Google,
        "mqtt": Mqtt,
        "amqp": Amqp,
    }
)

CONSENTED: Final[Mapping[str, type[Fields]]] = MappingProxyType({"google": ConsentedGoogle})
"""What stands in for a kind where a person consented to this installation's client."""


class Connection(msgspec.Struct, frozen=True):
    """An opened connection, for jobs only. `expires_at` in microseconds UTC."""

    name: str
    kind: str
    fields: Fields
    expires_at: int | None = None

    def __repr__(self) -> str:
        """Name it, never its secrets: this text may reach a log."""
        return f"Connection({self.name}, {self.kind})"


def secret_names(kind: type[Fields]) -> tuple[str, ...]:
    """Return the names of the fields whose values are sealed."""
    found = []
    for name, field in kind.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("secret"):
            found.append(name)
    return tuple(found)
