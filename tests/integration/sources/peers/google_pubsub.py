"""A subscription of Pub/Sub, on a server that enforces its documented rules."""

import json

from servers.google import Subscriptions


class Peer(Subscriptions):
    type = "google_pubsub"

    def config(self):
        return {"type": "google_pubsub", "connection": "cloud", "subscription": self.subscription, "hold": "10s"}

    async def publish(self, numbers):
        for number in numbers:
            self.put(json.dumps({"n": number}).encode(), {"number": str(number)}, key=str(number % 50))

    def number(self, data):
        return data["n"]
