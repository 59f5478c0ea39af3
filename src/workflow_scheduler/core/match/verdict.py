"""Tri-state verdicts: true, false, or unknown, always with the predicates that led there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class Predicate(msgspec.Struct, frozen=True, gc=False):
    """One line of an explanation: what was wanted, what the event held, and the result (None = unknown)."""

    name: str
    expected: Any
    actual: Any
    verdict: bool | None
    note: str | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The conjunction of predicates: false if any is false, else unknown if any is unknown, else true.

    `fallback` is what the trigger type wants done with an unknown result (`fire` or `hold`) where the trigger's own
    `on_unknown` is left at `skip`.
    """

    result: bool | None
    predicates: tuple[Predicate, ...] = ()
    fallback: str | None = None


TRUE = Verdict(result=True)


def conjunction(predicates: Iterable[Predicate]) -> Verdict:
    """Combine predicates by three-valued AND (Kleene); no predicate at all is true."""
    lines = tuple(predicates)
    result: bool | None = True
    for line in lines:
        if line.verdict is False:
            return Verdict(result=False, predicates=lines)
        if line.verdict is None:
            result = None
    return Verdict(result=result, predicates=lines)
