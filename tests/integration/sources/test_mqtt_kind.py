"""MQTT on Mosquitto: what is acknowledged when, what is delivered once more, and what the broker kept from before."""

import asyncio

import msgspec
import pytest
from aiomqtt import Client
from peers.mqtt import Peer
from pydantic import ValidationError

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.brokers import Mqtt
from workflow_scheduler.testing.sources import LoneIO
from workflow_scheduler.triggers import mqtt


@pytest.fixture
async def peer(request):
    if Peer.missing:
        pytest.skip(Peer.missing)
    made = Peer()
    made.settings_lines = getattr(request, "param", made.settings_lines)
    await made.start()
    yield made
    await made.stop()


def lent(peer):
    return LoneIO(connections={"plant": ("mqtt", Mqtt.model_validate(peer.connections["plant"]["fields"]))})


def config(**given):
    return mqtt.Config.model_validate({"connection": "plant", "topics": ["numbers/#"], **given})


async def begun(config, io, position=None):
    """Return a stream that is subscribed; what comes is waited for with `anext`."""
    stream = mqtt.open(config, position, io)
    coming = asyncio.ensure_future(anext(stream))
    while io._pulse.alive_at is None:  # noqa: ASYNC110 -- what has no event
        await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop
    return stream, coming


async def test_what_was_stored_and_not_acknowledged_is_known_when_it_comes_once_more(peer):
    async with lent(peer) as io:
        stream, coming = await begun(config(), io)
        await peer.publish([1])
        first = await coming
        assert [one.data for one in first.heard] == [b'{"n":1}']
        await stream.aclose()
        stream, coming = await begun(config(), io, first.position)
        again = await coming
        assert again.heard == []
        await again.ack()
        await stream.aclose()
        stream, coming = await begun(config(), io, again.position)
        await peer.publish([2])
        assert [one.data for one in (await coming).heard] == [b'{"n":2}']
        await stream.aclose()


async def test_what_was_not_stored_is_heard_when_it_comes_once_more(peer):
    async with lent(peer) as io:
        stream, coming = await begun(config(), io)
        await peer.publish([1])
        await coming
        await stream.aclose()
        stream, coming = await begun(config(), io)
        assert [one.data for one in (await coming).heard] == [b'{"n":1}']
        await stream.aclose()


@pytest.mark.parametrize("retained", [True, False])
async def test_what_the_broker_kept_counts_when_it_is_asked_for(peer, retained):
    async with Client("127.0.0.1", peer.port) as client:
        await client.publish("numbers/kept", b'{"n":9}', qos=1, retain=True)
    async with lent(peer) as io:
        stream, coming = await begun(config(retained=retained), io)
        await peer.publish([1])
        heard = list((await coming).heard)
        while not any(one.data == b'{"n":1}' for one in heard):
            heard += (await anext(stream)).heard
        found = [(one.data, msgspec.json.decode(one.attributes)["retained"]) for one in heard]
        assert found == ([(b'{"n":9}', True)] if retained else []) + [(b'{"n":1}', False)]
        await stream.aclose()


@pytest.mark.parametrize("peer", [["allow_anonymous false"]], indirect=True)
async def test_wrong_credentials_are_said_so(peer):
    async with lent(peer) as io:
        with pytest.raises(Rejected, match="refuses"):
            await anext(mqtt.open(config(), None, io))


@pytest.mark.parametrize("topic", ["plant/#/alarm", "plant/a+", "", "a#"])
def test_what_is_no_topic_filter_is_refused(topic):
    with pytest.raises(ValidationError, match="is no topic filter"):
        config(topics=[topic])


def test_filters_of_whole_levels_are_taken():
    assert config(topics=["+/a/#", "$share/us/plant/+", "#"]).topics[2] == "#"
