"""Starts the service in a process whose wall clock is wrong by CHAOS_SKEW_SECONDS."""

import os
import runpy
import time

SKEW_NS = int(float(os.environ["CHAOS_SKEW_SECONDS"]) * 1e9)
true_time_ns = time.time_ns  # noqa: TID251 -- this is the clock that is set wrong


def wrong_time_ns():
    return true_time_ns() + SKEW_NS


if __name__ == "__main__":
    time.time_ns = wrong_time_ns  # noqa: TID251
    time.time = lambda: wrong_time_ns() / 1e9  # noqa: TID251
    runpy.run_module("workflow_scheduler", run_name="__main__")
