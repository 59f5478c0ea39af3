"""Slack: what is read out of a request, and which triggers it fits."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.testing.hearing import event_from
from workflow_scheduler.triggers import slack

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def envelope(**event: Any) -> dict[str, Any]:
    inner = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": "hi", "ts": "1.1"}
    return {
        "type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event_time": 1_804_000_000,
        "authorizations": [{"team_id": "T1", "user_id": "U0BOT", "is_bot": True}], "event": {**inner, **event},
    }  # fmt: skip


def request(body: Any, kind: str = JSON, **headers: str) -> PushRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return PushRequest("POST", "/api/v1/slack/events", "", {"content-type": kind, **named}, raw, 0)


def pressed(**more: Any) -> dict[str, Any]:
    given = {"type": "block_actions", "trigger_id": "1.2.abc", "team": {"id": "T1"}, "user": {"id": "U1"}}
    return {**given, "channel": {"id": "C1"}, "actions": [{"action_id": "a", "value": "v"}], **more}


def fits(body: dict[str, Any], **rule: Any) -> bool | None:
    config = slack.Config.model_validate(rule)
    (heard,) = slack.parse(None, request(body))
    found = set(slack.index_keys(config)) & set(heard.index_keys) and set(slack.sub_keys(config)) & set(heard.sub_keys)
    result = slack.matches(config, EventView(event_from("slack", heard))).result
    assert result is not True or found, "a trigger that matches must be found"
    return result


def test_an_event_is_read() -> None:
    (heard,) = slack.parse(None, request(envelope()))
    assert (heard.type, heard.source, heard.subject) == ("slack.message", "/slack/T1", "C1/1.1")
    assert heard.event_key == "message:C1:1.1"
    assert heard.time == 1_804_000_000_000_000
    assert heard.index_keys == ("T1", "*")
    assert heard.sub_keys == ("", "C1")


def test_a_retry_has_the_same_identity() -> None:
    (heard,) = slack.parse(None, request(envelope(), x_slack_retry_num="2", x_slack_retry_reason="http_timeout"))
    assert heard.event_key == "message:C1:1.1"


def test_what_is_no_message_is_named_by_its_envelope() -> None:
    whole = {**envelope(), "event": {"type": "reaction_added", "user": "U1", "item": {"channel": "C1", "ts": "1.1"}}}
    (heard,) = slack.parse(None, request(whole))
    assert heard.event_key == "Ev1"
    changed = {**envelope(), "event": {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "1.1"}}
    (heard,) = slack.parse(None, request(changed))
    assert heard.event_key == "Ev1"


@pytest.mark.parametrize(
    ("body", "kind", "type_", "key"),
    [
        (urlencode({"payload": json.dumps(pressed())}).encode(), FORM, "slack.block_actions", "block_actions:1.2.abc"),
        (
            b"command=%2Fdeploy&text=billing&team_id=T1&channel_id=C1&user_id=U1&trigger_id=9.9",
            FORM, "slack.slash_command", "slash_command:9.9",
        ),
        ({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 7}, JSON, "slack.app_rate_limited",
         "T1:7"),
    ],
)  # fmt: skip
def test_interactions_and_commands_are_read(body: Any, kind: str, type_: str, key: str) -> None:
    (heard,) = slack.parse(None, request(body, kind))
    assert (heard.type, heard.event_key, heard.source) == (type_, key, "/slack/T1")


def test_a_question_whether_we_are_here_is_no_event() -> None:
    asked = request({"type": "url_verification", "challenge": "3eZb", "token": "x"})
    assert slack.parse(None, asked) == []
    assert slack.reply(asked) == ("text/plain", b"3eZb")
    assert slack.parse(None, request(b"ssl_check=1&token=x", FORM)) == []
    assert slack.reply(request(envelope())) == ("text/plain", b"")
    with pytest.raises(BadRequest):
        slack.parse(None, request(b"[1]"))


RULES: list[tuple[dict[str, Any], dict[str, Any], bool | None]] = [
    ({}, {}, True),
    ({"workspace_id": "T1"}, {}, True),
    ({"workspace_id": "T2"}, {}, False),
    ({"channels": ["C1", "C2"]}, {}, True),
    ({"channels": ["C2"]}, {}, False),
    ({"channels": ["#general"], "ids": {"#general": "C1"}}, {}, True),
    ({"channels": ["#general"]}, {}, False),
    ({"users": ["U1"]}, {}, True),
    ({"users": ["ada@acme.test"], "ids": {"ada@acme.test": "U2"}}, {}, False),
    ({"event_types": ["reaction_added"]}, {}, False),
    ({"event_types": ["reaction_added"]}, {"type": "reaction_added", "item": {"channel": "C1"}}, True),
    ({"event_types": ["message.channels"]}, {}, True),
    ({"event_types": ["message.im"]}, {}, False),
    ({"event_types": ["message.im"]}, {"channel_type": "im"}, True),
    ({"event_types": []}, {"type": "channel_created", "channel": {"id": "C1"}}, True),
    ({}, {"subtype": "message_changed"}, False),
    ({"event_types": ["message_changed"]}, {"subtype": "message_changed"}, True),
    ({}, {"subtype": "file_share"}, True),
    ({}, {"bot_id": "B1"}, False),
    ({"ignore_bots": False}, {"bot_id": "B1"}, True),
    ({}, {"user": "U0BOT"}, False),
    ({"mention_required": True}, {}, False),
    ({"mention_required": True}, {"text": "<@U0BOT> go"}, True),
    ({"mention_required": True}, {"type": "app_mention"}, True),
    ({"mention_required": True}, {"channel_type": "im"}, True),
    ({"require_thread": True}, {}, False),
    ({"require_thread": True}, {"thread_ts": "1.1"}, False),
    ({"require_thread": True}, {"thread_ts": "1.0"}, True),
    ({"text": "^deploy (?P<what>\\w+)$"}, {"text": "deploy billing"}, True),
    ({"text": ["^deploy"]}, {"text": "please deploy"}, False),
    ({"text": ["^deploy"]}, {"text": None}, None),
]


@pytest.mark.parametrize(("rule", "event", "result"), RULES)
def test_a_rule_fits_or_does_not(rule: dict[str, Any], event: dict[str, Any], result: bool | None) -> None:
    assert fits(envelope(**event), **rule) is result


def test_a_mention_is_unknown_where_the_bot_is() -> None:
    assert fits({**envelope(), "authorizations": []}, mention_required=True) is None


def test_a_pressed_button_is_found_by_its_channel_and_user() -> None:
    assert fits(pressed(), event_types=["block_actions"], channels=["C1"], users=["U1"]) is True
    assert fits(pressed(), event_types=["block_actions"], channels=["C2"]) is False
    assert fits(pressed()) is False


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"workspace_id": "acme"}, "not the id of a workspace"),
        ({"event_types": ["Message!"]}, "not the name of a Slack event"),
        ({"event_types": ["message.nowhere"]}, "not the name of a Slack event"),
        ({"text": ["("]}, "regular"),
    ],
)
def test_a_wrong_rule_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        slack.Config.model_validate(rule)
