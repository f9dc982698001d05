"""Replay keeps recorded time at any speed, stands still when paused, and never reorders or drops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.errors import TapeError
from dope.tape.pace import MAX_SPEED, Transport, paced
from dope.types import DATA, TICK, Frame

SECOND = 10**9
T0 = 1_795_238_000 * SECOND


class VirtualClock:
    """Time passes only while somebody sleeps; ``at`` runs actions when their second has come."""

    def __init__(self, *actions: tuple[float, Callable[[], None]]) -> None:
        self.t = 0
        self.actions = sorted(actions, key=lambda action: action[0])
        self.longest = 0.0

    def now(self) -> int:
        return self.t

    async def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.t += max(1, round(seconds * SECOND)) if seconds else 0
        while self.actions and self.actions[0][0] * SECOND <= self.t:
            self.actions.pop(0)[1]()
        await asyncio.sleep(0)


def at(*seconds: float) -> list[Frame]:
    return [Frame(T0 + round(s * SECOND), "okx", 1, DATA, b"%d" % i) for i, s in enumerate(seconds)]


def play(frames: list[Frame], clock: VirtualClock, speed: float = 1.0, **options: object) -> list[tuple[float, Frame]]:
    """(second on the clock, frame) in the order given out."""

    async def run() -> list[tuple[float, Frame]]:
        return [(clock.t / SECOND, frame) async for batch in paced(frames, clock, speed, **options) for frame in batch]  # type: ignore[arg-type]

    return asyncio.run(run())


@pytest.mark.parametrize("speed", [0.1, 0.25, 1, 5, 20, 100])
def test_each_frame_comes_when_it_is_due_at_any_speed(speed: float) -> None:
    seconds = (0.0, 0.5, 0.5, 2.0, 60.0)
    shown = play(at(*seconds), VirtualClock(), speed)
    assert [frame for _, frame in shown] == at(*seconds)
    for (t, _), due in zip(shown, seconds, strict=True):
        assert due / speed <= t <= due / speed + 1e-5


def test_at_full_speed_no_time_passes_and_batches_are_bounded() -> None:
    clock, sizes = VirtualClock(), []

    async def run() -> None:
        async for batch in paced(at(*range(1000)), clock, MAX_SPEED, batch=64):
            sizes.append(len(batch))

    asyncio.run(run())
    assert clock.t == 0 and sum(sizes) == 1000 and max(sizes) == 64


@given(st.lists(st.integers(0, 5 * SECOND), max_size=50).map(sorted), st.sampled_from([0.1, 1.0, 7.3, 100.0, MAX_SPEED]), st.integers(1, 9))
def test_nothing_is_dropped_reordered_or_early(offsets: list[int], speed: float, batch: int) -> None:
    frames = [Frame(T0 + offset, "okx", 1, DATA, b"") for offset in offsets]
    shown = play(frames, VirtualClock(), speed, batch=batch)
    assert [frame for _, frame in shown] == frames
    for t, frame in shown:
        assert t * SECOND >= (frame.ts - frames[0].ts) / speed - 1


def test_a_pause_moves_everything_after_it_by_its_length() -> None:
    transport = Transport()
    clock = VirtualClock((1.0, transport.pause), (4.0, transport.resume))
    shown = play(at(0, 0.5, 2, 3), clock, transport=transport)
    assert [round(t, 1) for t, _ in shown] == [0.0, 0.5, 5.0, 6.0]
    assert transport.ended and transport.frames == 4 and transport.position == T0 + 3 * SECOND
    assert clock.longest <= 0.05, "buttons are felt within 50 ms"


def test_a_new_speed_holds_from_that_moment_on() -> None:
    transport = Transport(1.0)
    shown = play(at(0, 2, 12), VirtualClock((1.0, lambda: transport.set_speed(10))), transport=transport)
    assert [round(t, 1) for t, _ in shown] == [0.0, 1.1, 2.1]


def test_coming_down_from_full_speed_goes_on_from_the_last_frame() -> None:
    transport = Transport(MAX_SPEED)
    frames, shown = at(*range(10)), []
    clock = VirtualClock()

    async def run() -> None:
        async for batch in paced(frames, clock, transport=transport, batch=4):
            shown.extend((clock.t / SECOND, frame) for frame in batch)
            transport.set_speed(1.0)

    asyncio.run(run())
    assert [round(t, 1) for t, _ in shown] == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]


def test_a_step_shows_one_frame_and_the_ticks_before_it() -> None:
    ticks = [Frame(T0 + n * 10_000_000, "", 0, TICK, b"0") for n in range(1, 3)]
    frames = [*at(0), *ticks, *at(0.025, 1, 2)]
    transport = Transport()
    transport.pause()
    transport.step()
    sizes: list[int] = []
    clock = VirtualClock((1.0, transport.step), (2.0, transport.resume))

    async def run() -> None:
        async for batch in paced(frames, clock, transport=transport):
            sizes.append(len(batch))
            assert clock.t < 2 * SECOND or sum(sizes) > 4

    asyncio.run(run())
    assert sizes[:2] == [1, 3] and sum(sizes) == len(frames)


def test_time_goes_on_from_where_the_steps_led() -> None:
    transport = Transport()
    clock = VirtualClock((1.0, transport.pause), (2.0, transport.step), (5.0, transport.resume))
    shown = play(at(0, 30, 31), clock, transport=transport)
    assert [round(t, 1) for t, _ in shown] == [0, 2, 6]


def test_a_slow_reader_catches_up_instead_of_drifting() -> None:
    clock, arrivals = VirtualClock(), []

    async def run() -> None:
        async for batch in paced(at(0, 1, 2, 3, 10), clock):
            arrivals.extend(clock.t / SECOND for _ in batch)
            if len(arrivals) == 1:
                await clock.sleep(5)

    asyncio.run(run())
    assert [round(t, 1) for t in arrivals] == [0, 5, 5, 5, 10]


def test_an_empty_tape_ends_at_once_and_odd_speeds_are_refused() -> None:
    transport = Transport()
    assert play([], VirtualClock(), transport=transport) == [] and transport.ended
    for speed in (0, -1, 0.05, float("nan")):
        with pytest.raises(TapeError, match="replay speed"):
            transport.set_speed(speed)
