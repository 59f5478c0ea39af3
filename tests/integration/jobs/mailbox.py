"""A real SMTP server for tests: aiosmtpd with log-in and TLS under an authority of the test."""

from __future__ import annotations

import email
import email.policy
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from certificates import certificate

USER, PASSWORD = "ann", "s3cret-of-ann"


class Mailbox:
    """Takes mail. `answers` are given instead of 250 after DATA; `refused` recipients get a 550."""

    def __init__(self):
        self.envelopes = []
        self.answers = []
        self.refused = {}
        self.held = None
        self.arrived = threading.Event()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content, session))
        self.arrived.set()
        if self.held is not None:
            await server.loop.run_in_executor(None, self.held.wait)
        return answer

    @property
    def messages(self):
        return [email.message_from_bytes(one[2], policy=email.policy.default) for one in self.envelopes]


class _Controller(Controller):
    """Listens on whatever port is free."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Post:
    """The server around a mailbox. `port` is where it listens."""

    def __init__(self, folder, security="none", *, login=False):
        self.box = Mailbox()
        context, self.ca = certificate(folder)
        options = {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
        if login:
            options |= {"authenticator": self._judge, "auth_required": True, "auth_require_tls": security == "starttls"}
        over_tls = {"ssl_context": context} if security == "tls" else {}
        self._controller = _Controller(self.box, hostname="127.0.0.1", port=0, **over_tls, **options)

    @staticmethod
    def _judge(server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=right)

    def __enter__(self):
        self._controller.start()
        self.port = self._controller.port
        return self

    def __exit__(self, *_):
        if self.box.held is not None:
            self.box.held.set()
        self._controller.stop()
