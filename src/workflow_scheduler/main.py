"""Starts the service: one process with the API, the scheduler and the embedded engine."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable

import structlog
import uvicorn
import uvloop

from workflow_scheduler.api.protocol import GatheringProtocol
from workflow_scheduler.app import Application
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.settings import Settings, load
from workflow_scheduler.telemetry import logging as log_setup

log = structlog.get_logger("workflow_scheduler")
GRACE_SECONDS = 10
BACKLOG = 4096


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> int:
    """Run the service until SIGTERM or SIGINT; return the exit status.

    `ready` is called with the service's URL once it answers.
    """
    log_setup.configure("DEBUG" if settings.debug else settings.log_level, settings.log_format)
    try:
        return uvloop.run(_serve(settings, ready))
    except SchedulerError as error:
        return _refused(error)


def _refused(error: SchedulerError) -> int:
    sys.stderr.write(f"error: {error.detail}\n" + (f"  {error.fix}\n" if error.fix else ""))
    return 1


async def _serve(settings: Settings, ready: Callable[[str], None] | None) -> int:
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    settings = settings.model_copy(update={"port": port})
    application = Application(settings)
    sentence = await application.start()
    if sentence:
        log.warning("access.open", detail=sentence)
    config = uvicorn.Config(
        application.asgi(),
        loop="none",
        http=GatheringProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 -- `serve` would take the signals over
    waiting = asyncio.create_task(stopping.wait())
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    _calm_collector()
    log.info("service.ready", url=url, instance=application.owner)
    if ready is not None:
        ready(url)
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    application.live.close()
    server.should_exit = True
    await serving
    await application.stop()
    return 0


def _calm_collector() -> None:
    """Let the cyclic collector look seldom, and never at what the start-up made.

    Events, runs and decisions hold no cycles and go by reference counts; at thousands a second the default thresholds
    would walk through all of memory several times a second for nothing. Of what the start-up made, less than a
    hundredth could be freed.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    gc.enable()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        message = f"cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        raise SchedulerError(message, fix="Stop what listens there, or choose another --port.") from error
    listener.listen(BACKLOG)
    listener.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return listener


def main() -> int:
    """Run with settings from the environment."""
    try:
        settings = load()
    except SchedulerError as error:
        return _refused(error)
    return serve(settings, ready=lambda url: print(url, flush=True))  # noqa: T201 -- it is the command's output


if __name__ == "__main__":
    sys.exit(main())
