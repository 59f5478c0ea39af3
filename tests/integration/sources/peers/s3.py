"""The buckets of moto, listed, and with the notifications that it writes to a queue."""

import json

from peers.sns_sqs import REGION, Cloud


class Peer(Cloud):
    """A bucket that is listed."""

    type = "s3"
    bucket = "numbers"

    def _make(self):
        self.client("s3").create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def _remove(self):
        s3 = self.client("s3")
        while found := s3.list_objects_v2(Bucket=self.bucket).get("Contents"):
            s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": one["Key"]} for one in found]})
        s3.delete_bucket(Bucket=self.bucket)

    def config(self):
        return {"type": "s3", "connection": "cloud", "bucket": self.bucket, "prefix": "in/", "every": 1,
                "patterns": ["**/*.json"], "start": "earliest"}  # fmt: skip

    def _publish(self, numbers):
        s3 = self.client("s3")
        for number in numbers:
            key = f"in/a b+{number % 7}/{number}.json"
            s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps({"n": number}).encode())

    def number(self, data):
        return int(data["name"].partition(".")[0])


class Notified(Peer):
    """A bucket that notifies a queue, which is read in place of a listing."""

    bucket = "told"
    queue = "notes"

    def _make(self):
        super()._make()
        sqs = self.client("sqs")
        self.queue_url = sqs.create_queue(QueueName=self.queue, Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        told = {"QueueArn": found["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        self.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def _remove(self):
        super()._remove()
        self.client("sqs").delete_queue(QueueUrl=self.queue_url)

    def config(self):
        return {**super().config(), "queue": self.queue}


PEERS = (Peer, Notified)
