"""Excursions of a spread: planted ones are counted with their lengths, and the median is that of what came before."""

from __future__ import annotations

import random
from statistics import median

import numpy as np
import pytest

from dope.detectors.excursions import excursions, medians_before, moments


def test_planted_excursions_are_counted_with_their_lengths() -> None:
    series = np.zeros(1000)
    for start, length in ((100, 1), (300, 4), (600, 10)):
        series[start : start + length] = 3.0
    found = excursions(series, 1.0, 300)
    assert (found.n, found.share) == (3, pytest.approx(0.015))
    assert found.lengths[1] == 4.0
    assert excursions(series, 3.5, 300) == (0, 0.0, ())


def test_the_median_is_that_of_the_samples_before() -> None:
    rand = random.Random(1)
    series = [float("nan") if rand.random() < 0.1 else rand.gauss(0, 1) for _ in range(200)]
    told = medians_before(series, 20, fewest=5)
    for k, value in enumerate(told.tolist()):
        past = [x for x in series[max(0, k - 20) : k] if x == x]
        assert (value != value) if len(past) < 5 else value == median(past)


def test_moments_leave_out_what_is_no_number() -> None:
    found = moments([1.0, float("nan"), 3.0])
    assert found is not None and (found.mean, found.sd, found.n) == (2.0, 1.0, 2)
    assert moments([float("nan")]) is None
