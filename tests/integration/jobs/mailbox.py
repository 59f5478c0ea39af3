"""A real SMTP server for tests: aiosmtpd with log-in and TLS under an authority of the test."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import ipaddress
import ssl
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "ann", "s3cret-of-ann"


def certificate(folder):
    """Write a certificate for localhost and 127.0.0.1 and return (server's context, PEM of the authority)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, pem.decode()


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
