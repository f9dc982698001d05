"""Rolling statistics equal those of the plain window."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.detectors.rolling import Rolling
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.types import Listed
from tests.detectors.test_arbitrage import instrument
from tests.frames import T0


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=80), st.integers(2, 20))
def test_equal_to_the_window(values: list[float], size: int) -> None:
    rolling = Rolling(size)
    for x in values:
        rolling.add(x)
    window = values[-size:]
    mean, sd, current, low, high, n = rolling.stats() or (0,) * 6
    assert (current, low, high, n) == (window[-1], min(window), max(window), len(window))
    assert mean == pytest.approx(statistics.fmean(window), abs=1e-6)
    want = statistics.stdev(window) if n > 1 else 0.0
    assert math.isclose(sd, want, abs_tol=0.02)


def test_nothing_before_the_first_sample() -> None:
    assert Rolling().stats() is None


def test_spot_against_perpetual_is_basis_and_never_a_pair() -> None:
    spreads, engine = Spreads(), Engine({})
    for i in (
        instrument("a", "BTC-USDT"),
        instrument("b", "BTC-USDT"),
        instrument("b", "BTC-USDT-PERP", "perp"),
        instrument("b", "BTC-USDC"),
    ):
        spreads.on(Listed(T0, i), engine.market)
    assert list(spreads.pairs) == [("a:BTC-USDT", "b:BTC-USDT")]
    assert list(spreads.bases) == [("a:BTC-USDT", "b:BTC-USDT-PERP"), ("b:BTC-USDT", "b:BTC-USDT-PERP")]
