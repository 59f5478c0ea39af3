"""New or changed rows of a table or query in any database that SQLAlchemy knows.

A column that grows (a number, a time, a text) says how far has been read. Each look reads from a little before that on
(`reread`), since a transaction that began earlier may commit later; rows that come again are recognised by `id`. With
`each: change` a row starts a run for each value of the column, as fits a column like `updated_at`. Rows without a value
in the column are not seen. Bind no secrets in the query: it is shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import re2
from pydantic import AfterValidator, Field, model_validator

from workflow_scheduler.core.errors import Forbidden, NotConnected, Rejected, Unavailable
from workflow_scheduler.core.inbound.identity import digest, item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.inbound.watermark import instant
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Sql
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

if TYPE_CHECKING:
    from workflow_scheduler.outbound.databases import Target

name = "sql_poll"
title = "Database rows"
icon = "table"
shape = "poll"
since = "0.2"
extras = "sql"
libraries = ("sqlalchemy",)

SEEN_MAX = 5_000
TIMEOUT_SECONDS = 60.0
ROW_BYTES = 16_384
_NAME = re2.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}")
_TABLE = re2.compile(r"(?:[A-Za-z_][A-Za-z0-9_$]{0,127}\.){0,2}[A-Za-z_][A-Za-z0-9_$]{0,127}")
_FETCH = frozenset({"mssql", "oracle"})
_encode = msgspec.json.encode


def _column(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        message = f"`{value}` is not the name of a column; use letters, digits and `_`"
        raise ValueError(message)
    return value


def _table(value: str) -> str:
    if _TABLE.fullmatch(value) is None:
        message = f"`{value}` is not the name of a table; write NAME or SCHEMA.NAME, or a `query`"
        raise ValueError(message)
    return value


Column = Annotated[str, AfterValidator(_column)]


class Config(BaseConfig):
    """Which rows of which database, how often, and what tells them apart."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `sql`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "sql"}},
    )
    table: Annotated[str, AfterValidator(_table)] | None = Field(
        default=None,
        title="Table",
        description="The table, or SCHEMA.TABLE.",
        json_schema_extra={"ui": {"group": "what"}},
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        max_length=20_000,
        title="Query",
        description="A SELECT in place of the table; without ORDER BY, LIMIT and parameters.",
        json_schema_extra={"ui": {"widget": "code", "language": "sql"}},
    )
    watermark: Column = Field(
        title="Watermark",
        description="The column that grows with each new or changed row; it should have an index.",
        json_schema_extra={"ui": {"placeholder": "updated_at"}},
    )
    id: Column = Field(default="id", title="Identity", description="The column that tells rows apart.")
    each: Literal["row", "change"] = Field(
        default="row", title="Each", description="row: a row starts one run; change: one for each of its watermarks."
    )
    every: Duration = Field(
        default=60.0, ge=1, le=30 * 86_400, title="Every", description="The pause between two looks: 30s, 5m, 1h."
    )
    reread: Duration = Field(
        default=60.0,
        ge=0,
        le=86_400,
        title="Read again",
        description="For times: how far before the newest row a look begins, for transactions that commit late.",
    )
    reread_numbers: int = Field(
        default=100,
        ge=0,
        le=SEEN_MAX,
        title="Numbers to read again",
        description="The same for numbers: by how much less.",
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="latest: rows that are there at first do not count."
    )
    rows: int = Field(default=500, ge=1, le=5_000, title="Rows", description="Rows that are read at once.")

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if (self.table is None) == (self.query is None):
            message = "write either `table` or `query`"
            raise ValueError(message)
        return self


class Cursor(msgspec.Struct):
    """How far has been read.

    `floor` is the newest watermark at the start, `mark` that of the last whole look, `high` that of the one under way,
    `place` where its next page begins. `seen` and `now` are digests of rows of the last look and of this one.
    """

    begun: bool = False
    floor: Any = None
    mark: Any = None
    high: Any = None
    place: Any = None
    seen: list[str] = []
    now: list[str] = []


examples = (
    Example(
        title="Orders that were paid",
        config={
            "connection": "shop",
            "query": "SELECT id, total, paid_at FROM orders WHERE paid_at IS NOT NULL",
            "watermark": "paid_at",
            "every": "30s",
        },
        event={
            "type": "sql_poll.row",
            "data": {"id": 1042, "total": "99.50", "paid_at": "2027-01-05T12:00:00+00:00"},
            "attributes": {"connection": "shop", "table": None, "id": 1042, "watermark": "2027-01-05T12:00:00+00:00"},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return who is asked for what, and what tells rows apart."""
    what = config.query or config.table
    return key_of(f"{config.connection}/{config.table or 'query'}", what, config.watermark, config.id, config.each)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every row counts; `condition` looks into it."""
    return TRUE


def poll_seconds(config: Config) -> float:
    """Return the pause between two looks."""
    return config.every


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Read one page of rows."""
    fields = await io.connection(config.connection, Sql)
    from workflow_scheduler.outbound.databases import Target

    target = Target(fields.url, fields.password, await io.local_allowed())
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    if not state.begun:
        if config.start == "latest":
            state.floor = state.mark = await io.call(partial(_newest, target, config, io))
        state.begun = True
    if state.place is None:
        state.place = _earlier(config, state.mark)
    rows = await io.call(partial(_rows, target, config, io, state))
    heard = [one for row in rows if (one := _new(config, state, row)) is not None]
    more = _go_on(config, state, rows)
    return Polled(heard=heard, cursor=msgspec.to_builtins(state), more=more)


def _new(config: Config, state: Cursor, row: dict[str, Any]) -> Heard | None:
    """Return a row as it is heard; None for one that is known, or was there at the start."""
    mark = _value(row, config.watermark)
    own = _value(row, config.id)
    key = item_key(own, mark) if config.each == "change" else item_key(own)
    short = digest(key)
    if short in state.now:
        return None
    state.now.append(short)
    state.high = mark
    if short in state.seen or (state.floor is not None and not _greater(mark, state.floor)):
        return None
    attributes = {"connection": config.connection, "table": config.table, "id": own, "watermark": mark}
    return Heard(
        source="", type="sql_poll.row", event_key=key, data=_encode(row), attributes=_encode(attributes),
        subject=item_key(own), time=instant(mark, "iso"),
    )  # fmt: skip


def _go_on(config: Config, state: Cursor, rows: list[dict[str, Any]]) -> bool:
    """Note where the next page begins; return False when this one was the last.

    Raises:
        Rejected: all rows of a page have the same watermark, so that no page could follow.

    """
    if len(rows) >= config.rows:
        last = rows[-1][config.watermark]
        if last == rows[0][config.watermark] and len(rows) > 1:
            raise Rejected(
                f"{len(rows):,} rows have the same `{config.watermark}`, {last}, so that nothing tells where to go on",
                fix="Raise `rows`, or name a column with finer values.",
            )
        state.place = last
        return True
    state.mark = state.mark if state.high is None else state.high
    state.place, state.high = None, None
    state.seen, state.now = state.now[-SEEN_MAX:], []
    return False


def _earlier(config: Config, mark: Any) -> Any:
    """Return the watermark from which a look begins: a little before the newest one."""
    if isinstance(mark, (int, float)):
        return mark - config.reread_numbers
    moment = _moment(mark)
    if moment is None:
        return mark
    text = (moment - timedelta(seconds=config.reread)).isoformat()
    return text if "T" in mark else text.replace("T", " ")


def _moment(mark: Any) -> datetime | None:
    if not isinstance(mark, str) or instant(mark, "iso") is None:
        return None
    try:
        return datetime.fromisoformat(mark)
    except ValueError:
        return None


def _greater(mark: Any, floor: Any) -> bool:
    first, second = instant(mark, "iso"), instant(floor, "iso")
    if first is not None and second is not None:
        return first > second
    try:
        return bool(mark > floor)
    except TypeError:
        return True


def _value(row: dict[str, Any], column: str) -> Any:
    if column not in row:
        raise Rejected(
            f"the rows have no column `{column}`; they have {', '.join(row)}",
            fix="Name another column, or change the query.",
        )
    return row[column]


def _newest(target: Target, config: Config, io: SourceIO) -> Any:
    found = _ask(target, config, io, f"SELECT MAX({config.watermark}) wfs_newest FROM {_from(config)}", {})
    return next(iter(found[0].values()))


def _rows(target: Target, config: Config, io: SourceIO, state: Cursor) -> list[dict[str, Any]]:
    column = config.watermark
    where = f"{column} IS NOT NULL" if state.place is None else f"{column} >= :wfs_place"
    statement = f"SELECT * FROM {_from(config)} WHERE {where} ORDER BY {column}"
    return _ask(target, config, io, statement, {} if state.place is None else {"wfs_place": state.place}, config.rows)


def _from(config: Config) -> str:
    return config.table or f"({(config.query or '').strip().rstrip(';')}) wfs_rows"


def _ask(
    target: Target, config: Config, io: SourceIO, statement: str, params: dict[str, Any], limit: int | None = None
) -> list[dict[str, Any]]:
    """Run one statement; blocks.

    Raises:
        Rejected: the database refuses it for good.
        NotConnected: it is away.

    """
    from workflow_scheduler.outbound.databases import Bounds, Database

    try:
        database = Database(target, io.dialer, TIMEOUT_SECONDS)
        if limit is not None:
            fetch = f"OFFSET 0 ROWS FETCH NEXT {limit} ROWS ONLY" if database.dialect in _FETCH else f"LIMIT {limit}"
            statement = f"{statement} {fetch}"
        bounds = Bounds(config.rows, max(config.rows, 64) * ROW_BYTES, TIMEOUT_SECONDS)
        [found] = database.run([statement], _bound(params, database.dialect), bounds)
    except Forbidden as error:
        raise Rejected(error.detail, fix=error.fix) from error
    except Unavailable as error:
        raise NotConnected(error.detail, fix=error.fix) from error
    if found["truncated"]:
        raise Rejected(f"{config.rows} rows are larger than what is read at once", fix="Lower `rows`.")
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def _bound(params: dict[str, Any], dialect: str) -> dict[str, Any]:
    """Return the parameters as the driver compares them with the column: times as times, but for SQLite, as texts."""
    found = {}
    for key, value in params.items():
        moment = _moment(value) if dialect != "sqlite" else None
        found[key] = Decimal(str(value)) if isinstance(value, float) else moment or value
    return found
