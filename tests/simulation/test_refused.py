"""A venue that refuses every subscription, in virtual time: asked ever more rarely, shown as refusing, watched when it takes them."""

from __future__ import annotations

import asyncio

import pytest

from dope.feed.clock import Clock
from dope.sim.journal import Fault
from dope.types import LIVE
from tests.simulation.loop import in_virtual_time
from tests.simulation.stage import staged
from tests.simulation.test_silence import market_of

REFUSES_S = 170.0
BACK_S = 400.0  #: it only ends a hopeless wait


@pytest.mark.parametrize("venue", ["bitfinex", "okx"])
def test_a_venue_that_refuses_everything_is_not_connected_to_time_and_again(venue: str) -> None:
    spec = market_of(venue)

    async def main(clock: Clock) -> None:
        async with staged(3, [spec], clock) as stage:
            planted, feed = stage.world.faults.inject(Fault(kind="sub_reject", venue=venue)), stage.session.feed
            now = asyncio.get_running_loop().time
            await asyncio.sleep(20.0)
            states = set()
            while now() < REFUSES_S:
                states.add(feed.health()[venue].state)
                await asyncio.sleep(1.0)
            health = feed.health()[venue]
            assert states == {"refused"} and "every subscription was refused" in health.last_error and health.next_retry > 0
            assert health.reconnects <= health.wanted, "once each, after a minute or two; then not before two more are over"
            stage.world.faults.heal(planted.id)
            books = stage.session.engine.market.books
            while spec.key not in books or books[spec.key].state != LIVE:
                assert now() < BACK_S, "its book is LIVE"
                await asyncio.sleep(0.5)
            await asyncio.sleep(20.0)
            assert feed.health()[venue].state == "live"

    in_virtual_time(main)
