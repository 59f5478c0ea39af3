"""Messages that never arrived are found in the history of their channels, and count once."""

import asyncio

import msgspec
import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.inbound import slack_history
from workflow_scheduler.core.inbound.merged import merged
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.ports.sources import Received
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.slack_peer import TOKEN, SlackPeer
from workflow_scheduler.testing.sources import LoneIO, SourceBench
from workflow_scheduler.triggers import slack

SECOND_US = 1_000_000


@pytest.fixture
async def workspace():
    async with SlackPeer() as peer:
        yield peer


def lent(workspace, clock):
    fields = Slack(token=TOKEN, api_url=workspace.url)
    return LoneIO(clock, connections={"chat": ("slack", fields)})


def config(**given):
    return slack.Config.model_validate({"connection": "chat", "channels": ["C1"], "history": True, **given})


def write(workspace, clock, text, channel="C1", **more):
    """Let somebody write now."""
    ts = f"{clock.now() / SECOND_US:.6f}"
    workspace.messages(channel).append({"type": "message", "user": "U061F7AUR", "text": text, "ts": ts, **more})
    return ts


async def look(config, position, io):
    """Return what one look finds, and where it ends."""
    stream = slack.open(config, position, io)
    heard = []
    async for piece in stream:
        heard += piece.heard
        position = piece.position
        if not piece.heard:
            await stream.aclose()
    return heard, position


async def test_the_first_look_takes_note_and_the_next_one_hears_what_came_between(workspace):
    clock = FakeClock()
    async with lent(workspace, clock) as io:
        write(workspace, clock, "before")
        clock.jump(120)
        heard, position = await look(config(), None, io)
        assert heard == []
        ts = write(workspace, clock, "<@U1> deploy")
        write(workspace, clock, "has joined", subtype="channel_join")
        write(workspace, clock, "a reply", thread_ts=ts)
        clock.jump(120)
        write(workspace, clock, "just now")
        heard, position = await look(config(), position, io)
        assert [(one.type, one.event_key) for one in heard] == [
            ("slack.app_mention", f"app_mention:C1:{ts}"), ("slack.message", f"message:C1:{ts}"),
        ]  # fmt: skip
        attributes = msgspec.json.decode(heard[1].attributes)
        assert (attributes["healed"], attributes["team"], heard[1].source) == (True, "T1", "/slack/T1")
        clock.jump(120)
        heard, position = await look(config(), position, io)
        assert [msgspec.json.decode(one.data)["event"]["text"] for one in heard] == ["just now"]
        assert (await look(config(), position, io))[0] == []


async def test_a_long_history_is_read_whole_and_in_order(workspace):
    clock = FakeClock()
    workspace.page_max = 7
    async with lent(workspace, clock) as io:
        _, position = await look(config(), None, io)
        stamps = []
        for _ in range(450):
            stamps.append(write(workspace, clock, "again"))
            clock.jump(1)
        clock.jump(120)
        heard, _ = await look(config(event_types=["message.channels"]), position, io)
        assert [one.event_key for one in heard] == [f"message:C1:{ts}" for ts in stamps]


async def test_a_private_channel_is_known_as_one(workspace):
    clock = FakeClock()
    workspace.channels[0].private = True
    async with lent(workspace, clock) as io:
        _, position = await look(config(), None, io)
        write(workspace, clock, "psst")
        clock.jump(120)
        heard, _ = await look(config(), position, io)
        assert msgspec.json.decode(heard[0].data)["event"]["channel_type"] == "group"


async def test_what_slack_refuses_is_said_so(workspace):
    clock = FakeClock()
    async with lent(workspace, clock) as io:
        _, position = await look(config(channels=["C2"]), None, io)
        clock.jump(120)
        with pytest.raises(Rejected, match="the bot is not a member of the channel"):
            await look(config(channels=["C2"]), position, io)
        workspace.failures = ["internal_error"]
        with pytest.raises(NotConnected, match="internal_error"):
            await look(config(channels=["C1"]), {"C1": position["C2"]}, io)


@pytest.mark.parametrize(
    "given", [{"channels": []}, {"connection": None}, {"event_types": ["reaction_added"]}], ids=["where", "who", "what"]
)
def test_a_history_needs_channels_a_token_and_messages(given):
    with pytest.raises(ValidationError, match="`history` needs"):
        config(**given)


class Told:
    """The peer of a bench: nothing calls, and the history has what was published."""

    type = "slack"

    def __init__(self, workspace):
        self.secrets = {"SLACK_SIGNING_SECRET": "signing"}
        self.connections = {"chat": {"kind": "slack", "fields": {"token": TOKEN, "api_url": workspace.url}}}

    def config(self):
        return {"type": "slack", "connection": "chat", "channels": ["C1"], "history": True, "event_types": ["message"]}

    def number(self, data):
        return data["event"]["text"]


async def test_a_message_that_came_counts_once_and_one_that_did_not_is_found_after_a_restart(
    workspace, tmp_path, monkeypatch
):
    monkeypatch.setattr(slack_history, "SETTLED_US", 0)
    async with SourceBench(tmp_path, Told(workspace)) as bench:
        await bench.until(lambda: works(bench), "the first look")
        clock = bench.app.clock
        write(workspace, clock, "came")
        await deliver(bench, workspace.messages()[-1])
        assert dict(await bench.heard(1)) == {"came": 1}
        await bench.crash()
        write(workspace, clock, "missed")
        await bench.start()
        assert dict(await bench.heard(2)) == {"came": 1, "missed": 1}


async def works(bench):
    return (await bench.health())["source"]["connected"]


async def deliver(bench, message):
    """Let Slack send a message, signed."""
    event = {**message, "channel": "C1", "channel_type": "channel"}
    body = msgspec.json.encode({"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event})
    headers = {"content-type": "application/json"}
    request = PushRequest("POST", "/api/v1/slack/events", "", headers, body, bench.app.clock.now())
    headers |= slack.sign(None, request, "signing")
    answer = await bench.http.request("POST", "/api/v1/slack/events", body=body, headers=headers)
    assert answer.status == 200, answer.text


async def test_of_streams_side_by_side_each_is_read_and_the_first_that_ends_ends_all():
    closed = []

    async def stream(name, pieces, last):
        try:
            for number in range(pieces):
                yield Received(position=[name, number])
            if last is None:
                await asyncio.Event().wait()
            raise last
        finally:
            closed.append(name)

    both = merged(stream("a", 3, None), stream("b", 2, NotConnected("gone")))
    found = {"a": [], "b": []}

    async def read():
        async for piece in both:
            name, number = piece.position
            found[name].append(number)

    with pytest.raises(NotConnected, match="gone"):
        await read()
    assert all(numbers == list(range(len(numbers))) for numbers in found.values())
    assert sorted(closed) == ["a", "b"]
