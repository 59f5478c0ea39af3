"""`slack` jobs against a workspace that enforces Slack's documented rules, through the real HTTP client."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import OutcomeUnknown, Rejected, RetryAfter, Unavailable
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.jobs import slack
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.testing.job_context import FakeJobContext, FakeResources
from workflow_scheduler.testing.slack_peer import TOKEN, SlackPeer


@pytest.fixture
async def peer():
    async with SlackPeer() as workspace:
        yield workspace


@pytest.fixture
async def context(peer):
    client = HttpClient(EgressGuard(["127.0.0.1"]))
    connections = {
        "chat": ("slack", Slack(token=TOKEN, api_url=peer.url)),
        "revoked": ("slack", Slack(token="xoxb-revoked", api_url=peer.url)),
    }
    made = FakeJobContext(resources=FakeResources(client, connections=connections))
    yield made
    made.resources.close()
    await client.close()


async def post(context, **config):
    return await slack.run(
        slack.Config.model_validate({"connection": "chat", "channel": "C1", "text": "hello", **config}), context
    )


async def test_a_message_is_posted_with_its_blocks_and_an_identity(peer, context):
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}]
    output = await post(context, channel="#ops", blocks=blocks)
    (message,) = peer.messages()
    assert output == {"channel": "C1", "ts": message["ts"], "already": False}
    assert (message["text"], message["blocks"]) == ("hello", blocks)
    assert message["metadata"]["event_payload"] == {"key": "run-1:job"}
    assert len(message["client_msg_id"]) == 36


async def test_an_answer_in_a_thread_and_a_change(peer, context):
    first = await post(context)
    answer = await post(context, thread_ts=first["ts"], reply_broadcast=True)
    assert peer.messages()[1]["thread_ts"] == first["ts"]
    changed = await post(context, update=answer["ts"], text="better")
    assert changed == {"channel": "C1", "ts": answer["ts"], "already": False}
    assert [one["text"] for one in peer.messages()] == ["hello", "better"]


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_message_whose_answer_was_lost_is_not_posted_twice(peer, context, threaded):
    more = {}
    if threaded:
        context.idempotency_key = "run-0:first"
        more = {"thread_ts": (await post(context))["ts"]}
        context.idempotency_key = "run-1:job"
    before = len(peer.messages())
    peer.lost_answers = 1
    with pytest.raises(OutcomeUnknown) as caught:
        await post(context, **more)
    assert slack.retryable(caught.value)
    context.attempt = 2
    output = await post(context, **more)
    assert output["already"] is True
    assert len(peer.messages()) == before + 1
    assert output["ts"] == peer.messages()[-1]["ts"]


async def test_a_second_attempt_that_may_not_look_posts_and_says_so(peer, context):
    peer.scopes.discard("channels:history")
    context.attempt = 2
    assert (await post(context))["already"] is False
    (line,) = context.lines
    assert "missing_scope" in line[1]
    assert "channels:history" in line[1]


async def test_a_second_attempt_finds_no_message_of_another_job(peer, context):
    await post(context)
    context.idempotency_key, context.attempt = "run-2:job", 2
    assert (await post(context))["already"] is False
    assert len(peer.messages()) == 2


async def test_retry_after_is_honoured(peer, context):
    peer.limited, peer.retry_after_seconds = 1, 17
    with pytest.raises(RetryAfter) as caught:
        await post(context)
    assert caught.value.retry_after_seconds == 17
    assert slack.retryable(caught.value)
    assert (await post(context))["already"] is False


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"channel": "#nowhere"}, "no such channel, or the bot cannot see it (channel_not_found)"),
        ({"channel": "C2"}, "the bot is not a member of the channel (not_in_channel)"),
        ({"channel": "C3"}, "the channel is archived (is_archived)"),
        ({"connection": "revoked"}, "the token is not valid (invalid_auth)"),
        ({"thread_ts": "1.1"}, "there is no message at `thread_ts` (thread_not_found)"),
        ({"update": "1.1"}, "there is no message at `update` (message_not_found)"),
        ({"blocks": [{"text": "no type"}]}, "the blocks are not valid (invalid_blocks)"),
    ],
)
async def test_what_slack_refuses_is_named_in_plain_words(context, config, words):
    with pytest.raises(Rejected) as caught:
        await post(context, **config)
    assert words in caught.value.detail
    assert caught.value.fix
    assert not slack.retryable(caught.value)


@pytest.mark.parametrize("code", ["internal_error", "service_unavailable", "fatal_error"])
async def test_what_fails_for_the_moment_may_be_tried_again(peer, context, code):
    peer.failures = [code]
    with pytest.raises(Unavailable) as caught:
        await post(context)
    assert slack.retryable(caught.value)


async def test_a_refusal_nobody_knows_is_told_with_its_code(peer, context):
    peer.failures = ["brand_new_error"]
    with pytest.raises(Rejected, match="brand_new_error"):
        await post(context)


async def test_the_token_may_stand_in_a_secret():
    context = FakeJobContext()
    config = slack.Config(channel="C1", text="x")
    with pytest.raises(Rejected, match="no secret `SLACK_BOT_TOKEN`"):
        await slack.run(config, context)
    context.resources.close()


async def test_the_token_never_reaches_an_error(peer, context):
    with pytest.raises(Rejected) as caught:
        await post(context, connection="revoked")
    assert "xoxb" not in f"{caught.value.detail}{caught.value.fix}{context.lines}"


@pytest.mark.parametrize(
    "config",
    [
        {"text": None},
        {"text": "x" * 40_001},
        {"blocks": [{"type": "divider"}] * 51},
        {"thread_ts": "yesterday"},
        {"update": "1.1", "thread_ts": "1.1"},
        {"secret": "also"},
        {"channel": ""},
        {"channel": "C1\nX"},
        {"txt": "x"},
    ],
)
def test_configurations_that_are_refused(config):
    with pytest.raises(ValidationError):
        slack.Config.model_validate({"connection": "chat", "channel": "C1", "text": "x", **config})
