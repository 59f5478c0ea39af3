"""Settings: environment variables, or lines of a `.env` file. Names without `WFS_` are fixed by other programs."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflow_scheduler.core.definition.problems import sentence
from workflow_scheduler.core.errors import FieldError, ValidationFailed

ROLES = ("api", "ingest", "dispatch", "timer", "sources", "engine")
_ADDRESS = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"


def _named(name: str, default: Any, description: str, **rules: Any) -> Any:
    """Return a field that is read from the environment variable `name`."""
    return Field(default=default, validation_alias=name, description=description, **rules)


class Settings(BaseSettings):
    """Everything that can be configured. No setting is required for one machine with the embedded engine."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        case_sensitive=False,
        populate_by_name=True,
        extra="ignore",
        env_ignore_empty=True,
        frozen=True,
    )

    host: str = _named("HOST", "127.0.0.1", "Address to listen on. Any other than loopback needs authentication.")
    port: int = _named("PORT", 8003, "TCP port to listen on; 0 takes a free one.", ge=0, le=65_535)
    debug: bool = _named("DEBUG", default=False, description="Log at debug level.")
    environment: str = _named("ENVIRONMENT", "development", "Name of this installation, shown in logs and traces.")
    data: Path = _named("WFS_DATA", Path(".workflow-scheduler"), "Folder of the SQLite file, the key file and logs.")

    database_url: str = _named(
        "DATABASE_URL", "", "`sqlite:///FILE` or `postgresql://…`; empty is `workflow_scheduler.db` in WFS_DATA."
    )
    supabase_url: str = _named("SUPABASE_URL", "", "Address of the Supabase project, where one is used.")
    supabase_secret_key: SecretStr = _named(
        "SUPABASE_SECRET_KEY", SecretStr(""), "Service key of the Supabase project."
    )
    redis_url: str = _named("REDIS_URL", "", "Optional Redis for leases, wake-ups and shared limits.")

    workflow_engine_url: str = _named("WORKFLOW_ENGINE_URL", "", "Address of an HTTP engine; set = `engine: http`.")
    engine_start_seconds: float = _named(
        "WFS_ENGINE_START_TIMEOUT", 10.0, "Seconds in which the HTTP engine must have taken a run.", gt=0
    )
    engine_ask_seconds: float = _named(
        "WFS_ENGINE_ASK_TIMEOUT", 10.0, "Seconds in which the HTTP engine must answer a question.", gt=0
    )
    temporal_address: str = _named(
        "WFS_TEMPORAL_ADDRESS",
        "",
        "HOST:PORT of a Temporal server (needs the extra `temporal`); set = `engine: temporal`.",
    )
    temporal_namespace: str = _named("WFS_TEMPORAL_NAMESPACE", "default", "Temporal namespace of our runs.")
    temporal_task_queue: str = _named(
        "WFS_TEMPORAL_TASK_QUEUE", "workflow-scheduler", "Temporal task queue from which our workers take jobs."
    )
    temporal_api_key: SecretStr = _named(
        "WFS_TEMPORAL_API_KEY", SecretStr(""), "API key for the Temporal server; with one, TLS is on."
    )
    temporal_tls: bool = _named("WFS_TEMPORAL_TLS", default=False, description="Speak TLS to the Temporal server.")
    temporal_heartbeat_seconds: float = _named(
        "WFS_TEMPORAL_HEARTBEAT",
        10.0,
        "Seconds after which a job of a worker that fell silent is given to another one.",
        ge=1,
        le=600,
    )
    prefect_api_url: str = _named(
        "WFS_PREFECT_API_URL",
        "",
        "Address of a Prefect server's API, such as `http://HOST:4200/api`; set = `engine: prefect`.",
    )
    prefect_api_key: SecretStr = _named(
        "WFS_PREFECT_API_KEY", SecretStr(""), "API key of Prefect Cloud, or a bearer token."
    )
    prefect_auth: SecretStr = _named(
        "WFS_PREFECT_AUTH", SecretStr(""), "USER:PASSWORD of a Prefect server that wants basic authentication."
    )
    public_url: str = _named(
        "WFS_PUBLIC_URL",
        "",
        "Address at which people and providers reach this service, such as `https://flows.example.com`; for links in "
        "messages and channels of calendars. Empty: HOST and PORT.",
        pattern=r"^(https?://[^\s/]+(/\S*)?)?$",
    )
    api_gateway_url: str = _named("API_GATEWAY_URL", "", "Address of the gateway in front of the platform's services.")
    scheduler_timezone: str = _named("SCHEDULER_TIMEZONE", "UTC", "Zone of schedules that name none (IANA name).")
    scheduler_max_workers: int = _named(
        "SCHEDULER_MAX_WORKERS", 10, "Threads for blocking jobs on this instance.", ge=1, le=1_000
    )
    max_processes: int = _named(
        "WFS_MAX_PROCESSES",
        0,
        "Child processes of `run` and `python` jobs at once on this instance; 0 is four for each processor.",
        ge=0,
        le=10_000,
    )
    max_instances: int = _named(
        "WFS_MAX_INSTANCES", 10_000, "Items that a `map` or `for_each` may have; more fail the job.", ge=1, le=100_000
    )
    lock_timeout: int = _named(
        "LOCK_TIMEOUT", 15, "Seconds until the lease of a silent instance ends and others take its runs over.", ge=1
    )
    lock_retry_delay: float = _named("LOCK_RETRY_DELAY", 0.1, "Seconds between two attempts at a lease.", gt=0)

    github_app_id: str = _named("GITHUB_APP_ID", "", "Id of the GitHub App.")
    github_app_private_key: SecretStr = _named("GITHUB_APP_PRIVATE_KEY", SecretStr(""), "PEM key of the GitHub App.")
    github_api_url: str = _named(
        "WFS_GITHUB_API_URL", "https://api.github.com", "GitHub's REST API; or an Enterprise Server's (`/api/v3`).",
        pattern=_ADDRESS,
    )  # fmt: skip
    github_webhook_secret: SecretStr = _named(
        "GITHUB_WEBHOOK_SECRET",
        SecretStr(""),
        "Secret of the GitHub App's hook, and of deliveries for triggers that name no own secret.",
    )
    github_client_id: str = _named("GITHUB_CLIENT_ID", "", "OAuth client id at GitHub.")
    github_client_secret: SecretStr = _named("GITHUB_CLIENT_SECRET", SecretStr(""), "OAuth client secret at GitHub.")
    slack_bot_token: SecretStr = _named("SLACK_BOT_TOKEN", SecretStr(""), "Token of the Slack bot.")
    slack_client_id: str = _named("SLACK_CLIENT_ID", "", "OAuth client id at Slack.")
    slack_client_secret: SecretStr = _named("SLACK_CLIENT_SECRET", SecretStr(""), "OAuth client secret at Slack.")
    slack_signing_secret: SecretStr = _named("SLACK_SIGNING_SECRET", SecretStr(""), "Secret of Slack's signatures.")
    google_client_id: str = _named("GOOGLE_CLIENT_ID", "", "OAuth client id at Google.")
    google_client_secret: SecretStr = _named("GOOGLE_CLIENT_SECRET", SecretStr(""), "OAuth client secret at Google.")
    github_url: str = _named(
        "WFS_GITHUB_URL", "https://github.com", "Where people consent at GitHub; or a GitHub Enterprise Server.",
        pattern=_ADDRESS,
    )  # fmt: skip
    slack_url: str = _named(
        "WFS_SLACK_URL", "https://slack.com", "Where people consent at Slack, with its Web API below `/api`.",
        pattern=_ADDRESS,
    )  # fmt: skip
    google_authorize_url: str = _named(
        "WFS_GOOGLE_AUTHORIZE_URL", "https://accounts.google.com/o/oauth2/v2/auth", "Where people consent at Google.",
        pattern=_ADDRESS,
    )  # fmt: skip
    google_token_url: str = _named(
        "WFS_GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token", "Where consents become tokens at Google.",
        pattern=_ADDRESS,
    )  # fmt: skip

    pubsub_emulator: str = _named(
        "PUBSUB_EMULATOR_HOST",
        "",
        "Emulator of Google Pub/Sub (`localhost:8085`), for connections without an `endpoint`; it gets no credentials.",
        pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$|^$",
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = _named(
        "LOG_LEVEL", "INFO", "Least severe level that is logged."
    )
    log_format: Literal["text", "json"] = _named("LOG_FORMAT", "text", "`text` for people, `json` for machines.")
    otel_endpoint: str = _named(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "Where traces are sent (needs the extra `otel`); empty sends none."
    )

    jwt_secret: SecretStr = _named("JWT_SECRET", SecretStr(""), "Shared secret of HS256 tokens, at least 32 bytes.")
    jwt_public_key: str = _named("JWT_PUBLIC_KEY", "", "PEM public key of RS256 tokens.")
    jwt_jwks_url: str = _named("JWT_JWKS_URL", "", "Address of the issuer's key set; read again when a key is new.")
    jwt_issuer: str = _named("JWT_ISSUER", "", "Required `iss` of tokens; empty accepts any.")
    jwt_audience: str = _named("JWT_AUDIENCE", "", "Required `aud` of tokens; empty accepts any.")
    jwt_tenant_claim: str = _named(
        "JWT_TENANT_CLAIM", "tenant_id,tenant,org_id", "Claims that may hold the tenant; the first present one counts."
    )
    jwt_user_claim: str = _named("JWT_USER_CLAIM", "sub", "Claim that holds the user's id.")
    jwt_role_claim: str = _named("JWT_ROLE_CLAIM", "role", "Claim that holds the role.")
    jwt_leeway_seconds: int = _named("JWT_LEEWAY_SECONDS", 30, "Clock difference tolerated in tokens.", ge=0, le=600)

    max_body_bytes: int = _named(
        "WFS_MAX_BODY_BYTES", 1_048_576, "Largest request body, after decompression, in bytes.", ge=1_024
    )
    github_max_body_bytes: int = _named(
        "WFS_GITHUB_MAX_BODY_BYTES", 26_214_400, "Largest GitHub delivery; GitHub itself stops at 25 MB.", ge=1_024
    )
    body_timeout_seconds: float = _named(
        "WFS_BODY_TIMEOUT", 20.0, "Seconds in which a client must have sent its whole body.", gt=0
    )
    allow_code: bool = _named("WFS_ALLOW_CODE", default=False, description="Allow `run` and `python` jobs.")
    code_tenants: str = _named(
        "WFS_CODE_TENANTS",
        "",
        "Tenants that may run code where WFS_ALLOW_CODE is set, separated by commas; empty: all.",
    )
    egress_allow: str = _named(
        "WFS_EGRESS_ALLOW", "", "Private addresses jobs may call: networks or host names, separated by commas."
    )
    roles: str = _named(
        "WFS_ROLES",
        ",".join(ROLES),
        "Roles of this instance, separated by commas; with `engine` it takes jobs of a Temporal server, if one is set.",
    )
    retention_events_days: float = _named(
        "WFS_RETENTION_EVENTS_DAYS", 30.0, "Days to keep events and decisions (7 at least: they refuse doubles).", ge=7
    )
    retention_runs_days: float = _named("WFS_RETENTION_RUNS_DAYS", 90.0, "Days to keep ended runs.", gt=0)
    retention_audit_days: float = _named("WFS_RETENTION_AUDIT_DAYS", 400.0, "Days to keep the audit log.", gt=0)
    retention_logs_days: float = _named("WFS_RETENTION_LOGS_DAYS", 14.0, "Days to keep the output of jobs.", gt=0)

    @field_validator("roles")
    @classmethod
    def _known_roles(cls, value: str) -> str:
        unknown = [role for role in _words(value) if role not in ROLES]
        if unknown:
            message = f"unknown role `{unknown[0]}`; the roles are {', '.join(ROLES)}"
            raise ValueError(message)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def role_set(self) -> frozenset[str]:
        """The roles of this instance."""
        return frozenset(_words(self.roles))

    @property
    def egress_allowed(self) -> tuple[str, ...]:
        """The private networks and hosts that jobs may call."""
        return tuple(_words(self.egress_allow))

    @property
    def code_tenant_set(self) -> frozenset[str]:
        """The tenants that may run code; empty means all."""
        return frozenset(_words(self.code_tenants))

    @property
    def database(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data / 'workflow_scheduler.db'}"

    @property
    def own_url(self) -> str:
        """The address of this service for others, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def has_github_app(self) -> bool:
        """Whether there is a GitHub App.

        Raises:
            ValidationFailed: there is half of one.

        """
        needed = {
            "GITHUB_APP_ID": self.github_app_id,
            "GITHUB_APP_PRIVATE_KEY": self.github_app_private_key.get_secret_value(),
        }
        if not any(needed.values()):
            return False
        needed["GITHUB_WEBHOOK_SECRET"] = self.github_webhook_secret.get_secret_value()
        lines = [
            FieldError(name, "is not set, and a GitHub App needs it") for name, value in needed.items() if not value
        ]
        if lines:
            detail = "; ".join(f"{line.field} {line.message}" for line in lines)
            raise ValidationFailed(detail, errors=lines, fix="see docs/how-to/github.md")
        return True

    @property
    def jwt_configured(self) -> bool:
        """Whether tokens of an issuer are accepted."""
        return bool(self.jwt_secret.get_secret_value() or self.jwt_public_key or self.jwt_jwks_url)

    @property
    def loopback(self) -> bool:
        """Whether the service listens where only this machine can reach it."""
        return is_loopback(self.host)


def load() -> Settings:
    """Return the settings of the environment and of `.env`.

    Raises:
        ValidationFailed: some are wrong; each is named with what is wrong about it.

    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [FieldError(str((*one["loc"], "")[0]), sentence(one)) for one in error.errors(include_url=False)]
    detail = "; ".join(f"{line.field}: {line.message}" for line in lines)
    raise ValidationFailed(f"a setting is wrong: {detail}", errors=lines, fix="see docs/reference/settings.md")


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name or an address, in brackets or not) is this machine's loopback."""
    name = host.strip("[]").lower()
    if name in {"localhost", "localhost."} or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
