"""Curves of lives that were not all seen to end: by hand, against plain shares, and on lives whose law is known."""

from __future__ import annotations

import math
import random

import pytest

from dope.detectors.survival import kaplan_meier, log_rank


def exponential(rng: random.Random, n: int, median: float, censored_after: float = math.inf) -> list[tuple[float, bool]]:
    """Lives with this median, of which each was watched for a time of its own."""
    rows = []
    for _ in range(n):
        life = rng.expovariate(math.log(2) / median)
        watched = rng.expovariate(1.0 / censored_after) if censored_after < math.inf else math.inf
        rows.append((min(life, watched), life <= watched))
    return rows


def test_a_curve_by_hand() -> None:
    curve = kaplan_meier([(1.0, True), (2.0, False), (3.0, True), (3.0, True), (5.0, False), (8.0, True)])
    assert [(step.t, step.at_risk) for step in curve.steps] == [(1.0, 6), (3.0, 4), (8.0, 1)]
    assert [step.s for step in curve.steps] == pytest.approx([5 / 6, 5 / 6 * 2 / 4, 0.0])
    assert (curve.n, curve.ended, curve.median) == (6, 4, 3.0)
    assert curve.at(0.5) is None and curve.at(4.0) == curve.steps[1]
    assert all(0.0 <= step.low <= step.s <= step.high <= 1.0 for step in curve.steps)


def test_lives_that_all_ended_give_plain_shares() -> None:
    rows = exponential(random.Random(2), 200, 3.0)
    for step in kaplan_meier(rows).steps:
        assert step.s == pytest.approx(sum(t > step.t for t, _ in rows) / len(rows), abs=1e-12)


def test_nothing_and_lives_that_nobody_saw_end_say_nothing_of_the_median() -> None:
    assert (kaplan_meier([]).n, kaplan_meier([]).median) == (0, None)
    still = kaplan_meier([(9.0, False)] * 5)
    assert (still.ended, still.median, still.steps) == (0, None, ())


def test_the_true_median_is_inside_its_interval_as_often_as_it_says() -> None:
    rng, inside, naive = random.Random(3), 0, 0
    for _ in range(200):
        rows = exponential(rng, 150, 2.0, 4.0)
        curve = kaplan_meier(rows)
        assert curve.median_low is not None
        inside += curve.median_low <= 2.0 <= (curve.median_high or math.inf)
        naive += sorted(t for t, _ in rows)[75] >= 1.7
    assert 182 <= inside <= 199, inside
    assert naive < 40, "who takes a life that was lost from sight for one that ended is far off"


def test_two_pairs_with_other_lives_are_told_apart_and_equal_ones_are_not() -> None:
    rng = random.Random(4)
    apart = [log_rank(exponential(rng, 120, 1.0, 5.0), exponential(rng, 120, 2.0, 5.0)) for _ in range(30)]
    assert sum(p < 0.01 for p in apart) >= 28
    alike = [log_rank(exponential(rng, 60, 1.0, 3.0), exponential(rng, 90, 1.0, 3.0)) for _ in range(300)]
    assert sum(p < 0.05 for p in alike) <= 27, "one in twenty"
    assert log_rank([], [(1.0, True)]) == 1.0


def test_the_log_rank_figure_is_that_of_a_plain_count() -> None:
    one, other = [(1.0, True), (2.0, True), (4.0, False), (6.0, True)], [(2.0, True), (3.0, False), (6.0, True), (7.0, True)]
    surplus = variance = 0.0
    for t in (1.0, 2.0, 6.0, 7.0):
        n1, n2 = sum(life >= t for life, _ in one), sum(life >= t for life, _ in other)
        d1, d2 = one.count((t, True)), other.count((t, True))
        n, d = n1 + n2, d1 + d2
        surplus += d1 - d * n1 / n
        variance += d * n1 * n2 * (n - d) / (n * n * (n - 1)) if n > 1 else 0.0
    assert log_rank(one, other) == pytest.approx(math.erfc(math.sqrt(surplus**2 / variance / 2)))
