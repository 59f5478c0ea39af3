"""Made from the trigger type `sql_poll` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class SqlPoll(Trigger):
    """New or changed rows of a table or query in any database that SQLAlchemy knows.

    Attributes:
        connection: A connection of kind `sql`.
        table: The table, or SCHEMA.TABLE.
        query: A SELECT in place of the table; without ORDER BY, LIMIT and parameters.
        watermark: The column that grows with each new or changed row; it should have an index.
        id: The column that tells rows apart.
        each: row: a row starts one run; change: one for each of its watermarks.
        every: The pause between two looks: 30s, 5m, 1h.
        reread: For times: how far before the newest row a look begins, for transactions that commit late.
        reread_numbers: The same for numbers: by how much less.
        start: latest: rows that are there at first do not count.
        rows: Rows that are read at once.

    """

    type: ClassVar[str] = "sql_poll"
    connection: str
    watermark: str
    _: KW_ONLY
    table: str | UnsetType | None = UNSET
    query: str | UnsetType | None = UNSET
    id: str | UnsetType = UNSET
    each: Literal["row", "change"] | UnsetType = UNSET
    every: str | float | UnsetType = UNSET
    reread: str | float | UnsetType = UNSET
    reread_numbers: int | UnsetType = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET
    rows: int | UnsetType = UNSET
