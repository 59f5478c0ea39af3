"""Pub/Sub and Cloud Storage, over servers that enforce their documented rules."""

import json

import msgspec
import pytest
from aiohttp import web
from peers.gcs import Listed, Notified, Paged
from peers.google_pubsub import Peer as Numbers
from pydantic import ValidationError

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.connection import Google
from workflow_scheduler.testing.sources import LoneIO, SourceBench
from workflow_scheduler.triggers import gcs, google_pubsub


def lent(peer):
    return LoneIO(connections={"cloud": ("google", Google.model_validate(peer.connections["cloud"]["fields"]))})


@pytest.fixture(params=[Numbers, Notified, Listed, Paged])
async def peer(request):
    made = request.param()
    await made.start()
    yield made
    await made.stop()


def only(kind):
    return pytest.mark.parametrize("peer", [kind], indirect=True, ids=[kind.__name__])


async def hears(config, io, cursor=None):
    heard = []
    while True:
        page = await gcs.poll(config, cursor, io)
        heard += page.heard
        io.items.take(page.items)
        cursor = page.cursor
        if not page.more:
            return heard, cursor


@only(Numbers)
async def test_a_message_is_acknowledged_after_the_commit_and_comes_again_before(peer):
    peer.deadline_seconds = 0
    peer.put(b'{"n":7}', {"kind": "paid"}, key="ann")
    config = google_pubsub.Config(connection="cloud", subscription=peer.subscription)
    async with lent(peer) as io:
        stream = google_pubsub.open(config, None, io)
        received = await anext(stream)
        (heard,) = received.heard
        told = msgspec.json.decode(heard.attributes)
        assert (heard.type, heard.event_key, heard.data, heard.subject) == ("pubsub.message", "1", b'{"n":7}', "ann")
        assert (told["attributes"], told["ordering_key"]) == ({"kind": "paid"}, "ann")
        await received.ack()
        await stream.aclose()
    assert (peer.acknowledged, peer.waiting, peer.leased) == (1, [], {})


@only(Numbers)
async def test_bytes_and_odd_times_are_messages_too(peer):
    peer.put(b"\xff\x00")
    peer.waiting[0] = {"messageId": "1", "data": peer.waiting[0]["data"], "publishTime": "soon"}
    config = google_pubsub.Config(connection="cloud", subscription=peer.subscription)
    async with lent(peer) as io:
        stream = google_pubsub.open(config, None, io)
        (heard,) = (await anext(stream)).heard
        assert (heard.data, heard.time, heard.subject) == (b'"/wA="', None, None)
        await stream.aclose()


@only(Numbers)
async def test_a_token_is_used_until_it_is_taken_back(peer):
    config = google_pubsub.Config(connection="cloud", subscription=peer.subscription)
    async with lent(peer) as io:
        for _ in range(2):
            peer.put(b"1")
            stream = google_pubsub.open(config, None, io)
            await (await anext(stream)).ack()
            await stream.aclose()
        assert len(peer.exchanged) == 1
        peer.tokens.clear()
        peer.put(b"1")
        stream = google_pubsub.open(config, None, io)
        await anext(stream)
        await stream.aclose()
    assert len(peer.exchanged) == 2


@only(Numbers)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_email": "somebody@else.example"}, "Invalid JWT Signature"),
        ({"private_key": "no key"}, "private key of the service account cannot be read"),
    ],
)
async def test_wrong_credentials_are_said_so(peer, change, words):
    fields = dict(peer.connections["cloud"]["fields"])
    fields["service_account"] = json.dumps({**json.loads(fields["service_account"]), **change})
    async with LoneIO(connections={"cloud": ("google", Google.model_validate(fields))}) as io:
        with pytest.raises(Rejected, match=words):
            await anext(
                google_pubsub.open(google_pubsub.Config(connection="cloud", subscription=peer.subscription), None, io)
            )


@only(Numbers)
async def test_what_a_person_consented_to_is_enough(peer):
    given = {"client_id": "us", "client_secret": "the client's secret", "refresh_token": "1//refresh"}
    peer.put(b"1")
    fields = Google(endpoint=peer.url + "/open", **given)
    assert fields.endpoint.endswith("/open")
    async with LoneIO(connections={"cloud": ("google", Google(endpoint=peer.url, **given))}) as io:
        stream = google_pubsub.open(google_pubsub.Config(connection="cloud", subscription=peer.subscription), None, io)
        assert len((await anext(stream)).heard) == 1
        await stream.aclose()
    assert peer.exchanged[0]["grant_type"] == "refresh_token"


@only(Numbers)
async def test_a_subscription_that_is_not_there_is_said_so(peer):
    config = google_pubsub.Config(connection="cloud", subscription="projects/shop/subscriptions/none")
    async with lent(peer) as io:
        with pytest.raises(Rejected, match="404"):
            await anext(google_pubsub.open(config, None, io))


@only(Listed)
async def test_what_is_put_and_removed_is_heard_with_its_content(peer):
    config = gcs.Config(
        connection="cloud",
        bucket=peer.bucket,
        events=("created", "modified", "deleted"),
        content="text",
        start="earliest",
    )
    async with lent(peer) as io:
        _, cursor = await hears(config, io)
        peer.put("a/ü & b.csv", b"1;2")
        ((one,), cursor) = await hears(config, io, cursor)
        data = msgspec.json.decode(one.data)
        assert (one.type, one.subject, data["name"]) == ("gcs.created", "a/ü & b.csv", "ü & b.csv")
        assert (data["size"], data["content"], data["bucket"]) == (3, "1;2", peer.bucket)
        assert data["generation"]
        peer.put("a/ü & b.csv", b"1;2;3")
        ((one,), cursor) = await hears(config, io, cursor)
        assert one.type == "gcs.modified"
        peer.remove("a/ü & b.csv")
        ((one,), cursor) = await hears(config, io, cursor)
        assert (one.type, msgspec.json.decode(one.data)["content"]) == ("gcs.deleted", None)
        assert (await hears(config, io, cursor))[0] == []


@only(Paged)
async def test_what_is_put_and_removed_among_many_pages_is_heard(peer):
    await peer.publish(range(1_000, 1_500))
    config = gcs.Config(connection="cloud", bucket=peer.bucket, events=("created", "modified", "deleted"))
    async with lent(peer) as io:
        heard, cursor = await hears(config, io)
        assert (heard, len(io.items.versions)) == ([], 500)
        for number in range(1_100, 1_400):
            del peer.generations[f"in/{number}.json"]
        peer.generations |= {"in/1450.json": "changed", "in/0.json": "new"}
        heard, cursor = await hears(config, io, cursor)
        gone = [one.subject for one in heard if one.type == "gcs.deleted"]
        assert sorted(gone) == [f"in/{number}.json" for number in range(1_100, 1_400)]
        others = {(one.type, one.subject) for one in heard if one.type != "gcs.deleted"}
        assert others == {("gcs.created", "in/0.json"), ("gcs.modified", "in/1450.json")}
        assert (await hears(config, io, cursor))[0] == []


@only(Listed)
async def test_a_bucket_that_is_not_there_is_said_so(peer):
    async with lent(peer) as io:
        with pytest.raises(Rejected, match="404"):
            await gcs.poll(gcs.Config(connection="cloud", bucket="nothing"), None, io)


@only(Notified)
async def test_notifications_of_objects_that_count_are_heard_and_acknowledged_after_the_commit(peer):
    config = gcs.Config(
        connection="cloud",
        bucket=peer.bucket,
        prefix="in/",
        subscription=peer.subscription,
        events=("created", "deleted"),
    )
    peer.tell("OBJECT_FINALIZE", "in/a.csv", "11")
    peer.tell("OBJECT_DELETE", "in/a.csv", "11")
    peer.tell("OBJECT_METADATA_UPDATE", "in/a.csv", "12")
    peer.tell("OBJECT_FINALIZE", "out/a.csv", "13")
    peer.tell("OBJECT_FINALIZE", "in/b.csv", "14", bucket="another")
    peer.put(b"no notification")
    async with lent(peer) as io:
        page = await gcs.poll(config, None, io)
        assert [(one.type, one.subject) for one in page.heard] == [
            ("gcs.created", "in/a.csv"),
            ("gcs.deleted", "in/a.csv"),
        ]
        assert msgspec.json.decode(page.heard[0].data)["size"] == 9
        assert peer.acknowledged == 0
        page = await gcs.poll(config, page.cursor, io)
        assert (page.heard, page.cursor, peer.acknowledged) == ([], None, 6)


def test_a_notification_cannot_tell_a_change_from_a_new_object():
    with pytest.raises(ValidationError, match="does not say whether the object was there before"):
        gcs.Config(connection="cloud", bucket="shop", subscription="projects/a/subscriptions/b", events=("modified",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give `service_account`, or"),
        ({"refresh_token": "1//x"}, "belong together"),
        ({"service_account": "no JSON"}, "must be the JSON key file"),
        ({"service_account": '{"client_email":"a","private_key":"b"}', "client_id": "a", "client_secret": "b",
          "refresh_token": "c"}, "not both"),
    ],
)  # fmt: skip
def test_credentials_that_cannot_work_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        Google.model_validate(given)


PERSON = {"client_id": "us", "client_secret": "a secret", "refresh_token": "1//refresh"}


class Emulator(Numbers):
    """A subscription at an emulator: it wants no credentials, and takes note of what it is sent."""

    def __init__(self):
        super().__init__()
        self.shown = set()

    @web.middleware
    async def _guard(self, request, handler):
        self.shown.add(request.headers.get("Authorization"))
        return await handler(request)

    @property
    def connections(self):
        return {"cloud": {"kind": "google", "fields": PERSON}}

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"


ACCOUNT = Google(**PERSON)


@only(Emulator)
async def test_the_emulator_of_the_installation_is_asked_without_credentials(peer):
    peer.put(b"7")
    config = google_pubsub.Config(connection="cloud", subscription=peer.subscription)
    async with LoneIO(connections={"cloud": ("google", ACCOUNT)}, pubsub_emulator=peer.host) as io:
        stream = google_pubsub.open(config, None, io)
        received = await anext(stream)
        assert [one.data for one in received.heard] == [b"7"]
        await received.ack()
        await stream.aclose()
    assert (peer.acknowledged, peer.shown, peer.exchanged) == (1, {None}, [])


@only(Emulator)
async def test_notifications_of_a_bucket_come_from_the_emulator_too(peer):
    peer.put(b"{}", {"eventType": "OBJECT_FINALIZE", "bucketId": "files", "objectId": "a.csv", "objectGeneration": "1"})
    config = gcs.Config(connection="cloud", bucket="files", subscription=peer.subscription)
    async with LoneIO(connections={"cloud": ("google", ACCOUNT)}, pubsub_emulator=peer.host) as io:
        page = await gcs.poll(config, None, io)
    assert [one.subject for one in page.heard] == ["a.csv"]
    assert (peer.shown, peer.exchanged) == ({None}, [])


@only(Numbers)
async def test_an_endpoint_of_the_connection_comes_before_the_emulator(peer):
    peer.put(b"7")
    config = google_pubsub.Config(connection="cloud", subscription=peer.subscription)
    fields = Google.model_validate(peer.connections["cloud"]["fields"])
    async with LoneIO(connections={"cloud": ("google", fields)}, pubsub_emulator="127.0.0.1:1") as io:
        stream = google_pubsub.open(config, None, io)
        assert len((await anext(stream)).heard) == 1
        await stream.aclose()
    assert len(peer.exchanged) == 1


@only(Emulator)
async def test_the_setting_reaches_the_triggers(peer, tmp_path):
    async with SourceBench(tmp_path, peer, pubsub_emulator=peer.host) as bench:
        await peer.publish(range(3))
        assert await bench.heard(3) == {0: 1, 1: 1, 2: 1}
    assert peer.shown == {None}
