"""kill -9 among events that are gathered and throttled: each acknowledged event is part of exactly one run.

`WFS_SHAPE_KILLS=50` sets the number of kills per store, `WFS_SEED=N` repeats a run.
"""

import http.client
import json
import os
import random
import secrets
import threading
from collections import Counter

import pytest
from chaos import audit
from chaos.service import Refused, Service, wait_until

KILLS = int(os.environ.get("WFS_SHAPE_KILLS", "5"))
UP_SECONDS = (0.2, 0.9)
SHAPES = {
    "burst": {"debounce": {"quiet": "700ms", "max_wait": "2s"}},
    "some": {"batch": {"size": 7, "time": "1s"}},
    "slow": {"throttle": "150/s"},
}
FLOW = {
    "version": 1,
    "name": "shaped",
    "triggers": {name: {"type": "event", "event": "told", **shape} for name, shape in SHAPES.items()},
    "jobs": {"work": {"uses": "noop"}},
}


class Senders:
    """Threads that send numbered events again until they are acknowledged."""

    def __init__(self, service, count):
        self.service = service
        self.acknowledged = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(name,)) for name in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, name):
        number = 0
        while not self._over.is_set():
            event_id = f"{name}-{number}"
            event = {"specversion": "1.0", "id": event_id, "source": "/siege", "type": "told", "data": {"id": event_id}}
            try:
                self.service.call("POST", "/api/v1/events", event)
            except (OSError, http.client.HTTPException, Refused):
                self._over.wait(0.02)  # the next process is not there yet
                continue
            self.acknowledged.append(event_id)
            number += 1

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_what_is_gathered_or_throttled_is_in_one_run_whatever_is_killed(tmp_path, store, request):
    seed = int(os.environ.get("WFS_SEED", secrets.randbelow(10**6)))
    draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
    url = request.getfixturevalue("postgres_url") if store == "postgres" else ""
    service = Service(tmp_path, url, LOCK_TIMEOUT="2")
    tables = audit.Tables(tmp_path, url)
    service.start()
    service.deploy(FLOW)
    senders = Senders(service, 3)
    for _ in range(KILLS):
        service.died_within(draw.uniform(*UP_SECONDS))
        service.kill()
        service.start()
    senders.stop()
    wait_until(
        lambda: not tables.select("SELECT 1 FROM shape_events")[0],
        seconds=120,
        what=f"that nothing waits (seed {seed})",
    )
    wait_until(lambda: service.open_runs() == 0, what=f"the end of all runs (seed {seed})")
    names, runs = tables.select("SELECT id, name FROM trigger_index", "SELECT trigger_id, input FROM runs")
    found = {name: Counter() for name in SHAPES}
    for trigger_id, content in runs:
        told = json.loads(bytes(content))
        one = dict(names)[trigger_id]
        found[one].update([told["id"]] if one == "slow" else [event["data"]["id"] for event in told["events"]])
    for name, seen in found.items():
        lost = [event for event in senders.acknowledged if event not in seen]
        twice = [event for event, times in seen.items() if times > 1]
        assert (lost, twice) == ([], []), f"{name}, seed {seed}"
    assert len(senders.acknowledged) > KILLS
    assert service.stop() == 0, service.tail()
