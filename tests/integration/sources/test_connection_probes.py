"""`connection test` of every kind that sources use, with its real server: that it answers, and that it is away."""

import pytest
from peers import amqp, email, google_pubsub, kafka, mqtt, nats, redis_stream, sns_sqs

from workflow_scheduler.testing.sources import SourceBench

PEERS = {
    amqp.Peer: "it is RabbitMQ 3.",
    email.Peer: "logged in as ann",
    google_pubsub.Peer: "the credentials are good until 20",
    kafka.Peer: "the cluster has 3 brokers",
    mqtt.Peer: "logged in as anybody",
    nats.Peer: "it is NATS 2.",
    redis_stream.Peer: "answers",
    sns_sqs.Peer: "the keys belong to arn:",
}


@pytest.fixture(params=PEERS, ids=lambda peer: peer.type)
async def peer(request):
    if getattr(request.param, "missing", None):
        pytest.skip(request.param.missing)
    made = request.param()
    await made.start()
    yield made
    await made.stop()


async def test_a_connection_is_tried_and_says_what_answered(peer, tmp_path):
    (name,) = peer.connections
    async with SourceBench(tmp_path, peer, **getattr(peer, "settings", {})) as bench:
        tried = await bench.ask("POST", f"/api/v1/connections/{name}/test")
        assert tried["ok"] is True
        assert PEERS[type(peer)] in tried["detail"]


async def test_a_server_that_is_away_is_said_so(peer, tmp_path):
    (name,) = peer.connections
    async with SourceBench(tmp_path, peer, **getattr(peer, "settings", {})) as bench:
        await peer.cut()
        tried = await bench.ask("POST", f"/api/v1/connections/{name}/test")
        assert tried["ok"] is False
        assert tried["detail"]
        await peer.restore()
