"""What events say: Slack, mail, issues, CloudEvents with the same facts, and anything else without harm."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match.replies import NOTHING, read_reply, understand
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.testing.factories import make_event

ASK = WaitRequest(ask="?")


def reply(data, provider="event", **given):
    return read_reply(EventView(make_event(provider=provider, data=msgspec.json.encode(data), **given)))


def test_a_slack_thread_reply_names_thread_channel_and_person():
    found = reply(
        {"team": "T", "event": {"channel": "C", "thread_ts": "1.2", "user": "U", "text": "yes please"}}, "slack"
    )
    assert "slack:T/C/1.2" in found.conversations
    assert "slack:T/C" in found.scopes
    assert (found.who, understand(found, ASK).approved, understand(found, ASK).comment) == (
        ("slack:U",),
        True,
        "please",
    )


def test_a_message_outside_of_threads_belongs_to_no_conversation():
    assert reply({"team": "T", "channel": "C", "user": "U", "text": "yes"}, "slack").conversations == frozenset()


def test_a_pressed_button_names_its_wait_and_the_decision():
    pressed = {
        "team": {"id": "T"}, "user": {"id": "U"}, "channel": {"id": "C"}, "message": {"ts": "1.2"},
        "actions": [{"action_id": "wfs:reject", "value": "wait-7"}],
    }  # fmt: skip
    found = reply(pressed, "slack")
    assert (found.ids, understand(found, ASK).approved) == (frozenset({"wait-7"}), False)
    assert "slack:T/C/1.2" in found.conversations


def test_a_mail_answers_by_its_references_or_the_tag_of_the_address():
    mail = {
        "from": "Ada <Ada@Example.org>", "to": ["desk+tok@x.test"], "in_reply_to": "<m1@x>",
        "references": "<m0@x> <m1@x>", "text": "> Publish?\n\nNo, not yet.\n\nAda",
    }  # fmt: skip
    found = reply(mail, "email")
    assert {"email:m1@x", "email:m0@x", "email-token:tok"} <= found.conversations
    assert (found.who, understand(found, ASK).approved) == (("ada@example.org",), False)


def test_an_issue_comment_belongs_to_its_issue():
    data = {
        "repository": {"full_name": "Acme/Billing"}, "issue": {"number": 17},
        "comment": {"user": {"login": "ada"}, "body": "LGTM"},
    }  # fmt: skip
    found = reply(data, "github")
    assert (found.conversations, found.who) == (frozenset({"github:acme/billing#17"}), ("github:ada",))
    assert understand(found, ASK).approved is True


def test_a_cloudevent_carries_the_same_facts_and_a_webhook_does_not():
    data = {"slack": {"team": "T", "channel": "C", "thread_ts": "1.2", "user": "U", "text": "ok"}}
    assert "slack:T/C/1.2" in reply(data).conversations
    assert reply(data, "webhook").conversations == frozenset()
    assert "slack:T/C/1.2" in reply(data["slack"], type="slack.message").conversations


def test_a_message_that_begins_otherwise_is_no_answer():
    found = reply({"slack": {"channel": "C", "user": "U", "text": "what is this about? yes?"}})
    assert understand(found, ASK).flaw is not None


def test_a_question_takes_the_message_as_its_only_field():
    form = {"type": "object", "properties": {"region": {"type": "string"}}}
    found = reply({"slack": {"channel": "C", "user": "U", "text": "eu"}})
    assert understand(found, WaitRequest(ask="?", decides=False, form=form)).answer == {"region": "eu"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["slack", "email", "github", "event", "actions", "channel", "thread_ts", "user", "text", "from", "to",
         "references", "in_reply_to", "repository", "issue", "number", "comment", "interaction_id", "approved",
         "resume_data", "team", "message", "wait_token", "correlation", "decision", "answer"]), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(JSON, st.sampled_from(["slack", "email", "github", "event", "webhook"]), st.booleans())
def test_nothing_that_an_event_may_hold_does_any_harm(data, provider, decides):
    found = reply(data, provider)
    form = None if decides else {"type": "object"}
    understand(found, WaitRequest(ask="?", decides=decides, form=form))
    assert read_reply(EventView(make_event(data=b"{broken"))) == NOTHING
