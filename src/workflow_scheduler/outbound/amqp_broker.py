"""AMQP 0-9-1, for those who read from it; the library is loaded when this module is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Amqp
from workflow_scheduler.outbound.arrivals import Arrivals

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 5.0
HEARTBEAT_SECONDS = 20
PREFETCH = 400
_CREDENTIALS = (AuthenticationError, ProbableAuthenticationError, ConnectionNotAllowed, ChannelAccessRefused)
_REFUSED = (ChannelLockedResource, ChannelPreconditionFailed)


class Consumer:
    """Takes the messages of one queue; what is not acknowledged when it ends is delivered once more."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        """Read `queue` through an open channel."""
        self._channel = channel
        self._queue = queue
        self._come: Arrivals[AbstractIncomingMessage] = Arrivals()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.close_callbacks.add(self._closed)

    async def begin(self) -> None:
        """Let messages come, up to PREFETCH that are not acknowledged."""
        await self._channel.set_qos(prefetch_count=PREFETCH)
        queue = await self._channel.get_queue(self._queue)
        await queue.consume(self._hear)

    async def waiting(self) -> int:
        """Ask the broker how many messages wait in the queue.

        Raises:
            AMQPError: the queue is not there any more, or the connection was lost.

        """
        async with asyncio.timeout(CONNECT_SECONDS):
            queue = await self._channel.declare_queue(self._queue, passive=True)
        return queue.declaration_result.message_count or 0

    async def take(self, most: int, seconds: float) -> list[AbstractIncomingMessage]:
        """Return up to `most` messages, in order, that are there or come within `seconds`.

        Raises:
            AMQPError: the connection was lost.

        """
        return await self._come.take(most, seconds, self._lost)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        self._come.put(message)

    def _closed(self, _channel: object, error: BaseException | None) -> None:
        if not self._lost.done():
            self._lost.set_exception(error or AMQPError("the channel was closed"))
            self._lost.exception()  # nobody may ask any more


@asynccontextmanager
async def connected(fields: Amqp) -> AsyncIterator[AbstractConnection]:
    """Connect and log in; the connection does not connect again by itself.

    Raises:
        NotConnected, Rejected: as `own_errors`.

    """
    context = ssl.create_default_context(cadata=fields.ca_certificate) if fields.tls else None
    with own_errors(fields):
        connection = await aio_pika.connect(
            host=fields.host, port=fields.port, login=fields.username, password=fields.password,
            virtualhost=fields.vhost, ssl=fields.tls, ssl_context=context, timeout=CONNECT_SECONDS,
            heartbeat=HEARTBEAT_SECONDS, name="workflow-scheduler",
        )  # fmt: skip
        try:
            yield connection
        finally:
            with suppress(Exception):  # the connection may be gone already
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.close()


async def find_queue(connection: AbstractConnection, queue: str, exchange: str | None, keys: Sequence[str]) -> None:
    """Look whether a queue is there; one that is to be bound to an exchange is made where it is not.

    Raises:
        AMQPError: it is not there, or must not be read, made or bound.

    """
    try:
        async with connection.channel() as channel:
            await _bind(await channel.declare_queue(queue, passive=True), exchange, keys)
    except ChannelNotFoundEntity:
        if exchange is None:
            raise
        async with connection.channel() as channel:
            await _bind(await channel.declare_queue(queue, durable=True), exchange, keys)


async def _bind(queue: AbstractQueue, exchange: str | None, keys: Sequence[str]) -> None:
    if exchange is not None:
        for key in keys:
            await queue.bind(exchange, key)


def server_name(connection: AbstractConnection) -> str:
    """Return what the broker calls itself, with its version."""
    properties: Any = getattr(connection.transport and connection.transport.connection, "server_properties", None) or {}
    name, version = (_text(properties.get(key)) for key in ("product", "version"))
    return " ".join(part for part in (name, version) if part) or "a broker"


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


@contextmanager
def own_errors(fields: Amqp) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotConnected: the broker is away.
        Rejected: it refuses the credentials, or there is no such queue or exchange.

    """
    where = f"{fields.host}:{fields.port}"
    try:
        yield
    except InvalidFrameError as error:
        # The library tells the refusal of a virtual host like this, without the broker's words.
        if "Connection.OpenOk" not in str(error):
            raise NotConnected(f"the connection to {where} failed: {_said(error)}") from error
        raise Rejected(
            f"{where} refuses the virtual host `{fields.vhost}`: it is not there, or not for {fields.username}",
            fix="Check `vhost` and `username` of the connection.",
        ) from error
    except _CREDENTIALS as error:
        raise Rejected(f"{where} refuses: {_said(error)}", fix="Check the credentials of the connection.") from error
    except ChannelNotFoundEntity as error:
        raise Rejected(f"{where} answers: {_said(error)}", fix="Make it, or name another.") from error
    except _REFUSED as error:
        raise Rejected(f"{where} answers: {_said(error)}") from error
    except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, EOFError) as error:
        raise NotConnected(f"the connection to {where} failed: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
