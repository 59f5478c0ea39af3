"""A server of events that keeps them all and goes on after `Last-Event-ID`."""

import asyncio
import json

from aiohttp import web


class Peer:
    type = "sse"

    def __init__(self):
        self.secrets = {}
        self.connections = {}
        self.events = []
        self.asked = []
        self.answer = None  # a status, said instead of the stream
        self.port = 0
        self.chatter = ""  # sent at the beginning of each stream
        self._changed = asyncio.Event()
        self._runner = None

    async def start(self):
        app = web.Application()
        app.router.add_get("/stream", self._stream)
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
        return {"type": "sse", "url": f"http://127.0.0.1:{self.port}/stream"}

    async def publish(self, numbers):
        for number in numbers:
            self.events.append(number)
            self._changed.set()
            if number % 20 == 0:
                await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return data["n"]

    async def _stream(self, request):
        self.asked.append(request)
        if self.answer is not None:
            return web.Response(status=self.answer)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b": hello\n\n" + self.chatter.encode())
        place = int(request.headers.get("Last-Event-ID", "0"))
        while True:
            new = self.events[place:]
            text = "".join(
                f"id: {place + at}\nevent: number\ndata: {json.dumps({'n': number})}\n\n"
                for at, number in enumerate(new, 1)
            )
            place += len(new)
            if text:
                await answer.write(text.encode())
            self._changed.clear()
            await self._changed.wait()
