"""Ask people, and wait for their answer.

The job is parked until somebody answers, for days where need be, and holds nothing meanwhile. Its output is
`{approved, answer, by, comment, timed_out, interaction_id, answers}`: `approved` is true or false, `answer` what was
filled into `form`, `by` whoever decided. `if: "jobs.approve.output.approved"` on the next job does the rest. With
`decision: false` it is a question: the form alone is the answer, and `approved` is null.

`to` lists who may answer: ids of users, addresses, `slack:U…`, `github:NAME`, or `group:NAME` for every member with
that group; without `to` everybody in the tenant may. `quorum` wants several approvals; one rejection rejects.
`four_eyes` leaves out whoever started the run. Nobody answers twice.

People answer through the API, the command line, a signed link, or by what happens in a channel: a reply in the Slack
thread, to the mail or on the issue that is named here. Events are compared with open waits before they start runs; the
how-to page on approvals tells how. The internal event `approval_pending` says that somebody is waited for, and again
with each of `reminders` and when the `escalate` time has come.

When `timeout` has passed, `on_timeout` decides: `reject` and `approve` end the job with that decision, `continue` with
`approved: null`, `fail` fails it with the code `expired`. Rejection is an output, not a failure.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from workflow_scheduler.core.dag.park import WaitFor
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.form import schema_errors
from workflow_scheduler.core.match.condition import EVENT_VARIABLES, compile_expression
from workflow_scheduler.core.match.correlation import correlation_text
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.wait import (
    JOB_TYPE,
    RESPONDERS_MAX,
    Ambiguous,
    Channel,
    OnTimeout,
    WaitRequest,
    wake_name,
)
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.clock import SECOND_US

name = JOB_TYPE
title = "Ask people"
inline = False
needs_code_allowance = False
REMINDERS_MAX = 20
examples = (
    {"ask": "Publish the report?", "to": ["group:finance"], "timeout": "24h", "on_timeout": "reject"},
    {
        "ask": "Which region?",
        "decision": False,
        "form": {"type": "object", "required": ["region"], "properties": {"region": {"enum": ["eu", "us"]}}},
        "slack": {"team": "T0123", "channel": "C0123", "thread_ts": "1700000000.000100"},
    },
    {
        "ask": "Pay the invoice?",
        "to": ["ada", "grace"],
        "quorum": 2,
        "four_eyes": True,
        "reminders": ["1h", "4h"],
        "escalate": {"after": "8h", "to": ["group:heads"]},
    },
)


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    problems = schema_errors(schema, "form")
    if problems:
        message = f"`{problems[0].field}` {problems[0].message}"
        raise ValueError(message)
    return schema


def _expression(text: str) -> str:
    try:
        compile_expression(text, EVENT_VARIABLES)
    except SchedulerError as error:
        raise ValueError(error.detail) from None
    return text


class Escalation(ClosedConfig):
    """Who else may answer, and from when on."""

    after: Duration = Field(title="After", description="How long after the beginning of the wait.")
    to: list[Line] = Field(title="To", description="Who may answer from then on.", min_length=1, max_length=50)


class SlackThread(ClosedConfig):
    """Where in Slack the answer is expected."""

    team: Line | None = Field(default=None, title="Team", description="Id of the workspace (T…).")
    channel: Line = Field(title="Channel", description="Id of the channel (C…).")
    thread_ts: Line | None = Field(default=None, title="Thread", description="`ts` of the message that asks.")


class Mail(ClosedConfig):
    """The mail to which the answer is a reply."""

    message_id: Line | None = Field(default=None, title="Message-ID", description="That of the mail that asks.")
    reply_token: Line | None = Field(
        default=None, title="Reply token", description="The part after `+` in the address to which people reply."
    )
    mailbox: Line | None = Field(default=None, title="Mailbox", description="The address that gets the replies.")


class Issue(ClosedConfig):
    """The issue or pull request on which the answer is a comment."""

    repository: Line = Field(title="Repository", description="OWNER/NAME.")
    issue: int | None = Field(default=None, title="Number", description="Number of the issue or pull request.", ge=1)


class Callback(ClosedConfig):
    """What a webhook delivery shows that belongs to this wait."""

    token: Line = Field(title="Token", description="The `reply_token` in the data of the delivery.")


class Config(ClosedConfig):
    """What is asked, who may answer, and how long is waited."""

    ask: str = Field(title="Question", description="What people read.", min_length=1, max_length=4_000)
    to: list[Line] = Field(
        default=[], title="To", description="Users, addresses, `group:NAME`; empty: everybody.", max_length=50
    )
    form: Annotated[dict[str, Any], AfterValidator(_form)] | None = Field(
        default=None, title="Form", description="JSON Schema of the answer."
    )
    decision: bool = Field(
        default=True, title="Decision", description="Whether to approve or reject; otherwise the form is the answer."
    )
    timeout: Duration | None = Field(default=None, title="Timeout", description="How long to wait, 24h for example.")
    on_timeout: OnTimeout = Field(default="reject", title="On timeout", description="What then counts as the answer.")
    reminders: list[Duration] = Field(
        default=[], title="Reminders", description="How long after the beginning.", max_length=REMINDERS_MAX
    )
    escalate: Escalation | None = Field(default=None, title="Escalation", description="Ask more people later.")
    quorum: int = Field(default=1, title="Quorum", description="How many must approve.", ge=1, le=RESPONDERS_MAX)
    four_eyes: bool = Field(default=False, title="Four eyes", description="Whoever started the run may not answer.")
    require_comment: bool = Field(default=False, title="Comment", description="An answer needs a comment.")
    correlation: Any = Field(
        default=None, title="Correlation", description="A value that the answering event has as well."
    )
    correlate_by: Annotated[str, AfterValidator(_expression)] | None = Field(
        default=None, title="Correlate by", description="CEL over that event; `event.data.correlation` by default."
    )
    ambiguous: Ambiguous = Field(
        default="ask", title="Ambiguous", description="What to do where an event may answer several waits."
    )
    slack: SlackThread | None = Field(default=None, title="Slack", description="Thread where people answer.")
    email: Mail | None = Field(default=None, title="E-mail", description="Mail that people reply to.")
    github: Issue | None = Field(default=None, title="GitHub", description="Issue that people comment on.")
    webhook: Callback | None = Field(default=None, title="Webhook", description="Delivery that answers.")
    links: bool = Field(
        default=False,
        title="Links",
        description="Put signed links into `approval_pending`. Everybody who may see events can use them.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if not self.decision and self.form is None:
            message = "a question without a decision needs a `form`"
            raise ValueError(message)
        if self.timeout is None and "on_timeout" in self.model_fields_set:
            message = "`on_timeout` goes with a `timeout`"
            raise ValueError(message)
        if self.correlate_by is not None and self.correlation is None:
            message = "`correlate_by` is compared with `correlation`, which is missing"
            raise ValueError(message)
        return self


async def run(config: Config, context: JobContext) -> WaitFor:
    """Register the wait, or find the one that was registered before, and park."""
    opened = await context.ask(_request(config))
    facts = {"interaction_id": opened.id, "ask": config.ask, "to": list(config.to), "url": opened.url}
    return WaitFor(wake_name(opened.id), facts)


def _request(config: Config) -> WaitRequest:
    escalate = config.escalate
    return WaitRequest(
        ask=config.ask,
        to=tuple(dict.fromkeys(config.to)),
        form=config.form,
        decides=config.decision,
        timeout_us=None if config.timeout is None else round(config.timeout * SECOND_US),
        on_timeout=config.on_timeout,
        reminders_us=tuple(round(after * SECOND_US) for after in config.reminders),
        escalate_after_us=None if escalate is None else round(escalate.after * SECOND_US),
        escalate_to=() if escalate is None else tuple(escalate.to),
        quorum=config.quorum,
        four_eyes=config.four_eyes,
        require_comment=config.require_comment,
        correlation=correlation_text(config.correlation),
        correlate_by=config.correlate_by,
        ambiguous=config.ambiguous,
        channel=_channel(config),
        links=config.links,
    )


def _channel(config: Config) -> Channel:
    """Return where people answer, in the words of `core.match.replies`."""
    conversations, scopes = [], []
    if config.slack is not None:
        place = f"{config.slack.team or ''}/{config.slack.channel}"
        scopes.append(f"slack:{place}")
        conversations += [f"slack:{place}/{config.slack.thread_ts}"] if config.slack.thread_ts else []
    if config.email is not None:
        mail = config.email
        conversations += [f"email:{mail.message_id.strip('<>')}"] if mail.message_id else []
        conversations += [f"email-token:{mail.reply_token.lower()}"] if mail.reply_token else []
        scopes += [f"email:{mail.mailbox.lower()}"] if mail.mailbox else []
    if config.github is not None:
        repository = config.github.repository.lower()
        scopes.append(f"github:{repository}")
        conversations += [f"github:{repository}#{config.github.issue}"] if config.github.issue else []
    if config.webhook is not None:
        conversations.append(f"webhook:{config.webhook.token}")
    return Channel(conversations=tuple(conversations), scopes=tuple(scopes))


def retryable(error: Exception) -> bool:
    """Return whether the store may take the wait later."""
    return isinstance(error, SchedulerError) and error.retryable
