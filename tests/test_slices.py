"""Work in slices: an idle market is asked after each of them; one that takes the loop for long does not make the work last for ever."""

from __future__ import annotations

import asyncio

import pytest

from dope.feed.clock import Clock
from dope.slices import MOST_S, SHARE, Slices
from tests.simulation.loop import VirtualLoop, in_virtual_time

SLICE_S, SLICES = 0.0003, 100
EVERY_S = 0.0001  #: the market has something new so soon after its turn


def worked(turn_s: float) -> tuple[float, int, float]:
    """(s that the work lasted, turns of the market meanwhile, longest wait of the market in s) where each turn takes ``turn_s``."""

    async def main(clock: Clock) -> tuple[float, int, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        ended, waits = [loop.time()], [0.0]

        async def market() -> None:
            while True:
                waits.append(loop.time() - ended[-1])
                loop.spend(turn_s)
                ended.append(loop.time())
                await asyncio.sleep(EVERY_S)

        running, slices, began = asyncio.create_task(market()), Slices(), loop.time()
        for _ in range(SLICES):
            loop.spend(SLICE_S)
            await slices.pause()
            waits.append(loop.time() - ended[-1])
        running.cancel()
        return loop.time() - began, len(ended) - 1, max(waits)

    return in_virtual_time(main)


def test_an_idle_market_has_a_turn_after_each_slice_and_nobody_waits_for_it() -> None:
    turn_s = 0.00001
    lasted, turns, waited = worked(turn_s)
    assert turns >= SLICES - 1 and waited <= SLICE_S + EVERY_S and lasted == pytest.approx(SLICES * (SLICE_S + turn_s), rel=0.2)


@pytest.mark.parametrize("turn_s", [0.005, 0.01, 0.1])
def test_work_beside_a_busy_market_goes_on_for_a_share_of_the_time_that_the_market_took(turn_s: float) -> None:
    lasted, turns, waited = worked(turn_s)
    assert turns < SLICES / 2, "one turn after each slice would be a hundred"
    assert waited <= MOST_S + 2 * SLICE_S + EVERY_S, "the market waits for a few milliseconds at most"
    assert max(MOST_S, SHARE * (lasted - SLICES * SLICE_S)) + SLICE_S * turns >= SLICES * SLICE_S, "and for no more than its share"


def test_work_that_is_done_time_and_again_begins_as_after_its_last_pause() -> None:
    """Its market had a turn just before; one more at once would only make what is drawn older."""

    async def main(clock: Clock) -> list[float]:
        loop, slices, lasted = asyncio.get_running_loop(), Slices(), []
        assert isinstance(loop, VirtualLoop)

        async def market() -> None:
            while True:
                loop.spend(0.005)
                await asyncio.sleep(EVERY_S)

        running = asyncio.create_task(market())
        for _ in range(5):
            await asyncio.sleep(0.1)
            began = loop.time()
            slices.begin()
            for _ in range(10):
                loop.spend(SLICE_S)
                await slices.pause()
            lasted.append(loop.time() - began)
        running.cancel()
        return lasted

    first, *others = in_virtual_time(main)
    assert first > 10 * SLICE_S + 0.004, "of which nothing is known before its first pause"
    assert others == pytest.approx([10 * SLICE_S] * 4)
