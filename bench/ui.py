"""The web app in a real browser: bytes and time of the first page, a graph of 500 jobs, a list of 10,000 rows."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from pathlib import Path
from typing import Any

import workflow_scheduler.ui
from bench import w1
from bench.service import Service, load

APP = Path(workflow_scheduler.ui.__file__).parent / "app"
FIRST = ("index-", "home-", "run-table-", "table-", "icon-")
ROUNDS = 5
JOBS = 500
ROWS = 10_000
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
]  # fmt: skip


def first_page_bytes() -> int:
    """Return the gzipped size of what the first page loads."""
    names = [one for one in (APP / "assets").iterdir() if one.name.startswith(FIRST)]
    return sum(len(gzip.compress(one.read_bytes())) for one in [APP / "index.html", *names])


def in_browser() -> dict[str, Any] | None:
    """Return seconds: the first page until it can be used, the graph, the list; None where no Chromium is."""
    path = os.environ.get("WFS_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    service = Service().start()
    try:
        service.deploy(_graph())
        service.deploy(w1.WORKFLOW)
        load(service, w1.PATH, w1.BODY, ROWS, 64, prefix="row")
        service.wait_finished(ROWS)
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=path, args=FLAGS).new_page()
            first = min(_seconds(page, service.url, "h2 >> text=Needs attention") for _ in range(ROUNDS))
            target = f"{service.url}/workflows/{_id(service, 'big')}"
            graph = min(_seconds(page, target, ".react-flow__node >> nth=0") for _ in range(ROUNDS))
            rows = _seconds(page, f"{service.url}/runs", ".grid-row.placed >> nth=10")
            begin = time.perf_counter()
            _scroll(page)
            scrolled = time.perf_counter() - begin
        return {"first": first, "graph": graph, "rows": rows, "scrolled": scrolled}
    finally:
        service.stop()


def _seconds(page: Any, url: str, until: str) -> float:
    page.goto("about:blank")
    begin = time.perf_counter()
    page.goto(url)
    page.locator(until).wait_for()
    return time.perf_counter() - begin


def _scroll(page: Any) -> None:
    """Scroll to the end of the list until all of its rows are there."""
    box = page.locator(".grid-box")
    while int(box.locator("[role=table]").get_attribute("aria-rowcount") or 0) <= ROWS:
        box.evaluate("box => box.scrollTo(0, box.scrollHeight)")
        page.wait_for_timeout(15)


def _graph() -> dict[str, Any]:
    jobs = {f"j{place}": {"uses": "noop", "needs": [f"j{place - 20}"] if place >= 20 else []} for place in range(JOBS)}
    return {"version": 1, "name": "big", "triggers": {"by-hand": {"type": "manual"}}, "jobs": jobs}


def _id(service: Service, name: str) -> str:
    return str(next(one["id"] for one in service.get("/api/v1/workflows")["items"] if one["name"] == name))
