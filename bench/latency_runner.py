"""The program without its web server as the receiver of ``bench.paced``: ``python -m bench.latency_runner PORT COUNT DONE``.

Feed, engine, tape and picture run in the runtime's thread and publish ten times a second, as in the program. DONE tells for each batch
of frames when its turn began and when everything was recorded, stepped and noted; for each signal which message made it, and when it
was noted; and what the thread was doing (``bench.marks``).
"""

from __future__ import annotations

import gc
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from bench.marks import ENGINE, PUBLISHING, ROWS, Marks
from bench.plants import FEE_BPS, OTHER
from bench.stream import SYMBOLS
from dope.board import Board
from dope.detectors.arbitrage import Opportunity
from dope.picture import Picture
from dope.runtime import Runtime
from dope.session import Session
from dope.settings import Settings, load
from dope.types import DATA, Event, Frame

BUSY = "okx"
PATIENCE_S = 60.0  #: without a message


def settings(port: int, folder: Path) -> Settings:
    """Both venues at this port; everything else as it is by default, but an opportunity that has ended makes way for the next."""
    at = {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}
    fees = {venue: {"spot": FEE_BPS} for venue in (BUSY, OTHER)}
    market = {"source": "live", "venues": (BUSY, OTHER), "symbols": SYMBOLS, "endpoints": {BUSY: at, OTHER: at}}
    return load({**market, "debounce_ms": 0, "fees": fees, "data_dir": folder / "data", "model_dir": folder / "models"}, env_file=None)


class Watch:
    """Stands around ``Session.on_frames`` and notes, per batch, what the planned messages need. Times in ns of the monotonic clock."""

    def __init__(self, count: int) -> None:
        self.batches: list[tuple[int, int, int]] = []  #: (messages so far, turn began, turn over)
        self.signals: list[tuple[int, int]] = []  #: (number of the message, signal noted)
        self.pauses: dict[str, list[tuple[int, int]]] = {"collections": [], "publishing": []}  #: (began, ns)
        self.marks = Marks()
        self.over = threading.Event()
        self._count, self.seen = count, 0
        self._events: list[tuple[Event, int]] = []
        self._collecting = 0

    def install(self) -> None:
        """From now on every session is watched."""
        marks, real = self.marks, Session.on_frames

        def on_frames(session: Session, frames: list[Frame]) -> None:
            marks.attend()
            before, began = marks.begin(ENGINE), time.monotonic_ns()
            note = session.picture.note
            session.picture.note = self._noting(note)  # type: ignore[method-assign]
            real(session, frames)
            session.picture.note = note  # type: ignore[method-assign]
            self._batch(frames, began, time.monotonic_ns())
            marks.end(before)

        Session.on_frames = on_frames  # type: ignore[method-assign]
        Session._collect_some = marks.within(ROWS, Session._collect_some)  # type: ignore[method-assign]
        for owner, name in ((Session, "second"), (Picture, "slow"), (Picture, "venue_rows"), (Board, "publish")):
            setattr(owner, name, marks.within(PUBLISHING, getattr(owner, name)))
        Picture.drawing = self._timed(Picture.drawing)  # type: ignore[method-assign]
        gc.callbacks.append(self._collected)

    def _noting(self, note: Callable[[Event], None]) -> Callable[[Event], None]:
        def both(event: Event) -> None:
            note(event)
            self._events.append((event, time.monotonic_ns()))

        return both

    def _timed(self, real: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def timed(*args: Any) -> Iterator[Any]:
            before, began = self.marks.begin(PUBLISHING), time.monotonic_ns()
            for part in real(*args):
                self.pauses["publishing"].append((began, time.monotonic_ns() - began))
                self.marks.end(before)
                yield part
                before, began = self.marks.begin(PUBLISHING), time.monotonic_ns()
            self.marks.end(before)

        return timed

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.monotonic_ns()
        else:
            self.pauses["collections"].append((self._collecting, time.monotonic_ns() - self._collecting))

    def _batch(self, frames: list[Frame], began: int, over: int) -> None:
        events, self._events = [(event, at) for event, at in self._events if isinstance(event, Opportunity)], []
        ours = [frame.ts for frame in frames if frame.venue == BUSY and frame.kind == DATA and len(frame.data) > 300]
        if not ours:
            return
        for event, noted in events:
            at = bisect_left(ours, event.ts)
            if event.state == "open" and at < len(ours) and ours[at] == event.ts:
                self.signals.append((self.seen + at, noted))
        self.seen += len(ours)
        self.batches.append((self.seen, began, over))
        if self.seen >= self._count:
            self.over.set()

    def save(self, path: Path) -> None:
        """All notes as one file."""
        pauses = {name: np.array(values, dtype=np.int64).reshape(-1, 2) for name, values in self.pauses.items()}
        with path.open("wb") as file:
            signals = np.array(self.signals, dtype=np.int64).reshape(-1, 2)
            np.savez(file, batches=np.array(self.batches), signals=signals, marks=self.marks.taken(), **pauses)


def main(port: int, count: int, result: Path) -> None:
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    watch = Watch(count)
    watch.install()
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(settings(port, Path(folder)), Board(), on_death=watch.over.set)
        runtime.start()
        before = -1
        while not watch.over.wait(PATIENCE_S) and watch.seen > before:
            before = watch.seen
        runtime.stop()
    if runtime.died or watch.seen < count:
        raise SystemExit(f"{watch.seen} of {count} messages came")
    watch.save(result)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
