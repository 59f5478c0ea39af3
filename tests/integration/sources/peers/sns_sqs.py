"""The queues and topics of moto, which check requests as Amazon does; the server can be taken away and comes back."""

import asyncio
import json

import boto3
from moto.server import ThreadedMotoServer

from workflow_scheduler.testing.ports import free_port

REGION = "eu-central-1"


class Cloud:
    """The server, and the connection to it."""

    def __init__(self):
        self.secrets = {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        keys = {"region": REGION, "access_key_id": "AKIATEST", "secret_access_key": "the secret of the test"}
        self.connections = {"cloud": {"kind": "aws", "fields": {**keys, "endpoint": self.url}}}
        self.server = None

    def client(self, service):
        return boto3.client(
            service, region_name=REGION, endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test"
        )

    async def start(self):
        await self.restore()
        await asyncio.to_thread(self._make)

    async def restore(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        await asyncio.to_thread(self.server.start)

    async def cut(self):
        await asyncio.to_thread(self.server.stop)

    async def stop(self):
        await asyncio.to_thread(self._remove)
        await self.cut()

    async def publish(self, numbers):
        await asyncio.to_thread(self._publish, list(numbers))

    def number(self, data):
        return data["n"]


class Peer(Cloud):
    """A standard queue that is written to directly."""

    type = "sns_sqs"
    queue = "numbers"

    def _make(self):
        sqs = self.client("sqs")
        self.queue_url = sqs.create_queue(QueueName=self.queue, Attributes=self.attributes())["QueueUrl"]

    def attributes(self):
        return {}

    def _remove(self):
        self.client("sqs").delete_queue(QueueUrl=self.queue_url)

    def config(self):
        return {"type": "sns_sqs", "connection": "cloud", "queue": self.queue, "visibility": "3s"}

    def _publish(self, numbers):
        sqs = self.client("sqs")
        for start in range(0, len(numbers), 10):
            entries = [self._entry(number) for number in numbers[start : start + 10]]
            done = sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
            assert len(done["Successful"]) == len(entries)

    def _entry(self, number):
        return {"Id": str(number), "MessageBody": json.dumps({"n": number})}


class Fifo(Peer):
    """A FIFO queue: the order of each group is kept."""

    queue = "numbers.fifo"

    def attributes(self):
        return {"FifoQueue": "true"}

    def _entry(self, number):
        return {**super()._entry(number), "MessageGroupId": str(number % 50), "MessageDeduplicationId": str(number)}


class Topic(Peer):
    """A queue that an SNS topic writes to."""

    queue = "told"

    def _make(self):
        super()._make()
        sqs, sns = self.client("sqs"), self.client("sns")
        found = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        self.topic = sns.create_topic(Name="numbers")["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=found["Attributes"]["QueueArn"])

    def _publish(self, numbers):
        sns = self.client("sns")
        for start in range(0, len(numbers), 10):
            entries = [{"Id": str(one), "Message": json.dumps({"n": one})} for one in numbers[start : start + 10]]
            sns.publish_batch(TopicArn=self.topic, PublishBatchRequestEntries=entries)


PEERS = (Peer, Fifo, Topic)
