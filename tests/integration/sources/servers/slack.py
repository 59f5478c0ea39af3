"""Slack's Socket Mode, by its documented rules: an app token, a ticket for one socket, envelopes that come again.

Rules: https://docs.slack.dev/apis/events-api/using-socket-mode and https://docs.slack.dev/reference/methods/apps.connections.open.
"""

import asyncio
import itertools
import json
import secrets
from contextlib import suppress

from aiohttp import WSMsgType, web

APP_TOKEN = "xapp-1-of-the-test"


class Socket:
    """The server with one app; an envelope that was not acknowledged is sent again on the next socket."""

    type = "slack"

    def __init__(self):
        self.secrets = {}
        self.port = 0
        self.tickets = set()
        self.waiting = {}
        self.sockets = set()
        self.opened = 0
        self.answers = []
        self._numbers = itertools.count(1)
        self._runner = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self):
        fields = {"token": "xoxb-of-the-test", "app_token": APP_TOKEN, "api_url": f"{self.url}/api"}
        return {"chat": {"kind": "slack", "fields": fields}}

    async def start(self):
        app = web.Application()
        app.router.add_post("/api/apps.connections.open", self._open)
        app.router.add_get("/api/auth.test", self._who)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        for socket in list(self.sockets):
            await socket.close()
        await self._runner.cleanup()

    async def cut(self):
        await self.stop()

    async def restore(self):
        await self.start()

    def config(self):
        return {"type": "slack", "connection": "chat", "socket": True, "event_types": []}

    async def publish(self, numbers):
        for number in numbers:
            event = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": str(number),
                     "ts": f"{number}.1"}  # fmt: skip
            payload = {"type": "event_callback", "team_id": "T1234567890", "event_id": f"Ev{number}", "event": event}
            await self.put("events_api", payload)

    async def put(self, kind, payload):
        """Hand an envelope over, to whoever is connected or will be."""
        name = f"e{next(self._numbers)}"
        self.waiting[name] = {"envelope_id": name, "type": kind, "payload": payload, "accepts_response_payload": False}
        envelope = self.waiting[name]
        for socket in list(self.sockets)[:1]:
            with suppress(ConnectionError):  # its app has just gone; the envelope waits for the next one
                await socket.send_json(envelope)

    async def refresh(self):
        """Ask the app to connect anew, as Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    def number(self, data):
        return int(data["event"]["text"])

    async def _who(self, _request):
        return web.json_response({"ok": True, "team_id": "T1234567890", "team": "shop", "user": "bot"})

    async def _open(self, request):
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        ticket = secrets.token_urlsafe(12)
        self.tickets.add(ticket)
        return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self.port}/link?ticket={ticket}"})

    async def _link(self, request):
        if request.query.get("ticket") not in self.tickets:
            return web.Response(status=401)
        self.tickets.discard(request.query["ticket"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.opened += 1
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}})
        self.sockets.add(socket)  # what comes from now on is sent at once, what was there before below
        try:
            for envelope in list(self.waiting.values()):
                await socket.send_json(envelope)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.waiting.pop(json.loads(message.data).get("envelope_id"), None)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.sockets.discard(socket)
        return socket
