"""Public holidays from the `holidays` package, by country and subdivision; names in English where it has them."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from workflow_scheduler.core.errors import did_you_mean
from workflow_scheduler.core.time.calendars.ics_times import day_of

_LANGUAGE = "en_US"


def _package() -> Any:
    import holidays  # half a second: only for those who use it

    return holidays


def package_version() -> str:
    """Return the version of the package, which decides the days."""
    return importlib.metadata.version("holidays")


def check_place(country: str, subdivision: str | None) -> None:
    """Refuse a country or subdivision that the package does not know.

    Raises:
        ValueError: it does not; the message proposes the nearest.

    """
    known = _package().list_supported_countries(include_aliases=True)
    if country not in known:
        near = country.upper() if country.upper() in known else did_you_mean(country.upper(), sorted(known))
        hint = f", did you mean `{near}`?" if near else "; write an ISO 3166 code such as DE, US or JP"
        message = f"`country`: no holidays are known for `{country}`{hint}"
        raise ValueError(message)
    if subdivision is None or subdivision in known[country]:
        return
    if not known[country]:
        message = f"`subdivision`: {country} has no subdivisions with holidays of their own; leave it out"
    else:
        near = did_you_mean(subdivision, known[country])
        hint = f", did you mean `{near}`?" if near else ""
        listed = ", ".join(known[country][:60])
        message = f"`subdivision`: `{subdivision}` is none of {country}{hint}; known are {listed}"
    raise ValueError(message)


def holidays_of(country: str, subdivision: str | None, year: int, *, observed: bool) -> dict[int, str]:
    """Return the holidays of a year by day, counted from 1970-01-01."""
    package = _package()
    made = package.country_holidays(country, subdiv=subdivision, years=year, observed=observed, language=_LANGUAGE)
    return {day_of(day): str(name) for day, name in sorted(made.items())}
