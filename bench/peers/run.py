"""Runs the peers that can be installed from the package index, each in a throw-away environment of uv."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _peer(script: str, packages: list[str], *arguments: str) -> dict[str, Any] | None:
    """Return what a peer's script prints, or None when it cannot be installed here."""
    tool = _uv()
    if tool is None:
        return None
    command = [tool, "run", "--quiet", "--no-project", "--python", sys.executable]
    command += [part for package in packages for part in ("--with", package)]
    command += ["python", str(HERE / script), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode or not done.stdout.strip():
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def lines() -> Iterator[tuple[str, str, str]]:
    """Yield one line of the table per figure of a peer."""
    with tempfile.TemporaryDirectory(dir=Path.cwd().parent) as folder:
        dbos = _peer("dbos_runs.py", ["dbos>=2"], f"sqlite:///{folder}/dbos.db")
        if dbos:
            yield "peer DBOS, SQLite: one-step workflows", f"{dbos['runs']:,.0f}/s", ""
            yield "peer DBOS, SQLite: chain of 100, per step", f"{dbos['chain_ms']:.2f} ms", ""
            yield "peer DBOS, SQLite: one after the other", f"{dbos['serial']:,.0f} runs/s", ""
        store = f"sqlite:///{folder}/aps.db"
        kept = _peer("apscheduler_fires.py", ["apscheduler<4", "sqlalchemy"], "1000", store)
        if kept:
            yield "peer APScheduler 3, SQLite: 1,000 due at once", f"{kept['fires']:,.0f} fires/s", ""
    memory = _peer("apscheduler_fires.py", ["apscheduler<4", "sqlalchemy"], "10000")
    if memory:
        yield "peer APScheduler 3, memory only: 10,000 due", f"{memory['fires']:,.0f} fires/s", ""
    cron = _peer("next_fires.py", ["croniter", "cronsim"])
    if cron:
        yield "peer cronsim: next fire", f"{cron['cronsim']:.1f} us", ""
        yield "peer croniter: next fire", f"{cron['croniter']:.1f} us", ""
