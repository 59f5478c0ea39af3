"""The engine `temporal` and its worker; their library is loaded only where a server is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.pipeline.books import StoredBooks
from workflow_scheduler.pipeline.remote_wakes import RemoteWakes

if TYPE_CHECKING:
    from workflow_scheduler.app.engines import Engines
    from workflow_scheduler.engines.embedded.desk import Limits
    from workflow_scheduler.engines.temporal.driver import TemporalEngine
    from workflow_scheduler.engines.temporal.worker import TemporalWorker


class TemporalParts(msgspec.Struct, frozen=True):
    """What an instance has of the engine."""

    engine: TemporalEngine
    worker: TemporalWorker
    wakes: RemoteWakes


def temporal_parts(app: Engines, limits: Limits) -> TemporalParts:
    """Wire the engine; nothing is connected yet.

    Raises:
        ValidationFailed: the library is not installed.

    """
    try:
        import temporalio  # noqa: F401
    except ImportError as error:
        raise ValidationFailed(
            "WFS_TEMPORAL_ADDRESS is set, and the Temporal library is not installed.",
            fix="Install it: pip install 'workflow-scheduler[temporal]'",
        ) from error
    from workflow_scheduler.engines.temporal import recorder
    from workflow_scheduler.engines.temporal.client import TemporalAddress
    from workflow_scheduler.engines.temporal.context import Lent
    from workflow_scheduler.engines.temporal.driver import TemporalEngine
    from workflow_scheduler.engines.temporal.worker import TemporalWorker

    settings = app.settings
    address = TemporalAddress(
        target=settings.temporal_address,
        namespace=settings.temporal_namespace,
        task_queue=settings.temporal_task_queue,
        api_key=settings.temporal_api_key.get_secret_value() or None,
        tls=settings.temporal_tls,
        heartbeat_seconds=settings.temporal_heartbeat_seconds,
    )
    books = StoredBooks(app.store, app.graphs, app.tracker)
    engine = TemporalEngine(address, app.jobs, books, app.clock)
    worker = TemporalWorker(address, app.jobs, books, app.tracker, app.clock)
    lent = Lent(
        resources=app.resources,
        secrets=app.secrets,
        emit=app.emit,
        call=app.calls.call,
        ask=app.asking.ask,
        withdraw=app.withdraw,
        public_url=settings.own_url,
    )
    bounds = recorder.Limits(processes_max=limits.processes_max, instances_max=limits.instances_max)
    worker.equip(lent, bounds, allow_code=settings.allow_code)
    return TemporalParts(engine, worker, RemoteWakes(app.store, app.clock, app.owner, engine))
