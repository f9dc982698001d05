"""Back-off, breaker, and what failures mean."""

from __future__ import annotations

import random

import pytest

from dope.feed.backoff import Backoff, Breaker, of_close, of_status


def test_delays_are_spread_over_the_whole_of_1_2_4_up_to_60_s() -> None:
    bounds = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    shares: list[float] = []
    for seed in range(400):
        backoff = Backoff(random.Random(seed))
        for bound in bounds:
            assert backoff.bound() == bound
            delay = backoff.next()
            assert 0.0 <= delay <= bound
            shares.append(delay / bound)
    shares.sort()
    distance = max(abs(share - (i + 0.5) / len(shares)) for i, share in enumerate(shares))
    assert distance < 1.63 / len(shares) ** 0.5  # Kolmogorov-Smirnov against uniform, p > 0.01


def test_only_a_minute_of_good_data_forgets_failures() -> None:
    backoff = Backoff(random.Random(0))
    for _ in range(5):
        backoff.next()
    backoff.held(59.9)
    assert backoff.bound() == 32
    backoff.held(60.0)
    assert backoff.bound() == 1


def test_it_never_gives_up() -> None:
    backoff = Backoff(random.Random(0))
    assert all(backoff.next() <= 60.0 for _ in range(5000))


class _Hand:
    """A clock moved by hand, in s."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> int:
        return int(self.s * 1e9)


def test_a_rest_that_the_venue_asked_for_is_kept_whatever_else_happens_and_ended_by_a_person_alone() -> None:
    now = _Hand()
    breaker = Breaker(now, random.Random(3))
    breaker.rest(90.0)
    breaker.rest(10.0)
    assert breaker.state == "open" and 90.0 <= breaker.wait_s() <= 99.0
    now.s = 60.0
    breaker.success()
    for _ in range(5):
        breaker.failure()
        assert breaker.state == "open" and breaker.wait_s() >= 30.0
    breaker.hurry()
    assert breaker.wait_s() == 0.0
    breaker.attempt()
    breaker.success()
    assert (breaker.state, breaker.wait_s()) == ("closed", 0.0)


def test_the_breaker_opens_after_five_failures_and_lets_one_probe_through() -> None:
    now = _Hand()
    breaker = Breaker(now, random.Random(3))
    for _ in range(4):
        breaker.failure()
    assert (breaker.state, breaker.wait_s()) == ("closed", 0.0)
    breaker.failure()
    assert breaker.state == "open"
    assert 30.0 <= breaker.wait_s() <= 60.0

    now.s += 60.0
    assert breaker.wait_s() == 0.0
    breaker.attempt()
    assert (breaker.state, breaker.wait_s()) == ("half-open", float("inf"))

    breaker.failure()  # the probe failed: a whole cool-down again, not five more attempts
    assert breaker.state == "open"
    assert breaker.wait_s() >= 30.0

    now.s += 60.0
    breaker.attempt()
    breaker.success()
    assert (breaker.state, breaker.failures, breaker.wait_s()) == ("closed", 0, 0.0)


def test_a_probe_given_up_by_us_leaves_the_way_free() -> None:
    now = _Hand()
    breaker = Breaker(now, random.Random(3))
    for _ in range(5):
        breaker.failure()
    breaker.hurry()
    breaker.attempt()
    breaker.abandon()
    assert (breaker.state, breaker.wait_s()) == ("open", 0.0)


@pytest.mark.parametrize(
    ("status", "state", "least_s"),
    [(403, "blocked", 60), (451, "blocked", 60), (404, "refused", 60), (301, "refused", 60), (503, "maintenance", 30), (418, "down", 60)],
)
def test_where_hurry_cannot_help_the_retry_is_slow(status: int, state: str, least_s: float) -> None:
    trouble = of_status(status, "…")
    assert trouble.state == state
    assert trouble.wait_s >= least_s
    assert str(status) in trouble.words


def test_retry_after_is_honoured_and_nothing_at_all_is_retried_at_once() -> None:
    assert of_status(429, "", 33.0).wait_s == 33.0
    assert of_status(503, "", 90.0).wait_s == 90.0
    assert of_status(0, "refused").wait_s == 0.0
    assert of_status(502, "bad gateway").wait_s == 0.0


@pytest.mark.parametrize(
    ("code", "state", "least_s"),
    [(1000, "down", 0), (1001, "down", 0), (1006, "down", 0), (1008, "refused", 60), (1009, "down", 0), (1011, "down", 0),
     (1012, "down", 0), (1013, "maintenance", 30), (4001, "refused", 60)],
)
def test_each_close_code_has_its_patience(code: int, state: str, least_s: float) -> None:
    trouble = of_close(code, "why")
    assert (trouble.state, trouble.wait_s) == (state, least_s)
    assert "why" in trouble.words
