"""An event loop in which time goes by steps: as far as it is told, and only after everything that was sent has been heard.

Sockets, threads and timers are the real ones. What a slow machine takes longer for is therefore not later: every stamp made
of ``ns`` is the virtual time at which it happened.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

QUIET = 4  #: turns in a row without anything ready: what was sent has been heard, and its consequences, too
PATIENCE = 40  #: turns of PATIENT_S
PATIENT_S = 0.001  #: longest wait for a socket in a turn in which nothing else is to be done


class _Counting(selectors.DefaultSelector):
    """Knows for how many turns nothing was ready."""

    quiet = 0
    patient = False  #: waits for a socket even if something else could be done

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(PATIENT_S if timeout is None or self.patient else min(timeout, PATIENT_S))
        self.quiet = 0 if found else self.quiet + 1
        return found


class SteppedLoop(asyncio.SelectorEventLoop):
    """Its ``time()`` stands still until ``forward``."""

    def __init__(self) -> None:
        self._at = 0.0
        self._counting = _Counting()
        super().__init__(self._counting)

    def time(self) -> float:
        return self._at

    def ns(self) -> int:
        """The loop's time in whole ns."""
        return round(self._at * 1e9)

    def forward(self, seconds: float) -> None:
        """Let time pass; what is due then happens in ``settle``."""
        self._at = round(self._at + seconds, 9)

    async def settle(self) -> None:
        """Until nothing moves any more."""
        self._counting.quiet = 0
        while self._counting.quiet < QUIET:
            await asyncio.sleep(0)

    async def wait_for(self, heard: Callable[[], bool]) -> bool:
        """``settle``, and until this is so: a busy machine may carry a message to its socket later than it says that it was sent.

        Returns False when it was not so for PATIENCE turns without anything new.
        """
        await self.settle()
        self._counting.patient = True
        try:
            while not heard() and self._counting.quiet < PATIENCE:
                await asyncio.sleep(0)
        finally:
            self._counting.patient = False
        await self.settle()
        return heard()


def run_stepped(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` to its end in such a loop; it must step the loop itself."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        runner.run(main)
