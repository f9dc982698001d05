"""The exact truth across two currencies, by hand: through the cheapest exchange, at its side, to its depth, in whole lots."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dope.sim.crossed import Crossed
from dope.sim.exact import Figure, Leg, Rules

UNIT = 10**13  #: a lot is 0.001 of base
RULES = Rules(least=Fraction(0))


def leg(key: str, fee_bp: int = 0, *, in_base: bool = False, lot: int = UNIT) -> Leg:
    """A market whose tick is a ten-thousandth."""
    return Leg(key, key.partition(":")[2], 100, UNIT, fee_bp * 10_000, in_base, lot)


def level(price: float, size: float) -> tuple[int, int]:
    return round(price * 10_000), round(size * 1000)


def told(*legs: Leg, via: tuple[float, float, float] = (0.99, 1.01, 1e6), ask: float = 100.0, bid: float = 103.0) -> dict[str, Figure]:
    """What is open where BTC costs ``ask`` USDT for 2 and brings ``bid`` USD for 3: sell market → figure."""
    exact = Crossed(legs, RULES)
    exact.moved(legs[0].key, [level(ask - 1, 2)], [level(ask, 2)])
    exact.moved(legs[1].key, [level(bid, 3)], [level(bid + 1, 3)])
    for each in legs[2:]:
        exact.moved(each.key, [level(via[0], via[2])], [level(via[1], via[2])])
    for each in legs:
        exact.judge(each.key, 1000)
    return {life.sell: life.looks[-1][1] for life in exact.finish(1000)}


SPOTS = leg("a:BTC-USDT"), leg("b:BTC-USD")


def test_the_coin_that_is_paid_with_costs_its_ask() -> None:
    (found,) = told(*SPOTS, leg("c:USDT-USD")).values()
    assert (found.qty, found.cost, found.net) == (2, 2 * 101, 2 * (103 - 101))
    assert (found.buy_vwap, found.sell_vwap) == (100, 103)


def test_the_coin_that_is_received_brings_its_bid() -> None:
    found = told(*SPOTS, leg("c:USDT-USD"), ask=110.0, bid=104.0)  # sold for 109 USDT = 107.91 USD, bought for 105
    assert set(found) == {"a:BTC-USDT"}
    assert found["a:BTC-USDT"].net == 2 * (Fraction(109) * Fraction(99, 100) - 105)


def test_without_an_exchange_there_is_none() -> None:
    assert not told(*SPOTS) and not told(*SPOTS, leg("c:USDC-USD"))


def test_the_exchange_bounds_the_size_in_whole_lots() -> None:
    (found,) = told(*SPOTS, leg("c:USDT-USD"), via=(0.99, 1.01, 150.0)).values()
    assert found.qty == Fraction(3, 2)
    lots = leg("a:BTC-USDT", lot=UNIT * 400), leg("b:BTC-USD")
    (found,) = told(*lots, leg("c:USDT-USD"), via=(0.99, 1.01, 150.0)).values()
    assert found.qty == Fraction(12, 10)


@pytest.mark.parametrize("in_base", [True, False])
def test_all_three_fees_are_paid_in_their_currency(in_base: bool) -> None:
    (found,) = told(leg("a:BTC-USDT", 10, in_base=in_base), leg("b:BTC-USD", 20), leg("c:USDT-USD", 5, in_base=in_base)).values()
    qty = Fraction(999, 1000) * 2 if in_base else Fraction(2)
    coins = 200 if in_base else 200 * Fraction(1001, 1000)
    spent = coins * Fraction(101, 100) * (Fraction(10_000, 9995) if in_base else Fraction(10_005, 10_000))
    whole = qty // Fraction(1, 1000) * Fraction(1, 1000)
    assert found.qty == whole
    assert found.net == (whole * 103 * Fraction(998, 1000) - spent * whole / qty)


def test_the_cheaper_of_two_exchanges_is_taken_with_its_fee() -> None:
    (found,) = told(*SPOTS, leg("c:USDT-USD", 50), leg("d:USDT-USD")).values()
    assert found.net == 4
