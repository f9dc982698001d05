"""The figures of ``/metrics``: read from the newest snapshot and the live stream at each scrape, nothing is counted twice.

Labels come from closed sets only (venue ids, book states): no text from the wire can add a series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dope import __version__, heap
from dope.api.context import Web
from dope.api.features import Features
from dope.api.live import Hub
from dope.api.relays import Relays
from dope.errors import DopeError
from dope.watch import PARTS

STATES = ("LIVE", "SYNCING", "STALE", "GAP", "CROSSED", "INVALID", "HALTED", "DOWN")
LOOPS = ("runtime", "web")
REPLAY_STATES = ("created", "running", "paused", "ended", "failed")
VERDICTS = ("found", "missed", "mispriced", "late", "unclosed", "void")
REPLAY_SPEEDS = ("slower", "1", "faster", "max")
VENUE_COUNTS = {
    "reconnects": "connections opened again",
    "gaps": "holes found in book streams",
    "faults": "messages that could not be used",
    "checksums_ok": "book checksums that matched",
    "checksum_bad": "book checksums that did not match",
}
HUB_COUNTS = {
    "messages": "messages handed to clients",
    "bytes": "bytes of deltas queued for clients",
    "updates": "changes encoded",
    "overflows": "times a slow client was given a fresh snapshot",
    "evicted": "clients closed because they did not read",
    "refused": "clients refused because there were too many",
    "resyncs": "snapshots that clients asked for",
}
RELAY_COUNTS = {name: HUB_COUNTS[name] for name in ("updates", "overflows", "evicted", "refused", "resyncs")} | {
    "reads": "times a channel was looked at",
    "bytes": "bytes of changes queued for clients of relays",
}
FEATURE_COUNTS = {name: HUB_COUNTS[name] for name in ("messages", "updates", "overflows", "evicted", "refused")} | {
    "reads": "times the engine was asked for samples",
    "bytes": "bytes of samples queued for clients of the features",
}


class BoardCollector(Collector):
    """Makes all metric families when Prometheus asks."""

    def __init__(self, web: Web, hub: Hub, relays: Relays, features: Features, refused: Counter[str]) -> None:
        self._web, self._hub, self._relays, self._features, self._refused = web, hub, relays, features, refused

    def collect(self) -> Iterable[Metric]:
        data = self._web.board.read().data
        yield InfoMetricFamily("dope_build", "version of the program", value={"version": __version__})
        yield _gauge("dope_up", "1 while the engine is alive", 0.0 if self._web.trouble() else 1.0)
        age = self._web.age_s()
        if age is not None:
            yield _gauge("dope_publish_age_seconds", "time since the last publication", age)
        yield from _system(data.get("sys") or {})
        yield from _memory(heap.parts())
        yield from _venues(data.get("venues") or ())
        yield _books(data.get("instruments") or ())
        yield from _opportunities(data.get("cards") or {})
        yield from _self_test((data.get("mode") or {}).get("self_test") or {})
        yield from _replays(self._replays())
        yield from self._live()
        yield from self._relayed()

    def _replays(self) -> list[dict[str, Any]]:
        """All of them; none where nobody knows of any."""
        try:
            found: list[dict[str, Any]] = self._web.board.query("replays")
        except DopeError:
            return []
        return found

    def describe(self) -> Iterable[Metric]:
        """Nothing: the families depend on what is there."""
        return ()

    def _live(self) -> Iterable[Metric]:
        yield _gauge("dope_live_clients", "browsers on the live stream", self._hub.clients)
        for name, text in HUB_COUNTS.items():
            yield _counter(f"dope_live_{name}", text, self._hub.counts[name])
        yield _counter("dope_live_work_seconds", "time spent comparing, encoding and queueing", self._hub.counts["work_ns"] / 1e9)
        family = CounterMetricFamily("dope_http_refused", "requests refused at the door", labels=["status"])
        for status in ("400", "401", "403", "404", "413", "421", "429", "503"):
            family.add_metric([status], self._refused[status])
        yield family

    def _relayed(self) -> Iterable[Metric]:
        """Per channel: names of venues and symbols that the engine watches or watched, since others are refused."""
        clients = GaugeMetricFamily("dope_relay_clients", "clients that listen to a relay", labels=["channel"])
        messages = CounterMetricFamily("dope_relay_messages", "messages handed to clients of a relay", labels=["channel"])
        listening = self._relays.clients()
        for name, count in self._relays.messages().items():
            clients.add_metric([name], listening.get(name, 0))
            messages.add_metric([name], count)
        yield from (clients, messages)
        for name, text in RELAY_COUNTS.items():
            yield _counter(f"dope_relay_{name}", text, self._relays.counts[name])
        yield _gauge("dope_features_clients", "clients that listen to /ws/features", self._features.clients)
        for name, text in FEATURE_COUNTS.items():
            yield _counter(f"dope_features_{name}", text, self._features.counts[name])


def registry(web: Web, hub: Hub, relays: Relays, features: Features, refused: Counter[str]) -> CollectorRegistry:
    """A registry of our own: the process (CPU, memory, files) and the board."""
    own = CollectorRegistry(auto_describe=False)
    ProcessCollector(namespace="dope", registry=own)
    own.register(BoardCollector(web, hub, relays, features, refused))
    return own


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value or 0.0)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)


def _memory(parts: Mapping[str, int]) -> Iterable[Metric]:
    """What RSS alone does not say: whether something is held, or only kept at hand."""
    family = GaugeMetricFamily("dope_memory_bytes", "memory by what it is for (dope/heap.py)", labels=["use"])
    for name in ("used", "free", "arrow"):
        family.add_metric([name], parts[name])
    yield family
    yield _gauge("dope_python_objects", "small objects of the interpreter", parts["objects"])


def _system(row: Mapping[str, Any]) -> Iterable[Metric]:
    yield _counter("dope_frames", "frames that reached the engine", row.get("frames") or 0)
    yield _gauge("dope_frames_per_second", "frames per second", row.get("msgs_s"))
    loops = row.get("loops") or {}
    lag = GaugeMetricFamily("dope_loop_lag_seconds", "how late an event loop is: worst of the last second", labels=["loop"])
    p999 = GaugeMetricFamily("dope_loop_lag_p999_seconds", "how late an event loop is: 99.9 % quantile of five minutes", labels=["loop"])
    stalls = CounterMetricFamily("dope_loop_stalls", "times an event loop did not turn for a second", labels=["loop"])
    for name in LOOPS:
        known = loops.get(name) or {}
        lag.add_metric([name], (known.get("lag_ms") or 0.0) / 1e3)
        p999.add_metric([name], (known.get("p999_ms") or 0.0) / 1e3)
        stalls.add_metric([name], known.get("stalls") or 0)
    ends = CounterMetricFamily("dope_parts_ended", "tasks and threads that ended before their time, by part", labels=["part"])
    for part in PARTS:
        ends.add_metric([part.name], (row.get("ends") or {}).get(part.name, 0))
    yield from (lag, p999, stalls, ends)


def _venues(rows: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
    rows = list(rows)
    up = GaugeMetricFamily("dope_venue_up", "1 while the venue is live", labels=["venue"])
    live = GaugeMetricFamily("dope_venue_books_live", "order books known to be right", labels=["venue"])
    total = GaugeMetricFamily("dope_venue_books", "order books watched", labels=["venue"])
    rate = GaugeMetricFamily("dope_venue_messages_per_second", "messages per second", labels=["venue"])
    delay = GaugeMetricFamily("dope_venue_excess_delay_seconds", "delay above the fastest message", labels=["venue", "quantile"])
    for row in rows:
        label = [row["id"]]
        up.add_metric(label, float(row.get("state") == "live"))
        live.add_metric(label, row.get("books_live") or 0)
        total.add_metric(label, row.get("books_total") or 0)
        rate.add_metric(label, row.get("msgs_s") or 0.0)
        for quantile, name in (("0.5", "excess_p50_ms"), ("0.99", "excess_p99_ms")):
            if row.get(name) is not None:
                delay.add_metric([*label, quantile], row[name] / 1e3)
    yield from (up, live, total, rate, delay)
    for name, text in VENUE_COUNTS.items():
        family = CounterMetricFamily(f"dope_venue_{name}", text, labels=["venue"])
        for row in rows:
            family.add_metric([row["id"]], row.get(name) or 0)
        yield family


def _books(rows: Iterable[Mapping[str, Any]]) -> Metric:
    states = Counter(row.get("state") for row in rows)
    family = GaugeMetricFamily("dope_books", "order books by state", labels=["state"])
    for state in STATES:
        family.add_metric([state], states[state])
    return family


def _opportunities(cards: Mapping[str, Any]) -> Iterable[Metric]:
    yield _gauge("dope_opportunities_open", "opportunities open now", cards.get("open"))
    yield _counter("dope_opportunities", "opportunities since start", cards.get("total") or 0)


def _self_test(row: Mapping[str, Any]) -> Iterable[Metric]:
    yield _gauge("dope_self_test_failed", "1 while the newest self-test has failed", float(row.get("state") == "failed"))
    family = CounterMetricFamily("dope_self_tests", "self-tests carried out, by what became of them", labels=["verdict"])
    for verdict in VERDICTS:
        family.add_metric([verdict], row.get(verdict) or 0)
    yield family


def _replays(rows: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
    rows = list(rows)
    count = Counter((row.get("state"), _pace(row.get("speed"))) for row in rows)
    family = GaugeMetricFamily("dope_replays", "replays by state and by the speed asked for", labels=["state", "speed"])
    for state in REPLAY_STATES:
        for speed in REPLAY_SPEEDS:
            family.add_metric([state, speed], count[(state, speed)])
    yield family
    running = [row for row in rows if row.get("alive")]
    yield _gauge("dope_replay_processes", "replays whose process runs", len(running))
    text = "recorded seconds per second, all running replays together"
    yield _gauge("dope_replay_speed_ratio", text, sum(row.get("reached") or 0.0 for row in running))


def _pace(speed: Any) -> str:
    if isinstance(speed, (int, float)):
        return "1" if speed == 1 else "slower" if speed < 1 else "faster"
    return "max"
