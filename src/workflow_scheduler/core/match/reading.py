"""What an expression reads: counted and checked level by level before the CEL runtime sees it.

A value of JSON goes over as it is. The runtime takes about half a microsecond for each value that it is handed, so that
their number bounds its time; here whole levels of a value are measured at once, at a tenth of that. Only what CEL does
not know (integers beyond 64 bits, text that is not Unicode, other types) makes a converted copy.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

from workflow_scheduler.core.time.clock import from_datetime, to_iso

VALUES_MAX = 10_000
CHARS_MAX = 1_000_000
DEPTH_MAX = 200
_INT64 = 2**63
_LISTS = (list, tuple)
_TEXTS = frozenset({str})
_PLAIN = frozenset({bool, float, bytes, type(None)})
_SCALARS = _PLAIN | {str, int}
_KNOWN = _SCALARS | {dict, list}


class TooCostly(Exception):
    """The data is too large for the expression; the text says what was exceeded."""


class Meter:
    """Counts what is read: `values` in all, their characters, the longest text, and the longest list or object."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.values = 0
        self.chars = 0
        self.longest = 0
        self.longest_list = 0
        self._clean = True

    def read(self, value: Any) -> Any:
        """Return `value` in types that CEL knows: itself where it is plain JSON, else a converted copy.

        Raises:
            TooCostly: more is read than an evaluation may read.

        """
        self._add_values(1)
        self._clean = True
        level = [value]
        for _ in range(DEPTH_MAX + 1):
            kinds = frozenset(map(type, level))
            self._measure(level, kinds)
            level = [] if kinds <= _SCALARS else self._below(level, plain=kinds <= _KNOWN)
            if not level:
                return value if self._clean else self._converted(value)
        raise TooCostly(f"the expression reads values that are nested more than {DEPTH_MAX} deep")

    def _measure(self, level: list[Any], kinds: frozenset[type]) -> None:
        """Count the texts of a level and look for values that CEL does not know."""
        if not kinds <= _KNOWN:
            self._clean = False
        if str in kinds:
            self._add_texts(level if len(kinds) == 1 else [one for one in level if type(one) is str])
        if int in kinds:
            numbers = level if len(kinds) == 1 else [one for one in level if type(one) is int]
            self._clean = self._clean and min(numbers) >= -_INT64 and max(numbers) < _INT64

    def _below(self, level: list[Any], *, plain: bool) -> list[Any]:
        """Return what the lists and objects of a level hold; the names in objects are counted as texts.

        `plain` says that no type but those of JSON occurs, which spares the slow question for a `Mapping`.
        """
        objects = [one for one in level if (type(one) is dict if plain else isinstance(one, Mapping))]
        lists = [one for one in level if isinstance(one, _LISTS)]
        sizes = [*map(len, objects), *map(len, lists)]
        if not sizes:
            return []
        longest = max(sizes)
        self.longest_list = max(self.longest_list, longest)
        self._add_values(sum(sizes))
        names = list(chain.from_iterable(objects))
        if not _TEXTS.issuperset(map(type, names)):
            self._clean = False
            names = list(map(str, names))
        self._add_texts(names)
        return [*chain.from_iterable(one.values() for one in objects), *chain.from_iterable(lists)]

    def _add_values(self, number: int) -> None:
        self.values += number
        if self.values > VALUES_MAX:
            raise TooCostly(f"the expression reads more than {VALUES_MAX:,} values")

    def _add_texts(self, texts: list[str]) -> None:
        if not texts:
            return
        sizes = list(map(len, texts))
        self.chars += sum(sizes)
        if self.chars > CHARS_MAX:
            raise TooCostly(f"the expression reads more than {CHARS_MAX:,} characters")
        longest = max(sizes)
        self.longest = max(self.longest, longest)
        self._clean = self._clean and _is_unicode("".join(texts))

    def _converted(self, value: Any) -> Any:
        """Return a copy in types that CEL knows; its values are counted already."""
        if isinstance(value, Mapping):
            return {_text(str(name)): self._known(part) for name, part in value.items()}
        if isinstance(value, _LISTS):
            return [self._known(part) for part in value]
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            return value if -_INT64 <= value < _INT64 else _as_float(value)
        if isinstance(value, dt.datetime):
            return to_iso(from_datetime(value))
        text = str(value)
        self._add_texts([text])
        return _text(text)

    def _known(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN or (kind is int and -_INT64 <= value < _INT64) or (kind is str and value.isascii()):
            return value
        return self._converted(value)


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
