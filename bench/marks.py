"""What the receiving thread was doing, as marks on its own time: whenever it begins something else, it notes what has just ended.

A mark costs a microsecond or two, and there are some per turn of the loop, none per message. Times in ns.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

#: what may end at a mark; "waiting" is the wait for sockets and timers, "loop" whatever has no name of its own
DOINGS = ("waiting", "loop", "engine", "rows", "publishing", "garbage")
WAITING, LOOP, ENGINE, ROWS, PUBLISHING, GARBAGE = range(len(DOINGS))
COLUMNS = 4  #: of a mark: when, CPU time of the thread, time that it was ready and had no processor, what ended
UNSEEN_NS = 20_000  #: less than this off the processor is not looked into

T = TypeVar("T")


class Marks:
    """Belongs to one thread, the first that calls ``attend``; what others do is not noted."""

    def __init__(self) -> None:
        self._marks = array("q")
        self._thread = self._file = -1
        self._doing = LOOP
        self._now = self._cpu = self._delay = 0

    def attend(self) -> None:
        """From now on, in this thread, whose loop is running."""
        if self._thread >= 0:
            return
        self._thread, self._file = threading.get_ident(), os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._now, self._cpu, self._delay = time.monotonic_ns(), time.thread_time_ns(), self._waited()
        selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        selector.select = self.within(WAITING, selector.select)
        gc.callbacks.append(self._collected)

    def within(self, doing: int, call: Callable[..., T]) -> Callable[..., T]:
        """``call``, noted as ``doing`` where it is called by our thread."""

        def noted(*args: Any) -> T:
            before = self.begin(doing)
            try:
                return call(*args)
            finally:
                self.end(before)

        return noted

    def begin(self, doing: int) -> int:
        """Something else is being done; give what this returns to ``end``."""
        before = self._doing
        if threading.get_ident() == self._thread:
            self._mark(before)
            self._doing = doing
        return before

    def end(self, before: int) -> None:
        """It is over: what was done before goes on."""
        if threading.get_ident() == self._thread:
            self._mark(self._doing)
            self._doing = before

    def _mark(self, ended: int) -> None:
        now, cpu = time.monotonic_ns(), time.thread_time_ns()
        if now - self._now - cpu + self._cpu > UNSEEN_NS:
            self._delay = self._waited()
        self._now, self._cpu = now, cpu
        self._marks.extend((now, cpu, self._delay, ended))

    def _waited(self) -> int:
        return int(os.pread(self._file, 64, 0).split()[1])

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._before = self.begin(GARBAGE)
        else:
            self.end(self._before)

    def taken(self) -> np.ndarray:
        """(n, COLUMNS): all marks so far."""
        return np.array(self._marks, dtype=np.int64).reshape(-1, COLUMNS)
