"""Finding users' functions."""

from __future__ import annotations

import importlib
import sys
import threading

from workflow_scheduler.jobs import functions


def test_threads_that_load_functions_at_once_empty_the_import_caches_one_after_the_other(monkeypatch):
    inside, overlaps = [], []

    def watched():
        inside.append(1)
        overlaps.append(len(inside))
        for name in list(sys.path_importer_cache):
            sys.path_importer_cache.get(name)
        inside.pop()

    monkeypatch.setattr(importlib, "invalidate_caches", watched)
    threads = [threading.Thread(target=functions.load, args=("json:dumps", ())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == [1] * 16
