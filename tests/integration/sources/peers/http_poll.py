"""An API with ETags, pages and a list that grows."""

import asyncio
import hashlib

from aiohttp import web

TOKEN = "api-token-of-the-test"


class Peer:
    type = "http_poll"

    def __init__(self):
        self.secrets = {}
        self.connections = {"api": {"kind": "http", "fields": {"auth": "bearer", "secret": TOKEN}}}
        self.items = []
        self.asked = []
        self.answer = None  # status, headers: said instead of the list
        self.port = 0
        self._runner = None

    async def start(self):
        app = web.Application()
        app.router.add_get("/items", self._items)
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
            "type": "http_poll",
            "url": f"http://127.0.0.1:{self.port}/items",
            "every": 1,
            "items": "$.items",
            "pages": "link",
            "start": "earliest",
            "connection": "api",
        }

    async def publish(self, numbers):
        for number in numbers:
            self.items.append({"id": f"item-{number}", "n": number})
            if number % 20 == 0:
                await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return data["n"]

    async def _items(self, request):
        self.asked.append(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "who are you"}, status=401)
        if self.answer is not None:
            status, headers = self.answer
            return web.json_response({"error": "not now"}, status=status, headers=headers)
        page = int(request.query.get("page", "0"))
        etag = '"' + hashlib.sha256(str(len(self.items)).encode()).hexdigest()[:16] + '"'
        if page == 0 and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        headers = {"ETag": etag}
        if (page + 1) * 100 < len(self.items):
            headers["Link"] = f'</items?page={page + 1}>; rel="next"'
        return web.json_response({"items": self.items[page * 100 : (page + 1) * 100]}, headers=headers)
