"""A market that a venue lists only later: seen at the next reading of its list, offered, watched when asked for; nothing else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dope.commands import _where
from dope.errors import DopeError
from dope.feed import feed
from dope.feed.clock import Clock
from dope.instruments import instrument_rows
from dope.sim.journal import Fault
from dope.sim.venue import listings
from dope.types import LIVE
from tests.sim.suffering import same, twins
from tests.simulation.loop import in_virtual_time
from tests.simulation.stage import Stage

VENUE = "okx"
LISTED_S, EVERY_S = 12.0, 4.0  #: when it is listed, and how often the list is read here
BACK_S = 60.0


async def until(condition: Callable[[], bool], what: str) -> None:
    now = asyncio.get_running_loop().time
    end = now() + BACK_S
    while not condition():
        assert now() < end, what
        await asyncio.sleep(0.1)


def test_a_market_that_is_listed_later_is_offered_and_can_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LISTS_NS", int(EVERY_S * 1e9))
    monkeypatch.setattr(feed, "LISTS_AGAIN_S", 1.0)
    old, new = twins(VENUE, listings((VENUE,)))

    async def main(clock: Clock) -> None:
        stage = Stage(3, [old, new], clock)
        stage.settings = stage.settings.model_copy(update={"symbols": [old.symbol]})
        planted = stage.world.faults.inject(Fault(kind="list_new", venue=VENUE, symbol=new.symbol, params={"s": LISTED_S}))
        await stage.open()
        session, books = stage.session, stage.session.engine.market.books

        def row() -> dict[str, object] | None:
            """What is offered of the new market."""
            rows = [row for row in instrument_rows(session) if (row["venue"], row["symbol"]) == (VENUE, new.symbol)]
            return rows[0] if rows else None

        try:
            await until(lambda: old.key in books and books[old.key].state == LIVE, "the old market is LIVE")
            await until(lambda: bool(session.engine.venues[VENUE].offers()), "the list is read")
            assert row() is None and new.native not in session.engine.venues[VENUE].offers()
            with pytest.raises(DopeError, match="does not list"):
                _where(session, new.symbol, VENUE)
            await until(lambda: row() is not None, "the new market is offered")
            found, listed = row(), stage.world.faults.journal_of(planted.id)
            assert found is not None and (found["source"], found["status"], found["watched"]) == ("list", "trading", False)
            assert listed.end_ms - listed.start_ms == pytest.approx(LISTED_S * 1000, abs=20)
            assert stage.world.sample.now_ms <= listed.end_ms + (EVERY_S + 2.0) * 1000, "at the next reading"
            assert _where(session, new.symbol, VENUE) == [VENUE] and new.key not in books
            watching = session.watching.copy()
            watching.add(VENUE, new.symbol)
            session.watch(watching)
            await until(lambda: new.key in books and books[new.key].state == LIVE, "the new market is LIVE")
            stage.world.faults.halt(VENUE, new.symbol)
            await until(lambda: same(books[new.key], stage.world.sample.markets[new.key]), "its book is the market's own")
            assert books[old.key].state == LIVE and (books[old.key].gaps, books[old.key].faults) == (0, 0)
        finally:
            await stage.close()

    in_virtual_time(main)
