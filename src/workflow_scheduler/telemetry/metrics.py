"""Figures about events, runs and queues, for Prometheus.

The counters are plain numbers, added to on the event loop without a lock and turned into Prometheus' form when they
are read; an addition costs a tenth of a microsecond.

========================================  =========  ======================================================
metric                                    labels     meaning
========================================  =========  ======================================================
triggers_events_received_total            provider   events that were heard and stored
triggers_events_filtered_total            provider,  decisions that started no run, by outcome
                                          result
triggers_runs_started_total               provider   runs that were started
triggers_latency_seconds                  provider   event received to run started
triggers_runs_finished_total              status     runs that reached their end
triggers_duplicates_total                 provider   events that had been stored before
scheduler_due                             -          schedules whose time has come, not fired yet
scheduler_overdue                         -          of those, the ones late by more than misfire_grace
scheduler_dispatch_lag_seconds            -          age of the oldest due schedule
queue_pending                             -          runs that wait for an engine
queue_oldest_pending_age_seconds          -          age of the oldest of them
dead_letters                              -          dead letters nobody has settled
dead_letters_oldest_age_seconds           -          age of the oldest of them
sources                                   type,      sources that are polled or stream, by how they do
                                          status
source_lag_seconds                        source     how far a source is behind what it listens to: for how long the
                                                     one of this type that is down longest has been so
source_backlog                            source     messages that wait behind the one that is furthest behind
========================================  =========  ======================================================
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
GAUGES = {
    "scheduler_due": "Schedules whose time has come and that have not fired yet.",
    "scheduler_overdue": "Due schedules that are later than misfire_grace.",
    "scheduler_dispatch_lag_seconds": "Age of the oldest due schedule.",
    "queue_pending": "Runs that wait for an engine.",
    "queue_oldest_pending_age_seconds": "Age of the oldest run that waits for an engine.",
    "dead_letters": "Dead letters that nobody has settled.",
    "dead_letters_oldest_age_seconds": "Age of the oldest dead letter.",
}


class _Histogram:
    """Counts per bucket, and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self.total = 0.0


class Metrics(Collector):
    """The figures of one instance. Add to it from the event loop only."""

    def __init__(self) -> None:
        """Begin at zero, with a registry of its own."""
        self._received: dict[str, int] = {}
        self._duplicates: dict[str, int] = {}
        self._filtered: dict[tuple[str, str], int] = {}
        self._started: dict[str, int] = {}
        self._finished: dict[str, int] = {}
        self._latency: dict[str, _Histogram] = {}
        self._gauges: dict[str, float] = dict.fromkeys(GAUGES, 0.0)
        self._sources: dict[tuple[str, str], int] = {}
        self._source_backlog: dict[str, float] = {}
        self._source_lag: dict[str, float] = {}
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def received(self, provider: str, count: int = 1) -> None:
        """Count events that were stored."""
        self._received[provider] = self._received.get(provider, 0) + count

    def duplicate(self, provider: str) -> None:
        """Count an event that had been stored before."""
        self._duplicates[provider] = self._duplicates.get(provider, 0) + 1

    def filtered(self, provider: str, result: str) -> None:
        """Count a decision that started no run; `result` is its outcome."""
        key = (provider, result)
        self._filtered[key] = self._filtered.get(key, 0) + 1

    def started(self, provider: str, seconds: float | None = None) -> None:
        """Count a run that was started, `seconds` after its event was received."""
        self._started[provider] = self._started.get(provider, 0) + 1
        if seconds is not None:
            self.latency(provider, seconds)

    def latency(self, provider: str, seconds: float) -> None:
        """Record how long it took from the event to the start of its run."""
        histogram = self._latency.get(provider)
        if histogram is None:
            histogram = self._latency[provider] = _Histogram()
        histogram.counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        histogram.total += seconds

    def finished(self, status: str) -> None:
        """Count a run that reached its end."""
        self._finished[status] = self._finished.get(status, 0) + 1

    def health(self, values: Mapping[str, float | None]) -> None:
        """Set gauges of queue health (names of GAUGES); None is zero.

        Raises:
            KeyError: a name is not one of them.

        """
        for name, value in values.items():
            if name not in GAUGES:
                raise KeyError(name)
            self._gauges[name] = float(value or 0)

    @property
    def gauges(self) -> dict[str, float]:
        """The gauges of queue health as they were last set."""
        return dict(self._gauges)

    def sources(self, found: Iterable[tuple[str, str, int, float | None, float | None]]) -> None:
        """Set how sources do: type, status, how many, the greatest lag, and for how many seconds one has been down."""
        self._sources, self._source_backlog, self._source_lag = {}, {}, {}
        for kind, status, count, lag, down in found:
            self._sources[kind, status] = count
            self._source_backlog[kind] = max(self._source_backlog.get(kind, 0.0), lag or 0.0)
            self._source_lag[kind] = max(self._source_lag.get(kind, 0.0), down or 0.0)

    def render(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield everything, for prometheus-client."""
        yield _counter("triggers_events_received", "Events heard and stored.", ("provider",), self._received)
        yield _counter("triggers_duplicates", "Events that had been stored before.", ("provider",), self._duplicates)
        yield _counter(
            "triggers_events_filtered", "Decisions that started no run.", ("provider", "result"), self._filtered
        )
        yield _counter("triggers_runs_started", "Runs that were started.", ("provider",), self._started)
        yield _counter("triggers_runs_finished", "Runs that reached their end.", ("status",), self._finished)
        yield self._latencies()
        for name, value in self._gauges.items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)
        yield from self._source_gauges()

    def _source_gauges(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("sources", "Sources by how they do.", labels=("type", "status"))
        for labels, count in self._sources.items():
            family.add_metric(labels, count)
        yield family
        for name, text, values in (
            ("source_lag_seconds", "How far a source is behind.", self._source_lag),
            ("source_backlog", "Messages that wait behind a source.", self._source_backlog),
        ):
            family = GaugeMetricFamily(name, text, labels=("source",))
            for kind, value in values.items():
                family.add_metric((kind,), value)
            yield family

    def _latencies(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            "triggers_latency_seconds", "From the event received to its run started.", labels=("provider",)
        )
        for provider, histogram in self._latency.items():
            count = 0
            buckets = []
            for bound, inside in zip((*LATENCY_BUCKETS, None), histogram.counts, strict=True):
                count += inside
                buckets.append(("+Inf" if bound is None else str(bound), float(count)))
            family.add_metric((provider,), buckets=buckets, sum_value=histogram.total)
        return family


def _counter(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[str, int] | Mapping[tuple[str, str], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric((key,) if isinstance(key, str) else key, value)
    return family
