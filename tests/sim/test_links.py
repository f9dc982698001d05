"""Links that fail without a word, and links that are merely slow: the real feed over real sockets through the proxies of a world.

How soon silence is seen is asserted in virtual time (``tests/simulation/test_silence.py``); here that real sockets are no different.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Callable

import msgspec
import pytest

from dope.sim.journal import Fault
from dope.sim.listings import ListingSpec
from dope.sim.venue import listings
from tests.sim.many import hurried, watching

SILENT = {"okx": "tcp_blackhole", "kraken": "tcp_blackhole", "gate": "tcp_blackhole", "bybit": "ack_mute"}
ALL = (*SILENT, "binance_usdm")
SLOW = ("okx", "kraken")
LEAST_MS, MOST_MS = 200.0, 400.0  #: of the slow link
SPEED = 4.0
STOOD_S = 1.0  #: a loop that was so late proves nothing about venues that were silent


def bitcoin(venue: str) -> ListingSpec:
    """In action each 50 ms."""
    return msgspec.structs.replace(min(listings((venue,)), key=lambda spec: (spec.asset != "BTC", spec.symbol)), pace=5)


class Loop:
    """How late the loop was at worst, in its own seconds: where it stood still, all venues in it were silent."""

    def __init__(self) -> None:
        self.late_s = 0.0

    async def watch(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due = now() + 0.05
            await asyncio.sleep(0.05)
            self.late_s = max(self.late_s, now() - due)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count descriptors")
def test_half_open_and_mute_sockets_are_dropped_and_replaced_and_leave_no_descriptor(figure: Callable[..., None]) -> None:
    silences: dict[str, float] = {}

    async def run() -> None:
        async with watching([bitcoin(venue) for venue in ALL], proxied=True) as (made, watched):
            await watched.until(lambda: len(watched.live_at) == len(ALL) and not watched.waiting())
            await asyncio.sleep(1.0)
            before, began, old, loop = descriptors(), watched.clock.now(), dict(watched.epochs), Loop()
            watching_loop = asyncio.ensure_future(loop.watch())
            for venue, kind in SILENT.items():
                made.faults.inject(Fault(kind=kind, venue=venue))
            mine = [epoch for epoch in old.values() if epoch.venue in SILENT and epoch.plan != "rest"]
            await watched.until(lambda: all(epoch.closed for epoch in mine))
            assert {epoch.reason.partition(" for ")[0] for epoch in mine} == {"no data"}
            left = {words.partition(":")[0] for words in watched.left}
            assert left >= set(SILENT)
            assert left == set(SILENT) or loop.late_s > STOOD_S, "of the others no book has left LIVE"
            watching_loop.cancel()
            silences.update({epoch.venue: (epoch.closed - began) / 1e9 for epoch in mine})

            def newer() -> set[str]:
                return {epoch.venue for number, epoch in watched.epochs.items() if number not in old and epoch.first}

            for venue in SILENT:
                made.faults.heal(venue)
                watched.feed.retry(venue)
            await watched.until(lambda: not watched.waiting() and set(SILENT) <= newer())
            await watched.until(lambda: descriptors() <= before, 20.0)

    hurried(run, SPEED)
    for venue, seconds in silences.items():
        figure(f"{SILENT[venue]} at {venue}: socket gone", seconds, unit="s")


def test_a_slow_link_is_no_silence_and_how_late_it_is_is_told(figure: Callable[..., None]) -> None:
    late: dict[str, float] = {}

    async def run() -> None:
        epoch_ms = int(asyncio.get_running_loop().time() * 1000)  # the venues' clocks are as ours: stamps far from it are not believed
        async with watching([bitcoin(venue) for venue in SLOW], proxied=True, epoch_ms=epoch_ms) as (made, watched):
            await watched.until(lambda: len(watched.live_at) == len(SLOW) and not watched.waiting())
            await asyncio.sleep(3.0)  # what is usual is learnt
            for venue in SLOW:
                for kind, params in (
                    ("tcp_rate", {"bytes_s": 64_000.0}), ("tcp_latency", {"ms": 300.0, "jitter_ms": 100.0}), ("tcp_slice", {"n": 1}),
                ):  # fmt: skip
                    made.faults.inject(Fault(kind=kind, venue=venue, params=params))
            await asyncio.sleep(2.0)
            seen: dict[str, list[float]] = {venue: [] for venue in SLOW}
            loop = Loop()
            watching_loop = asyncio.ensure_future(loop.watch())
            for _ in range(60):  # longer than the limit of either venue
                await asyncio.sleep(0.1)
                for venue in SLOW:
                    seen[venue].append(watched.engine.market.delays[venue].last / 1e6)
            watching_loop.cancel()
            silent = [*watched.left, *(epoch.reason for epoch in watched.epochs.values() if epoch.closed)]
            assert not silent or loop.late_s > STOOD_S, silent
            late.update({venue: statistics.median(each) for venue, each in seen.items()})

    hurried(run, SPEED)
    for venue, ms in late.items():
        assert ms >= 0.8 * LEAST_MS, f"{venue}: a message is {ms:.0f} ms late and nobody says so"
        figure(f"lag told of a link at {venue} that is 200 to 400 ms late", ms, unit="ms", target=1.2 * MOST_MS)
