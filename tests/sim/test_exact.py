"""The arithmetic of the truth: checked by hand and by trying out every size."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from dope.sim.exact import Exact, Leg, Life, Pair, Rules

ANY = Rules(least=Fraction(0))


def leg(key: str, *, fee: int = 100_000, lot: int = 0, **more: object) -> Leg:
    """A market with a tick of 0.01 and lots of 0.001; the fee in 1e-8: 100 000 = 10 bps."""
    return Leg(key, "BTC-USDT", 10_000, 10**13, fee, lot=lot, **more)  # type: ignore[arg-type]


def test_one_level_against_one_level_earns_what_a_pencil_says() -> None:
    pair = Pair(leg("a:BTC-USDT"), leg("b:BTC-USDT"), ANY)
    figure = pair.figure([(10_000, 2_000)], [(10_100, 500)])  # 2 at 100.00, 0.5 at 101.00, 10 bps each
    assert figure is not None
    assert (figure.qty, figure.cost) == (Fraction(1, 2), Fraction("50.05"))
    assert figure.net == Fraction("50.4495") - Fraction("50.05") and figure.net_bps == figure.net / figure.cost * 10_000
    assert (figure.buy_vwap, figure.sell_vwap) == (100, 101)


def test_a_unit_that_earns_exactly_nothing_is_not_bought() -> None:
    assert Pair(leg("a:x", fee=0), leg("b:x", fee=0), ANY).figure([(10_000, 5)], [(10_000, 5)]) is None


def test_a_fee_taken_in_base_makes_the_bought_coins_fewer_and_dearer() -> None:
    figure = Pair(leg("a:x", in_base=True), leg("b:x", fee=0), ANY).figure([(10_000, 1_000)], [(10_100, 5_000)])
    assert figure is not None
    assert (figure.qty, figure.cost, figure.net) == (Fraction("0.999"), 100, Fraction("0.899"))


def test_the_size_is_whole_lots_of_both_markets() -> None:
    pair = Pair(leg("a:x", lot=4 * 10**13), leg("b:x", lot=6 * 10**13), ANY)
    figure = pair.figure([(10_000, 31)], [(10_100, 40)])
    assert figure is not None and figure.qty == Fraction("0.024")
    assert pair.figure([(10_000, 11)], [(10_100, 40)]) is None, "not even one lot"


@pytest.mark.parametrize("seed", range(20))
def test_no_other_size_earns_more(seed: int) -> None:
    rng = random.Random(seed)
    asks = [(tick, rng.randrange(1, 9)) for tick in sorted(rng.sample(range(9_900, 10_000), 6))]
    bids = [(tick, rng.randrange(1, 9)) for tick in sorted(rng.sample(range(9_930, 10_030), 6), reverse=True)]
    pair = Pair(leg("a:x"), leg("b:x", fee=50_000), ANY)
    figure = pair.figure(asks, bids)

    def net(lots: int) -> Fraction:
        sums = []
        for levels in (asks, bids):
            flat = [tick for tick, held in levels for _ in range(held)][:lots]
            sums.append(Fraction(sum(flat) * 10**13 * 10_000, 10**22))
        return sums[1] * Fraction(9_995, 10_000) - sums[0] * Fraction(10_010, 10_000)

    best = max(net(lots) for lots in range(min(sum(held for _, held in side) for side in (asks, bids)) + 1))
    assert best == (figure.net if figure is not None else 0)


def lives(nets: list[tuple[int, int]], rules: Rules) -> list[Life]:
    """The lives of a pair without fees whose bid is so many hundredths of a percent above an ask of 100.00 from each instant on."""
    exact = Exact([leg("a:x", fee=0), leg("b:x", fee=0)], rules)
    exact.moved("a:x", [(9_000, 1_000)], [(10_000, 1_000)])
    for now, bps in nets:
        exact.moved("b:x", [(10_000 + bps, 1_000)], [(20_000, 1_000)])
        exact.judge("b:x", now)
    return exact.finish(nets[-1][0])


def test_a_life_begins_at_the_enter_level_and_ends_when_it_fell_for_longer_than_the_debounce() -> None:
    rules = Rules(enter=Fraction(5), leave=Fraction(2), debounce_ms=50, least=Fraction(0))
    found = lives([(0, 4), (10, 5), (20, 9), (30, 3), (100, 1), (150, 3), (200, 1), (251, 1)], rules)
    (life,) = found
    assert (life.start_ms, life.end_ms, life.peak_ms, life.peak_bps, life.above_ms) == (10, 200, 20, 9, 20)
    assert (life.buy, life.sell) == ("a:x", "b:x")


def test_what_comes_back_after_the_debounce_is_another_life_and_what_is_not_over_has_no_end() -> None:
    rules = Rules(enter=Fraction(5), leave=Fraction(2), debounce_ms=50, least=Fraction(0))
    found = lives([(0, 6), (10, 0), (100, 7), (400, 7)], rules)
    assert [(life.start_ms, life.end_ms, life.above_ms) for life in found] == [(0, 10, 10), (100, None, 300)]
    assert all(before.end_ms is not None for before, _ in pairwise(found))


def test_what_is_smaller_than_the_least_order_is_no_opportunity() -> None:
    assert not lives([(0, 50), (100, 50)], Rules(least=Fraction(101)))
    assert lives([(0, 50), (100, 50)], Rules(least=Fraction(100)))
