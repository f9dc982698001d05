"""What an order brings over many pairs at once is what the plain walk of each of them says, to the last bit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from dope.detectors.pair import Pair
from dope.market.market import Market
from dope.market.orders import order_bps
from tests.detectors.test_compiled_look import COSTS, RULES, Quick, Script, World

SIZES = (1.0, 150.0, 3_000.0, 1e9)


def plain(pair: Pair, world: World, now: int, size: float) -> tuple[float, float] | None:
    """Gross and net; None = nothing may be said."""
    if not world.detector.usable(pair, world.market, now):
        return None
    walk = pair.walk(pair.sides(world.market), max_quote=size, fill_all=True)
    if walk.buy_vwap is None or walk.sell_vwap is None or walk.net_bps is None:
        return None
    return (walk.sell_vwap / walk.buy_vwap - 1.0) * 1e4, walk.net_bps


def compiled(world: World, numbers: np.ndarray, now: int, size: float) -> list[tuple[float, float] | None]:
    market: Market = world.market
    market.write()
    found = order_bps(numbers, now, size, market.slots.books, market.slots.pairs.watch)
    return [None if np.isnan(gross) else (gross, net) for gross, net in found.tolist()]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_plain_walk_of_books_that_move_fall_silent_come_late_and_break(seed: int) -> None:
    script, world, seen = Script(seed), World(Quick(COSTS, RULES[seed])), Counter[bool]()
    for turn in range(3_000):
        what, key, lot = script.draw()
        script.next(world, what, key, lot)
        if turn % 10 == 0:
            size, pairs = SIZES[turn // 10 % len(SIZES)], list(world.detector.pairs.values())
            want = [plain(pair, world, script.now, size) for pair in pairs]
            assert compiled(world, world.detector.numbers(), script.now, size) == want
            seen.update(found is not None for found in want)
    assert min(seen[True], seen[False]) > 300, seen


def test_of_no_pair_nothing_is_said() -> None:
    world = World(Quick(COSTS, RULES[0]))
    assert compiled(world, np.array([-1, -1]), 1, 100.0) == [None, None]
