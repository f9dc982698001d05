"""Fresh has one definition: excess delay above the best case, and a limit that follows volatility."""

from __future__ import annotations

import pytest

from dope.market.freshness import NS, DelayFloor, Rhythm, age_limit_ns, next_sigma


def test_a_recorder_clock_that_is_behind_makes_nothing_late() -> None:
    floor = DelayFloor()
    behind = -1_270_000_000
    assert [floor.excess(t + behind, t) for t in (0, NS, 2 * NS)] == [0, 0, 0]
    assert floor.excess(3 * NS + behind + 4_000_000, 3 * NS) == 4_000_000


def test_the_floor_forgets_after_five_minutes() -> None:
    floor = DelayFloor()
    floor.excess(1_000_000, 0)
    for minute in range(1, 7):
        t = minute * 60 * NS
        last = floor.excess(t + 9_000_000, t)
    assert last == 0
    assert floor.percentiles() is not None


def test_the_limit_shrinks_with_volatility_between_its_bounds() -> None:
    assert age_limit_ns(20.0, 0.0) == 5 * NS
    assert age_limit_ns(20.0, 5.34) == pytest.approx(1.56 * NS, rel=0.01)
    assert age_limit_ns(5.0, 12.8) == int(0.25 * NS)
    assert age_limit_ns(20.0, 0.0, cap_s=2.0) == 2 * NS


def test_volatility_follows_one_second_moves() -> None:
    sigma, mid = 0.0, 100.0
    for i in range(600):
        new = 100.0 * (1.0002 if i % 2 else 1.0)
        sigma, mid = next_sigma(sigma, mid, new), new
    assert sigma == pytest.approx(2.0, rel=0.01)


def test_a_leg_may_be_six_times_as_old_as_it_usually_is_and_a_silence_does_not_make_itself_usual() -> None:
    rhythm = Rhythm()
    assert rhythm.limit_ns() == 5 * NS, "nothing is known yet"
    for _ in range(600):
        rhythm.look(NS // 10)
    assert rhythm.limit_ns() == pytest.approx(0.6 * NS, rel=0.01)
    for k in range(30):
        rhythm.look(k * NS // 10)
    assert rhythm.limit_ns() < 0.9 * NS
    for _ in range(1200):
        rhythm.look(0)
    assert rhythm.limit_ns() == NS // 4
