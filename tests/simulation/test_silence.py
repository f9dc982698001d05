"""Venues that fall silent without a word, in virtual time: half-open connections, and those that acknowledge and deliver nothing.

What is promised: STALE within a fifth of a second of the venue's limit, the socket gone within half a second, a new one tried within
three, and no opportunity at any moment with a leg that is not LIVE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from dope.feed.clock import Clock
from dope.sim.journal import Fault
from dope.sim.listings import ListingSpec
from dope.sim.venue import listings
from dope.types import LIVE
from tests.simulation.loop import in_virtual_time
from tests.simulation.run import EVERY
from tests.simulation.stage import Stage, staged

STALE_S, GONE_S, AGAIN_S = 0.2, 0.5, 3.0  #: beyond the venue's limit of silence
LOOK_S = 0.01
REPEATS = {"half-open": 20, "mute": 9}
BACK_S = 90.0  #: until all is well again; it only ends a hopeless wait
FEW, OTHERS = {"half-open": ("coinbase", "kucoin", "okx"), "mute": ("coinbase", "htx", "okx")}, ("binance_spot", "bybit")


class Silence(NamedTuple):
    """What came of one silence, s from its begin: no book LIVE, no old connection, a new one tried; infinite = never."""

    venue: str
    limit_s: float
    stale_s: float
    gone_s: float
    again_s: float

    def __str__(self) -> str:
        return f"{self.venue} (limit {self.limit_s:g} s): stale {self.stale_s:.2f}, gone {self.gone_s:.2f}, again {self.again_s:.2f} s"


def market_of(venue: str, pace: int = 5) -> ListingSpec:
    """Bitcoin there, in action each ``pace`` steps of 10 ms."""
    return msgspec.structs.replace(min(listings((venue,)), key=lambda spec: (spec.asset != "BTC", spec.symbol)), pace=pace)


class Watcher:
    """Looks each 10 ms at the books, the connections and the opportunities of a stage."""

    def __init__(self, stage: Stage, silent: tuple[str, ...]) -> None:
        self.stage, self.engine, self.silent = stage, stage.session.engine, silent
        self.now = asyncio.get_running_loop().time
        self.began = 0.0
        self.stale: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self._old: dict[str, set[int]] = {}
        self.wrong: list[str] = []
        self.opened = 0

    def live(self, venue: str) -> bool:
        """All its books are."""
        books, ours = self.engine.market.books, [key for key in self.stage.ledger.pasts if key.startswith(f"{venue}:")]
        return all(key in books and books[key].state == LIVE for key in ours)

    def any_live(self, venue: str) -> bool:
        return any(book.state == LIVE for book in self.engine.market.books.values() if book.instrument.venue == venue)

    def connections(self, venue: str) -> set[int]:
        """Those that are open, but for those on which data are rare."""
        rare, desk = self.engine.venues[venue].RARE, self.stage.session.feed._desks[venue]
        exempt = {each.link.conn for each in desk.connections if each.link is not None and each.plan.name.partition(" ")[0] in rare}
        return {conn for conn, name in self.engine.connections.items() if name == venue} - exempt

    async def until(self, over: Callable[[], bool], limit_s: float) -> None:
        end = self.now() + limit_s
        while not over() and self.now() < end:
            await asyncio.sleep(LOOK_S)
            self._look()

    def begin(self) -> None:
        """The silence begins."""
        self.began = self.now()
        self._old = {venue: self.connections(venue) for venue in self.silent}

    def _look(self) -> None:
        books = self.engine.market.books
        for row in self.stage.session.arbitrage.rows():
            states = [books[leg].state for leg in (row.buy, row.sell)] if row.state in ("open", "fading") else []
            self.opened += bool(states)
            if states and states != [LIVE, LIVE]:
                self.wrong.append(f"an opportunity between {row.buy} and {row.sell}, which are {states}")
        for venue in self.silent if self.began else ():
            if venue not in self.stale and not self.any_live(venue):
                self.stale[venue] = self.now() - self.began
            if venue not in self.gone and not self._old[venue] & self.connections(venue):
                self.gone[venue] = self.now() - self.began

    def silence(self, venue: str) -> Silence:
        net, ports = self.stage.net, ports_of(self.stage, venue)
        after = self.began + self.gone.get(venue, float("inf")) - LOOK_S
        tries = net.attempts + (net.asked if self.engine.venues[venue].plan()[0].fetch is not None else [])  # its address comes first
        again = min((at for at, port in tries if port in ports and at >= after), default=float("inf"))
        limit = self.engine.market.idle_ns[venue] / 1e9
        return Silence(venue, limit, self.stale.get(venue, float("inf")), self.gone.get(venue, float("inf")), again - self.began)


def ports_of(stage: Stage, venue: str) -> set[int]:
    return {urlsplit(url).port or 0 for url in stage.world.servers[venue].port.endpoints.values()}


def silence(stage: Stage, how: str, venues: tuple[str, ...], on: bool) -> None:
    """Begin it or end it."""
    for venue in venues:
        if how == "mute":
            stage.world.faults.mute(venue) if on else stage.world.faults.heal(venue)
        else:
            for port in ports_of(stage, venue):
                stage.net.black_hole(port, on)


def silenced(how: str, silent: tuple[str, ...], others: tuple[str, ...], seed: int) -> tuple[list[Silence], int]:
    """One silence of these venues, the others going on; all is well before and afterwards.

    When it has been noticed a market that goes on is displaced by far more than any fee: whoever still believed the books of the
    silent ones would see opportunities. Gives the silences, and in how many looks there was an opportunity between others.
    """
    cast = silent + others

    async def main(clock: Clock) -> tuple[list[Silence], int]:
        async with staged(seed, [market_of(venue) for venue in cast], clock) as stage:
            watcher = Watcher(stage, silent)
            await watcher.until(lambda: all(map(watcher.live, cast)), BACK_S)
            assert all(map(watcher.live, cast)), [venue for venue in cast if not watcher.live(venue)]
            await watcher.until(lambda: False, 3.0 + seed % 7 / 10)  # all has been asked for and answered
            watcher.begin()
            silence(stage, how, silent, True)
            longest = max(stage.session.engine.market.idle_ns[venue] for venue in silent) / 1e9
            displaced = Fault(
                kind="dislocation", venue=others[0], symbol=market_of(others[0]).symbol, at_s=longest + STALE_S, duration_s=2.0,
                params={"bps": 200.0},
            )  # fmt: skip
            stage.world.faults.inject(displaced)
            await watcher.until(lambda: False, longest + AGAIN_S + 1.0)
            silence(stage, how, silent, False)
            for venue in silent:
                stage.session.feed.retry(venue)
            await watcher.until(lambda: all(map(watcher.live, cast)), BACK_S)
            assert all(map(watcher.live, cast)), [venue for venue in cast if not watcher.live(venue)]
            assert not watcher.wrong, watcher.wrong[:3]
            assert not stage.watch.counts
            return [watcher.silence(venue) for venue in silent], watcher.opened

    return in_virtual_time(main)


def check(found: list[Silence]) -> None:
    late = [each for each in found if each.stale_s > each.limit_s + STALE_S]
    late += [each for each in found if each.gone_s > each.limit_s + GONE_S or each.again_s > each.limit_s + AGAIN_S]
    assert not late, "\n".join(map(str, late))


@pytest.mark.parametrize("how", ["half-open", "mute"])
def test_silence_is_seen_at_the_limit_the_socket_dropped_and_a_new_one_tried(how: str) -> None:
    found, opened = silenced(how, FEW[how], OTHERS, seed=1)
    check(found)
    assert opened > 100, "those that went on were traded with each other"


@pytest.mark.full
def test_twenty_times_every_silence_is_seen_in_time(figure: Callable[..., None]) -> None:
    for how, times in REPEATS.items():
        found: list[Silence] = []
        for seed in range(times):
            ring = (EVERY * 2)[seed * 2 % len(EVERY) :]
            found += silenced(how, ring[:2], ring[2:4], seed)[0]
        assert len({each.venue for each in found}) == len(EVERY)
        check(found)
        for words, promised, latest in (
            ("STALE", STALE_S, max(each.stale_s - each.limit_s for each in found)),
            ("socket gone", GONE_S, max(each.gone_s - each.limit_s for each in found)),
            ("tried again", AGAIN_S, max(each.again_s - each.limit_s for each in found)),
        ):
            figure(f"{how}: {words} after the limit", latest, unit="s", target=promised, samples=len(found))
