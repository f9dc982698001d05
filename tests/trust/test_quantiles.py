"""Quantiles in buckets, against a sorted list of the same numbers."""

from __future__ import annotations

import random

import pytest

from dope.quantiles import Quantiles


@pytest.mark.parametrize("seed", range(4))
def test_every_quantile_is_the_exact_one_or_up_to_an_eighth_more(seed: int) -> None:
    rng, found = random.Random(seed), Quantiles()
    numbers = sorted(int(10 ** rng.uniform(0, 12)) - 1 for _ in range(5000))
    for number in rng.sample(numbers, len(numbers)):
        found.add(number)
    assert (found.count, found.max) == (5000, numbers[-1])
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact, told = numbers[max(0, -int(-5000 * share // 1) - 1)], found.at(share)
        assert told is not None and exact <= told <= exact * 1.125 + 1


def test_nothing_is_known_before_the_first_and_nothing_is_out_of_range() -> None:
    found = Quantiles()
    assert found.at(0.5) is None
    for number in (-5, 0, 7, 8, 2**63 - 1, 2**90):
        found.add(number)
    assert found.at(0.01) == 0 and found.at(1.0) is not None and found.count == 6
