"""Reads compiled time-zone files (TZif, RFC 9636) and the POSIX rule in their footer.

`zoneinfo` answers one instant at a time; the scheduler needs the list of all clock changes, so that mapping
wall time to UTC is integer arithmetic.
"""

from __future__ import annotations

import re
import struct
from datetime import date

import msgspec

DAY_SECONDS = 86_400
UNIX_EPOCH_ORDINAL = 719_163
_HEADER = struct.Struct(">4s1s15x6l")
_NAME = r"(?:<[A-Za-z0-9+-]+>|[A-Za-z]+)"
_OFFSET = r"([+-]?\d+(?::\d+){0,2})"
_FOOTER = re.compile(rf"{_NAME}{_OFFSET}(?:{_NAME}{_OFFSET}?,([^,]+),([^,]+))?")
_JANUARY_AND_FEBRUARY = 59


class Change(msgspec.Struct, frozen=True, gc=False):
    """A clock change: from the UTC instant `at` (seconds since the epoch) on, the offset is `offset` seconds."""

    at: int
    offset: int


class YearlyRule(msgspec.Struct, frozen=True):
    """The rule that holds after the last listed change: two changes a year, as POSIX writes them."""

    standard: int
    summer: int
    begin: str
    end: str

    def changes(self, year: int) -> list[Change]:
        """Return the two changes of `year`, in order."""
        begin = _rule_seconds(self.begin, year) - self.standard
        end = _rule_seconds(self.end, year) - self.summer
        return sorted([Change(begin, self.summer), Change(end, self.standard)], key=lambda change: change.at)


class ZoneFile(msgspec.Struct, frozen=True):
    """What a zone file says: the offset before every change, the listed changes, and the rule after them."""

    first_offset: int
    changes: list[Change]
    rule: YearlyRule | None


def read(data: bytes) -> ZoneFile:
    """Parse the bytes of a TZif file of version 2 or later.

    Raises:
        ValueError: the bytes are not such a file.

    """
    magic, version, *counts = _HEADER.unpack_from(data)
    if magic != b"TZif" or version < b"2":
        message = "not a TZif file of version 2 or later"
        raise ValueError(message)
    start = _HEADER.size + _body_size(counts, 4)
    _, _, *counts = _HEADER.unpack_from(data, start)
    start += _HEADER.size
    _, _, _, times, types, _ = counts
    instants = struct.unpack_from(f">{times}q", data, start)
    indices = data[start + times * 8 : start + times * 9]
    offsets = [struct.unpack_from(">l", data, start + times * 9 + number * 6)[0] for number in range(types)]
    footer = data[start + _body_size(counts, 8) :].strip(b"\n").decode("ascii")
    changes = [Change(at, offsets[index]) for at, index in zip(instants, indices, strict=True)]
    return ZoneFile(offsets[0], changes, _yearly_rule(footer))


def _body_size(counts: list[int], time_size: int) -> int:
    utc_flags, standard_flags, leaps, times, types, letters = counts
    return times * (time_size + 1) + types * 6 + letters + leaps * (time_size + 4) + standard_flags + utc_flags


def _yearly_rule(footer: str) -> YearlyRule | None:
    match = _FOOTER.fullmatch(footer)
    if match is None or match[3] is None:
        return None
    standard = -_clock_seconds(match[1])
    summer = -_clock_seconds(match[2]) if match[2] else standard + 3600
    return YearlyRule(standard, summer, match[3], match[4])


def _clock_seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


def _rule_seconds(rule: str, year: int) -> int:
    """Return the local seconds since the epoch at which `rule` (`M3.2.0/2`, `J60`, `59`) strikes in `year`."""
    day, _, clock = rule.partition("/")
    seconds = _clock_seconds(clock) if clock else 7200
    january = date(year, 1, 1).toordinal() - UNIX_EPOCH_ORDINAL
    if day.startswith("M"):
        month, week, weekday = (int(part) for part in day[1:].split("."))
        number = _nth_weekday(year, month, week, weekday)
    elif day.startswith("J"):
        ordinal = int(day[1:])
        leap = date(year, 3, 1).toordinal() - date(year, 2, 28).toordinal() - 1
        number = january + ordinal - 1 + (leap if ordinal > _JANUARY_AND_FEBRUARY else 0)
    else:
        number = january + int(day)
    return number * DAY_SECONDS + seconds


def _nth_weekday(year: int, month: int, week: int, weekday: int) -> int:
    """Return the day number of the `week`-th `weekday` (0 = Sunday) of a month; week 5 means the last."""
    first = date(year, month, 1)
    day = 1 + (weekday - first.isoweekday()) % 7 + (week - 1) * 7
    length = (date(year + month // 12, month % 12 + 1, 1) - first).days
    while day > length:
        day -= 7
    return first.toordinal() - UNIX_EPOCH_ORDINAL + day - 1
