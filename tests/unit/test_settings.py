"""Settings: names, defaults, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.settings import ROLES, Settings, is_loopback, load

FIXED = [
    "PORT",
    "HOST",
    "DEBUG",
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_SECRET_KEY",
    "REDIS_URL",
    "WORKFLOW_ENGINE_URL",
    "API_GATEWAY_URL",
    "SCHEDULER_TIMEZONE",
    "SCHEDULER_MAX_WORKERS",
    "GITHUB_APP_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_WEBHOOK_SECRET",
    "GITHUB_CLIENT_ID",
    "GITHUB_CLIENT_SECRET",
    "SLACK_BOT_TOKEN",
    "SLACK_CLIENT_ID",
    "SLACK_CLIENT_SECRET",
    "SLACK_SIGNING_SECRET",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "LOCK_TIMEOUT",
    "LOCK_RETRY_DELAY",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "ENVIRONMENT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PUBSUB_EMULATOR_HOST",
]


def test_every_fixed_name_is_a_setting_and_all_others_are_ours():
    names = {field.validation_alias for field in Settings.model_fields.values()}
    assert set(FIXED) <= names
    assert all(name.startswith(("WFS_", "JWT_")) for name in names - set(FIXED))


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_nothing_is_required(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8003)
    assert settings.database.startswith("sqlite:///")
    assert settings.role_set == frozenset(ROLES)
    assert not settings.jwt_configured
    assert not settings.allow_code


def test_the_environment_and_an_env_file_are_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PORT=9000\nLOG_LEVEL=debug\nUNKNOWN=1\n")
    monkeypatch.setenv("WFS_DATA", "/tmp/data")
    monkeypatch.setenv("WFS_EGRESS_ALLOW", "10.0.0.0/8, localhost,")
    monkeypatch.setenv("REDIS_URL", "")
    settings = Settings()
    assert (settings.port, settings.log_level) == (9000, "DEBUG")
    assert settings.database == "sqlite:////tmp/data/workflow_scheduler.db"
    assert settings.egress_allowed == ("10.0.0.0/8", "localhost")


def test_secrets_are_not_shown():
    settings = Settings(_env_file=None, jwt_secret="canary", github_webhook_secret="canary")
    assert "canary" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"log_format": "xml"}, {"roles": "api,king"}, {"retention_events_days": 3},
              {"pubsub_emulator": "http://localhost:8085"}, {"pubsub_emulator": "localhost"}],
)  # fmt: skip
def test_values_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(_env_file=None, **wrong)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.evil.test", False),
        ("", False),
    ],
)
def test_what_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_wrong_settings_are_named_in_one_sentence(monkeypatch):
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setenv("WFS_RETENTION_EVENTS_DAYS", "2")
    with pytest.raises(ValidationFailed) as caught:
        load()
    assert caught.value.detail == (
        "a setting is wrong: PORT: must be a whole number, not `abc`; WFS_RETENTION_EVENTS_DAYS: must be at least 7.0"
    )
