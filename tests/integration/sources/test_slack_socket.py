"""Socket Mode of Slack: the suite of sources, refreshed sockets, commands, and what is refused."""

import msgspec
import pytest
from aiohttp import web
from pydantic import ValidationError
from servers.slack import Socket

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.testing.conformance.source_type import SourcePeerConformance
from workflow_scheduler.testing.sources import LoneIO, SourceBench
from workflow_scheduler.triggers import slack


@pytest.fixture
async def peer():
    made = Socket()
    await made.start()
    yield made
    await made.stop()


class TestSocketMode(SourcePeerConformance):
    """A thousand messages, a crash and an outage."""


def lent(peer, **fields):
    given = {**peer.connections["chat"]["fields"], **fields}
    return LoneIO(connections={"chat": ("slack", Slack.model_validate(given))})


CONFIG = slack.Config.model_validate({"connection": "chat", "socket": True, "event_types": []})


async def test_a_socket_that_slack_closes_is_replaced_and_what_was_not_acknowledged_comes_again(peer):
    async with lent(peer) as io:
        stream = slack.open(CONFIG, None, io)
        await peer.publish([1])
        first = await anext(stream)
        await peer.refresh()
        again = await anext(stream)
        assert (peer.opened, [one.event_key for one in again.heard]) == (2, [one.event_key for one in first.heard])
        await again.ack()
        await peer.publish([2])
        assert [one.event_key for one in (await anext(stream)).heard] == ["message:C1:2.1"]
        await stream.aclose()
    assert "e1" not in peer.waiting


async def test_commands_and_buttons_are_handed_over_as_well(peer):
    command = {"command": "/deploy", "text": "billing", "team_id": "T1234567890", "user_id": "U1", "channel_id": "C1",
               "trigger_id": "13.37.a"}  # fmt: skip
    pressed = {"type": "block_actions", "trigger_id": "13.38.b", "team": {"id": "T1234567890"}, "user": {"id": "U1"}}
    await peer.put("slash_commands", command)
    await peer.put("interactive", pressed)
    await peer.put("odd", [1])
    async with lent(peer) as io:
        stream = slack.open(CONFIG, None, io)
        found = [await anext(stream) for _ in range(3)]
        assert [[one.type for one in piece.heard] for piece in found] == [
            ["slack.slash_command"], ["slack.block_actions"], [],
        ]  # fmt: skip
        await stream.aclose()


async def test_an_event_of_a_socket_is_for_the_triggers_of_that_socket(peer, tmp_path):
    async with SourceBench(tmp_path, peer) as bench:
        await bench.ask("POST", "/api/v1/secrets", {"name": "other", "value": "of another app"})
        other = {"type": "slack", "secret": "other", "event_types": [], "workspace_id": "T1234567890"}
        spec = {"version": 1, "name": "elsewhere", "triggers": {"it": other}, "jobs": {"note": {"uses": "noop"}}}
        await bench.ask("POST", "/api/v1/deployment/workflows/elsewhere/deploy", {"workflow_spec": spec})
        await peer.publish([7])
        assert dict(await bench.heard(1)) == {7: 1}
        rows = await bench.app.store.read("SELECT outcome, predicates FROM decisions ORDER BY outcome")
        assert [row[0] for row in rows] == ["filtered", "run_started"]
        lines = {one["name"]: one["verdict"] for one in msgspec.json.decode(rows[0][1])}
        assert lines["secret"] is False


async def test_what_slack_refuses_is_said_so(peer):
    async with lent(peer, app_token="xapp-wrong") as io:
        with pytest.raises(Rejected, match="the token is not valid"):
            await anext(slack.open(CONFIG, None, io))
    async with lent(peer, app_token=None) as io:
        with pytest.raises(Rejected, match="has no app token"):
            await anext(slack.open(CONFIG, None, io))
    slow = web.Response(status=429, headers={"Retry-After": "30"})
    peer.answers = [slow, web.Response(status=503), web.json_response({"ok": True})]
    async with lent(peer) as io:
        for error in (RetryAfter, NotConnected, NotConnected):
            with pytest.raises(error):
                await anext(slack.open(CONFIG, None, io))


def test_a_socket_needs_a_connection_and_no_signing_secret():
    with pytest.raises(ValidationError, match="needs a `connection`"):
        slack.Config(socket=True)
    assert slack.secret_name(CONFIG) is None
    assert slack.source_key(slack.Config()) is None
