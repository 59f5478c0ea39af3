"""Overdue fires under an exclusion: cut into pieces with one answer each, counted and not walked through."""

from __future__ import annotations

from typing import NamedTuple

from workflow_scheduler.core.time.exclusion import Excluded, Exclusion
from workflow_scheduler.core.time.timer import Timer

PIECES_MAX = 4096


class Piece(NamedTuple):
    """`number` fires from the nominal time `first` on, up to the instant `end`, all excluded for one reason or none."""

    first: int
    end: int
    number: int
    excluded: Excluded | None


def cut(timer: Timer, exclusion: Exclusion, first: int, until: int) -> tuple[list[Piece], int | None]:
    """Cut the fires from `first` (which is one, whatever the calendar says) to `until` where the answer changes.

    At most 4,096 pieces are made, each with at least one fire; neighbours with the same answer are one. The second
    value is the fire after them, where it is due as well.
    """
    pieces: list[Piece] = []
    at: int | None = first
    while at is not None and at <= until:
        if len(pieces) == PIECES_MAX:
            return pieces, at
        end = max(at, min(exclusion.steady_until(at) - 1, until))
        _add(pieces, Piece(at, end, 1 + timer.between(at, end), exclusion.of(at)))
        fire = timer.after(end)
        at = None if fire is None else fire.utc
    return pieces, None


def _add(pieces: list[Piece], piece: Piece) -> None:
    if pieces and pieces[-1].excluded == piece.excluded:
        last = pieces[-1]
        piece = Piece(last.first, piece.end, last.number + piece.number, piece.excluded)
        pieces[-1] = piece
    else:
        pieces.append(piece)


def split(timer: Timer, pieces: list[Piece], newest: int) -> tuple[list[Piece], list[Piece]]:
    """Split pieces so that the second part begins with the `newest`-th newest fire that nothing excludes.

    Where fewer are free, it begins with the first free one; where none is, it is empty.
    """
    left = newest
    place = None
    for number in range(len(pieces) - 1, -1, -1):
        piece = pieces[number]
        if piece.excluded is not None:
            continue
        place = number
        if piece.number > left:
            start = timer.newest(piece.first, piece.end, left)
            older = Piece(piece.first, start - 1, piece.number - left, None)
            return [*pieces[:number], older], [Piece(start, piece.end, left, None), *pieces[number + 1 :]]
        left -= piece.number
        if not left:
            break
    return (pieces, []) if place is None else (pieces[:place], pieces[place:])
