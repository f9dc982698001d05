"""Where the price is made: a market that only follows gets no share, bounds are told, and nothing where nothing can be known."""

from __future__ import annotations

import numpy as np
import pytest

from dope.detectors.averages import BEFORE_MS, REACH_MS, apart, averages, offsets
from dope.detectors.discovery import discovery, on_grid


def markets(noise: float, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """A price made at x and taken over by y a step later, both with noise of their own."""
    rand = np.random.default_rng(3)
    price = np.cumsum(rand.normal(0.0, 1.0, count + 1))
    return price[1:] + rand.normal(0.0, noise, count), price[:-1] + rand.normal(0.0, noise, count)


def test_the_market_that_moves_first_has_nearly_all_of_the_price() -> None:
    x, y = markets(0.05)
    found = discovery(x, y)
    assert found is not None
    assert found.share > 0.9
    assert 0.9 < found.low <= found.high <= 1.0
    assert found.telling
    assert found.alpha_y > 0.3 > abs(found.alpha_x)
    turned = discovery(y, x)
    assert turned is not None
    assert turned.share == pytest.approx(1.0 - found.share)
    assert (turned.low, turned.high) == pytest.approx((1.0 - found.high, 1.0 - found.low))


def test_bounds_are_wide_where_both_move_in_the_same_step_and_then_say_nothing() -> None:
    rand = np.random.default_rng(4)
    price = np.cumsum(rand.normal(0.0, 1.0, 20_000))
    found = discovery(price + rand.normal(0.0, 0.3, 20_000), price + rand.normal(0.0, 0.3, 20_000))
    assert found is not None
    assert found.high - found.low > 0.5
    assert not found.telling


def test_steps_without_a_price_are_left_out_and_too_few_give_nothing() -> None:
    x, y = markets(0.05)
    whole = discovery(x, y)
    x[1000:1200] = np.nan
    holed = discovery(x, y)
    assert whole is not None and holed is not None
    assert whole.n - holed.n == 200 + 6
    assert holed.share == pytest.approx(whole.share, abs=0.02)
    assert discovery(x[:40], y[:40]) is None
    assert discovery(np.full(999, np.nan), np.full(999, np.nan)) is None
    assert discovery(np.ones(999), np.ones(999)) is None


def test_the_price_on_a_grid_is_the_last_one_and_none_before_the_first() -> None:
    held = on_grid(np.array([10, 20]), np.array([1.0, 2.0]), np.array([5, 10, 19, 20, 99]))
    assert repr(held.tolist()) == "[nan, 1.0, 1.0, 2.0, 2.0]"
    assert np.isnan(on_grid(np.zeros(0), np.zeros(0), np.array([1]))).all()


def test_average_paths_show_who_moves_first_up_and_down_alike() -> None:
    def path(lag: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array([0, 10_000 + lag, 20_000 + lag, 30_000]), np.array([0.0, 4.0, -2.0, -2.0])

    late = np.array([0, 19_000]), np.array([np.nan, 1.0])
    found = averages({"first": path(0), "second": path(200), "late": late}, [(10_000, 1), (20_000, -1)])
    at = offsets()
    first, second = (dict(zip(at.tolist(), found[key].bps, strict=True)) for key in ("first", "second"))
    assert first[-BEFORE_MS] == 0.0
    assert first[-50] == 0.0
    assert first[0] == first[REACH_MS] == 5.0
    assert (second[150], second[200]) == (0.0, 5.0)
    assert (found["first"].n, found["late"].n) == (2, 0)
    assert found["late"].bps == [None] * len(at)


def test_jumps_of_one_move_at_several_markets_count_once() -> None:
    assert apart([(5000, 1), (5100, 1), (5600, -1), (9000, -1)]) == [(5000, 1), (9000, -1)]
