"""Price buckets and the consolidated book: whatever is added up is all there, once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.market import kernel
from dope.market.buckets import WIDE, bucket_of, fill, nice, price_buckets, step_for
from dope.market.consolidated import consolidated, order_cost
from tests.examples import some

LEVEL = st.tuples(st.integers(1, 400), st.integers(1, 500))
SIDE = st.lists(LEVEL, min_size=1, max_size=40, unique_by=lambda level: level[0])
Level = tuple[float, float]


def text(levels: list[Level]) -> bytes:
    return ("[" + ",".join(f'["{price:.2f}","{size:.2f}"]' for price, size in levels) + "]").encode()


def side(raw: list[tuple[int, int]], *, bids: bool) -> list[Level]:
    """Prices in cents below or above 50, best first."""
    found = [(50.0 - cents / 100 if bids else 50.0 + cents / 100, size / 100) for cents, size in sorted(raw)]
    return [(round(price, 2), size) for price, size in found]


@settings(max_examples=some(150), deadline=None)
@given(SIDE, SIDE, st.sampled_from([0.05, 0.1, 0.25, 1.0]), st.integers(0, 5))
def test_the_compiled_buckets_are_the_plain_sums_under_the_touch(
    raw_bids: list[tuple[int, int]], raw_asks: list[tuple[int, int]], step: float, hidden: int
) -> None:
    bids, asks = side(raw_bids, bids=True), side(raw_asks, bids=False)
    book = kernel.empty_book()
    kernel.apply(book, kernel.new_scratch(), text(bids), text(asks), True)
    shown = bids[min(hidden, len(bids) - 1) :]  # a newer quote says that the better ones are gone
    touch = (*shown[0], *asks[0])
    out = np.full((2, WIDE), 7.0)
    first = fill(book, touch, 10.0, step, out)  # contracts of ten
    for k, (levels, sign) in enumerate(((shown, -1), (asks, 1))):
        sums: dict[int, float] = {}
        for n, (price, size) in enumerate(levels):
            at = (bucket_of(price, step) - bucket_of(levels[0][0], step)) * sign
            sums[at] = sums.get(at, 0.0) + size * (1.0 if n == 0 else 10.0)  # the touch is in base units already
        assert first[k] == bucket_of(levels[0][0], step)
        assert out[k].tolist() == pytest.approx([sums.get(at, 0.0) for at in range(WIDE)])


def test_steps_are_1_2_or_5_times_a_power_of_ten_and_those_given_hold_where_they_fit() -> None:
    assert [nice(value) for value in (1.0, 1.3, 1.5, 3.0, 3.3, 7.0, 7.2, 0.0004)] == [1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 0.0005]
    assert step_for(91_234.5, 10.0, 1.0) == 10.0
    assert step_for(3_021.0, 1.0, 1.0) == 1.0
    assert step_for(182.3, None, 1.0) == 0.02
    assert step_for(13_500_000.0, 10.0, 1.0) == 1000.0, "ten yen are no bucket of a bitcoin"


@given(st.floats(1e-9, 1e9))
def test_a_nice_step_is_never_far(value: float) -> None:
    assert 0.63 < nice(value) / value < 1.6


def test_a_price_on_an_edge_belongs_to_the_bucket_above_it() -> None:
    assert [bucket_of(price, 0.1) for price in (0.3, 0.29999, 0.7, 1.1)] == [3, 2, 7, 11]


@settings(max_examples=some(100), deadline=None)
@given(SIDE, SIDE, st.sampled_from([0.05, 0.5, 2.0]))
def test_price_buckets_lose_nothing(raw_bids: list[tuple[int, int]], raw_asks: list[tuple[int, int]], step: float) -> None:
    bids, asks = side(raw_bids, bids=True), side(raw_asks, bids=False)
    for levels, found in zip((bids, asks), price_buckets(bids, asks, step), strict=True):
        assert math.fsum(found.values()) == pytest.approx(math.fsum(size for _, size in levels))
        assert all(any(bucket_of(price, step) == at for price, _ in levels) for at in found)


BOOKS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), SIDE, min_size=1)


@settings(max_examples=some(100), deadline=None)
@given(BOOKS, st.booleans())
def test_the_consolidated_book_sums_exactly_and_counts_the_venues(raw: dict[str, list[tuple[int, int]]], bids: bool) -> None:
    sides = {venue: side(levels, bids=bids) for venue, levels in raw.items()}
    found = consolidated(sides, bids=bids)
    assert [level.price for level in found] == sorted({price for levels in sides.values() for price, _ in levels}, reverse=bids)
    for level in found:
        there = {venue: size for venue, levels in sides.items() for price, size in levels if price == level.price}
        assert level.venues == there and level.exchange_count == len(there)
        assert level.size == float(sum(map(Fraction, there.values())))
        ends = [levels[-1][0] for levels in sides.values()]
        assert level.complete == all(level.price >= end if bids else level.price <= end for end in ends)
    assert consolidated(sides, bids=bids, limit=3) == found[:3]


def test_an_order_costs_its_depth_and_its_fee() -> None:
    asks, bids = [(101.0, 1.0), (102.0, 2.0)], [(99.0, 1.0), (98.0, 2.0)]
    buy = order_cost(asks, 100.0, 2.0, fee=0.001, buy=True)
    assert buy.vwap == 101.5 and buy.bps == pytest.approx((203.0 * 1.001 / 200.0 - 1.0) * 1e4)
    sell = order_cost(bids, 100.0, 2.0, fee=0.001, buy=False)
    assert sell.vwap == 98.5 and sell.bps == pytest.approx((1.0 - 197.0 * 0.999 / 200.0) * 1e4)
    in_base = order_cost([(100.0, 10.0)], 100.0, 0.999, fee=0.001, buy=True, fee_in_base=True)
    assert in_base.bps == pytest.approx((1.0 / 0.999 - 1.0) * 1e4), "so much more is bought that the fee leaves what was wanted"
    short = order_cost(asks, 100.0, 6.0, fee=0.0, buy=True)
    assert short.bps is None and short.filled == pytest.approx(0.5)
    assert order_cost([], 100.0, 1.0, fee=0.0, buy=True).filled == 0.0
