"""Connections to brokers: servers that hand on messages."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from workflow_scheduler.core.model.connection_fields import Fields, Line, Servers, secret


class Redis(Fields):
    """A Redis or Valkey server."""

    url: str = Field(
        title="URL",
        description="redis://HOST:PORT/DATABASE, or rediss:// for TLS; user name and password stand apart.",
        max_length=2_000,
    )
    username: Line | None = Field(default=None, title="User name", description="None: the default user.")
    password: str | None = secret("Password", "Password of the user.", default=None)
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the server's certificate."
    )

    @model_validator(mode="after")
    def _whole(self) -> Redis:
        parts = urlsplit(self.url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.query:
            message = "`url` must be redis://HOST:PORT/DATABASE or rediss://…, without options"
            raise ValueError(message)
        if parts.username or parts.password:
            message = "`url` must not hold a user name or password; they have fields of their own"
            raise ValueError(message)
        if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
            message = "the database in `url` must be a number"
            raise ValueError(message)
        return self


class Kafka(Fields):
    """A Kafka cluster."""

    bootstrap_servers: Servers = Field(title="Servers", description="HOST:PORT of some brokers, separated by commas.")
    security: Literal["plaintext", "tls"] = Field(default="tls", title="Security", description="tls, or plaintext.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, title="Mechanism", description="How the user logs in (SASL). None: no log-in."
    )
    username: Line | None = Field(default=None, title="User name", description="For SASL.")
    password: str | None = secret("Password", "Password of the user.", default=None)
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the brokers' certificates."
    )

    @model_validator(mode="after")
    def _whole(self) -> Kafka:
        named = [self.mechanism, self.username, self.password]
        if any(one is None for one in named) and any(one is not None for one in named):
            message = "`mechanism`, `username` and `password` belong together"
            raise ValueError(message)
        return self


class Nats(Fields):
    """A NATS server or cluster."""

    servers: Servers = Field(title="Servers", description="HOST:PORT of some servers, separated by commas.")
    tls: bool = Field(default=False, title="TLS", description="Whether the servers want TLS.")
    username: Line | None = Field(default=None, title="User name", description="With a password.")
    password: str | None = secret("Password", "Password of the user.", default=None)
    token: str | None = secret("Token", "A token, in place of user name and password.", default=None)
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the servers' certificates."
    )

    @model_validator(mode="after")
    def _whole(self) -> Nats:
        if (self.username is None) != (self.password is None):
            message = "`username` and `password` belong together"
            raise ValueError(message)
        return self


class Mqtt(Fields):
    """An MQTT broker."""

    host: Line = Field(title="Host", description="Name or address of the broker.")
    port: int = Field(default=8883, title="Port", description="8883 for TLS, 1883 without.", ge=1, le=65_535)
    tls: bool = Field(default=True, title="TLS", description="Whether the broker wants TLS.")
    username: Line | None = Field(default=None, title="User name", description="None: no log-in.")
    password: str | None = secret("Password", "Password of the user.", default=None)
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the broker's certificate."
    )

    @model_validator(mode="after")
    def _whole(self) -> Mqtt:
        if self.password is not None and self.username is None:
            message = "a password needs a `username`"
            raise ValueError(message)
        return self


class Amqp(Fields):
    """A broker that speaks AMQP 0-9-1, such as RabbitMQ."""

    host: Line = Field(title="Host", description="Name or address of the broker.")
    port: int = Field(default=5671, title="Port", description="5671 for TLS, 5672 without.", ge=1, le=65_535)
    tls: bool = Field(default=True, title="TLS", description="Whether the broker wants TLS.")
    vhost: Line = Field(default="/", title="Virtual host", description="The part of the broker with the queues.")
    username: Line = Field(default="guest", title="User name", description="Who logs in.")
    password: str = secret("Password", "Password of the user.", max_length=1_000)
    ca_certificate: str | None = Field(
        default=None, title="CA certificate", description="PEM of the authority that signed the broker's certificate."
    )
