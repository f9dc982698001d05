"""The audit of bars: what the formulae say, term by term, and bars that are missing."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from dope.detectors.jump_audit import day, lee_mykland, on_grid, threshold


def prices(n: int, seed: int) -> list[float]:
    rng, found = random.Random(seed), [0.0]
    for _ in range(n):
        found.append(found[-1] + rng.gauss(0, 2))
    return found


@pytest.mark.parametrize("window", [5, 20])
def test_the_statistic_of_a_bar_is_its_return_over_the_bipower_volatility_before_it(window: int) -> None:
    given = prices(60, window)
    returns = [b - a for a, b in itertools.pairwise(given)]
    found = lee_mykland(np.array(given), window)
    for i, r in enumerate(returns):
        if i < window - 1:
            assert math.isnan(found[i])
            continue
        variance = sum(abs(returns[j]) * abs(returns[j - 1]) for j in range(i - window + 2, i)) / (window - 2)
        assert found[i] == pytest.approx(r / math.sqrt(variance), rel=1e-9)


def test_the_day_is_the_sums_of_the_formulae() -> None:
    given = prices(50, 3)
    r = [abs(b - a) for a, b in itertools.pairwise(given)]
    n, found = len(r), day(np.array(given))
    mu = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
    assert found.rv == pytest.approx(sum(x * x for x in r))
    assert found.bv == pytest.approx(math.pi / 2 * n / (n - 1) * sum(a * b for a, b in itertools.pairwise(r)))
    triples = zip(r, r[1:], r[2:], strict=False)
    assert found.tp == pytest.approx(n * mu**-3 * n / (n - 2) * sum((a * b * c) ** (4 / 3) for a, b, c in triples))
    assert found.rj == pytest.approx((found.rv - found.bv) / found.rv)


def test_a_planted_jump_is_found_and_a_quiet_day_is_not_one() -> None:
    given = np.array(prices(1439, 8))
    level = threshold(1439)
    assert level == pytest.approx(5.7773, abs=1e-4)
    assert np.flatnonzero(np.abs(lee_mykland(given)) > level).tolist() == [] and abs(day(given).z) < 3
    given[700:] -= 40.0
    assert np.flatnonzero(lee_mykland(given) < -level).tolist() == [699] and day(given).z > 3


def test_too_few_bars_or_none_that_moved_say_nothing() -> None:
    assert np.isnan(lee_mykland(np.zeros(200))).all() and np.isnan(lee_mykland(np.array([1.0, 2.0]))).all()
    assert all(math.isnan(value) for value in day(np.array([1.0, 2.0]))) and math.isnan(day(np.zeros(50)).z)


def test_a_bar_that_is_missing_closed_where_the_one_before_did() -> None:
    times, closes = on_grid([0, 60, 240], [1.0, 2.0, 5.0], 60)
    assert times.tolist() == [0, 60, 120, 180, 240] and closes.tolist() == [1.0, 2.0, 2.0, 2.0, 5.0]
