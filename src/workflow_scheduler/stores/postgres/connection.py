"""Connecting: the pool, the session's role and tenant, the schema, and errors in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from asyncpg import exceptions as pg

from workflow_scheduler.core.errors import BadRequest, Conflict, SchedulerError, StoreUnavailable
from workflow_scheduler.stores.migrations.runner import APPLIED, LEDGER, migrations, pending

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
STATEMENTS_KEPT = 512
PLANS_GOOD_FOR_ROWS = 64
_MIGRATION_LOCK = "SELECT pg_advisory_lock(77381, 0)"
_ROLE = "SELECT 1 FROM pg_roles WHERE rolname = 'wfs_service' AND pg_has_role(current_user, oid, 'MEMBER')"
# Batches reach rows by key. Planning costs more than it finds out, so plans are kept, but see `Session.wrote`.
_WRITER_SETTINGS = """
SET wfs.tenant = '*'; SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""
_GONE = (
    pg.PostgresConnectionError, pg.OperatorInterventionError, pg.InsufficientResourcesError, pg.PostgresSystemError,
    pg.ReadOnlySQLTransactionError, pg.DeadlockDetectedError, pg.SerializationError, pg.InternalClientError,
    pg.InvalidAuthorizationSpecificationError, pg.InvalidCatalogNameError, OSError, TimeoutError,
)  # fmt: skip
TRY_AGAIN = (pg.DeadlockDetectedError, pg.SerializationError)


class Session(asyncpg.Connection):
    """A pooled connection that knows which tenant row security lets it see."""

    tenant = ""
    rows_written = 0
    plans_good_for = PLANS_GOOD_FOR_ROWS

    async def scope(self, tenant: str) -> None:
        """See the rows of `tenant` from now on; `*` sees all."""
        if self.tenant != tenant:
            self.tenant = ""
            await self.execute("SELECT set_config('wfs.tenant', $1, false)", tenant)
            self.tenant = tenant

    def forget(self) -> None:
        """Take no tenant for granted: a rollback has taken back what the session was told."""
        self.tenant = ""

    async def wrote(self, rows: int) -> None:
        """Count rows, and plan anew at 64, 256, 1,024 …: a plan made for an empty table scans what it later holds."""
        self.rows_written += rows
        if self.rows_written >= self.plans_good_for:
            self.plans_good_for = self.rows_written * 4
            await self.execute("DISCARD PLANS")


async def _set_up(connection: Any) -> None:
    """Make a new session durable, bound by row security, and like SQLite in what sums return."""
    await connection.execute("SET synchronous_commit = on")
    if await connection.fetchval(_ROLE):
        await connection.execute("SET ROLE wfs_service")
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", format="text", encoder=str,
        decoder=lambda digits: float(digits) if "." in digits else int(digits),
    )  # fmt: skip


async def _set_up_writer(connection: Any) -> None:
    """Make a new session for batches: all tenants, and plans that stay right while the tables grow from nothing."""
    await _set_up(connection)
    await connection.execute(_WRITER_SETTINGS)


async def _keep(_connection: Any) -> None:
    """Leave a released session as it is: role and tenant are the only state it has, and `scope` minds the tenant."""


async def pool(url: str, connections: int, *, writers: bool = False) -> asyncpg.Pool[Any]:
    """Open a pool of sessions; `writers` are for batches only.

    Raises:
        StoreUnavailable: the server does not answer or does not let us in.

    """
    with own_errors():
        return await asyncpg.create_pool(
            url, min_size=1, max_size=connections, init=_set_up_writer if writers else _set_up, reset=_keep,
            connection_class=Session,
            statement_cache_size=STATEMENTS_KEPT, max_inactive_connection_lifetime=0, timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS, server_settings={"application_name": "workflow-scheduler"},
        )  # fmt: skip


async def single(url: str) -> asyncpg.Connection[Any]:
    """Open one connection as the connecting user, outside the pool.

    Raises:
        StoreUnavailable: the server does not answer or does not let us in.

    """
    with own_errors():
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS)


async def migrate(url: str, now: int) -> list[int]:
    """Bring the schema up to this program's version, alone among all instances; return the migrations that ran.

    Raises:
        Conflict: the schema is newer than the program, or a file was changed after it ran.
        StoreUnavailable: the server does not answer.

    """
    connection = await single(url)
    try:
        with own_errors():
            await connection.execute(_MIGRATION_LOCK)
            await connection.execute(LEDGER)
            applied = [tuple(row) for row in await connection.fetch(APPLIED)]
            missing = pending(migrations("postgres"), applied)
            for migration in missing:
                async with connection.transaction():
                    await connection.execute(migration.text)
                    row = (migration.number, migration.name, migration.checksum, now)
                    await connection.execute("INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)", *row)
    finally:
        await connection.close()
    return [migration.number for migration in missing]


def own_error(error: BaseException) -> BaseException:
    """Return the error of our own that says what `error` means; mistakes in the SQL itself stay what they are."""
    if isinstance(error, SchedulerError | asyncio.CancelledError):
        return error
    if isinstance(error, pg.IntegrityConstraintViolationError):
        return Conflict(f"the database refuses this: {error}")
    if isinstance(error, pg.DataError | pg.ProgramLimitExceededError | UnicodeEncodeError):
        return BadRequest(f"this cannot be stored: {error}")
    text = str(error) or type(error).__name__
    closed = isinstance(error, pg.InterfaceError) and ("connection" in text or "pool" in text)
    if closed or isinstance(error, _GONE):
        return StoreUnavailable(f"the database did not carry this out: {text}")
    return BadRequest(f"this cannot be stored: {text}") if isinstance(error, pg.InterfaceError) else error


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise errors of our own in place of the driver's."""
    try:
        yield
    except Exception as error:
        mapped = own_error(error)
        if mapped is error:
            raise
        raise mapped from error
