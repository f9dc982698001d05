"""Virtual time: an event loop without sockets and threads, in which nothing waits and the same things happen in the same order."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dope.feed.clock import Clock

T = TypeVar("T")
EPOCH_NS = 1_767_225_600_000_000_000  #: 2026-01-01 UTC


class Stuck(AssertionError):
    """Everybody waits for somebody else: nothing will ever happen again."""


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    """When nothing is ready its time jumps to the next timer.

    Time is a whole number of ns. Timers of one instant run in an order that only depends on how they were set. What needs a socket
    finds none here (NotImplementedError), and a thread cannot call in.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0
        self._made_by = threading.get_ident()
        self._clock_resolution = 1e-9
        self._selector = self  # what the base class asks to wait

    def ns(self) -> int:
        """ns since the loop was made."""
        return self._now

    def time(self) -> float:
        return self._now / 1e9

    def spend(self, seconds: float) -> None:
        """What runs now takes so long."""
        self._now += round(seconds * 1e9)

    def clock(self, wall_ns: Callable[[], int] = lambda: 0) -> Clock:
        """The house's clock in this time; ``wall_ns`` is how far the machine's clock is off, ns."""
        return Clock(self.ns, lambda: EPOCH_NS + self._now + wall_ns())

    def select(self, timeout: float | None) -> Sequence[object]:
        """Instead of waiting: move on by ``timeout``."""
        if timeout is None:
            raise Stuck("nothing is ready, no timer is set")
        if timeout > 0:
            self._now += max(1, round(timeout * 1e9))
        return ()

    def _process_events(self, events: Sequence[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody must be woken."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        """From this thread only (generators that are dropped use it): the order of others would be another one each time."""
        assert threading.get_ident() == self._made_by, "threads have no place in virtual time"
        return self.call_soon(callback, *args, context=context)


def in_virtual_time(main: Callable[[Clock], Awaitable[T]]) -> T:
    """Run ``main(clock)`` to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop.clock()))
    finally:
        loop.close()
