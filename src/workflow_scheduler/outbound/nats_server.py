"""NATS, for those who read from it; the library is loaded when this module is."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error, NoServersError
from nats.js.errors import APIError, NotFoundError

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.brokers import Nats

CONNECT_SECONDS = 10
_REFUSED = ("authorization", "authentication", "permissions")


async def connect(fields: Nats) -> Client:
    """Return a connected client, which does not connect again by itself.

    Raises:
        OSError, nats.errors.Error: it cannot; see `own_errors`.

    """
    scheme = "tls" if fields.tls else "nats"
    options: dict[str, Any] = {
        "servers": [f"{scheme}://{host}:{port}" for host, port in hosts_of(fields.servers)],
        "name": "workflow-scheduler",
        "allow_reconnect": False,
        "connect_timeout": CONNECT_SECONDS,
        "error_cb": _hear,
        "user": fields.username,
        "password": fields.password,
        "token": fields.token,
    }
    if fields.tls:
        options["tls"] = ssl.create_default_context(cadata=fields.ca_certificate)
    return await nats.connect(**{name: value for name, value in options.items() if value is not None})


def hosts_of(servers: str) -> Iterable[tuple[str, int]]:
    """Yield host and port of each server in a list."""
    for one in servers.split(","):
        host, _, port = one.rpartition(":")
        yield host, int(port)


@contextmanager
def own_errors(servers: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotConnected: the servers are away.
        Rejected: they refuse the credentials, or have no such stream.

    """
    try:
        yield
    except NotFoundError as error:
        raise Rejected(
            f"{servers} answers: {error.description or error}", fix="Make the stream, or name another."
        ) from error
    except APIError as error:
        raise Rejected(f"{servers} answers: {error.description or error}") from error
    except (Error, OSError, TimeoutError) as error:
        text = str(error) or type(error).__name__
        if any(word in text.lower() for word in _REFUSED):
            raise Rejected(f"{servers} refuses: {text}", fix="Check the credentials of the connection.") from error
        if isinstance(error, NoServersError):
            text = "no server can be reached"
        raise NotConnected(f"the connection to {servers} failed: {text}") from error


async def _hear(_error: Exception) -> None:
    """Keep the library from printing what is told to whoever waits."""
