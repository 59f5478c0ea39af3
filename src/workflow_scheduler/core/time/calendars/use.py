"""The `calendars` field of a time trigger: which calendars it follows, and what they do to its times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from workflow_scheduler.core.time.calendars.spec import Name

Shift = Literal["next_business_day", "previous_business_day", "nearest"]
CALENDARS_MAX = 20


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(_listed)]


class CalendarUse(BaseModel):
    """Times on days of `exclude`, or outside of `only`, do not run, or are moved to a day that is free."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exclude: Names = Field(
        default=(), max_length=CALENDARS_MAX, title="Except on", description="Calendars on whose days it does not run."
    )
    only: Names = Field(
        default=(), max_length=CALENDARS_MAX, title="Only on", description="Calendars on whose days alone it runs."
    )
    shift: Shift | None = Field(
        default=None,
        title="Shift",
        description="Move a time to the next, previous or nearest day that all calendars allow, at the same wall time.",
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.exclude and not self.only:
            message = "name a calendar under `exclude` or `only`"
            raise ValueError(message)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every calendar that is named, in order."""
        return tuple(dict.fromkeys((*self.exclude, *self.only)))


def use_of(config: object) -> CalendarUse | None:
    """Return which calendars a time trigger with this configuration follows."""
    found = getattr(config, "calendars", None)
    return found if isinstance(found, CalendarUse) else None


def named(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the calendars that a stored configuration names; none where it cannot be read."""
    try:
        return CalendarUse.model_validate(config.get("calendars")).names
    except ValidationError:
        return ()


def calendar_key(name: str) -> str:
    """Return the index key under which the triggers that follow a calendar are found."""
    return f"calendar:{name}"
