"""The built web app belongs to its sources, names no other host, and loads its first page in few bytes."""

import gzip
import hashlib
import re

APP = "src/workflow_scheduler/ui/app/"
FIRST_PAGE_BYTES = 150_000
FIRST_PAGE = ("index.html", "assets/index-", "assets/home-", "assets/run-table-", "assets/table-", "assets/icon-")


def test_the_app_was_built_from_these_sources(project):
    digest = hashlib.sha256()
    names = [name.removeprefix("web/") for name in project.files() if name.startswith("web/")]
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (project.root / "web" / name).read_bytes() + b"\0")
    assert (project.root / APP / "sources.sha256").read_text().strip() == digest.hexdigest(), "run `make ui`"


def test_the_first_page_is_small(project):
    parts = [name for name in project.files() if name.startswith(tuple(APP + part for part in FIRST_PAGE))]
    assert len(parts) >= len(FIRST_PAGE)
    sizes = {name: len(gzip.compress((project.root / name).read_bytes())) for name in parts}
    assert sum(sizes.values()) <= FIRST_PAGE_BYTES, sizes


def test_the_page_loads_nothing_from_elsewhere(project):
    page = project.text(f"{APP}index.html")
    assert re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(target.startswith("/") for target in re.findall(r'(?:src|href)="([^"]+)"', page))
    assert "<script>" not in page
    assert "style=" not in page
