"""Venues behind a slow line, in virtual time: no silence, no lost word, nothing piles up, and how late all is is told to a fifth."""

from __future__ import annotations

import asyncio
import random
import statistics

import pytest

from dope.feed.clock import Clock
from dope.types import LIVE
from tests.simulation.loop import in_virtual_time
from tests.simulation.net import Pipe, Slow
from tests.simulation.stage import staged
from tests.simulation.test_silence import market_of, ports_of

LINE = 64_000.0, 0.3, 0.1  #: bytes/s, s, s
SOME_S = 7.0  #: longer than the limit of silence of either venue
BACK_S = 90.0
FIFTH = 0.2


def behind_a_slow_line(venues: tuple[str, ...], line: tuple[float, float, float]) -> dict[str, tuple[float, float, float]]:
    """By venue: how late messages came and were told to be (medians, s), and the most bytes on their way, in s of the line."""

    async def main(clock: Clock) -> dict[str, tuple[float, float, float]]:
        async with staged(5, [market_of(venue) for venue in venues], clock) as stage:
            now, market = asyncio.get_running_loop().time, stage.session.engine.market
            end = now() + BACK_S

            def not_live() -> list[str]:
                """Of the markets that there are."""
                books = [market.books.get(key) for key in stage.ledger.pasts]
                return [str(book and (book.key, book.state, book.reason)) for book in books if book is None or book.state != LIVE]

            while not_live():
                assert now() < end, not_live()
                await asyncio.sleep(0.1)
            await asyncio.sleep(3.0)  # what is usual is learnt
            pipes: dict[str, list[Pipe]] = {}
            for venue in venues:
                lines = [stage.net.slow(port, Slow(*line, random.Random(1))) for port in sorted(ports_of(stage, venue))]
                pipes[venue] = [pipe for each in lines for pipe in each]
            connections = dict(stage.session.engine.connections)
            told: dict[str, list[float]] = {venue: [] for venue in venues}
            most = dict.fromkeys(venues, 0)
            await asyncio.sleep(1.0)
            for _ in range(int(SOME_S / 0.02)):
                await asyncio.sleep(0.02)
                assert not not_live()
                for venue in venues:
                    told[venue].append(market.delays[venue].last / 1e9)
                    most[venue] = max(most[venue], *(pipe.bytes for pipe in pipes[venue]))
            assert stage.session.engine.connections == connections
            assert all(book.gaps == 0 for book in market.books.values())
            late = {venue: max((pipe.late_s for pipe in pipes[venue]), key=len) for venue in venues}
            return {venue: (statistics.median(late[venue]), statistics.median(told[venue]), most[venue] / line[0]) for venue in venues}

    return in_virtual_time(main)


def test_a_slow_line_is_no_silence_and_its_lateness_is_told_to_a_fifth() -> None:
    for venue, (late_s, told_s, waiting_s) in behind_a_slow_line(("okx", "kraken"), LINE).items():
        assert late_s >= LINE[1] - LINE[2]
        assert told_s == pytest.approx(late_s, rel=FIFTH), venue
        assert waiting_s < 1.0, f"{venue}: as much as the line carries in {waiting_s:.1f} s was on its way"
