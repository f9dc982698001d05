"""Whale trades, and the spread of a day's high and low."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.detectors.whales import WhaleParameters, Whales, calculate_volatility_spread, evaluate_whale_activity
from dope.market.lane import TRADE_RING
from dope.types import Setting
from tests.detectors.moving import MS, T0, Moving

SECOND = 1000 * MS


def test_calculate_volatility_spread_valid_bounds() -> None:
    assert calculate_volatility_spread(110.0, 100.0) == pytest.approx(10.0)
    assert calculate_volatility_spread(100.0, 100.0) == 0.0
    assert calculate_volatility_spread(61_250.5, 60_000.0) == pytest.approx(1250.5 / 600.0)


def test_calculate_volatility_spread_zero_division_safety() -> None:
    for high, low in ((10.0, 0.0), (0.0, 0.0), (10.0, -1.0), (math.inf, 1.0), (math.nan, 1.0), (1.0, math.nan)):
        assert calculate_volatility_spread(high, low) == 0.0


def test_evaluate_whale_activity_above_boundary() -> None:
    assert evaluate_whale_activity(1_000_001.0, 1_000_000.0)
    assert evaluate_whale_activity(1_000_000.0, 1_000_000.0), "at the boundary it is reached"


def test_evaluate_whale_activity_below_boundary() -> None:
    assert not evaluate_whale_activity(999_999.99, 1_000_000.0)
    assert not evaluate_whale_activity(math.nan, 1_000_000.0)


@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_the_spread_is_never_negative_where_high_is_not_below_low(a: float, b: float) -> None:
    spread = calculate_volatility_spread(max(a, b), min(a, b))
    assert spread >= 0.0 and math.isfinite(spread)


def test_a_trade_beyond_the_fixed_size_is_told_and_the_next_ones_are_counted_for_a_while() -> None:
    whales = Moving([Whales(WhaleParameters(notional=5_000.0, pause_s=10.0))])
    for t, size in ((1, 49.9), (2, 50.0), (3, 80.0), (4, 1.0), (9, 70.0)):
        whales.trade(t * SECOND, size, "sell" if size == 50.0 else "buy")
    whales.trade(13 * SECOND, 60.0)
    whales.tick(14 * SECOND)
    assert [(one.t - T0, one.side, one.notional, one.threshold, one.more) for one in whales.told] == [
        (2 * SECOND, "sell", 5_000.0, 5_000.0, 0), (13 * SECOND, "buy", 6_000.0, 5_000.0, 2),
    ]  # fmt: skip
    text, value, tone = whales.told[0].line(str.upper)
    assert (text, value, tone) == ("50 BTC sold at once: BTC-USDT on OKX", "5\u2009000 USDT", "neg")


def test_without_a_fixed_size_the_market_says_itself_what_is_large() -> None:
    whales = Moving([Whales(WhaleParameters(quantile=0.99, warmup=1000.0, pause_s=0.0))])
    whales.trade(0, 1_000.0)  # nothing is known of this market yet
    for i in range(1100):
        whales.trade(i * MS, 1.0 + i % 10 / 10)
    whales.tick(1_200 * MS)
    assert whales.told == []
    whales.trade(2_000 * MS, 3.0)
    whales.tick(2_010 * MS)
    (one,) = whales.told
    assert 190.0 <= one.threshold <= 300.0 == one.notional


def test_a_large_size_that_becomes_usual_is_no_longer_large() -> None:
    whales = Moving([Whales(WhaleParameters(quantile=0.9, warmup=200.0, pause_s=0.0))])
    for i in range(400):
        whales.trade(i * MS, 1.0)
    for i in range(400, 1400):
        whales.trade(i * MS, 10.0)
    whales.tick(2_000 * MS)
    assert 0 < len(whales.told) < 120
    assert max(one.t for one in whales.told) - T0 < 600 * MS


def test_overwritten_trades_are_counted_and_parameters_change() -> None:
    detector = Whales()
    whales = Moving([detector])
    for i in range(TRADE_RING + 3):
        whales.trade(i, 1.0)
    whales.tick(MS)
    assert detector.lost == 3
    whales.give(Setting(T0, json.dumps({"parameters": {"whales": {"notional": 50}}}).encode()))
    whales.trade(2 * MS, 1.0)
    whales.tick(3 * MS)
    assert [one.notional for one in whales.told] == [100.0]
