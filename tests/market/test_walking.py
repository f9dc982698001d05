"""The compiled walk says to the last bit what the plain one says, over books as they lie in memory."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from dope.market import walking
from dope.market.market import Market
from dope.market.walk import NOTHING, two_book
from dope.types import BookUpdate, Instrument, Quote

T0 = 1_700_000_000_000_000_000
KEY = "okx:BTC-USDT"
Side = list[tuple[float, float]]


def sides(rand: random.Random) -> tuple[Side, Side]:
    """Asks that rise and bids that fall, which overlap; sizes often the same, so that levels of both end together."""
    digits, middle = rand.randint(0, 6), rand.choice([0.0123, 7.0, 100.0, 61_234.5])
    sizes = [round(rand.uniform(0.001, 5.0), rand.randint(1, 8)) for _ in range(6)]

    def side(shift: float, sign: int) -> Side:
        prices = sorted({round(middle * (1.0 + shift + sign * rand.random() * 0.01), 4 + digits) for _ in range(rand.randint(0, 50))})
        return [(price, rand.choice(sizes) * rand.choice([1.0, 1.0, 0.999])) for price in prices[::sign] if price > 0.0]

    return side(-0.005, 1), side(0.002, -1)


def drawn(rand: random.Random) -> tuple[tuple[Side, Side], tuple[float, float], float, float]:
    """Sides, fees, lot and transfer."""
    found = sides(rand)
    fees = rand.choice([0.0, 0.001, 0.0005, -0.0001, 0.001 / 0.999]), rand.choice([0.0, 0.001, -0.0002, 0.00075])
    return found, fees, rand.choice([0.0, 0.0, 1e-8, 0.001, 0.05, 1.0]), rand.choice([0.0, 0.0, 2.5])


def ladders(asks: Side, bids: Side) -> tuple[np.ndarray, int, np.ndarray, int]:
    return np.array([*asks, (0.0, 0.0)]), len(asks), np.array([*bids, (0.0, 0.0)]), len(bids)


def compiled(asks: Side, bids: Side, fees: tuple[float, float], lot: float, transfer: float) -> tuple[float, float, float]:
    found: tuple[float, float, float] = walking.best_of(*ladders(asks, bids), fees, lot, transfer)
    return found


def test_it_is_the_plain_walk_to_the_last_bit_for_any_two_books() -> None:
    rand, paid = random.Random(11), 0
    for _ in range(10_000):
        (asks, bids), fees, lot, transfer = drawn(rand)
        walk = two_book(asks, bids, *fees, lot=lot, transfer=transfer)
        want = (0.0, 0.0, 0.0) if walk is NOTHING else (walk.qty, walk.cost, walk.net_bps)
        assert compiled(asks, bids, fees, lot, transfer) == want, (asks, bids, fees, lot, transfer)
        paid += walk is not NOTHING
    assert 3_000 < paid < 9_900


def test_a_whole_order_is_that_of_the_plain_walk_to_the_last_bit_also_at_a_loss() -> None:
    rand, filled = random.Random(14), 0
    for _ in range(10_000):
        (asks, bids), fees, lot, transfer = drawn(rand)
        size = rand.choice([1.0, 1_000.0, 250_000.0])
        walk = two_book(asks, bids, *fees, max_quote=size, lot=lot, transfer=transfer, fill_all=True)
        want = (0.0, 0.0, 0.0) if walk is NOTHING else (walk.buy_vwap, walk.sell_vwap, walk.net_bps)
        assert walking.order_of(*ladders(asks, bids), fees, lot, transfer, size) == want
        filled += walk is not NOTHING
    assert 3_000 < filled < 9_990


def test_sizes_are_rounded_to_twelve_decimals_as_by_the_interpreter() -> None:
    rand = random.Random(12)
    ties = [k / 8192 for k in range(1, 20_000, 2)]
    lots = [math.floor(rand.uniform(0, 1e7)) * rand.choice([1e-8, 1e-5, 0.001, 0.3, 1.0, 10.0, 1e-12]) for _ in range(50_000)]
    anything = [rand.uniform(0.5, 1.0) * 10.0 ** rand.uniform(-13, 9) for _ in range(50_000)]
    edges = [0.0, 4095.9999999999995, 4096.0, 4503.599627370496, 8191.999999999999, 8192.0, 9007.199254740992, 1e300]
    for value in (*ties, *lots, *anything, *edges):
        assert walking.rounded(value) == round(value, 12), value.hex()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seq", [-1, 5])
def test_sides_are_read_as_by_the_book_also_under_a_quote_that_leads(inverse: bool, seq: int) -> None:
    rand, market = random.Random(13), Market()
    market.open_book(Instrument("okx", "BTC-USDT", "X", "BTC", "USDT", "perp", 0.01 if not inverse else 10.0, inverse), T0, "", 10.0)
    book, out, led = market.books[KEY], np.zeros((50, 2)), 0
    for turn in range(200):
        now = T0 + turn * 1_000
        asks, bids = ([(100 + sign * k / 10, rand.randint(1, 900) / 100) for k in range(1, rand.choice([3, 49, 57, 58, 59, 80]))]
                      for sign in (1, -1))  # fmt: skip
        market.apply(BookUpdate(now, KEY, 0, True, seq, text(bids), text(asks)), 1)
        if rand.random() < 0.8:
            bid = 100 + rand.randint(-60, 60) / 10
            number = seq if seq < 0 else seq + rand.choice([-1, 1])
            market.quote(Quote(now + rand.choice([0, 1]), KEY, 0, number, bid, rand.choice([0.0, 2.5]), bid + 0.1, 1.5))
        book.write()
        led += book.quote_leads()
        kept = rand.choice([1.0, 0.999])
        for side in ("ask", "bid"):
            count = walking.read_side(book.slot, side == "bid", kept, market.slots.books, out)
            assert [tuple(level) for level in out[:count].tolist()] == [(price, size * kept) for price, size in book.levels(side, 50)]
        seq += seq >= 0
    assert 40 < led < 160


def text(levels: Side) -> bytes:
    return ("[" + ",".join(f'["{price:.1f}","{size:.2f}"]' for price, size in levels) + "]").encode()
