"""The life of a worker process: an instance of the service without the API and without schedules."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop

from workflow_scheduler.app.application import Application
from workflow_scheduler.core.errors import StoreUnavailable, ValidationFailed
from workflow_scheduler.settings import Settings
from workflow_scheduler.telemetry import logging as log_setup


def work(settings: Settings, ready: Callable[[str], None] | None = None) -> int:
    """Work until SIGTERM or SIGINT; return the exit status. `ready` is called once jobs are taken.

    Raises:
        ValidationFailed: no Temporal server is configured, or its library is not installed.
        EngineUnavailable: the server does not answer.
        StoreUnavailable: the database cannot be opened.

    """
    log_setup.configure("DEBUG" if settings.debug else settings.log_level, settings.log_format)
    if not settings.temporal_address:
        raise ValidationFailed(
            "No Temporal server is configured.", fix="Set WFS_TEMPORAL_ADDRESS to its HOST:PORT, as for the service."
        )
    return uvloop.run(_work(settings, ready))


async def _work(settings: Settings, ready: Callable[[str], None] | None) -> int:
    application = Application(settings)
    parts = application.temporal
    assert parts is not None
    await parts.engine.check()
    try:
        await application.start()
    except StoreUnavailable as error:
        if application.store.dialect == "sqlite":
            fix = "Set DATABASE_URL to the PostgreSQL of the service. With a SQLite file the service works itself."
            raise StoreUnavailable(error.detail, fix=fix) from error
        raise
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if ready is not None:
        ready(application.owner)
    await stopping.wait()
    await application.stop()
    return 0
