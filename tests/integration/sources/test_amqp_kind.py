"""AMQP on RabbitMQ: what is acknowledged when, what is delivered once more, and what is bound."""

import asyncio

import aio_pika
import msgspec
import pytest
from peers.amqp import QUEUE, Peer
from pydantic import ValidationError

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Amqp
from workflow_scheduler.testing.sources import LoneIO
from workflow_scheduler.triggers import amqp


@pytest.fixture(scope="module")
def broker():
    """A broker of the module: it takes seconds to start."""
    if Peer.missing:
        pytest.skip(Peer.missing)
    made = Peer()
    asyncio.run(made.start())
    yield made
    asyncio.run(made.stop())


@pytest.fixture
async def peer(broker):
    yield broker
    async with broker.channel() as channel:
        for name in (QUEUE, "billing"):
            await channel.queue_delete(name)
        await channel.declare_queue(QUEUE, durable=True)


def lent(peer, **more):
    fields = {**peer.connections["bus"]["fields"], **more}
    return LoneIO(connections={"bus": ("amqp", Amqp.model_validate(fields))})


def config(**given):
    return amqp.Config.model_validate({"connection": "bus", "queue": QUEUE, **given})


async def publish(peer, number, **more):
    async with peer.channel() as channel:
        await peer.send(channel, number, **more)


def numbers(received):
    return [msgspec.json.decode(one.data)["n"] for one in received.heard]


async def test_what_was_stored_and_not_acknowledged_is_known_when_it_comes_once_more(peer):
    async with lent(peer) as io:
        await publish(peer, 1)
        stream = amqp.open(config(), None, io)
        first = await anext(stream)
        assert numbers(first) == [1]
        await stream.aclose()
        stream = amqp.open(config(), first.position, io)
        again = await anext(stream)
        assert again.heard == []
        await again.ack()
        await publish(peer, 2)
        assert numbers(await anext(stream)) == [2]
        await stream.aclose()


async def test_what_was_not_stored_is_heard_when_it_comes_once_more(peer):
    async with lent(peer) as io:
        await publish(peer, 1)
        for _ in range(2):
            stream = amqp.open(config(), None, io)
            received = await anext(stream)
            assert numbers(received) == [1]
            await stream.aclose()
        assert msgspec.json.decode(received.heard[0].attributes)["redelivered"] is True


async def test_of_equal_messages_as_many_are_known_as_were_stored(peer):
    async with lent(peer) as io:
        await publish(peer, 1)
        stream = amqp.open(config(), None, io)
        first = await anext(stream)
        await publish(peer, 1)
        second = await anext(stream)  # it is delivered, and nothing of it is stored
        assert (numbers(first), numbers(second)) == ([1], [1])
        await stream.aclose()
        stream = amqp.open(config(), first.position, io)
        heard = []
        for _ in range(2):
            heard += numbers(await anext(stream))
            if heard:
                break
        assert heard == [1]
        await stream.aclose()


async def test_an_acknowledged_message_does_not_come_again(peer):
    async with lent(peer) as io:
        await publish(peer, 1)
        stream = amqp.open(config(), None, io)
        received = await anext(stream)
        await received.ack()
        await publish(peer, 2)
        received = await anext(stream)
        assert len(received.position) == 1
        await received.ack()
        await stream.aclose()
        async with peer.channel() as channel:
            queue = await channel.declare_queue(QUEUE, passive=True)
            assert queue.declaration_result.message_count == 0


async def test_a_message_id_names_the_event_and_what_the_message_carries_is_in_its_attributes(peer):
    async with lent(peer) as io:
        more = {"message_id": "m-1", "correlation_id": "c-1", "content_type": "application/json", "type": "paid"}
        await publish(peer, 1, headers={"tenant": "acme", "raw": bytearray(b"\xff"), "deep": {"n": [1]}}, **more)
        await publish(peer, 1, **more)
        await publish(peer, 2, **more)
        stream = amqp.open(config(), None, io)
        heard = []
        while len(heard) < 3:
            heard += (await anext(stream)).heard
        await stream.aclose()
        keys = [one.event_key for one in heard]
        assert keys[0] == keys[1] != keys[2]
        assert keys[0].startswith("m-1@")
        attributes = msgspec.json.decode(heard[0].attributes)
        assert attributes["headers"] == {"tenant": "acme", "raw": "/w==", "deep": {"n": [1]}}
        assert {name: attributes[name] for name in more} == more
        assert (attributes["routing_key"], attributes["queue"], heard[0].subject) == (QUEUE, QUEUE, QUEUE)


async def test_a_queue_that_is_not_there_is_made_and_bound_where_an_exchange_is_named(peer):
    async with peer.channel() as channel, lent(peer) as io:
        shop = await channel.declare_exchange("shop", aio_pika.ExchangeType.TOPIC, durable=True)
        stream = amqp.open(config(queue="billing", exchange="shop", routing_keys=["order.*"]), None, io)
        coming = asyncio.ensure_future(anext(stream))
        while io._pulse.alive_at is None:  # noqa: ASYNC110 -- what has no event
            await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop
        for key in ("refund.paid", "order.paid"):
            await shop.publish(aio_pika.Message(b'{"n":1}'), key)
        (heard,) = (await coming).heard
        assert heard.subject == "order.paid"
        await stream.aclose()
        again = amqp.open(config(queue="billing", exchange="shop", routing_keys=["order.*"]), None, io)
        assert len((await anext(again)).heard) == 1
        await again.aclose()


@pytest.mark.parametrize(
    ("given", "more", "says"),
    [
        ({"queue": "nobody"}, {}, "no queue 'nobody'"),
        ({"queue": "billing", "exchange": "nobody"}, {}, "no exchange 'nobody'"),
        ({}, {"password": "wrong"}, "refuses"),
        ({}, {"vhost": "elsewhere"}, "refuses the virtual host `elsewhere`"),
    ],
    ids=["queue", "exchange", "password", "vhost"],
)
async def test_what_is_not_there_or_not_allowed_is_said_so(peer, given, more, says):
    async with lent(peer, **more) as io:
        with pytest.raises(Rejected, match=says):
            await anext(amqp.open(config(**given), None, io))


async def test_a_queue_that_is_deleted_ends_the_reading(peer, monkeypatch):
    monkeypatch.setattr(amqp, "ASK_SECONDS", 0.05)
    async with lent(peer) as io, peer.channel() as channel:
        stream = amqp.open(config(), None, io)
        coming = asyncio.ensure_future(anext(stream))
        while io._pulse.alive_at is None:  # noqa: ASYNC110 -- what has no event
            await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop
        await channel.queue_delete(QUEUE)
        with pytest.raises(Rejected, match="no queue 'numbers'"):
            await coming


async def test_a_port_at_which_nobody_listens_is_said_so(peer):
    async with lent(peer, port=1) as io:
        with pytest.raises(NotConnected, match=r"127\.0\.0\.1:1"):
            await anext(amqp.open(config(), None, io))


def test_routing_keys_belong_to_an_exchange():
    with pytest.raises(ValidationError, match="need the `exchange`"):
        config(routing_keys=["a"])
