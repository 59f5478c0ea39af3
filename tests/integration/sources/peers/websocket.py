"""A WebSocket server that keeps its messages and sends those after the one that a subscriber names."""

import asyncio
import json
from contextlib import suppress

from aiohttp import web

TOKEN = "socket-token-of-the-test"


class Peer:
    type = "websocket"

    def __init__(self):
        self.secrets = {}
        self.connections = {"feed": {"kind": "http", "fields": {"auth": "bearer", "secret": TOKEN}}}
        self.messages = []
        self.port = 0
        self._changed = asyncio.Event()
        self._runner = None

    async def start(self):
        app = web.Application()
        app.router.add_get("/feed", self._feed)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        await self._runner.cleanup()

    cut = stop
    restore = start

    def config(self):
        return {
            "type": "websocket",
            "url": f"ws://127.0.0.1:{self.port}/feed",
            "subscribe": [{"op": "subscribe", "after": "{position}"}],
            "id": "$.id",
            "ignore": "$.subscribed",
            "connection": "feed",
        }

    async def publish(self, numbers):
        for number in numbers:
            self.messages.append(number)
            self._changed.set()
            if number % 20 == 0:
                await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return data["n"]

    async def _feed(self, request):
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = json.loads((await socket.receive()).data)
        place = asked["after"] or 0
        await socket.send_json({"subscribed": True})
        with suppress(ConnectionError):
            while not socket.closed:
                for number in self.messages[place:]:
                    place += 1
                    await socket.send_json({"id": place, "n": number})
                self._changed.clear()
                await self._changed.wait()
        return socket
