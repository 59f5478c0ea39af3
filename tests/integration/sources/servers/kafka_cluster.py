"""Holds librdkafka's mock cluster, and publishes the numbers that come in as lines."""

import sys

from confluent_kafka import Producer

producer = Producer({"test.mock.num.brokers": 3, "log_level": 0, "linger.ms": 1})
found = producer.list_topics("numbers", timeout=30)
print(",".join(f"{one.host}:{one.port}" for one in found.brokers.values()), flush=True)  # noqa: T201
for line in sys.stdin:
    for number in line.split():
        producer.produce("numbers", f'{{"n":{number}}}', key=number, headers={"from": "test"})
    producer.flush(60)
    print("published", flush=True)  # noqa: T201
