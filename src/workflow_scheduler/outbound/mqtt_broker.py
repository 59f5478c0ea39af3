"""MQTT, for those who read from it; the library is loaded when this module is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiomqtt import Client, MqttCodeError, MqttError
from paho.mqtt.client import MQTTMessage

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Mqtt
from workflow_scheduler.outbound.arrivals import Arrivals

CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS = 20
FAILURE = 128  # MQTT 3.1.1, section 3.9.3
_REFUSED = ("not authori", "bad user name", "bad username", "identifier rejected", "refused")


class Session:
    """A session that the broker keeps: what it has delivered and is not acknowledged comes again.

    The library acknowledges a message before anybody has seen it, and does not tell whether the broker delivers it once
    more; so its client is asked for both directly.
    """

    def __init__(self, client: Client) -> None:
        """Read through `client`, which is not connected yet."""
        self._client = client
        self._paho: Any = client._client  # noqa: SLF001 -- see above
        self._paho.manual_ack_set(on=True)
        self._paho.on_message = lambda _client, _data, message: self._come.put(message)
        self._come: Arrivals[MQTTMessage] = Arrivals()
        self._lost: asyncio.Future[Any] | None = None

    async def subscribe(self, topics: Sequence[str], qos: int) -> None:
        """Subscribe to topics.

        Raises:
            Rejected: the broker does not grant one of them.

        """
        granted: Any = await self._client.subscribe([(topic, qos) for topic in topics])
        for topic, code in zip(topics, granted, strict=False):
            if getattr(code, "value", code) >= FAILURE:
                raise Rejected(f"the broker refuses the topic `{topic}`", fix="Check what the user may subscribe to.")

    async def take(self, most: int, seconds: float) -> list[MQTTMessage]:
        """Return up to `most` messages that are there or come within `seconds`.

        Raises:
            MqttError: the connection was lost.

        """
        if self._lost is None:
            self._lost = asyncio.ensure_future(anext(aiter(self._client.messages)))
        return await self._come.take(most, seconds, self._lost)

    def acknowledge(self, message: MQTTMessage) -> None:
        """Say that a message need not come again."""
        if message.qos:
            self._paho.ack(message.mid, message.qos)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._lost is not None:
            self._lost.cancel()
            if self._lost.done() and not self._lost.cancelled():
                self._lost.exception()  # it was told already, or nobody asks any more


@asynccontextmanager
async def session(fields: Mqtt, name: str, *, kept: bool = True) -> AsyncIterator[Session]:
    """Connect under a name whose session the broker keeps (clean session off), unless it is not to be `kept`.

    Raises:
        NotConnected, Rejected: as `own_errors`.

    """
    context = ssl.create_default_context(cadata=fields.ca_certificate) if fields.tls else None
    with own_errors(fields):
        client = Client(
            fields.host, fields.port, username=fields.username, password=fields.password, identifier=name,
            clean_session=not kept, timeout=CONNECT_SECONDS, keepalive=KEEPALIVE_SECONDS, tls_context=context,
        )  # fmt: skip
        made = Session(client)
        try:
            async with client:
                yield made
        finally:
            made.close()


@contextmanager
def own_errors(fields: Mqtt) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotConnected: the broker is away.
        Rejected: it refuses the credentials.

    """
    where = f"{fields.host}:{fields.port}"
    try:
        yield
    except (MqttError, OSError, TimeoutError) as error:
        text = str(error) or type(error).__name__
        if isinstance(error, MqttCodeError) and any(word in text.lower() for word in _REFUSED):
            raise Rejected(f"{where} refuses: {text}", fix="Check the credentials of the connection.") from error
        raise NotConnected(f"the connection to {where} failed: {text}") from error
