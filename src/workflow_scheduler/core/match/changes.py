"""Filters over what a change in a repository touches: branches, tags, files and authors, each as a predicate."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.match.glob import compile_globs
from workflow_scheduler.core.match.pattern import compile_pattern
from workflow_scheduler.core.match.verdict import Predicate

SHOWN = 20


def names_line(what: str, wanted: tuple[str, ...], ignored: tuple[str, ...], names: tuple[str, ...]) -> Predicate:
    """Return whether one of `names` fits `wanted`, or none of `ignored`; no name at all is unknown."""
    expected: Any = list(wanted) if wanted else {"ignore": list(ignored)}
    if not names:
        return Predicate(what, expected, None, None, "the event names none")
    if wanted:
        fits = any(compile_globs(wanted).matches(name) for name in names)
    else:
        fits = not all(compile_globs(ignored).matches(name) for name in names)
    return Predicate(what, expected, names[0] if len(names) == 1 else list(names[:SHOWN]), fits)


def files_line(
    wanted: tuple[str, ...], ignored: tuple[str, ...], files: tuple[str, ...] | None, incomplete: str | None
) -> Predicate:
    """Return whether one of `files` fits `wanted`, or is not among `ignored`.

    One file that fits is enough, however many are not known; where none does and the list is `incomplete` (the text
    says why), the answer is unknown.
    """
    expected: Any = list(wanted) if wanted else {"ignore": list(ignored)}
    known = files or ()
    if wanted:
        hit = compile_globs(wanted).any(known)
    else:
        globs = compile_globs(ignored)
        hit = next((one for one in known if not globs.matches(one)), None)
    if hit is not None:
        return Predicate("paths", expected, hit, verdict=True)
    shown = list(known[:SHOWN]) if files is not None else None
    note = incomplete
    if note is None and len(known) > SHOWN:
        note = f"none of {len(known):,} files"
    return Predicate("paths", expected, shown, False if incomplete is None else None, note)


def authors_line(patterns: tuple[str, ...], authors: tuple[str, ...], *, complete: bool) -> Predicate:
    """Return whether one of the regular expressions occurs in a name, address or login of `authors`."""
    compiled = [compile_pattern(pattern) for pattern in patterns]
    for author in authors:
        if any(pattern.search(author) for pattern in compiled):
            return Predicate("authors", list(patterns), author, verdict=True)
    known = bool(authors) and complete
    note = None if known else "not all authors are known"
    return Predicate("authors", list(patterns), list(authors[:SHOWN]), False if known else None, note)
