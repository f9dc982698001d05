"""Trading the follower at the leader's jumps, on prices whose outcome is known by hand."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from dope.detectors.following import FEWEST, Following, Quotes, following, mean, round_trip_bps, spaced

MS, NS = 1_000_000, 1_000_000_000
AFTER, HOLD = 100 * MS, 2 * NS


def steps(moves: list[float], *, at_ms: int = 500, spread_bps: float = 2.0, before: int = 0) -> tuple[Quotes, list[tuple[int, int]]]:
    """A jump of the leader every 10 s, up and down in turn; the follower moves by so many bps in its direction, ``at_ms`` after it."""
    times, mids, jumps, mid = [0], [100.0], list[tuple[int, int]](), 100.0
    for n, move in enumerate(moves):
        when, way = (n + 1) * 10 * NS, 1 if n % 2 == 0 else -1
        jumps.append((when, way))
        mid *= 1.0 + way * move / 1e4
        times.append(when + at_ms * MS)
        mids.append(mid)
    middle, half = np.array(mids), spread_bps / 2.0 / 1e4
    return Quotes(np.array(times, dtype=np.int64), middle * (1.0 - half), middle * (1.0 + half)), jumps


def of(moves: list[float], fees: float, **more: float) -> Following:
    quotes, jumps = steps(moves, **more)  # type: ignore[arg-type]
    return following(quotes, jumps, after=AFTER, hold=HOLD, fees=fees)


def test_what_is_left_is_the_move_less_the_spread_less_both_fees() -> None:
    told = of([30.0] * 24, 20.0)
    assert told.move is not None and told.net is not None
    assert (told.n, told.verdict, told.fees) == (24, "pays", 20.0)
    assert (told.move.value, told.spread, told.net.value) == (pytest.approx(30.0), pytest.approx(2.0), pytest.approx(8.0))
    assert told.net.low == pytest.approx(told.net.high), "each brought the same"


def test_it_says_no_where_the_costs_eat_the_move_and_where_nothing_is_left_of_it() -> None:
    for told in (of([30.0] * 24, 28.5), of([30.0] * 24, 20.0, at_ms=50), of([30.0] * 24, 20.0, at_ms=2500)):  # moved before, or later
        assert told.verdict == "no" and told.net is not None and told.net.value < 0.0


def test_fewer_than_twenty_say_nothing_however_much_they_brought() -> None:
    assert of([300.0] * (FEWEST - 1), 20.0).verdict == "few"
    assert of([300.0] * FEWEST, 20.0).verdict == "pays"
    nothing = of([], 20.0)
    assert (nothing.n, nothing.move, nothing.spread, nothing.net, nothing.verdict) == (0, None, None, None, "few")


def test_the_interval_is_students_and_must_lie_above_nothing() -> None:
    moves = [22.0 + 4.0 * (-1) ** (n // 2) for n in range(20)]  # 26 and 18 bps in turn, both ways
    told = of(moves, 19.0)
    assert told.net is not None and told.net.low is not None
    half = 2.0930240544 * statistics.stdev(moves) / math.sqrt(20)  # Student's t of 19 degrees, 97.5 %
    assert told.net.value == pytest.approx(1.0, abs=1e-9)
    assert told.net.low == pytest.approx(1.0 - half, abs=1e-6) and told.verdict == "no", "1 bps on average, and not surely anything"
    assert of(moves, 17.0).verdict == "pays"
    assert mean(np.array([3.0])) is not None and mean(np.array([3.0])).low is None  # type: ignore[union-attr]


def test_jumps_that_overlap_count_once_and_unknown_prices_not_at_all() -> None:
    assert spaced([(3 * NS, 1), (0, 1), (NS, -1), (2 * NS, 1), (4 * NS, 1)], 2 * NS) == [(0, 1), (2 * NS, 1), (4 * NS, 1)]
    quotes, jumps = steps([30.0] * 24)
    quotes.bid[5:8] = np.nan  # not LIVE from the fifth jump's move to the eighth's: the price after it, and those at the next two jumps
    assert following(quotes, jumps, after=AFTER, hold=HOLD, fees=20.0).n == 24 - 4
    assert following(quotes, [(-NS, 1)], after=AFTER, hold=HOLD, fees=20.0).n == 0, "nothing was known before"


def test_the_fees_of_getting_in_and_out_again() -> None:
    assert round_trip_bps(0.001, in_base=False) == pytest.approx((1.001 / 0.999 - 1.0) * 1e4)
    assert round_trip_bps(0.001, in_base=True) == pytest.approx((1.0 / 0.999 / 0.999 - 1.0) * 1e4)
