"""Who may answer a wait, and whether what they say is an answer to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.form import form_errors
from workflow_scheduler.core.match.ladder import Candidate
from workflow_scheduler.core.match.replies import Heard
from workflow_scheduler.core.model.wait import GROUP, Wait, WaitRequest, WaitStatus

COMMENT_CHARACTERS_MAX = 4_000


class Person(msgspec.Struct, frozen=True):
    """Whoever speaks: `name` is what is recorded, `known_as` all the names that may stand in `to`."""

    name: str
    known_as: frozenset[str]


Groups = Mapping[str, Collection[str]]


def may_answer(wait: Wait, person: Person | None, groups: Groups) -> bool | None:
    """Return whether a person may answer a wait; None where nobody says who speaks and not everybody may.

    `groups` has the members of each `group:NAME` in the wait's `to`.
    """
    if person is None:
        return None if wait.to or wait.request.four_eyes else True
    if wait.request.four_eyes and wait.started_by is not None and wait.started_by in person.known_as:
        return False
    if not wait.to:
        return True
    names = {name.lower() for name in person.known_as}
    for one in wait.to:
        members = groups.get(one, ()) if one.startswith(GROUP) else (one,)
        if any(member.lower() in names for member in members):
            return True
    return False


def answer_errors(request: WaitRequest, heard: Heard) -> list[FieldError]:
    """Return what is wrong with an answer, by field."""
    errors = []
    comment = (heard.comment or "").strip()
    if request.require_comment and not comment:
        errors.append(FieldError("comment", "is required"))
    if len(comment) > COMMENT_CHARACTERS_MAX:
        errors.append(FieldError("comment", f"may have {COMMENT_CHARACTERS_MAX} characters at most"))
    # Who rejects need not fill in what would only be of use otherwise.
    if request.form is not None and heard.approved is not False:
        errors += form_errors(request.form, heard.answer, "answer")
    return errors


def candidate(wait: Wait, heard: Heard, person: Person | None, groups: Groups, correlated: bool | None) -> Candidate:
    """Return the wait as the ladder sees it, for one event."""
    flaw = heard.flaw
    if flaw is None and (errors := answer_errors(wait.request, heard)):
        flaw = f"not a valid answer: {errors[0].field} {errors[0].message}"
    channel = wait.request.channel
    return Candidate(
        id=wait.id,
        workflow_id=wait.workflow_id,
        opened_at=wait.opened_at,
        started_at=wait.started_at,
        conversations=frozenset(channel.conversations),
        scopes=frozenset(channel.scopes),
        correlates=wait.request.correlation is not None,
        correlated=correlated,
        allowed=may_answer(wait, person, groups),
        flaw=flaw,
        ambiguous=wait.request.ambiguous,
        closed=wait.status is not WaitStatus.OPEN,
    )
