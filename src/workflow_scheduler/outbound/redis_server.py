"""Redis and Valkey through the egress guard; the library is loaded when this module is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 -- the library's name
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 -- the library's name
)

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Redis as Fields

PORT = 6379
ANSWER_SECONDS = 30.0
CONNECTIONS = 4  # one waits for entries while others are acknowledged
_AWAY = (BusyLoadingError, ReadOnlyError, ConnectionError, TimeoutError, OSError)
Dial = Callable[[str, int], Awaitable[socket]]


def redis_client(fields: Fields, dial: Dial) -> Redis:
    """Return a client whose sockets come from `dial`; close it with `aclose`."""
    parts = urlsplit(fields.url)
    host = parts.hostname or ""
    context = ssl.create_default_context(cadata=fields.ca_certificate) if parts.scheme == "rediss" else None

    class Dialed(Connection):
        async def _connect(self) -> None:
            sock = await dial(host, parts.port or PORT)
            sock.settimeout(0)
            name = None if context is None else host
            self._reader, self._writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)

    pool: ConnectionPool = ConnectionPool(
        connection_class=Dialed,
        max_connections=CONNECTIONS,
        host=host,
        port=parts.port or PORT,
        db=int(parts.path.strip("/") or 0),
        username=fields.username,
        password=fields.password,
        socket_timeout=ANSWER_SECONDS,
        client_name="workflow-scheduler",
    )
    return Redis.from_pool(pool)


@contextmanager
def own_errors(url: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotConnected: the server is away, or will be ready later.
        Rejected: it refuses the credentials or the command.

    """
    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        raise Rejected(f"{url} refuses: {error}", fix="Check user name, password and rights of the user.") from error
    except _AWAY as error:
        raise NotConnected(f"the connection to {url} failed: {error}") from error
    except ResponseError as error:
        fix = "Check user name and password." if "NOAUTH" in str(error) else None
        raise Rejected(f"{url} answers: {error}", fix=fix) from error
    except RedisError as error:
        raise NotConnected(f"the connection to {url} failed: {error}") from error


async def server_version(client: Any) -> str:
    """Return what the server says it is."""
    found = await client.info("server")
    return f"{found.get('server_name', 'redis')} {found.get('valkey_version') or found.get('redis_version')} answers"
