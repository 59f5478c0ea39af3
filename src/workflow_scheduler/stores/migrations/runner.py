"""Which migrations there are, and which of them a database still lacks.

Files are named `NNNN_pre|post_name.sqlite|postgres.sql`: `pre` runs before the new program version starts, `post`
once no older version runs any more. Each file runs in one transaction of its own, in the order of its number, and its
SHA-256 is kept in `schema_migrations`: a file that was edited after it ran, or a database that a newer program has
written, is refused. The stores hold the lock (a locked file, or an advisory lock) while they apply.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from workflow_scheduler.core.errors import Conflict

LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
  number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL
)"""
APPLIED = "SELECT number, name, checksum FROM schema_migrations ORDER BY number"


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, phase (`pre` or `post`), name, SQL text and SHA-256."""

    number: int
    phase: str
    name: str
    text: str
    checksum: str


@cache
def migrations(dialect: str) -> tuple[Migration, ...]:
    """Return every migration of `dialect` (`sqlite` or `postgres`) that this program carries, in order."""
    return read(Path(__file__).parent, dialect)


def read(folder: Path, dialect: str) -> tuple[Migration, ...]:
    """Return the migrations of `dialect` in `folder`, in order.

    Raises:
        ValueError: two files have the same number, or a phase is neither `pre` nor `post`.

    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob(f"[0-9][0-9][0-9][0-9]_*.{dialect}.sql")):
        number, phase, name = path.name.split(".")[0].split("_", 2)
        if phase not in {"pre", "post"} or int(number) in found:
            message = f"{path.name}: a migration's number is unique and its phase is pre or post"
            raise ValueError(message)
        text = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        found[int(number)] = Migration(int(number), phase, name, text, checksum)
    return tuple(found.values())


def pending(known: Sequence[Migration], applied: Iterable[tuple[int, str, str]]) -> list[Migration]:
    """Return the migrations that still have to run on a database whose ledger holds `applied`.

    Raises:
        Conflict: the database is newer than this program, a file was changed after it ran, or one is missing between
            others that ran.

    """
    done = {number: (name, checksum) for number, name, checksum in applied}
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in sorted(done.items()):
        migration = by_number.get(number)
        if migration is None:
            raise Conflict(
                f"the database has migration {number:04d} ({name}), which this version of the program does not know",
                fix="start the newer program version that wrote it, or restore a backup from before the upgrade",
            )
        if migration.checksum != checksum:
            raise Conflict(
                f"migration {number:04d} ({name}) is not the file that was applied to this database",
                fix="restore the original file: changes to the schema go into a new migration",
            )
    missing = [migration for migration in known if migration.number not in done]
    if missing and done and missing[0].number < max(done):
        raise Conflict(
            f"migration {missing[0].number:04d} ({missing[0].name}) was never applied, but later ones were",
            fix="give the file a number above the last one that was applied",
        )
    return missing
