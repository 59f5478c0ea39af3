"""The sender, a process of its own: `python -m chaos.pour --port N --ledger FILE --seed N`.

It sends webhooks with known `webhook-id`s, CloudEvents with known ids and manual starts with known idempotency keys
from several threads, some of them twice and some five times, also at the same moment. Like any good sender it repeats a
delivery until it is acknowledged. What was acknowledged goes into the ledger. It ends when its standard input is
closed.
"""

import argparse
import http.client
import itertools
import json
import queue
import random
import sys
import threading

THREADS = 6
PAUSE_SECONDS = 0.02
ATTEMPT_SECONDS = 5
CLOUD = "application/cloudevents+json"


def delivery(prefix, number):
    """Return (kind, key, path, headers, body) of the n-th delivery."""
    key = f"{prefix}-{number}"
    if number % 7 == 0:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return "hand", key, "/api/v1/triggers/workflows/hand/manual", headers, json.dumps({"input": {"n": number}})
    if number % 2:
        body = {"specversion": "1.0", "id": key, "source": "/chaos", "type": "chaos.ping", "data": {"n": number}}
        return "ping", key, "/api/v1/events", {"Content-Type": CLOUD}, json.dumps(body)
    headers = {"Content-Type": "application/json", "webhook-id": key}
    return "hook", key, "/api/v1/public/webhook/chaos", headers, json.dumps({"n": number, "text": "x" * 200})


class Sender:
    """Deals deliveries out to threads until it is told to stop."""

    def __init__(self, ports, ledger, seed):
        self.ports = ports
        self.ledger = ledger
        self.prefix = f"s{seed}"
        self.numbers = itertools.count(1)
        self.draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
        self.again = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def next(self):
        """Return a delivery that is to be repeated, or a new one; some new ones are put in line to be repeated."""
        try:
            return self.again.get_nowait()
        except queue.Empty:
            pass
        with self.lock:
            made = delivery(self.prefix, next(self.numbers))
            repeats = self.draw.choices((0, 1, 4), (80, 15, 5))[0]
        for _ in range(repeats):
            self.again.put(made)
        return made

    def work(self, turn):
        connections = {}
        while not self.stopping.wait(PAUSE_SECONDS):
            kind, key, path, headers, body = self.next()
            while not self.stopping.is_set():
                port = self.ports[next(turn) % len(self.ports)]
                answer = self.send(connections, port, path, headers, body)
                if answer is None or answer[0] in (429, 503, 507):
                    self.stopping.wait(PAUSE_SECONDS)
                    continue
                status, text = answer
                event = json.loads(text).get("event_id") if status == 202 else None
                self.ledger.write(kind=kind, key=key, status=status, event=event, text="" if event else text[:300])
                break

    def send(self, connections, port, path, headers, body):
        """Return (status, text), or None when nobody answered."""
        connection = connections.get(port)
        try:
            if connection is None:
                connection = connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=ATTEMPT_SECONDS)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            connections.pop(port, None)
            connection.close()
            return None


def main():
    from chaos.ledger import Ledger

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, action="append", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    sender = Sender(options.port, Ledger(options.ledger), options.seed)
    threads = [threading.Thread(target=sender.work, args=(itertools.count(n),)) for n in range(options.threads)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    sender.stopping.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
