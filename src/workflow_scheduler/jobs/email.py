"""Send an e-mail over SMTP.

The mail server comes from a connection of kind `smtp`, or from `server` with the password in a secret. Text and subject
take `${…}` like every field; in `html` each value is escaped, so that it can never become markup (`${…}` needs no
quoting there). Attachments are given as text, base64, a JSON value such as a job's output, or by the reference of what
came with an event; `attachments: ${event.data.attachments}` passes on all of a mail.

The Message-ID is made from the job's idempotency key: it is the same for every attempt, so that a mailbox shows a
message that was sent twice only once. The output is `{"message_id", "accepted", "refused"}`; `refused` names the
recipients that the server did not take, with its reasons, where it took others. 4xx answers and lost connections may be
tried again; 5xx answers may not.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import mimetypes
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as LINES
from email.utils import formatdate, parseaddr
from functools import partial
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from workflow_scheduler.core.errors import Rejected, SchedulerError
from workflow_scheduler.core.model.attachment import media_type
from workflow_scheduler.core.model.connection import Security, Smtp
from workflow_scheduler.core.model.connection_fields import Line, one_line
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.jobs.credentials import fields_of, secret_of
from workflow_scheduler.jobs.smtp import Mailer

name = "email"
title = "Send an e-mail"
inline = False
needs_code_allowance = False
html_fields = ("html",)
examples = (
    {"connection": "mail", "to": "ann@example.test", "subject": "Hello", "text": "Welcome!"},
    {
        "connection": "mail",
        "from": "Reports <reports@example.test>",
        "to": ["Ann <ann@example.test>"],
        "subject": "The report",
        "html": "<p>See the attachment.</p>",
        "attachments": [{"filename": "report.json", "json": {"total": 3}}],
    },
)
RECIPIENTS_MAX = 1_000
ATTACHMENTS_BYTES_MAX = 25 << 20


def _address(value: str) -> str:
    one_line(value)
    _, address = parseaddr(value)
    user, at, host = address.rpartition("@")
    if not (user and at and host) or any(char.isspace() for char in address):
        message = f"`{value}` is not an e-mail address; write ann@example.test or Ann <ann@example.test>"
        raise ValueError(message)
    return value


def _listed(value: Any) -> Any:
    if value is None:
        return ()
    return [value] if isinstance(value, str) else value


EmailAddress = Annotated[str, AfterValidator(_address), Field(max_length=1_000)]
Addresses = Annotated[
    tuple[EmailAddress, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(max_length=RECIPIENTS_MAX),
]


class Server(ClosedConfig):
    """A mail server that is no connection."""

    host: Line = Field(title="Host", description="Name or address of the mail server.")
    port: int = Field(default=587, title="Port", description="587 for STARTTLS, 465 for TLS.", ge=1, le=65_535)
    security: Security = Field(default="starttls", title="Security", description="starttls, tls, or none.")
    username: Line | None = Field(default=None, title="User name", description="None sends without a log-in.")
    secret: Line | None = Field(default=None, title="Secret", description="Name of the secret with the password.")


class Attachment(ClosedConfig):
    """A file."""

    filename: Line | None = Field(
        default=None, title="File name", description="The name that the recipient sees; with `ref` it has one already."
    )
    text: str | None = Field(default=None, title="Text", description="The content as text.")
    base64: str | None = Field(default=None, title="Base64", description="The content as base64.")
    json_: Any = Field(default=None, alias="json", title="JSON", description="A value that is attached as JSON.")
    ref: Line | None = Field(
        default=None,
        title="Reference",
        description="A stored attachment of an event: ${event.data.attachments[0].ref}.",
    )
    content_type: Line | None = Field(
        default=None, title="Content type", description="By default what the file name says."
    )

    @model_validator(mode="before")
    @classmethod
    def _described(cls, value: Any) -> Any:
        """Take what an event says of an attachment for the attachment."""
        if not isinstance(value, Mapping) or "sha256" not in value:
            return value
        if "ref" not in value:
            reason = value.get("left_out", "its trigger has no `attachments: stored`")
            message = f"the attachment `{value.get('name')}` is not stored: {reason}"
            raise ValueError(message)
        return {"ref": value["ref"]}

    @model_validator(mode="after")
    def _one_content(self) -> Attachment:
        given = [self.text is not None, self.base64 is not None, "json_" in self.model_fields_set, self.ref is not None]
        if sum(given) != 1:
            message = "write one of `text`, `base64`, `json` and `ref`"
            raise ValueError(message)
        if self.filename is None and self.ref is None:
            message = "an attachment needs a `filename`"
            raise ValueError(message)
        return self

    @property
    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            Rejected: `base64` is none.

        """
        if self.base64 is None:
            return self.text.encode() if self.text is not None else msgspec.json.encode(self.json_)
        try:
            return base64.b64decode(self.base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Rejected(f"the attachment `{self.filename}` is not base64: {error}") from error


class Config(ClosedConfig):
    """The message and the way it takes."""

    connection: Line | None = Field(default=None, title="Connection", description="Name of a connection of kind smtp.")
    server: Server | None = Field(default=None, title="Server", description="A mail server instead of a connection.")
    from_: EmailAddress | None = Field(
        default=None, alias="from", title="From", description="The sender; by default that of the connection."
    )
    to: Addresses = Field(default=(), title="To", description="One address or several.")
    cc: Addresses = Field(default=(), title="Cc", description="One address or several.")
    bcc: Addresses = Field(default=(), title="Bcc", description="Recipients that the others do not see.")
    reply_to: Addresses = Field(default=(), title="Reply to", description="Where answers go.")
    subject: Annotated[str, AfterValidator(one_line)] = Field(
        default="", title="Subject", description="One line.", max_length=2_000
    )
    text: str | None = Field(default=None, title="Text", description="The message as plain text.")
    html: str | None = Field(
        default=None,
        title="HTML",
        description="The message as HTML; values of `${…}` are escaped.",
        json_schema_extra={"widget": "code", "language": "html"},
    )
    in_reply_to: Line | None = Field(
        default=None, title="In reply to", description="Message-ID of the message that this one answers."
    )
    attachments: tuple[Attachment, ...] = Field(default=(), title="Attachments", description="Files.", max_length=50)
    timeout: Duration = Field(
        default=30.0, title="Time-out", description="For each step of the conversation.", gt=0, le=600
    )

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if (self.connection is None) == (self.server is None):
            message = "write either `connection` or `server`"
            raise ValueError(message)
        if not (self.to or self.cc or self.bcc):
            message = "the message has no recipient; write `to`"
            raise ValueError(message)
        if self.text is None and self.html is None:
            message = "the message is empty; write `text` or `html`"
            raise ValueError(message)
        return self


async def run(config: Config, context: JobContext) -> dict[str, Any]:
    """Send the message and return its id, and who was refused."""
    server = await _server(config, context)
    sender = config.from_ or server.sender
    if sender is None:
        raise Rejected("the message has no sender", fix="Write `from`, or give the connection a `sender`.")
    message = compose(await _with_files(config, context), sender, context)
    recipients = list(dict.fromkeys(parseaddr(one)[1] for one in (*config.to, *config.cc, *config.bcc)))
    mailer = Mailer(server, context.resources.dialer, config.timeout)
    try:
        refused = await context.resources.workers.call(partial(mailer.send, message, parseaddr(sender)[1], recipients))
    except asyncio.CancelledError:
        mailer.stop()
        raise
    for address, reason in refused.items():
        context.log(f"{address} was refused: {reason}", "system")
    accepted = [one for one in recipients if one not in refused]
    return {"message_id": str(message["Message-ID"]), "accepted": accepted, "refused": refused}


async def _with_files(config: Config, context: JobContext) -> Config:
    """Return the message with what its references name in place of them."""
    found = tuple([one if one.ref is None else await _file(one, one.ref, context) for one in config.attachments])
    return config.model_copy(update={"attachments": found})


async def _file(one: Attachment, ref: str, context: JobContext) -> Attachment:
    stored, content = await context.resources.attachments.open(context.tenant_id, ref)
    return Attachment(
        filename=one.filename or " ".join(stored.name.split()) or "attachment",
        content_type=one.content_type or media_type(stored.content_type),
        base64=base64.b64encode(content).decode(),
    )


def retryable(error: Exception) -> bool:
    """Return whether the failure may pass by itself."""
    return isinstance(error, SchedulerError) and error.retryable


def compose(config: Config, sender: str, context: JobContext) -> EmailMessage:
    """Return the message; the same job of the same run always gets the same Message-ID.

    Raises:
        Rejected: a header or an attachment cannot be sent.

    """
    message = EmailMessage(policy=LINES)
    try:
        _head(message, config, sender, context)
        message.set_content(config.text if config.text is not None else _as_text(config.html or ""))
        if config.html is not None:
            message.add_alternative(config.html, subtype="html")
        _attach(message, config.attachments)
    except (MessageError, ValueError, UnicodeError) as error:
        raise Rejected(f"the message cannot be made: {error}") from error
    return message


def _head(message: EmailMessage, config: Config, sender: str, context: JobContext) -> None:
    message["From"] = _shown(sender)
    for header, addresses in (("To", config.to), ("Cc", config.cc), ("Reply-To", config.reply_to)):
        if addresses:
            message[header] = [_shown(one) for one in addresses]
    message["Subject"] = config.subject
    message["Date"] = formatdate(context.now() / SECOND_US)
    domain = parseaddr(sender)[1].rpartition("@")[2]
    digest = hashlib.sha256(f"{context.tenant_id}:{context.idempotency_key}".encode()).hexdigest()[:40]
    message["Message-ID"] = f"<{digest}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if config.in_reply_to is not None:
        message["In-Reply-To"] = config.in_reply_to
        message["References"] = config.in_reply_to


def _shown(text: str) -> Address:
    display, address = parseaddr(text)
    user, _, host = address.rpartition("@")
    return Address(display, user, host)


def _attach(message: EmailMessage, attachments: tuple[Attachment, ...]) -> None:
    total = 0
    for one in attachments:
        content = one.content
        total += len(content)
        if total > ATTACHMENTS_BYTES_MAX:
            raise Rejected(
                f"the attachments are larger than {ATTACHMENTS_BYTES_MAX} bytes",
                fix="Store the file elsewhere and send its address.",
            )
        kind = one.content_type or mimetypes.guess_type(one.filename or "")[0] or "application/octet-stream"
        main, slash, sub = kind.partition("/")
        if not slash or not sub or main in {"multipart", "message"}:
            raise Rejected(f"`{kind}` is not the content type of a file")
        charset = {"charset": "utf-8"} if main == "text" and one.base64 is None else {}
        message.add_attachment(content, maintype=main, subtype=sub, filename=one.filename, params=charset)


def _as_text(html: str) -> str:
    """Return what a reader without HTML gets: the text between the tags."""
    from html.parser import HTMLParser

    parts: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            parts.append(data)

    reader = Reader()
    reader.feed(html)
    reader.close()
    return "\n".join(line.strip() for line in "".join(parts).splitlines() if line.strip()) + "\n"


async def _server(config: Config, context: JobContext) -> Smtp:
    if config.connection is not None:
        return await fields_of(context, config.connection, Smtp)
    given = config.server
    assert given is not None
    password = None if given.secret is None else await secret_of(context, given.secret)
    try:
        return Smtp(
            host=given.host, port=given.port, security=given.security, username=given.username, password=password
        )
    except ValueError as error:
        raise Rejected(f"the mail server cannot be used: {error}") from error
