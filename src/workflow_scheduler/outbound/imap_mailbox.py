"""One folder of a mailbox over IMAP, for threads: every method blocks. The library is loaded when this module is."""

from __future__ import annotations

import base64
import hashlib
import imaplib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError
from imap_tools.mailbox import BaseMailBox
from imap_tools.message import MailMessage

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.attachment import Attachment
from workflow_scheduler.core.model.connection import Imap
from workflow_scheduler.core.ports.resources import Dialer

ANSWER_SECONDS = 30.0
MAIL_BYTES_MAX = 10_000_000
HEAD_BYTES = 100_000
PORTION_BYTES_MAX = 20_000_000
TEXT_CHARACTERS_MAX = 100_000
HEADER_CHARACTERS_MAX = 2_000
ATTACHMENTS_MAX = 100
INCLUDED_BYTES_MAX = 200_000
STORED_MAIL_BYTES_MAX = 35_000_000
STORED_BYTES_MAX = 10_000_000
STORED_TOGETHER_BYTES_MAX = 25_000_000
_UID = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_DAY = re.compile(rb'INTERNALDATE "\s?(\d{1,2}-\w{3}-\d{4}) ')


class Mail(msgspec.Struct, frozen=True):
    """One mail: its UID, the day on which it arrived (as IMAP writes it), the raw text, and whether that is all."""

    uid: int
    day: str
    raw: bytes
    whole: bool


class _Box(BaseMailBox):
    """The library's mailbox, over a socket that the dialer opened."""

    def __init__(self, fields: Imap, connection: socket.socket) -> None:
        self._fields = fields
        self._connection = connection
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        context = ssl.create_default_context(cadata=self._fields.ca_certificate)
        if self._fields.security == "tls":
            self._connection = context.wrap_socket(self._connection, server_hostname=self._fields.host)
        client = _Client(self._fields, self._connection)
        if self._fields.security == "starttls":
            client.starttls(context)
        return client


class _Client(imaplib.IMAP4):
    def __init__(self, fields: Imap, connection: socket.socket) -> None:
        self._given = connection
        super().__init__(fields.host, fields.port, ANSWER_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        self._given.settimeout(timeout)
        return self._given


class Mailbox:
    """A connection with one folder open; `close` may be called from another thread."""

    def __init__(
        self,
        fields: Imap,
        dialer: Dialer,
        folder: str = "INBOX",
        *,
        writable: bool = False,
        mail_bytes_max: int = MAIL_BYTES_MAX,
    ) -> None:
        """Open nothing yet; of a mail over `mail_bytes_max` only the beginning is read."""
        self._mail_bytes_max = mail_bytes_max
        self._fields = fields
        self._dialer = dialer
        self._folder = folder
        self._writable = writable
        self._connection: socket.socket | None = None
        self._box: _Box | None = None
        self.uidvalidity = 0
        self.can_idle = False

    def open(self) -> int:
        """Connect, log in, and open the folder; return the UID that the next mail gets.

        Raises:
            NotConnected: nobody answers.
            Rejected: the server refuses the log-in, the certificate, or the folder.

        """
        fields = self._fields
        with own_errors(fields, self._folder):
            self._connection = self._dialer.dial(fields.host, fields.port, ANSWER_SECONDS)
            box = self._box = _Box(fields, self._connection)
            self._connection = box.client.sock
            login = box.login if (fields.username + fields.password).isascii() else box.login_utf8
            login(fields.username, fields.password, initial_folder=None)
            box.folder.set(self._folder, readonly=not self._writable)
            self.uidvalidity = self._number("UIDVALIDITY")
            following = self._number("UIDNEXT")
            box.client.capability()
            self.can_idle = b"IDLE" in self._told("CAPABILITY").upper().split()
            return following

    def newer(self, uid: int, count: int) -> list[Mail]:
        """Return up to `count` mails after `uid`, in their order."""
        return self._fetch(self._search(f"UID {uid + 1}:*", uid)[:count])

    def first_since(self, day: str) -> int | None:
        """Return the first UID of the mails that arrived on a day or later; None when there is none."""
        found = self._search(f"SINCE {day}", 0)
        return found[0] if found else None

    def wait(self, seconds: float) -> None:
        """Return when the server tells of something, and after `seconds` at the latest (IDLE, RFC 2177)."""
        with own_errors(self._fields, self._folder):
            self._open_box.idle.wait(timeout=seconds)

    def ask(self) -> None:
        """Let the server say that it is there, and take notice of new mails."""
        with own_errors(self._fields, self._folder):
            self._open_box.client.noop()

    def mark_seen(self, uids: Sequence[int]) -> None:
        """Mark mails as read; such that are gone are left alone."""
        with own_errors(self._fields, self._folder):
            self._check(self._open_box.client.uid("STORE", ",".join(map(str, uids)), "+FLAGS.SILENT", "(\\Seen)"))

    def close(self) -> None:
        """End the conversation, whatever it waits for."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        if self._box is not None:
            with suppress(OSError):
                self._box.client.shutdown()  # its file holds the socket as well
        if self._connection is not None:
            self._connection.close()

    @property
    def _open_box(self) -> _Box:
        assert self._box is not None, "the mailbox is not open"
        return self._box

    def _number(self, name: str) -> int:
        """Return a number that the server told when the folder was opened; it must tell it (RFC 3501, 6.3.1)."""
        found = self._told(name)
        if not found.isdigit():
            raise Rejected(f"{self._fields.host} does not tell {name} of the folder `{self._folder}`")
        return int(found)

    def _told(self, name: str) -> bytes:
        """Return what the server said last under a name; nothing where it did not."""
        found = self._open_box.client.untagged_responses.get(name)
        last = found[-1] if found else b""
        return last if isinstance(last, bytes) else b""

    def _search(self, what: str, after: int) -> list[int]:
        with own_errors(self._fields, self._folder):
            found = self._check(self._open_box.client.uid("SEARCH", what))
        uids = sorted({int(one) for part in found if part for one in part.split()})
        return [uid for uid in uids if uid > after]  # `N:*` always holds the last one

    def _fetch(self, uids: list[int]) -> list[Mail]:
        if not uids:
            return []
        with own_errors(self._fields, self._folder):
            facts = self._facts(uids)
            portion: list[int] = []
            total = 0
            for uid in [one for one in uids if one in facts]:
                total += min(facts[uid][0], self._mail_bytes_max)
                if portion and total > PORTION_BYTES_MAX:
                    break
                portion.append(uid)
            small = [uid for uid in portion if facts[uid][0] <= self._mail_bytes_max]
            large = [uid for uid in portion if facts[uid][0] > self._mail_bytes_max]
            texts = self._texts(small, "BODY.PEEK[]") | self._texts(large, f"BODY.PEEK[]<0.{HEAD_BYTES}>")
            # One that has no text was removed meanwhile.
            return [Mail(uid, facts[uid][1], texts[uid], uid in small) for uid in portion if uid in texts]

    def _facts(self, uids: list[int]) -> dict[int, tuple[int, str]]:
        """Return size and day of arrival by UID."""
        named = ",".join(map(str, uids))
        found: dict[int, tuple[int, str]] = {}
        for line in self._check(self._open_box.client.uid("FETCH", named, "(UID RFC822.SIZE INTERNALDATE)")):
            text = line if isinstance(line, bytes) else b" ".join(line) if line else b""
            uid, size, day = _UID.search(text), _SIZE.search(text), _DAY.search(text)
            if uid and size:
                found[int(uid[1])] = int(size[1]), day[1].decode() if day else ""
        return found

    def _texts(self, uids: list[int], what: str) -> dict[int, bytes]:
        """Return the raw text by UID; the server writes the UID before or behind the text."""
        if not uids:
            return {}
        found: dict[int, bytes] = {}
        text: bytes | None = None
        for part in self._check(self._open_box.client.uid("FETCH", ",".join(map(str, uids)), f"(UID {what})")):
            line = part
            if isinstance(part, tuple):
                line, text = part[0], part[1]
            uid = _UID.search(line) if isinstance(line, bytes) else None
            if uid is not None and text is not None:
                found[int(uid[1])] = text
                text = None
        return found

    def _check(self, answer: tuple[str, list[Any]]) -> list[Any]:
        status, found = answer
        if status != "OK":
            text = found[0].decode("utf-8", "replace") if found and isinstance(found[0], bytes) else status
            raise NotConnected(f"{self._fields.host} answers: {text[:200]}")
        return found


def content_of(mail: Mail, *, include: bool) -> dict[str, Any]:
    """Return what a mail says as plain values; never raises, whatever it holds.

    With `include` small attachments come with their content, in base64.
    """
    found = MailMessage.from_bytes(mail.raw)
    data = _text_of(found, mail)
    if mail.whole:
        data["attachments"] = [_attachment(one, include=include) for one in found.attachments[:ATTACHMENTS_MAX]]
    return data


def content_with_files(mail: Mail) -> tuple[dict[str, Any], tuple[Attachment, ...]]:
    """Return what a mail says, and the attachments that are to be stored; `left_out` says why one is not."""
    found = MailMessage.from_bytes(mail.raw)
    data = _text_of(found, mail)
    files: list[Attachment] = []
    total = 0
    for number, one in enumerate(found.attachments[:ATTACHMENTS_MAX] if mail.whole else ()):
        facts = _attachment(one, include=False)
        data["attachments"].append(facts)
        if facts["size"] > STORED_BYTES_MAX:
            facts["left_out"] = f"it is larger than {STORED_BYTES_MAX} bytes"
        elif total + facts["size"] > STORED_TOGETHER_BYTES_MAX:
            facts["left_out"] = f"the attachments are larger than {STORED_TOGETHER_BYTES_MAX} bytes together"
        else:
            total += facts["size"]
            named = {name: facts[name] for name in ("name", "content_type", "sha256")}
            files.append(Attachment(number=number, content=one.payload, **named))
    return data, tuple(files)


def _text_of(found: MailMessage, mail: Mail) -> dict[str, Any]:
    """Return everything but the attachments; with the number of those that are not even described, where there are."""
    headers = {name: _header(found, name) for name in ("message-id", "in-reply-to", "references")}
    unlisted = len(found.attachments) - ATTACHMENTS_MAX if mail.whole else 0
    return {
        "from": found.from_[:HEADER_CHARACTERS_MAX],
        "from_name": (found.from_values.name if found.from_values else "")[:HEADER_CHARACTERS_MAX],
        "to": [one[:HEADER_CHARACTERS_MAX] for one in found.to[:ATTACHMENTS_MAX]],
        "cc": [one[:HEADER_CHARACTERS_MAX] for one in found.cc[:ATTACHMENTS_MAX]],
        "subject": found.subject[:HEADER_CHARACTERS_MAX],
        "date": found.date_str[:100],
        "message_id": headers["message-id"].strip("<> "),
        "in_reply_to": headers["in-reply-to"].strip("<> "),
        "references": [one.strip("<>") for one in headers["references"].split()[-50:]],
        "text": found.text[:TEXT_CHARACTERS_MAX],
        "html": found.html[:TEXT_CHARACTERS_MAX],
        "whole": mail.whole,
        "attachments": [],
    } | ({"attachments_left_out": unlisted} if unlisted > 0 else {})


def _header(found: MailMessage, name: str) -> str:
    values: Any = dict(found.headers).get(name) or ("",)
    return " ".join(str(values[0]).split())[: 10 * HEADER_CHARACTERS_MAX]


def _attachment(one: Any, *, include: bool) -> dict[str, Any]:
    payload: bytes = one.payload
    facts = {
        "name": one.filename[:HEADER_CHARACTERS_MAX],
        "content_type": one.content_type[:200],
        "size": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    if include and len(payload) <= INCLUDED_BYTES_MAX:
        facts["content"] = base64.b64encode(payload).decode()
    return facts


@contextmanager
def own_errors(fields: Imap, folder: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Raises:
        NotConnected: the server is away.
        Rejected: it refuses the log-in, its certificate is not trusted, or there is no such folder.

    """
    try:
        yield
    except MailboxLoginError as error:
        raise Rejected(
            f"{fields.host} does not accept the log-in of {fields.username}",
            fix="Set the right password: `workflow-scheduler connection rotate NAME`.",
        ) from error
    except MailboxFolderSelectError as error:
        raise Rejected(
            f"{fields.host} does not open the folder `{folder}`", fix="Name a folder that there is, as INBOX."
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise Rejected(
            f"the certificate of {fields.host} cannot be trusted: {error.verify_message}",
            fix="Give the authority's certificate in `ca_certificate`.",
        ) from error
    except (ImapToolsError, imaplib.IMAP4.error, OSError, ValueError) as error:
        raise NotConnected(f"the connection to {fields.host}:{fields.port} failed: {error}") from error
