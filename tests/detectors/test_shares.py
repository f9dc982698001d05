"""The interval of a share is Wilson's: its ends are the shares from which the count lies just so many deviations away."""

from __future__ import annotations

import math

import pytest

from dope.detectors.shares import Z95, wilson


def test_the_interval_is_that_of_the_books_and_everything_while_nothing_was_counted() -> None:
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0 and wilson(5, 5)[1] == 1.0, "to the last digit"


@pytest.mark.parametrize("z", [1.0, Z95, 3.0])
def test_each_end_is_a_share_from_which_the_count_lies_z_deviations_away(z: float) -> None:
    for n in (1, 7, 30, 2000):
        for k in range(0, n + 1, max(n // 7, 1)):
            for end in wilson(k, n, z):
                assert abs(k / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-9)
