"""Real IMAP servers behind a relay, which is cut and restored: pymap, whose mails live in memory, and Dovecot."""

import asyncio
import imaplib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

from certificates import certificate
from workflow_scheduler.testing.ports import free_port

USER, PASSWORD = "ann", "s3cret-of-ann"
SERVER = Path(sys.executable).with_name("pymap")
DOVECOT = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")


class Relay:
    """Hands on what comes to `port` to another port, until it is cut."""

    def __init__(self, target):
        self.port, self.target = free_port(), target
        self.server = None
        self.writers = set()

    async def open(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self):
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await asyncio.sleep(0)  # noqa: TID251 -- the transports close in their turn

    async def _serve(self, reader, writer):
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, away}
        await asyncio.gather(self._copy(reader, away), self._copy(there, writer))
        self.writers -= {writer, away}

    async def _copy(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()


class Peer:
    type = "email"

    def __init__(self):
        self.secrets = {}
        self.connections = {}
        self.folder = tempfile.TemporaryDirectory(prefix="wfs-imap-")
        _, self.pem = certificate(Path(self.folder.name))
        self.port = free_port()
        self.relay = Relay(self.port)
        self.process = None

    async def start(self):
        await asyncio.to_thread(self.serve)
        await self.relay.open()
        fields = {
            "host": "127.0.0.1", "port": self.relay.port, "security": "starttls", "username": USER,
            "password": PASSWORD, "ca_certificate": self.pem,
        }  # fmt: skip
        self.connections = {"office": {"kind": "imap", "fields": fields}}

    def serve(self):
        """Start the server, empty, with another UIDVALIDITY than the last one."""
        folder = Path(self.folder.name)
        command = [SERVER, "--host", "127.0.0.1", "--port", str(self.port), "--cert", folder / "cert.pem"]
        command += ["--key", folder / "key.pem", "dict", "--demo-user", USER, "--demo-password", PASSWORD]
        self.run(command)

    def run(self, command):
        """Start a server, and wait until it listens."""
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200_000):
            assert self.process.poll() is None, "the server has ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                continue
            return
        raise AssertionError

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def cut(self):
        await self.relay.cut()

    async def restore(self):
        await self.relay.open()

    async def stop(self):
        await self.relay.cut()
        await asyncio.to_thread(self.kill)
        self.folder.cleanup()

    def config(self):
        return {"type": "email", "connection": "office", "start": "earliest", "check_interval": "1s"}

    async def publish(self, numbers):
        await asyncio.to_thread(self.put, [mail(number) for number in numbers])

    def put(self, mails):
        """Put mails into the folder, as a delivery would."""
        with self.client() as client:
            for one in mails:
                client.append("INBOX", None, None, bytes(one))

    def client(self):
        client = imaplib.IMAP4("127.0.0.1", self.port)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.starttls(ssl.create_default_context(cadata=self.pem))
        client.login(USER, PASSWORD)
        return client

    def seen(self):
        """Return the subjects of the mails that are marked as read."""
        with self.client() as client:
            client.select("INBOX", readonly=True)
            (found,) = client.search(None, "SEEN")[1]
            mails = [client.fetch(one, "(BODY.PEEK[])")[1][0][1].decode() for one in found.split()]
        return {line.removeprefix("Subject: ") for text in mails for line in text.splitlines() if "Subject: " in line}

    def number(self, data):
        return int(data["subject"].split()[-1])


class Dovecot(Peer):
    """What most mail servers run. Its processes belong to the users of its package, or to whoever is not root."""

    missing = None if DOVECOT else "Dovecot is not installed (Debian: dovecot-imapd)"

    def serve(self):
        folder = Path(self.folder.name)
        me = pwd.getpwuid(os.getuid()).pw_name
        users = ("dovenull", "dovecot", "mail") if os.getuid() == 0 else (me, me, me)
        for name in ("run", "home"):
            (folder / name).mkdir(exist_ok=True)
        if os.getuid() == 0:
            folder.chmod(0o755)
            shutil.chown(folder / "home", "mail", "mail")
        owner = pwd.getpwnam(users[2])
        (folder / "dovecot.conf").write_text(
            f"""
            base_dir = {folder}/run
            log_path = {folder}/log
            protocols = imap
            listen = 127.0.0.1
            default_login_user = {users[0]}
            default_internal_user = {users[1]}
            first_valid_uid = {owner.pw_uid}
            ssl = required
            ssl_cert = <{folder}/cert.pem
            ssl_key = <{folder}/key.pem
            mail_location = maildir:~/mails
            passdb {{
              driver = static
              args = password={PASSWORD}
            }}
            userdb {{
              driver = static
              args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/home
            }}
            service imap-login {{
              chroot =
              inet_listener imap {{
                port = {self.port}
              }}
              inet_listener imaps {{
                port = 0
              }}
            }}
            """
        )
        self.run([DOVECOT, "-F", "-c", folder / "dovecot.conf"])

    def kill(self):
        self.process.terminate()
        self.process.wait()


PEERS = (Peer, Dovecot)


def mail(number, subject="Number", **headers):
    """Return a mail with this number in its subject."""
    made = EmailMessage()
    made["From"] = headers.pop("sender", "Bob <bob@example.com>")
    made["To"] = headers.pop("to", "ann@example.com")
    made["Subject"] = f"{subject} {number}"
    made["Message-ID"] = f"<{number}@example.com>"
    made["Date"] = "Tue, 05 Jan 2027 12:00:00 +0000"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("The text.")
    return made
