"""Run SQL statements on a database.

The database is any that SQLAlchemy knows: a connection of kind `sql`, or a secret that holds its URL (the extra `sql`).
Values are bound, never pasted: write `:name` in the statement and give `params`, whose values may hold `${…}`; a
`${…}` inside a statement is refused. Several `statements` run in one transaction, which is rolled back when one fails;
they share `params`. A list of `params` runs a statement once for each.

The output is that of the last statement: `{"rows", "columns", "rowcount", "truncated"}`, or `{"rowcount"}`; with
several statements `results` has the output of each. At most `rows_max` rows and `bytes_max` bytes are taken. Decimals
are texts, times ISO 8601, bytes base64.

Statements run in a thread. When the job is cancelled or `timeout` has passed, the statement is cancelled in the
database (PostgreSQL, MySQL, MariaDB, SQLite; other databases lose the connection) and rolled back. Lost connections,
deadlocks, locks and serialisation failures may be tried again; an attempt whose commit was under way when the
connection was lost may have been carried out. SQLite and other databases of this machine need the allowance for code.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from workflow_scheduler.core.errors import SchedulerError, Unavailable
from workflow_scheduler.core.model.connection import Sql
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.jobs.credentials import fields_of, secret_of
from workflow_scheduler.outbound.databases import Bounds, Database, Target

name = "sql"
title = "Run SQL statements"
inline = False
needs_code_allowance = False
raw_fields = ("statement", "statements")
examples = (
    {"connection": "warehouse", "statement": "SELECT :wanted AS found", "params": {"wanted": 7}},
    {
        "connection": "warehouse",
        "statements": ["CREATE TEMPORARY TABLE t (n INTEGER)", "INSERT INTO t VALUES (:n)", "SELECT n FROM t"],
        "params": {"n": 1},
    },
)
STOP_SECONDS = 10.0
ROWS_MAX = 100_000
BYTES_MAX = 8 << 20


def _unfilled(statement: str) -> str:
    if "${" in statement:
        message = (
            "`${…}` is never filled into a statement, since its value could become SQL; write `:name` in its place"
            ' and the value under `params`, as in params: {name: "${…}"}'
        )
        raise ValueError(message)
    if not statement.strip():
        message = "the statement is empty"
        raise ValueError(message)
    return statement


Statement = Annotated[str, AfterValidator(_unfilled), Field(max_length=200_000)]


class Config(ClosedConfig):
    """The statements and their parameters."""

    connection: Line | None = Field(default=None, title="Connection", description="Name of a connection of kind sql.")
    secret: Line | None = Field(default=None, title="Secret", description="Secret with the database's URL, instead.")
    statement: Statement | None = Field(
        default=None,
        title="Statement",
        description="One statement, with :name for each parameter.",
        json_schema_extra={"widget": "code", "language": "sql"},
    )
    statements: tuple[Statement, ...] = Field(
        default=(), title="Statements", description="Several statements, in one transaction.", max_length=100
    )
    params: dict[str, Any] | list[dict[str, Any]] = Field(
        default_factory=dict, title="Parameters", description="Values by name, or a list of such for a bulk of rows."
    )
    timeout: Duration = Field(
        default=60.0,
        title="Time-out",
        description="For all of it; then it is cancelled in the database.",
        gt=0,
        le=86_400,
    )
    rows_max: int = Field(default=1_000, title="Most rows", description="Rows to take.", ge=1, le=ROWS_MAX)
    bytes_max: int = Field(default=1 << 20, title="Most bytes", description="Bytes to take.", ge=1, le=BYTES_MAX)
    autocommit: bool = Field(
        default=False, title="Autocommit", description="No transaction, for statements that refuse one (VACUUM)."
    )

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if (self.connection is None) == (self.secret is None):
            message = "write either `connection` or `secret`"
            raise ValueError(message)
        if (self.statement is None) == (not self.statements):
            message = "write either `statement` or `statements`"
            raise ValueError(message)
        return self


async def run(config: Config, context: JobContext) -> dict[str, Any]:
    """Run the statements and return what the last one gave."""
    target = await _target(config, context)
    statements = config.statements or (config.statement or "",)
    bounds = Bounds(config.rows_max, config.bytes_max, config.timeout)
    work = _Work()
    call = partial(work.run, target, context, statements, config, bounds)
    results = await work.bounded(context.resources.workers.call(call), config.timeout)
    return results[0] if len(results) == 1 else {**results[-1], "results": results}


def retryable(error: Exception) -> bool:
    """Return whether the failure may pass by itself."""
    return isinstance(error, SchedulerError) and error.retryable


class _Work:
    """A piece of work in a thread, and the way to stop it."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._stopped = False

    def run(
        self, target: Target, context: JobContext, statements: tuple[str, ...], config: Config, bounds: Bounds
    ) -> list[dict[str, Any]]:
        self._database = Database(target, context.resources.dialer, config.timeout)
        if self._stopped:
            raise Unavailable("the job was stopped")
        return self._database.run(statements, config.params, bounds, autocommit=config.autocommit)

    async def bounded(self, work: Any, timeout_seconds: float) -> list[dict[str, Any]]:
        """Wait for the work; when the time is over, or on cancellation, stop it in the database first."""
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
        except asyncio.CancelledError:
            await self._stop(task)
            raise
        if done:
            results: list[dict[str, Any]] = task.result()
            return results
        await self._stop(task)
        raise Unavailable(f"the statements took longer than their timeout of {timeout_seconds:g} s and were cancelled")

    async def _stop(self, task: asyncio.Future[Any]) -> None:
        self._stopped = True
        if self._database is not None:
            await asyncio.shield(asyncio.to_thread(self._database.stop))
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()


async def _target(config: Config, context: JobContext) -> Target:
    local = await context.resources.code_rule.code_allowed(context.tenant_id)
    if config.connection is not None:
        fields = await fields_of(context, config.connection, Sql)
        return Target(fields.url, fields.password, local)
    return Target(await secret_of(context, config.secret or ""), None, local)
