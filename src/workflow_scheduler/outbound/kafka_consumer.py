"""A Kafka consumer of librdkafka for threads: every method blocks. The library is loaded when this module is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Kafka

ANSWER_SECONDS = 5.0
SESSION_MS = 10_000
_REFUSED = {
    KafkaError._AUTHENTICATION: "Check user name, password and mechanism of the connection.",  # noqa: SLF001 -- so named
    KafkaError.SASL_AUTHENTICATION_FAILED: "Check user name, password and mechanism of the connection.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Allow the user to read the topic.",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Allow the user to use the group.",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "Make the topic, or name another one.",
    KafkaError._UNKNOWN_TOPIC: "Make the topic, or name another one.",  # noqa: SLF001 -- so named
    KafkaError.TOPIC_EXCEPTION: "Name another topic.",
    KafkaError.INVALID_GROUP_ID: "Name another group.",
}
_LOST = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT})  # noqa: SLF001 -- so named
# The partition is another member's by now; what it reads again is recognised.
_MOVED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._NO_OFFSET,  # noqa: SLF001 -- so named
    }
)  # fmt: skip


class KafkaConsumer:
    """Reads one topic as a member of a group. Offsets are committed by `commit` alone."""

    def __init__(self, fields: Kafka, topic: str, group: str, *, earliest: bool) -> None:
        """Connect to nothing yet. Partitions without an offset of the group begin at their first or last message."""
        self._topic = topic
        self._earliest = earliest
        self._failure: KafkaError | None = None
        self._turn = Lock()
        self._closed = False
        self._assigned: list[TopicPartition] = []
        self._consumer = Consumer(
            {
                **_settings(fields, group),
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",  # what was stored here is recognised, what was lost cannot be
                "session.timeout.ms": SESSION_MS,
                "topic.metadata.refresh.interval.ms": 30_000,
                "error_cb": self._failed,
                "on_commit": self._committed,
            }
        )

    def brokers(self) -> list[tuple[str, int]]:
        """Return where the brokers are, as the cluster says.

        Raises:
            NotConnected: it does not answer.
            Rejected: it refuses, or has no such topic.

        """
        with self._used():
            found = self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS)
        _check(found.topics[self._topic].error)
        return [(broker.host, broker.port) for broker in found.brokers.values()]

    def subscribe(self) -> None:
        """Join the group."""
        with self._used():
            self._consumer.subscribe([self._topic], on_assign=self._assign, on_revoke=self._revoke)

    def take(self, count: int, seconds: float) -> list[Message]:
        """Return messages that are there, or come within `seconds`; errors as `brokers`."""
        with self._used():
            found = self._consumer.consume(count, seconds)
        _check(self._failure)
        for one in found:
            _check(one.error())
        return [one for one in found if one.error() is None]

    def behind(self) -> int:
        """Ask the brokers, and return how many messages wait; errors as `brokers`."""
        total = 0
        with self._used():
            for place in self._consumer.position(self._assigned) if self._assigned else []:
                low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
                total += max(high - max(place.offset, low), 0)
        if not self._assigned:
            self.brokers()
        return total

    def commit(self, messages: Sequence[Message]) -> None:
        """Have the offsets behind these messages committed; what the brokers say to it is told by `take`."""
        newest: dict[int, int] = {}
        for one in messages:
            partition, offset = one.partition() or 0, one.offset() or 0
            newest[partition] = max(newest.get(partition, 0), offset + 1)
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in newest.items()]
        with self._used():
            # A commit that waits would wait for ever where the brokers are away.
            self._consumer.commit(offsets=places, asynchronous=True)

    def close(self) -> None:
        """Leave the group, after the call under way."""
        with self._turn:
            self._closed = True
            self._consumer.close()

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Let one thread at a time use the consumer, and none once it is closed."""
        with self._turn:
            if self._closed:
                raise NotConnected("the consumer is closed")
            with _own_errors():
                yield

    def _failed(self, error: KafkaError) -> None:
        if error.code() in _LOST or error.code() in _REFUSED:
            self._failure = error

    def _committed(self, error: KafkaError | None, _places: list[TopicPartition]) -> None:
        if error is not None and error.code() not in _MOVED:
            self._failure = error

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Begin where the group stands. A beginning is committed at once, so that no crash moves it."""
        known = consumer.committed(places, timeout=ANSWER_SECONDS)
        fresh = [place for place in known if place.offset < 0]
        for place in fresh:
            low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
            place.offset = low if self._earliest else high
        if fresh:
            consumer.commit(offsets=fresh, asynchronous=False)
        self._assigned = known
        consumer.assign(known)

    def _revoke(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        gone = {place.partition for place in places}
        self._assigned = [place for place in self._assigned if place.partition not in gone]


def count_brokers(fields: Kafka) -> int:
    """Ask the cluster how many brokers it has; errors as `KafkaConsumer.brokers`."""
    consumer = Consumer(_settings(fields, "workflow-scheduler"))
    try:
        with _own_errors():
            return len(consumer.list_topics(timeout=ANSWER_SECONDS).brokers)
    finally:
        consumer.close()


def hosts_of(servers: str) -> Iterable[tuple[str, int]]:
    """Yield host and port of each server in a list."""
    for one in servers.split(","):
        host, _, port = one.rpartition(":")
        yield host, int(port)


def _settings(fields: Kafka, group: str) -> dict[str, Any]:
    """Return what every consumer is told."""
    found: dict[str, Any] = {
        "bootstrap.servers": fields.bootstrap_servers,
        "client.id": "workflow-scheduler",
        "group.id": group,
        "socket.timeout.ms": round(ANSWER_SECONDS * 1_000),
        "logger": None,
        "log_level": 0,
    }
    protocol = "ssl" if fields.security == "tls" else "plaintext"
    if fields.mechanism is not None:
        protocol = f"sasl_{protocol}"
        found |= {
            "sasl.mechanism": fields.mechanism, "sasl.username": fields.username, "sasl.password": fields.password,
        }  # fmt: skip
    if fields.ca_certificate is not None:
        found["ssl.ca.pem"] = fields.ca_certificate
    return {**found, "security.protocol": protocol}


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        _check(error.args[0])


def _check(error: KafkaError | None) -> None:
    if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- so named
        return
    fix = _REFUSED.get(error.code())
    if fix is not None:
        raise Rejected(f"Kafka says: {error.str()}", fix=fix)
    raise NotConnected(f"Kafka: {error.str()}")
