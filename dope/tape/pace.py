"""Replay at a chosen pace: recorded time runs at any multiple of the clock's, can be paused, and stepped through."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from dope.errors import TapeError
from dope.types import TICK, Frame

SLICE_S = 0.05  #: longest sleep: how soon pause, resume and a new speed are felt
BATCH = 512  #: frames given out at once, so that a fast replay lets others run
MIN_SPEED = 0.1
MAX_SPEED = math.inf  #: as fast as the reader of the frames takes them


class Clock(Protocol):
    """``now`` in ns, never falling; ``sleep`` in seconds."""

    def now(self) -> int: ...
    async def sleep(self, seconds: float) -> None: ...


class Transport:
    """The replay's buttons. May be pressed from any thread; ``position`` is the recorded time reached, ns UTC."""

    def __init__(self, speed: float = 1.0) -> None:
        self.paused = False
        self.steps = 0  #: frames still to be shown one by one while paused
        self.position = 0
        self.frames = 0  #: given out so far
        self.ended = False
        self.set_speed(speed)

    def set_speed(self, speed: float) -> None:
        """×0.1 … MAX_SPEED. Raises TapeError outside of it."""
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise TapeError(f"replay speed must lie between {MIN_SPEED:g} and max, not {speed:g}")
        self.speed = speed

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused, self.steps = False, 0

    def step(self) -> None:
        """Pause and show exactly the next frame that is not a tick."""
        self.paused = True
        self.steps += 1


async def paced(
    frames: Iterable[Frame], clock: Clock, speed: float = 1.0, *, transport: Transport | None = None, batch: int = BATCH
) -> AsyncIterator[list[Frame]]:
    """Yield the frames in their order, each no earlier than its recorded time is due, at most ``batch`` at a time.

    The first frame is due at once. ``transport`` (which then sets the speed) may be pressed meanwhile; while paused
    recorded time stands still.
    """
    transport = transport or Transport(speed)
    stream = iter(frames)
    ahead = next(stream, None)
    begin = transport.position = 0 if ahead is None else ahead.ts
    elapsed = 0.0  # recorded ns since ``begin``; a float of the ts itself would round to 256 ns
    last = clock.now()
    while ahead is not None:
        due: list[Frame] = []
        now = clock.now()
        if transport.paused:
            while transport.steps and ahead is not None and len(due) < batch:
                due.append(ahead)
                transport.steps -= ahead.kind != TICK
                elapsed = max(elapsed, ahead.ts - begin)
                ahead = next(stream, None)
        else:
            elapsed = math.inf if transport.speed == MAX_SPEED else _caught_up(elapsed, begin, transport) + (now - last) * transport.speed
            while ahead is not None and ahead.ts - begin <= elapsed and len(due) < batch:
                due.append(ahead)
                ahead = next(stream, None)
        last = now
        if due:
            transport.position = max(transport.position, due[-1].ts)
            transport.frames += len(due)
            yield due
            await clock.sleep(0)
        elif ahead is not None:
            wait = SLICE_S if transport.paused else (ahead.ts - begin - elapsed) / transport.speed / 1e9
            await clock.sleep(min(wait, SLICE_S))
    transport.ended = True


def _caught_up(elapsed: float, begin: int, transport: Transport) -> float:
    """Coming down from full speed, recorded time goes on from the last frame given out."""
    return elapsed if elapsed != math.inf else float(transport.position - begin)
