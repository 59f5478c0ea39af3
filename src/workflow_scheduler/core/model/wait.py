"""Waits: paused jobs that want an answer from people, and the answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from workflow_scheduler.core.time.clock import MINUTE_US, to_iso

JOB_TYPE: Final = "approval"
EARLY_US: Final = 10 * MINUTE_US
RESPONDERS_MAX: Final = 100
GROUP: Final = "group:"
_NAME: Final = "wait:"

OnTimeout = Literal["reject", "approve", "fail", "continue"]
Ambiguous = Literal["ask", "newest", "oldest", "start_new"]


class WaitStatus(StrEnum):
    """Where a wait stands; only an open one can be answered."""

    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where people talk about a wait. `conversations` name one thread each, `scopes` the place around it.

    Both begin with their kind: `slack:TEAM/CHANNEL/TS`, `email:MESSAGE-ID`, `email-token:TOKEN`, `github:OWNER/REPO#N`,
    `webhook:TOKEN`, and `slack:TEAM/CHANNEL`, `email:ADDRESS`, `github:OWNER/REPO`.
    """

    conversations: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class WaitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks for. Times are microseconds, those after opening relative to it.

    `form` is the JSON Schema of the answer; `decides` says whether the answer approves or rejects, or only fills in
    the form. `correlate_by` is CEL over the event that is compared with `correlation`.
    """

    ask: str
    to: tuple[str, ...] = ()
    form: dict[str, Any] | None = None
    decides: bool = True
    timeout_us: int | None = None
    on_timeout: OnTimeout = "reject"
    reminders_us: tuple[int, ...] = ()
    escalate_after_us: int | None = None
    escalate_to: tuple[str, ...] = ()
    quorum: int = 1
    four_eyes: bool = False
    require_comment: bool = False
    correlation: str | None = None
    correlate_by: str | None = None
    ambiguous: Ambiguous = "ask"
    channel: Channel = Channel()
    links: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A stored wait. `id` is its interaction id. `to` are the responders of now, those of an escalation included.

    `step` counts what `next_at` has called for so far: reminders, then the escalation has a place of its own.
    `started_by` is the user who started the run, `started_at` when the run began.
    """

    tenant_id: str
    id: str
    run_id: str
    job_id: str
    number: int
    workflow_id: str
    workflow: str
    trigger_id: str
    status: WaitStatus
    request: WaitRequest
    to: tuple[str, ...]
    opened_at: int
    started_at: int
    started_by: str | None = None
    expires_at: int | None = None
    next_at: int | None = None
    reminded: int = 0
    escalated: bool = False
    closed_at: int | None = None
    output: bytes | None = None
    key: bytes = b""

    @property
    def name(self) -> str:
        """The name that the parked job waits for."""
        return wake_name(self.id)

    def has_expired(self, now: int) -> bool:
        """Return whether it is still open although its time has run out."""
        return self.status is WaitStatus.OPEN and self.expires_at is not None and self.expires_at <= now


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one responder said. `approved` is None where nothing is to be approved; `answer` are JSON bytes."""

    by: str
    at: int
    via: str
    approved: bool | None = None
    answer: bytes = b"null"
    comment: str | None = None
    event_id: str | None = None


def wake_name(wait_id: str) -> str:
    """Return the name under which a job waits for the answer to a wait."""
    return f"{_NAME}{wait_id}"


def is_wait(name: str) -> bool:
    """Return whether a parked job waits for people."""
    return name.startswith(_NAME)


def wait_id_of(name: str) -> str:
    """Return the id of the wait that a name speaks of."""
    return name[len(_NAME) :]


def next_step(wait: Wait) -> int | None:
    """Return when the next reminder, the escalation or the expiry of a wait is due, None when nothing is."""
    request, due = wait.request, [wait.expires_at]
    due += [wait.opened_at + after for after in sorted(request.reminders_us)[wait.reminded : wait.reminded + 1]]
    if request.escalate_after_us is not None and not wait.escalated:
        due.append(wait.opened_at + request.escalate_after_us)
    return min((at for at in due if at is not None), default=None)


def verdict(wait: Wait, answers: list[Answer]) -> bool | None:
    """Return what the answers of a wait come to: True and False end it, None wants more of them.

    One rejection rejects. A question without a decision is answered (True) by as many answers as its quorum.
    """
    if any(answer.approved is False for answer in answers):
        return False
    return True if len(answers) >= wait.request.quorum else None


def output_of(wait: Wait, approved: bool | None, answers: list[Answer], *, timed_out: bool = False) -> bytes:
    """Return the JSON of the output of the job: the deciding answer, and all of them."""
    last = answers[-1] if answers else None
    return msgspec.json.encode(
        {
            "approved": approved,
            "answer": msgspec.Raw(last.answer if last else b"null"),
            "by": last.by if last else None,
            "comment": last.comment if last else None,
            "timed_out": timed_out,
            "interaction_id": wait.id,
            "answers": [shape(answer) for answer in answers],
        }
    )


def shape(answer: Answer) -> dict[str, Any]:
    """Return an answer as it is shown."""
    return {
        "by": answer.by,
        "approved": answer.approved,
        "answer": msgspec.Raw(answer.answer),
        "comment": answer.comment,
        "via": answer.via,
        "at": to_iso(answer.at),
    }
