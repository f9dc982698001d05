"""The supervisor: every task and thread of the program by name, how each is seen to live, and what happens when it ends.

A part that must run for ever is handed to ``keep`` (a task) or ``keep_thread``: when it ends by an error or is cancelled by
somebody else, that is told at once and it is started anew after a growing pause; the ``GIVE_UP``-th time within a minute its
error is raised to whoever keeps it, and in the end the process ends with code 70. What mends itself says so with ``note``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from loguru import logger

GIVE_UP = 5  #: ends of one part within ``WINDOW_S`` after which it is not started again
WINDOW_S = 60.0
FIRST_PAUSE_S = 0.25  #: before the first new start; doubles with each end within the window
SHOWN_S = 4.0  #: s that an end is told at least, also when the part runs again
TROUBLES = 100  #: told at once, at most
MAX_WORDS = 200

RESTART = "it is started anew"
PROCESS = "the process ends with code 70"
ANSWERED = "whoever waits for it is told that it failed"
CLIENT = "that client is closed and comes back"
NOTHING = "it was about to end anyway"


class Part(NamedTuple):
    """One kind of task or thread. ``name`` is the beginning of its name, the whole of it unless a space follows."""

    name: str
    alive: str  #: how it is seen to live
    end: str  #: what happens when it ends before its time


#: all tasks and threads that the program starts; a test compares this with what runs and with the source
PARTS = (
    Part("dope-runtime", "the watchdog's probes are answered by its loop", PROCESS),
    Part("dope-watchdog", "answers of its probes are fresh", RESTART),
    Part("dope-announcer", "it waits for the web server to listen, once", NOTHING),
    Part("dope-undertaker", "it waits for the death of the engine", NOTHING),
    Part("runtime main", "the board has a fresh publication", PROCESS),
    Part("runtime probe", "kept", RESTART),
    Part("runtime sealing", "kept", RESTART),
    Part("runtime self-test", "kept", RESTART),
    Part("runtime loop", "the watchdog's probes", PROCESS),
    Part("web loop", "the watchdog's probes", PROCESS),
    Part("feed", "looked after with each publication", PROCESS),
    Part("connector", "whoever connected it asks for its status", NOTHING),
    Part("feed failure", "the feed ends with it", PROCESS),
    Part("feed stop", "the feed ends with it", PROCESS),
    Part("feed ticks", "kept", RESTART),
    Part("feed health", "kept", RESTART),
    Part("feed lists", "kept", RESTART),
    Part("connection", "kept", RESTART),
    Part("polling", "kept", RESTART),
    Part("fetch", "its reply comes within its patience", ANSWERED),
    Part("knock", "the probe waits for it", ANSWERED),
    Part("lookup", "its answer comes within its patience", ANSWERED),
    Part("keeper", "whoever keeps it waits for it", PROCESS),
    Part("tape-writer", "kept; frames wait meanwhile", RESTART),
    Part("market process", "looked after with each publication", RESTART),
    Part("market listener", "looked after with the process of the market", RESTART),
    Part("live broadcaster", "kept; the browser misses its once-a-second word", RESTART),
    Part("relay broadcaster", "kept; its clients miss their once-a-second word", RESTART),
    Part("feature broadcaster", "kept; its clients miss their once-a-second word", RESTART),
    Part("live sender", "the client waits for it", CLIENT),
    Part("live listener", "the client waits for it", CLIENT),
    Part("job hand-over", "the worker process waits for its task", ANSWERED),
    Part("dope-replay", "its board has a fresh publication", "that replay is shown as failed"),
    Part("replay wishes", "in the replay's process: ends it with its owner", "that replay is shown as failed"),
    Part("replay marks", "in the replay's process: reads once", "the seek bar shows what was played"),
    Part("trial work", "the trial waits for it", "the trial fails"),
    Part("job owner watch", "in the worker process: ends it with its owner", NOTHING),
)


def part_of(name: str) -> Part | None:
    """The entry of a task or thread of this name, the longest that fits."""
    found = [part for part in PARTS if name == part.name or name.startswith(part.name + " ")]
    return max(found, key=lambda part: len(part.name), default=None)


class Watch:
    """What ended lately. Any thread may call any method; ``monotonic`` gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ends: dict[str, deque[float]] = {}
        self._told: dict[str, tuple[str, float]] = {}  # name → (words, when it may be forgotten)
        self.counts: Counter[str] = Counter()  #: ends by part

    # -- what is told --------------------------------------------------------------------------------------------------
    def note(self, name: str, words: str) -> int:
        """Something ended or failed before its time: told for a while. Gives how often within the window."""
        now, part = self._monotonic(), part_of(name)
        with self._lock:
            ends = self._ends.setdefault(name, deque(maxlen=GIVE_UP))
            ends.append(now)
            self._told[name] = (f"{name}: {words}"[:MAX_WORDS], now + SHOWN_S)
            for old in list(self._told)[: max(0, len(self._told) - TROUBLES)]:
                del self._told[old]
                self._ends.pop(old, None)
            self.counts[part.name if part is not None else "other"] += 1
            return sum(now - each < WINDOW_S for each in ends)

    def troubles(self) -> list[str]:
        """What failed within the last seconds, oldest first; empty = all is well."""
        now = self._monotonic()
        with self._lock:
            for name in [name for name, (_, until) in self._told.items() if until < now]:
                del self._told[name]
            return [words for words, _ in self._told.values()]

    def _ended(self, name: str, error: BaseException | None) -> float:
        """Tell it; the pause before the next start in s, negative = it is not started again."""
        words = "cancelled" if error is None else f"{type(error).__name__}: {error}"
        times = self.note(name, f"ended ({words}), {RESTART}" if words else "ended")
        if times >= GIVE_UP:
            logger.opt(exception=error).error("{} ended {} times within a minute and is given up: {}", name, times, words)
            return -1.0
        logger.opt(exception=error).error("{} ended ({}): started anew", name, words)
        return float(FIRST_PAUSE_S * 2 ** (times - 1))

    # -- what is kept --------------------------------------------------------------------------------------------------
    async def keep(self, name: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run ``start()`` as a task of this name until it returns by itself, anew whenever it ends otherwise. See the head."""
        while True:
            task = asyncio.create_task(start(), name=name)
            try:
                await asyncio.wait({task})
            finally:
                if not task.done():  # we are cancelled: it goes first
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            error = None if task.cancelled() else task.exception()
            if error is None and not task.cancelled():
                return
            pause = self._ended(name, error)
            if pause < 0:
                raise error or asyncio.CancelledError(f"{name} was cancelled again and again")
            await asyncio.sleep(pause)

    def kept(self, name: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[None]:
        """``keep`` as a task of its own."""
        return asyncio.create_task(self.keep(name, start), name=f"keeper {name}")

    def keep_thread(self, name: str, work: Callable[[], None], over: threading.Event, give_up: Callable[[], None]) -> threading.Thread:
        """A thread that runs ``work`` until it returns, anew after an error unless ``over`` is set; ``give_up`` is the last word."""

        def run() -> None:
            while True:
                try:
                    work()
                    return
                except Exception as error:  # noqa: BLE001 - the supervising place of threads: whatever ends one must be seen
                    pause = self._ended(name, error)
                if pause < 0:
                    give_up()
                    return
                if over.wait(pause):
                    return

        return threading.Thread(target=run, name=name, daemon=True)
