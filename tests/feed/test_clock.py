"""The clock never falls, whatever the system clock does."""

from __future__ import annotations

import asyncio

from dope.feed.clock import NS, Clock


def test_a_step_of_the_wall_clock_moves_the_offset_and_not_the_time() -> None:
    monotonic, wall = [5 * NS], [1000 * NS]
    clock = Clock(lambda: monotonic[0], lambda: wall[0])
    assert clock.now() == 1000 * NS
    assert clock.wall_offset() == 0

    monotonic[0] += NS
    wall[0] -= 30 * NS

    assert clock.now() == 1001 * NS
    assert clock.wall_offset() == -31 * NS


def test_the_real_clock_is_near_utc_and_rises() -> None:
    clock = Clock()
    stamps = [clock.now() for _ in range(1000)]
    assert stamps == sorted(stamps)
    assert abs(clock.wall_offset()) < NS


def test_a_sleep_in_the_past_only_yields() -> None:
    asyncio.run(Clock().sleep(-1.0))
