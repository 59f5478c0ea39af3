"""A flood of events into every way of shaping: how fast it is taken, what memory it needs, and that nothing is lost.

Batches of CloudEvents are sent as fast as they are answered; each event asks four triggers that start a run for few of
them or later.
"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import apsw

from bench.service import Service

EVENTS = 100_000
BATCH = 200
TYPE = "bench.flood"
KINDS = {
    "burst": {"debounce": {"quiet": "5s", "max_wait": "10s"}},
    "some": {"batch": {"size": 500, "time": "5s"}},
    "few": {"rate_limit": "100/s"},
    "slow": {"throttle": {"rate": "1000/s", "key": "event.data.n % 4"}},
}


def flood(kinds: tuple[str, ...] = tuple(KINDS), events: int = EVENTS) -> dict[str, Any]:
    """Return what a flood into some ways of shaping showed."""
    triggers = {kind: {"type": "event", "event": TYPE, **KINDS[kind]} for kind in kinds}
    service = Service().start()
    try:
        service.deploy({"version": 1, "name": "flood", "triggers": triggers, "jobs": {"work": {"uses": "noop"}}})
        before = _memory(service)
        seconds, most = _send(service, events)
        decided = _decided(service.folder)
        return {
            "events_per_second": events / seconds,
            "megabytes_more": (max(most, _memory(service)) - before) / 1e6,
            "unaccounted": events * len(kinds) - sum(decided.values()),
            "decisions": decided,
        }
    finally:
        service.stop()


def _send(service: Service, events: int) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    most, begin = 0, time.perf_counter()
    for start in range(0, events, BATCH):
        batch = [
            {"specversion": "1.0", "id": str(number), "source": "/bench", "type": TYPE, "data": {"n": number}}
            for number in range(start, start + BATCH)
        ]
        connection.request("POST", "/api/v1/events", json.dumps(batch).encode(), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.ACCEPTED:
            raise SystemExit(f"{answer.status}: {content[:300]!r}")
        if start % (BATCH * 20) == 0:
            most = max(most, _memory(service))
    connection.close()
    return time.perf_counter() - begin, most


def _memory(service: Service) -> int:
    assert service.process is not None
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def _decided(folder: Path) -> dict[str, int]:
    reader = apsw.Connection(str(folder / "workflow_scheduler.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.set_busy_timeout(5000)
    query = (
        "SELECT t.name || ' ' || d.outcome, COUNT(*) FROM decisions d JOIN trigger_index t ON t.id = d.trigger_id "
        "JOIN events e ON e.id = d.event_id WHERE e.provider = 'event' GROUP BY 1"
    )
    return dict(reader.execute(query).fetchall())


if __name__ == "__main__":
    for given in (*((kind,) for kind in KINDS), tuple(KINDS)):
        print(given, json.dumps(flood(given)))
