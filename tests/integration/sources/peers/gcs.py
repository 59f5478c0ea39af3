"""The storage emulator, whose bucket is listed, and a subscription that is told of objects as Google tells it."""

import asyncio
import json
import socket
import urllib.parse
import urllib.request

from gcp_storage_emulator.server import create_server
from servers.google import Subscriptions


class Listed:
    """A bucket that is listed; the emulator lists only whole buckets."""

    type = "gcs"
    bucket = "numbers"

    def __init__(self):
        self.secrets = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections = {"cloud": {"kind": "google", "fields": {"endpoint": self.url}}}
        self.kept = {}
        self.server = None

    async def start(self):
        await self.restore()

    async def stop(self):
        await self.cut()

    async def restore(self):
        await asyncio.to_thread(self._restore)

    def _restore(self):
        self.server = create_server("127.0.0.1", self.port, in_memory=True, default_bucket=self.bucket)
        self.server.start()
        for key, content in self.kept.items():
            self._send(key, content)

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
        self.kept[key] = content
        self._send(key, content)

    def _send(self, key, content):
        query = urllib.parse.urlencode({"uploadType": "media", "name": key})
        url = f"{self.url}/upload/storage/v1/b/{self.bucket}/o?{query}"
        urllib.request.urlopen(urllib.request.Request(url, content, method="POST")).close()  # noqa: S310 -- the emulator

    def remove(self, key):
        url = f"{self.url}/storage/v1/b/{self.bucket}/o/{urllib.parse.quote(key, safe='')}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()  # noqa: S310 -- the emulator

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


PEERS = (Listed, Notified)
