"""Talking to mail servers: blocking, through the egress guard, and stopped from outside by closing the socket."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage

from workflow_scheduler.core.errors import NotConnected, OutcomeUnknown, Rejected, SchedulerError, Unavailable
from workflow_scheduler.core.model.connection import Smtp
from workflow_scheduler.core.ports.resources import Dialer

_TRY_LATER = range(400, 500)


class _Client(smtplib.SMTP):
    """An SMTP client over a socket that the dialer opened."""

    def __init__(self, server: Smtp, connection: socket.socket, timeout_seconds: float) -> None:
        self._connection = connection
        super().__init__(server.host, server.port, timeout=timeout_seconds)

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> socket.socket:
        return self._connection


class Mailer:
    """One conversation with a mail server. `stop` may be called from another thread."""

    def __init__(self, server: Smtp, dialer: Dialer, timeout_seconds: float) -> None:
        """Connect to `server` through `dialer` when asked to; each step may take `timeout_seconds`."""
        self._server = server
        self._dialer = dialer
        self._timeout_seconds = timeout_seconds
        self._connection: socket.socket | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the conversation, whatever it is waiting for."""
        self._stopped = True
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def greet(self) -> str:
        """Connect, log in and leave; return what the server is.

        Raises:
            SchedulerError: the server cannot be reached or refuses.

        """
        with self._open() as client:
            client.noop()
            return f"{self._server.host}:{self._server.port} answers" + (
                f", logged in as {self._server.username}" if self._server.username else ""
            )

    def send(self, message: EmailMessage, sender: str, recipients: list[str]) -> dict[str, str]:
        """Send, and return the recipients that the server refused, each with its reason, where it took others.

        Raises:
            Rejected: the server refuses for good.
            Unavailable: it asks to try again later.
            OutcomeUnknown: the connection was lost after the message may have been taken.
            NotConnected: it was lost before.

        """
        with self._open() as client:
            try:
                refused = client.send_message(message, sender, recipients)
            except smtplib.SMTPRecipientsRefused as error:
                raise _all_refused(error) from error
            except smtplib.SMTPNotSupportedError as error:
                raise Rejected(f"{self._server.host}: {error}") from error
            except smtplib.SMTPResponseException as error:
                raise _answered(self._server.host, error.smtp_code, _text(error.smtp_error)) from error
            except (smtplib.SMTPServerDisconnected, OSError) as error:
                raise OutcomeUnknown(
                    f"the connection to {self._server.host} was lost while sending: {error}"
                ) from error
        return {address: f"{code} {_text(reason)}" for address, (code, reason) in refused.items()}

    @contextlib.contextmanager
    def _open(self) -> Iterator[smtplib.SMTP]:
        client = self._connect()
        try:
            yield client
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def _connect(self) -> _Client:
        server = self._server
        connection = self._dialer.dial(server.host, server.port, self._timeout_seconds)
        self._connection = connection
        client = None
        try:
            if self._stopped:
                raise NotConnected("the job was stopped")  # noqa: TRY301 - the socket is closed below
            if server.security == "tls":
                connection = self._connection = _context(server).wrap_socket(connection, server_hostname=server.host)
            client = _Client(server, connection, self._timeout_seconds)
            if server.security == "starttls":
                client.starttls(context=_context(server))
                self._connection = client.sock
            if server.username is not None and server.password is not None:
                client.login(server.username, server.password)
        except BaseException as error:
            with contextlib.suppress(OSError):
                if client is not None:
                    client.close()
                (self._connection or connection).close()
            if isinstance(error, (smtplib.SMTPException, OSError)):
                raise _not_open(server, error) from error
            raise
        return client


def _context(server: Smtp) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=server.ca_certificate)


def _not_open(server: Smtp, error: Exception) -> SchedulerError:
    """Return the error for a conversation that did not begin; nothing was sent."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        reason = f"{error.smtp_code} {_text(error.smtp_error)}"
        return Rejected(
            f"{server.host} does not accept the log-in of {server.username}: {reason}",
            fix="Set the right password: `workflow-scheduler connection rotate NAME`.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Rejected(
            f"the certificate of {server.host} cannot be trusted: {error.verify_message}",
            fix="Give the authority's certificate in `ca_certificate`.",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Rejected(f"{server.host} does not offer what is wanted: {error}", fix="Choose another `security`.")
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(server.host, error.smtp_code, _text(error.smtp_error))
    return NotConnected(f"cannot talk to {server.host}:{server.port}: {error}")


def _answered(host: str, code: int, text: str) -> SchedulerError:
    detail = f"{host} answered {code} {text}"
    return Unavailable(detail) if code in _TRY_LATER or code < 0 else Rejected(detail)


def _all_refused(error: smtplib.SMTPRecipientsRefused) -> SchedulerError:
    reasons = {address: (code, _text(text)) for address, (code, text) in error.recipients.items()}
    detail = "; ".join(f"{address}: {code} {text}" for address, (code, text) in reasons.items())
    later = all(code in _TRY_LATER for code, _ in reasons.values())
    kind = Unavailable if later else Rejected
    return kind(f"the mail server refuses every recipient: {detail}")


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
