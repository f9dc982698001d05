"""The watchdog: a thread that knocks at each event loop ten times a second, measures how late it answers, and acts when it does not.

Time in which the watchdog itself did not run (a suspended process, a machine that swaps) is not held against a loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from loguru import logger

from dope.quantiles import Quantiles
from dope.watch import Watch

PERIOD_S = 0.1  #: between two knocks
STALL_S = 1.0  #: without an answer: what all threads are doing is written to the log
END_S = 6.0  #: without an answer: the loop is given up
DUMP_EVERY_S = 60.0  #: at most one such entry
FRAMES = 12  #: innermost frames of a thread in it
KEPT = 3000  #: answers that quantiles are drawn from: five minutes
RECENT = 10


class Lag(NamedTuple):
    """How late a loop is, s: the worst of the last second, and the 99.9 % quantile of the last minutes; its stalls since start."""

    recent: float
    p999: float
    stalls: int


class _Loop:
    """``waited`` = s that the watchdog has been awake since its open knock, ``asked`` = when that was, 0.0 = none is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self.loop, self.answered = loop, now
        self.asked = self.waited = 0.0
        self.lags: deque[float] = deque(maxlen=KEPT)
        self.figures = Quantiles()  # the same since the beginning, ns
        self.stalls = 0
        self.stalled = False
        self.give_up: Callable[[], None] | None = None


class Watchdog:
    """``attend`` and ``arm`` may be called from any thread; ``give_up`` of a loop is called from the watchdog's."""

    def __init__(self, watch: Watch, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._watch, self._monotonic = watch, monotonic
        self._loops: dict[str, _Loop] = {}
        self._over = threading.Event()
        self._dumped = float("-inf")
        self._thread = watch.keep_thread("dope-watchdog", self._run, self._over, self._blind)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def attend(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        """Watch this loop from now on, until it is closed."""
        self._loops[name] = _Loop(loop, self._monotonic())

    def arm(self, name: str, give_up: Callable[[], None]) -> None:
        """From now on a loop that does not turn for ``END_S`` is given up: once, by this call."""
        self._loops[name].give_up = give_up

    def fresh_s(self, name: str) -> float:
        """s since the loop last answered; infinite for one that nobody attends to."""
        known = self._loops.get(name)
        return self._monotonic() - known.answered if known is not None else float("inf")

    def lags(self) -> dict[str, Lag]:
        """Of every loop."""
        return {name: _lag(list(known.lags), known.stalls) for name, known in list(self._loops.items())}

    def figures(self) -> dict[str, Quantiles]:
        """How late every loop was since it is attended to, ns."""
        return {name: known.figures for name, known in list(self._loops.items())}

    # -- the thread ----------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        before = self._monotonic()
        while not self._over.wait(PERIOD_S):
            now = self._monotonic()
            awake, before = min(now - before, 2 * PERIOD_S), now
            for name, known in list(self._loops.items()):
                self._knock(name, known, now, awake)

    def _knock(self, name: str, known: _Loop, now: float, awake: float) -> None:
        if known.loop.is_closed():
            del self._loops[name]
        elif known.asked:
            known.waited += awake
            if known.waited > STALL_S and not known.stalled:
                known.stalled, known.stalls = True, known.stalls + 1
                self._watch.note(f"{name} loop", f"has not turned for {STALL_S:g} s")
                self._dump(name, now)
            if known.waited > END_S and known.give_up is not None:
                give_up, known.give_up = known.give_up, None
                logger.error("the {} loop has not turned for {:g} s: given up", name, END_S)
                give_up()
        else:
            known.asked, known.waited = now, 0.0
            with contextlib.suppress(RuntimeError):  # it was closed in this moment
                known.loop.call_soon_threadsafe(self._answer, known)

    def _answer(self, known: _Loop) -> None:
        known.answered = self._monotonic()
        known.lags.append(max(0.0, known.answered - known.asked))
        known.figures.add(int(known.lags[-1] * 1e9))
        known.asked, known.stalled = 0.0, False

    def _dump(self, name: str, now: float) -> None:
        """What every thread is doing, as one line."""
        if now - self._dumped < DUMP_EVERY_S:
            return
        self._dumped = now
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stacks = [f"{names.get(ident, ident)}: {_where(frame)}" for ident, frame in sys._current_frames().items()]
        logger.error("the {} loop has not turned for {:g} s; threads: {}", name, STALL_S, " | ".join(stacks))

    def _blind(self) -> None:
        """The watchdog cannot go on: what nobody watches any more is ended."""
        for known in self._loops.values():
            if known.give_up is not None:
                known.give_up()


def _where(frame: FrameType) -> str:
    """The innermost frames, innermost first."""
    stack = reversed(traceback.extract_stack(frame)[-FRAMES:])
    return " < ".join(f"{each.name} ({each.filename.rsplit('/', 2)[-1]}:{each.lineno})" for each in stack)


def _lag(lags: list[float], stalls: int) -> Lag:
    if not lags:
        return Lag(0.0, 0.0, stalls)
    return Lag(max(lags[-RECENT:]), sorted(lags)[min(len(lags) - 1, int(len(lags) * 0.999))], stalls)
