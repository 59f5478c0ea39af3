"""What is particular about single types of sources, without a service around them."""

import sqlite3
from contextlib import closing

import msgspec
import pytest
from peers.redis_stream import Peer as RedisPeer
from peers.s3 import Notified
from peers.s3 import Peer as Bucket
from peers.sns_sqs import Topic
from pydantic import ValidationError

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.brokers import Redis
from workflow_scheduler.core.model.connection import Aws, Sql
from workflow_scheduler.testing.sources import LoneIO
from workflow_scheduler.triggers import redis_stream, s3, sns_sqs, sql_poll, websocket


async def hears(module, config, io, cursor=None):
    """Poll until there are no more pages; return what was heard, and the cursor."""
    heard = []
    while True:
        page = await module.poll(config, cursor, io)
        heard += page.heard
        io.items.take(page.items)
        cursor = page.cursor
        if not page.more:
            return heard, cursor


async def looks(module, config, io, cursor=None):
    """Poll until there are no more pages; return the keys of what was heard, and the cursor."""
    heard, cursor = await hears(module, config, io, cursor)
    return [one.event_key for one in heard], cursor


class TestRows:
    @pytest.fixture
    def database(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "rows.db", isolation_level=None)) as opened:
            opened.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, changed TEXT)")
            yield opened

    @pytest.fixture
    def io(self, tmp_path, database):
        return LoneIO(connections={"shop": ("sql", Sql(url=f"sqlite:///{tmp_path / 'rows.db'}"))})

    def config(self, **more):
        given = {"connection": "shop", "table": "orders", "watermark": "changed", **more}
        return sql_poll.Config.model_validate(given)

    async def test_latest_leaves_out_what_is_there_and_a_late_row_is_found_once(self, database, io):
        database.execute("INSERT INTO orders VALUES (1, '2027-01-05 12:00:00')")
        async with io as lent:
            heard, cursor = await looks(sql_poll, self.config(), lent)
            assert heard == []
            database.execute("INSERT INTO orders VALUES (3, '2027-01-05 12:01:00')")
            heard, cursor = await looks(sql_poll, self.config(), lent, cursor)
            assert heard == ["3"]
            database.execute("INSERT INTO orders VALUES (2, '2027-01-05 12:00:30')")  # it was committed late
            heard, cursor = await looks(sql_poll, self.config(), lent, cursor)
            assert heard == ["2"]
            assert (await looks(sql_poll, self.config(), lent, cursor))[0] == []

    async def test_each_change_counts_where_it_is_wanted(self, database, io):
        config = self.config(each="change", start="earliest")
        database.execute("INSERT INTO orders VALUES (1, '2027-01-05 12:00:00')")
        async with io as lent:
            heard, cursor = await looks(sql_poll, config, lent)
            database.execute("UPDATE orders SET changed = '2027-01-05 12:00:20'")
            again, cursor = await looks(sql_poll, config, lent, cursor)
            assert [*heard, *again] == ["1@2027-01-05 12:00:00", "1@2027-01-05 12:00:20"]
            assert (await looks(sql_poll, config, lent, cursor))[0] == []

    async def test_a_page_of_equal_watermarks_and_a_missing_column_are_told(self, database, io):
        database.executemany("INSERT INTO orders VALUES (?, 'same')", [(number,) for number in range(5)])
        async with io as lent:
            with pytest.raises(Rejected, match="5 rows have the same `changed`"):
                await looks(sql_poll, self.config(start="earliest", rows=5), lent)
            with pytest.raises(Rejected, match="no column `number`; they have id, changed"):
                await looks(sql_poll, self.config(start="earliest", id="number"), lent)
            with pytest.raises(Rejected, match="no such table"):
                await looks(sql_poll, self.config(table="customers"), lent)

    @pytest.mark.parametrize("given", [{"table": "a; DROP TABLE b"}, {"watermark": "a, b"}, {"query": "SELECT 1"}])
    def test_what_could_be_pasted_into_a_statement_is_refused(self, given):
        with pytest.raises(ValidationError):
            self.config(**given)


class TestRedis:
    async def test_wrong_credentials_and_a_missing_field_are_told_with_what_to_do(self):
        peer = RedisPeer()
        await peer.start()
        try:
            fields = peer.connections["events"]["fields"]
            wrong = Redis(url=fields["url"], password="not this one")
            with peer.client() as client:
                client.xadd("numbers", {"other": "1"})
            given = {"stream": "numbers", "field": "json", "start": "earliest"}
            connections = {"right": ("redis", Redis(**fields)), "wrong": ("redis", wrong)}
            async with LoneIO(connections=connections) as io:
                with pytest.raises(Rejected, match="refuses") as refused:
                    await anext(redis_stream.open(redis_stream.Config(connection="wrong", **given), None, io))
                assert refused.value.fix == "Check user name, password and rights of the user."
                with pytest.raises(Rejected, match="has no field `json`; it has other"):
                    await anext(redis_stream.open(redis_stream.Config(connection="right", **given), "0-0", io))
        finally:
            await peer.stop()


def test_a_socket_wants_an_address_of_a_socket():
    with pytest.raises(ValidationError, match="must be a ws or wss URL"):
        websocket.Config(url="https://example.test")


def cloud(peer):
    fields = Aws.model_validate(peer.connections["cloud"]["fields"])
    return LoneIO(connections={"cloud": ("aws", fields)})


class TestQueues:
    @pytest.fixture
    async def peer(self):
        peer = Topic()
        await peer.start()
        yield peer
        await peer.stop()

    async def test_what_a_topic_wrapped_is_unwrapped_and_deleted_after_the_commit(self, peer):
        await peer.publish([7])
        config = sns_sqs.Config.model_validate({"connection": "cloud", "queue": peer.queue, "visibility": "60s"})
        async with cloud(peer) as io:
            stream = sns_sqs.open(config, None, io)
            received = await anext(stream)
            (heard,) = received.heard
            told = msgspec.json.decode(heard.attributes)
            assert (heard.type, heard.data) == ("sns.notification", b'{"n":7}')
            assert (told["topic"], told["queue"]) == (peer.topic, peer.queue)
            await received.ack()
            await stream.aclose()
        found = peer.client("sqs").get_queue_attributes(QueueUrl=peer.queue_url, AttributeNames=["All"])["Attributes"]
        assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"

    async def test_a_queue_that_is_not_there_is_said_so(self, peer):
        config = sns_sqs.Config.model_validate({"connection": "cloud", "queue": "nothing"})
        async with cloud(peer) as io:
            with pytest.raises(Rejected, match=r"QueueDoesNotExist|NonExistentQueue"):
                await anext(sns_sqs.open(config, None, io))

    def test_a_message_that_only_looks_like_a_notification_is_left_as_it_is(self):
        for body in ("plain", '{"TopicArn": 5}', '{"Type": "Notification", "TopicArn": "a"}', '"TopicArn"'):
            assert sns_sqs._notification(body) is None


class TestBuckets:
    @pytest.fixture(params=[Bucket, Notified])
    async def peer(self, request):
        peer = request.param()
        await peer.start()
        yield peer
        await peer.stop()

    @pytest.fixture
    async def bucket(self):
        peer = Bucket()
        await peer.start()
        yield peer
        await peer.stop()

    def config(self, peer, **given):
        return s3.Config.model_validate(
            {"connection": "cloud", "bucket": peer.bucket, "queue": getattr(peer, "queue", None), **given}
        )

    async def test_what_is_put_and_removed_is_heard_with_its_content(self, peer):
        config = self.config(peer, events=["created", "deleted"], content="text", start="earliest")
        client = peer.client("s3")
        async with cloud(peer) as io:
            _, cursor = await hears(s3, config, io)
            client.put_object(Bucket=peer.bucket, Key="a/ü & b.csv", Body=b"1;2")
            heard, cursor = await hears(s3, config, io, cursor)
            (one,) = heard
            data = msgspec.json.decode(one.data)
            assert (one.type, one.subject, data["name"]) == ("s3.created", "a/ü & b.csv", "ü & b.csv")
            assert (data["size"], data["content"], data["bucket"]) == (3, "1;2", peer.bucket)
            client.delete_object(Bucket=peer.bucket, Key="a/ü & b.csv")
            heard, cursor = await hears(s3, config, io, cursor)
            assert [(one.type, one.subject) for one in heard] == [("s3.deleted", "a/ü & b.csv")]
            assert (await hears(s3, config, io, cursor))[0] == []

    async def test_more_than_a_page_is_read_page_by_page(self, bucket):
        client = bucket.client("s3")
        for number in range(1_003):
            client.put_object(Bucket=bucket.bucket, Key=f"{number:04}", Body=b"")
        async with cloud(bucket) as io:
            heard, cursor = await hears(s3, self.config(bucket, start="earliest"), io)
            assert len({one.event_key for one in heard}) == 1_003
            client.put_object(Bucket=bucket.bucket, Key="0500", Body=b"other")
            both = self.config(bucket, start="earliest", events=["created", "modified"])
            heard, cursor = await hears(s3, both, io, cursor)
            assert [(one.type, one.subject) for one in heard] == [("s3.modified", "0500")]
            assert (await hears(s3, both, io, cursor))[0] == []

    async def test_a_bucket_that_is_not_there_is_said_so(self, bucket):
        async with cloud(bucket) as io:
            with pytest.raises(Rejected, match="NoSuchBucket"):
                await s3.poll(self.config(bucket).model_copy(update={"bucket": "nothing"}), None, io)

    async def test_what_else_is_in_the_queue_is_left_out(self, peer):
        if not isinstance(peer, Notified):
            return
        sqs = peer.client("sqs")
        for body in ("plain", "[]", '{"Records": [1, {}]}', '{"Event": "s3:TestEvent"}'):
            sqs.send_message(QueueUrl=peer.queue_url, MessageBody=body)
        async with cloud(peer) as io:
            heard, cursor = await hears(s3, self.config(peer), io)
        assert (heard, cursor) == ([], None)
        found = sqs.get_queue_attributes(QueueUrl=peer.queue_url, AttributeNames=["All"])["Attributes"]
        assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"

    def test_a_notification_cannot_tell_a_change_from_a_new_object(self):
        with pytest.raises(ValidationError, match="does not say whether the object was there before"):
            s3.Config(connection="cloud", bucket="shop", queue="notes", events=("modified",))
