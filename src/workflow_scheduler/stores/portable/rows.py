"""Turning rows into model objects without trusting them: one malformed row never takes a list down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

T = TypeVar("T")


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A stored row that cannot be read: its table, its id, and what is wrong with it."""

    kind: str
    id: str
    detail: str


def read_row(model: type[T], columns: Sequence[str], row: Row) -> T:
    """Return `row` as `model`, its values checked against the model's types.

    Raises:
        msgspec.ValidationError: a value has a wrong type.

    """
    return msgspec.convert(dict(zip(columns, row, strict=True)), model, strict=False, builtin_types=(bytes,))


def read_rows(
    model: type[T], columns: Sequence[str], rows: Iterable[Row], kind: str, key: Sequence[int] = (0,)
) -> list[T | Malformed]:
    """Return every row as `model`, or as Malformed where that is impossible.

    `key` numbers the columns that make the row's id; several are joined by a slash.
    """
    found: list[T | Malformed] = []
    for row in rows:
        try:
            found.append(read_row(model, columns, row))
        except (msgspec.ValidationError, ValueError) as error:
            found.append(Malformed(kind, "/".join(str(row[place]) for place in key), str(error)))
    return found


def decode_json(raw: bytes | str | None) -> Any:
    """Return the decoded JSON of a column; an absent value is None.

    Raises:
        msgspec.DecodeError: the text is not JSON.
        ValueError: the bytes are not UTF-8.

    """
    return None if raw is None else msgspec.json.decode(raw)


def strings(raw: bytes | str) -> tuple[str, ...]:
    """Return a stored JSON array of strings.

    Raises:
        msgspec.DecodeError: the text is no such array.

    """
    return msgspec.json.decode(raw, type=tuple[str, ...])


def numbered(name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return `:name0, :name1, …` and their parameters, for an IN list."""
    return ", ".join(f":{name}{i}" for i in range(len(values))), {f"{name}{i}": v for i, v in enumerate(values)}


def _quarantine(tenant_id: str, rows: Sequence[Malformed], now: int) -> Work[None]:
    for row in rows:
        yield Sql(
            """INSERT INTO quarantine (tenant_id, kind, id, detail, found_at)
               VALUES (:tenant, :kind, :id, :detail, :now)
               ON CONFLICT (tenant_id, kind, id) DO NOTHING""",
            {"tenant": tenant_id, "kind": row.kind, "id": row.id, "detail": row.detail[:500], "now": now},
        )


async def quarantine(store: Store, tenant_id: str, rows: Iterable[object], now: int) -> None:
    """Record the malformed ones among `rows`, once each; does nothing when all could be read."""
    broken = [row for row in rows if isinstance(row, Malformed)]
    if broken:
        await store.transact(_quarantine(tenant_id, broken, now))
