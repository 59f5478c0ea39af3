"""The connection to a Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflow_scheduler.core.errors import EngineUnavailable, Rejected, RetryAfter, SchedulerError

RPC_SECONDS = 10.0
CALL_SECONDS = 15.0  # of a call that has to connect first, for which the library knows no limit
_REFUSED = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.OUT_OF_RANGE})
_CREDENTIALS = frozenset({RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED})


class TemporalAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and how to speak to it. `heartbeat_seconds` is how soon a dead worker is noticed."""

    target: str
    namespace: str = "default"
    task_queue: str = "workflow-scheduler"
    api_key: str | None = None
    tls: bool = False
    heartbeat_seconds: float = 10.0


async def connect(address: TemporalAddress, *, lazy: bool = False) -> Client:
    """Return a client; a lazy one connects with its first call.

    Raises:
        EngineUnavailable: nobody answers there.

    """
    try:
        async with limited(address):
            return await Client.connect(
                address.target,
                namespace=address.namespace,
                api_key=address.api_key,
                tls=address.tls or address.api_key is not None,
                lazy=lazy,
            )
    except (RuntimeError, ValueError) as error:
        raise unreachable(address, str(error)) from error


def unreachable(address: TemporalAddress, why: str) -> EngineUnavailable:
    """Return the error of a server that does not answer."""
    return EngineUnavailable(
        f"the Temporal server at {address.target} does not answer: {why[:200]}",
        fix="Start it, or set WFS_TEMPORAL_ADDRESS to its HOST:PORT.",
    )


@asynccontextmanager
async def limited(address: TemporalAddress) -> AsyncIterator[None]:
    """Wait for what is asked within for as long as a call may take.

    Raises:
        EngineUnavailable: the server takes connections and says nothing.

    """
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError as error:
        raise unreachable(address, f"nothing came within {CALL_SECONDS:g} s") from error


def translated(address: TemporalAddress, error: RPCError) -> SchedulerError:
    """Return what a failed call means; the workflow id makes it safe to try again whatever happened to it."""
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return RetryAfter(f"the Temporal server asks to wait: {error.message}", retry_after_seconds=5.0)
    if error.status in _REFUSED:
        return Rejected(f"the Temporal server refuses the run: {error.message}")
    if error.status in _CREDENTIALS:
        return EngineUnavailable(
            f"the Temporal server does not accept this service: {error.message}",
            fix="Set WFS_TEMPORAL_API_KEY and WFS_TEMPORAL_NAMESPACE as the server wants them.",
        )
    if error.status is RPCStatusCode.NOT_FOUND:
        return EngineUnavailable(
            f"the Temporal server does not know the namespace `{address.namespace}`: {error.message}",
            fix="Create it, or set WFS_TEMPORAL_NAMESPACE.",
        )
    return unreachable(address, error.message)
