"""The shape of a trigger as people write it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.match.expression import EVENT_VARIABLES, compile_expression
from workflow_scheduler.core.model.workflow import Duration, Part, duration_seconds
from workflow_scheduler.core.shaping.shape import GATHERED_MAX, Gather, Rate, Shape, Unique
from workflow_scheduler.core.time.clock import SECOND_US

_YEAR = 366 * 86_400
_RATE_COUNT_MAX = 1_000
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
Span = Annotated[Duration, Field(gt=0, le=_YEAR)]


class _Keyed(Part):
    key: str | None = Field(default=None, description="CEL over the event; each value counts for itself.")

    @field_validator("key")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                compile_expression(value, EVENT_VARIABLES)
        except SchedulerError as error:
            raise ValueError(error.detail) from error
        return value


class Debounce(_Keyed):
    """One run for a burst of events, when it has been quiet for a while."""

    quiet: Span = Field(description="How long nothing more must have come: 30s.")
    max_wait: Span | None = Field(
        default=None, description="The run starts so long after the first event at the latest."
    )


class Batch(_Keyed):
    """One run for several events."""

    size: int = Field(default=GATHERED_MAX, ge=2, le=GATHERED_MAX, description="So many events start the run.")
    time: Span = Field(
        default=60.0, description="So long after its first event a batch is run although it is not full."
    )


class RateRule(_Keyed):
    """At most so many starts in a time."""

    rate: str = Field(description="A number and s, m, h or d, such as 10/m; or a number and a time: 10/5m.")
    scope: Literal["trigger", "workflow"] = Field(
        default="trigger", description="Whether the trigger counts alone, or all triggers of the workflow that say so."
    )

    @field_validator("rate")
    @classmethod
    def _readable(cls, value: str) -> str:
        _rate(value)
        return value


class Threshold(_Keyed):
    """One run when so many events came within a time."""

    count: int = Field(ge=2, le=GATHERED_MAX, description="So many events start the run.")
    window: Span = Field(description="The time within which they must have come: 5m.")


class Absence(Part):
    """One run when nothing came for a time: after the deployment, or after the last event."""

    after: Span = Field(description="How long nothing must have come: 1h.")


class UniqueRule(_Keyed):
    """Events that say the same within a time count once."""

    key: str | None = Field(description="CEL over the event: what they say, for example event.data.order_id.")
    window: Span = Field(default=600.0, description="How long an event keeps equal ones out: 10m.")


def _short(name: str) -> BeforeValidator:
    def read(value: Any) -> Any:
        return {name: value} if isinstance(value, str | int | float) and not isinstance(value, bool) else value

    return BeforeValidator(read)


class ShapeFields(Part):
    """The keys of a trigger by which its events become fewer runs, or later ones."""

    debounce: Annotated[Debounce | None, _short("quiet")] = Field(
        default=None,
        description="One run for a burst of events, after a time of quiet: 30s, or {quiet, max_wait, key}.",
    )
    batch: Annotated[Batch | None, _short("size")] = Field(
        default=None, description="One run for several events: their number, or {size, time, key}."
    )
    threshold: Threshold | None = Field(
        default=None, description="One run when {count} events came within {window}, by {key}."
    )
    absence: Annotated[Absence | None, _short("after")] = Field(
        default=None, description="One run when no event came for a time: 1h."
    )
    throttle: Annotated[RateRule | None, _short("rate")] = Field(
        default=None, description="Runs beyond a rate start later, in order: 10/m, or {rate, key, scope}."
    )
    rate_limit: Annotated[RateRule | None, _short("rate")] = Field(
        default=None, description="Events beyond a rate start nothing, and are recorded: 10/m, or {rate, key, scope}."
    )
    unique: Annotated[UniqueRule | None, _short("key")] = Field(
        default=None,
        description="Events with the same value of the expression within a time count once: CEL, or {key, window}.",
    )
    ttl: Annotated[
        Span | None, Field(description="Events older than this when they are decided start nothing: 1h.")
    ] = None

    @model_validator(mode="after")
    def _one_way_of_gathering(self) -> ShapeFields:
        given = [name for name in ("debounce", "batch", "threshold", "absence") if getattr(self, name) is not None]
        if len(given) > 1:
            message = f"`{given[0]}` and `{given[1]}` exclude each other; keep one of them"
            raise ValueError(message)
        return self


def shape_of(fields: ShapeFields) -> Shape | None:
    """Return the shape as it is stored; None for a trigger that starts a run for each event."""
    unique = fields.unique
    shape = Shape(
        gather=_gather(fields),
        rate_limit=_stored(fields.rate_limit),
        throttle=_stored(fields.throttle),
        unique=None if unique is None else Unique(unique.key or "null", _us(unique.window)),
        ttl=None if fields.ttl is None else _us(fields.ttl),
    )
    return None if shape == Shape() else shape


def absence_of(fields: ShapeFields) -> int | None:
    """Return after how many microseconds without an event a trigger starts a run; None where it does not."""
    return None if fields.absence is None else _us(fields.absence.after)


def _gather(fields: ShapeFields) -> Gather | None:
    if fields.debounce is not None:
        most = fields.debounce.max_wait
        return Gather(
            "debounce", _us(fields.debounce.quiet), most=None if most is None else _us(most), key=fields.debounce.key
        )
    if fields.batch is not None:
        return Gather("batch", _us(fields.batch.time), size=fields.batch.size, key=fields.batch.key)
    if fields.threshold is not None:
        rule = fields.threshold
        return Gather("threshold", _us(rule.window), size=rule.count, key=rule.key)
    return None if fields.absence is None else Gather("absence", _us(fields.absence.after))


def _stored(rule: RateRule | None) -> Rate | None:
    return None if rule is None else Rate(*_rate(rule.rate), key=rule.key, scope=rule.scope)


def _rate(text: str) -> tuple[int, int]:
    """Return count and time of a rate such as `10/m` or `10/5m`."""
    number, _, unit = text.replace(" ", "").partition("/")
    if not (number.isascii() and number.isdigit()) or not 1 <= int(number[:7]) <= _RATE_COUNT_MAX or not unit:
        message = f"`{text[:40]}` is not a rate; write a number up to {_RATE_COUNT_MAX:,} and a time: 10/m or 10/5m"
        raise ValueError(message)
    seconds = _UNITS[unit] if unit in _UNITS else duration_seconds(unit)
    if not isinstance(seconds, float) or not 0 < seconds <= _YEAR:
        message = f"`{text[:40]}` is not a rate; write a number and a time: 10/m or 10/5m"
        raise ValueError(message)
    return int(number), _us(seconds)


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)
