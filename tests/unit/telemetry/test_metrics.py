"""What is counted, and how it is shown."""

from __future__ import annotations

import timeit

import pytest

from workflow_scheduler.telemetry.metrics import LATENCY_BUCKETS, Metrics


@pytest.fixture
def metrics():
    return Metrics()


def lines(metrics):
    return metrics.render().decode().splitlines()


def test_the_four_metrics_have_their_names_and_labels(metrics):
    metrics.received("webhook")
    metrics.received("webhook", 2)
    metrics.filtered("webhook", "filtered")
    metrics.started("webhook", 0.003)
    shown = lines(metrics)
    assert 'triggers_events_received_total{provider="webhook"} 3.0' in shown
    assert 'triggers_events_filtered_total{provider="webhook",result="filtered"} 1.0' in shown
    assert 'triggers_runs_started_total{provider="webhook"} 1.0' in shown
    assert 'triggers_latency_seconds_count{provider="webhook"} 1.0' in shown
    assert 'triggers_latency_seconds_sum{provider="webhook"} 0.003' in shown


def test_the_buckets_of_the_histogram_are_cumulative(metrics):
    for seconds in (0.0005, 0.001, 0.0011, 59.0, 1_000.0):
        metrics.latency("cron", seconds)
    shown = lines(metrics)
    assert 'triggers_latency_seconds_bucket{le="0.001",provider="cron"} 2.0' in shown
    assert 'triggers_latency_seconds_bucket{le="0.0025",provider="cron"} 3.0' in shown
    assert 'triggers_latency_seconds_bucket{le="60.0",provider="cron"} 4.0' in shown
    assert 'triggers_latency_seconds_bucket{le="+Inf",provider="cron"} 5.0' in shown
    assert (
        len([line for line in shown if line.startswith("triggers_latency_seconds_bucket")]) == len(LATENCY_BUCKETS) + 1
    )


def test_a_start_without_a_time_is_counted_only(metrics):
    metrics.started("manual")
    assert 'triggers_runs_started_total{provider="manual"} 1.0' in lines(metrics)
    assert not [line for line in lines(metrics) if line.startswith("triggers_latency_seconds_count")]


def test_queue_health_is_set_by_name(metrics):
    metrics.health({"scheduler_due": 3, "dead_letters_oldest_age_seconds": None})
    assert metrics.gauges["scheduler_due"] == 3
    assert "scheduler_due 3.0" in lines(metrics)
    with pytest.raises(KeyError):
        metrics.health({"unknown": 1})


def test_other_counters(metrics):
    metrics.duplicate("github")
    metrics.finished("SUCCEEDED")
    metrics.sources([("imap", "connected", 2, 7, None), ("imap", "backing_off", 1, None, 4.5)])
    shown = lines(metrics)
    assert 'triggers_duplicates_total{provider="github"} 1.0' in shown
    assert 'triggers_runs_finished_total{status="SUCCEEDED"} 1.0' in shown
    assert 'source_lag_seconds{source="imap"} 4.5' in shown
    assert 'source_backlog{source="imap"} 7.0' in shown
    assert 'sources{status="connected",type="imap"} 2.0' in shown


def test_a_label_cannot_break_the_form(metrics):
    metrics.received('a"b\nc')
    assert 'triggers_events_received_total{provider="a\\"b\\nc"} 1.0' in lines(metrics)


def test_counting_costs_less_than_a_microsecond(metrics):
    count = 20_000
    best = min(timeit.repeat(lambda: metrics.received("webhook"), number=count, repeat=5)) / count
    assert best < 1e-6
