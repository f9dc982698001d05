"""The one clock: monotonic time anchored once to UTC, so that it never falls, and the distance to the wall clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

NS = 1_000_000_000  #: nanoseconds in a second


class Clock:
    """``now()`` is int ns UTC and never falls; a step of the system clock shows up in ``wall_offset()`` instead.

    The two sources are arguments so that a test can step either of them.
    """

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.monotonic = monotonic_ns  #: with ``anchor`` what ``now`` is made of: the receive path adds them itself
        self._wall_ns = wall_ns
        self.anchor = wall_ns() - monotonic_ns()

    def now(self) -> int:
        """int ns since 1970 UTC as it was believed when the clock was made, plus the time that passed since."""
        return self.monotonic() + self.anchor

    def wall_offset(self) -> int:
        """Wall clock minus ``now()`` in ns: 0 until somebody sets the system clock or it drifts."""
        return self._wall_ns() - self.now()

    async def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; 0 or less gives other tasks one turn."""
        await asyncio.sleep(max(0.0, seconds))
