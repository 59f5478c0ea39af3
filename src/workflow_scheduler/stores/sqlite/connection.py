"""Opening the database file: pragmas, the lock on the data folder, the schema, and errors in our own words."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from workflow_scheduler.core.errors import BadRequest, Conflict, SchedulerError, StoreUnavailable
from workflow_scheduler.stores.migrations.runner import APPLIED, LEDGER, migrations, pending

BUSY_MS = 5_000
STATEMENTS_KEPT = 512
WRITER_CACHE_KIB = 65_536
READER_CACHE_KIB = 16_384
WAL_KEPT_BYTES = 64 * 1024 * 1024
_JSON = re.compile(r"\{json:([^{}]+)\}")
_DATA_ERRORS = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)
_LEFT_ALONE = (SchedulerError, apsw.SQLError, apsw.BindingsError, apsw.MisuseError, apsw.InterruptError)


def writer_connection(path: Path, vfs: str | None) -> apsw.Connection:
    """Open the one connection that writes. Checkpoints are left to `Checkpoints`.

    Raises:
        StoreUnavailable: the file cannot be opened or is not a database.

    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with own_errors():
        _make_private(path)
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=STATEMENTS_KEPT)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.wal_autocheckpoint(0)
    return connection


def _make_private(path: Path) -> None:
    """Make a new database file that only its owner may read; SQLite gives its log and index the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def reader_connection(path: Path, vfs: str | None) -> apsw.Connection:
    """Open a connection that can only read.

    Raises:
        StoreUnavailable: the file cannot be opened.

    """
    with own_errors():
        flags = apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=STATEMENTS_KEPT)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def lock(path: Path) -> int:
    """Take the lock that says this process owns the database file, and return its descriptor.

    Raises:
        StoreUnavailable: another process owns it.

    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise StoreUnavailable(
            f"{path} is in use by another process" + (f" ({owner})" if owner else ""),
            fix="stop that process, or give this one a data folder of its own",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getpid()}\n".encode(), 0)
    return descriptor


def migrate(connection: apsw.Connection, now: int) -> list[int]:
    """Bring the schema up to this program's version and return the numbers of the migrations that ran.

    Raises:
        Conflict: the schema is newer than the program, or a file was changed after it ran.
        StoreUnavailable: the disk is full or failed.

    """
    with own_errors():
        connection.execute(LEDGER)
        applied = list(connection.execute(APPLIED))
    missing = pending(migrations("sqlite"), applied)
    for migration in missing:
        with own_errors(), connection:
            connection.execute(migration.text)
            row = (migration.number, migration.name, migration.checksum, now)
            connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", row)
    return [migration.number for migration in missing]


def native(text: str) -> str:
    """Return portable SQL as SQLite reads it."""
    return _JSON.sub(r"CAST(\1 AS TEXT)", text) if "{json:" in text else text


def own_error(error: Exception) -> Exception:
    """Return the error of our own that says what `error` means; mistakes in SQL and interrupts stay what they are."""
    if isinstance(error, _LEFT_ALONE):
        return error
    if isinstance(error, _DATA_ERRORS):
        return Conflict(f"the database refuses this: {error}")
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return BadRequest(f"this cannot be stored: {error}")
    if isinstance(error, apsw.FullError):
        return StoreUnavailable("the disk is full", fix="free space on the disk of the data folder")
    if isinstance(error, apsw.Error | OSError):
        return StoreUnavailable(f"the database failed: {error}")
    return error


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise errors of our own in place of SQLite's."""
    try:
        yield
    except (apsw.Error, OSError, UnicodeEncodeError, OverflowError) as error:
        mapped = own_error(error)
        if mapped is error:
            raise
        raise mapped from error
