"""The storage emulator, whose bucket is listed, and a subscription that is told of objects as Google tells it."""

import asyncio
import json
import shutil
import tempfile
import urllib.parse
import urllib.request

from aiohttp import web
from gcp_storage_emulator.server import create_server
from servers.google import Google, Subscriptions

from workflow_scheduler.testing.ports import free_port


class Listed:
    """A bucket that is listed; the emulator lists only whole buckets."""

    type = "gcs"
    bucket = "numbers"

    def __init__(self):
        self.secrets = {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = {"cloud": {"kind": "google", "fields": {"endpoint": self.url}}}
        self.folder = tempfile.mkdtemp(prefix="wfs-gcs-")
        self.server = None

    async def start(self):
        await self.restore()

    async def stop(self):
        await self.cut()
        shutil.rmtree(self.folder)

    async def restore(self):
        await asyncio.to_thread(self._restore)

    def _restore(self):
        self.server = create_server("127.0.0.1", self.port, data_dir=self.folder, default_bucket=self.bucket)
        self.server.start()

    async def cut(self):
        await asyncio.to_thread(self.server.stop)

    def config(self):
        return {"type": "gcs", "connection": "cloud", "bucket": self.bucket, "prefix": "in/", "every": 1,
                "patterns": ["**/*.json"], "start": "earliest"}  # fmt: skip

    async def publish(self, numbers):
        await asyncio.to_thread(self._publish, list(numbers))

    def _publish(self, numbers):
        for number in numbers:
            self.put(f"in/a b+{number % 7}/{number}.json", json.dumps({"n": number}).encode())

    def put(self, key, content):
        query = urllib.parse.urlencode({"uploadType": "media", "name": key})
        url = f"{self.url}/upload/storage/v1/b/{self.bucket}/o?{query}"
        urllib.request.urlopen(urllib.request.Request(url, content, method="POST")).close()  # noqa: S310 -- the emulator

    def remove(self, key):
        url = f"{self.url}/storage/v1/b/{self.bucket}/o/{urllib.parse.quote(key, safe='')}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()  # noqa: S310 -- the emulator

    def number(self, data):
        return int(data["name"].partition(".")[0])


class Paged(Google):
    """A bucket whose listing comes in pages, as https://cloud.google.com/storage/docs/json_api/v1/objects/list says:
    by name from `startOffset` on, with fewer items than asked for, or none, before the last page.
    """

    type = "gcs"
    bucket = "paged"
    page = 90

    def __init__(self):
        super().__init__()
        self.generations = {}

    def routes(self, router):
        router.add_get(f"/storage/v1/b/{self.bucket}/o", self._list)

    async def _list(self, request):
        query = request.query
        names = [name for name in self.generations if name.startswith(query.get("prefix", ""))]
        token = query.get("pageToken")
        if token is None:
            names = sorted((name for name in names if name >= query.get("startOffset", "")), key=str.encode)
            if names:
                return web.json_response({"nextPageToken": f"from {names[0]}"})
            return web.json_response({})
        names = sorted((name for name in names if name >= token.removeprefix("from ")), key=str.encode)
        size = min(int(query["maxResults"]), self.page)
        items = [{"name": name, "generation": self.generations[name], "size": "9"} for name in names[:size]]
        more = {"nextPageToken": f"from {names[size]}"} if len(names) > size else {}
        return web.json_response({"items": items, **more})

    def config(self):
        return {"type": "gcs", "connection": "cloud", "bucket": self.bucket, "prefix": "in/", "every": 1,
                "start": "earliest"}  # fmt: skip

    async def publish(self, numbers):
        for number in numbers:
            self.generations[f"in/{number}.json"] = str(number)
            if number % 20 == 0:
                await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return int(data["name"].partition(".")[0])


class Notified(Subscriptions):
    """A subscription to the topic that a bucket notifies."""

    type = "gcs"
    bucket = "told"

    def config(self):
        return {"type": "gcs", "connection": "cloud", "bucket": self.bucket, "prefix": "in/", "every": 1,
                "subscription": self.subscription}  # fmt: skip

    async def publish(self, numbers):
        for number in numbers:
            self.tell("OBJECT_FINALIZE", f"in/{number}.json", str(number))

    def tell(self, event, key, generation, bucket=None):
        """Tell of an object as https://cloud.google.com/storage/docs/pubsub-notifications says."""
        resource = {"name": key, "bucket": bucket or self.bucket, "generation": generation, "size": "9"}
        self.put(json.dumps(resource).encode(), {
            "eventType": event, "objectId": key, "bucketId": bucket or self.bucket, "objectGeneration": generation,
            "eventTime": "2027-01-05T12:00:00.5Z", "payloadFormat": "JSON_API_V1",
            "notificationConfig": f"projects/_/buckets/{bucket or self.bucket}/notificationConfigs/1",
        })  # fmt: skip

    def number(self, data):
        return int(data["name"].partition(".")[0])


PEERS = (Listed, Paged, Notified)
