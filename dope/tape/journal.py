"""The journal: records every frame that reaches the engine, and rows made of them. A thread does all but fill its queue."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from loguru import logger

from dope import tables
from dope.errors import TapeError
from dope.tape.files import Files, FolderLock, RealFiles
from dope.tape.format import FRAME_COST, Hole, Meta, Rows, bundle
from dope.tape.writer import Bounds, Writer
from dope.types import Frame
from dope.watch import Watch

ROWS_COST = 4096  #: bytes that a batch of rows takes in memory besides its columns
BUNDLE = 128  #: frames at once that are encoded at once: later they would be out of the cache, and memory would grow by them meanwhile
SHORT = 1 / 3  #: of ``flush_s``: a round while many frames come
LOSSES = 1000  #: rows about losses kept until somebody asks for them


class Journal:
    """Records into ``folder`` until ``close``. One thread appends; any thread may ask for ``status``.

    Disk full and disk errors pause the recording, never the program: frames wait in memory up to
    ``bounds.waiting_bytes``, beyond that they are lost, counted, and marked on the tape as a hole at their place. Rows share
    queue and bound with the frames: those that are refused become one row of ``gap`` as soon as there is room again.
    """

    def __init__(
        self,
        folder: Path,
        meta: Meta,
        *,
        bounds: Bounds | None = None,
        files: Files | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        watch: Watch | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        """``meta.created``, ``.part`` and, if empty, ``.session`` are filled in here.

        Raises TapeError when another process writes there (names its pid) or the folder holds tapes of another source.
        """
        self._bounds = bounds or Bounds()
        self._lock = FolderLock(folder)
        try:
            session = meta.session or f"{meta.source}-{int(wall() * 1e9)}"
            whole = msgspec.structs.replace(meta, session=session)
            self._writer = Writer(folder, whole, self._bounds, files=files or RealFiles(), monotonic=monotonic, wall=wall)
        except BaseException:
            self._lock.release()
            raise
        self._queue = self._writer.queue
        self._limit = self._bounds.waiting_bytes
        self._cost = 0  # of all frames ever queued; minus the writer's ``released`` = bytes in memory
        self._accepted = 0
        self._lost = 0
        self._hole: Hole | None = None  # open: frames are being lost
        self._tickets = 0
        self._accepted_rows = self._lost_rows = 0
        self._refused: Hole | None = None  # rows that were lost since rows were last taken
        self._losses: deque[tuple[int, pa.RecordBatch]] = deque(maxlen=LOSSES)
        self._unsaved = 0  # frames that close() could not bring to disk
        self._closed = False
        self._stop = threading.Event()
        self._thread = (watch or Watch()).keep_thread("tape-writer", self._run, self._stop, on_failure or (lambda: None))
        self._thread.start()

    def append(self, frames: Sequence[Frame]) -> None:
        """Queue frames, in order. Never blocks, never fails, never touches the disk."""
        cost = FRAME_COST * len(frames) + sum([len(frame.data) for frame in frames])
        if self._hole is not None or self._cost + cost - self._writer.released > self._limit:
            self._refuse(frames)
            return
        self._cost += cost
        self._accepted += len(frames)
        if len(frames) >= BUNDLE and cost <= self._bounds.block_bytes:
            self._queue.append(bundle(frames, cost))
        else:
            self._queue.extend(frames)

    def append_rows(self, name: str, rows: pa.Table | pa.RecordBatch) -> int:
        """Queue rows of a table of ``dope/tables.py``, behind the frames queued so far. Never blocks, never touches the disk.

        Gives a ticket that ``placed`` will name once the disk has them, 0 when there are none or the memory bound is reached.
        Raises TapeError for an unknown table or columns that are not its own.
        """
        if name not in tables.TABLES or not rows.schema.equals(tables.TABLES[name]):
            raise TapeError(f"these are no rows of a table {name!r}")
        batch = rows if isinstance(rows, pa.RecordBatch) else _whole(rows)
        if not len(batch):
            return 0
        cost = batch.nbytes + ROWS_COST
        waiting = self._cost - self._writer.released
        if self._hole is not None or waiting + cost > self._limit or (self._refused is not None and waiting > self._limit // 2):
            self._refuse_rows(batch)
            return 0
        if self._refused is not None:
            self._tell_refused()
        return self._queue_rows(name, batch, cost)

    def _queue_rows(self, name: str, batch: pa.RecordBatch, cost: int) -> int:
        self._tickets += 1
        self._cost += cost
        self._accepted_rows += len(batch)
        self._queue.append(Rows(name, batch, self._tickets, cost))
        return self._tickets

    def _refuse_rows(self, batch: pa.RecordBatch) -> None:
        times = batch.column("ts").to_numpy()
        first, last, lost = int(times.min()), int(times.max()), len(batch)
        self._lost_rows += lost
        if self._refused is not None:
            first, last, lost = min(first, self._refused.first), max(last, self._refused.last), lost + self._refused.lost
        self._refused = Hole(lost, first, last, self._writer.reason or "the disk is too slow")

    def _tell_refused(self) -> None:
        """The rows that were lost become a row themselves."""
        lost, self._refused = self._refused, None
        if lost is not None:
            row = tables.batch("gap", [tables.gap(lost.first, lost.last, "rows", lost.reason, lost=lost.lost)])
            self._losses.append((self._queue_rows("gap", row, row.nbytes + ROWS_COST), row))

    def describe(self, venues: tuple[str, ...]) -> None:
        """Frames of these venues may come from now on: a new file begins whose header names them."""
        self._writer.meta = msgspec.structs.replace(self._writer.meta, venues=venues)

    def placed(self) -> list[tuple[int, str]]:
        """(ticket, name of the tape) of rows that the disk has confirmed since this was last asked."""
        waiting = self._writer.placed
        return [waiting.popleft() for _ in range(len(waiting))]

    def losses(self) -> list[tuple[int, pa.RecordBatch]]:
        """(ticket, rows of ``gap``) about frames and rows that were lost, since this was last asked; they are queued already."""
        found = list(self._losses)
        self._losses.clear()
        return found

    def _refuse(self, frames: Sequence[Frame]) -> None:
        """The memory bound is reached: lose and count, until half of it is free again (so that holes are few)."""
        if self._closed:
            self._lost += len(frames)
            return
        if self._hole is not None and self._cost - self._writer.released <= self._limit // 2:
            self._end_hole()
            self.append(frames)
            return
        if not frames:
            return
        if self._hole is None:
            logger.warning("recording loses frames: {} MB wait for the disk", self._limit >> 20)
            self._hole = Hole(0, frames[0].ts, frames[0].ts, self._writer.reason or "the disk is too slow")
        self._hole = msgspec.structs.replace(self._hole, lost=self._hole.lost + len(frames), last=frames[-1].ts)
        self._lost += len(frames)

    def _end_hole(self) -> None:
        hole, self._hole = self._hole, None
        if hole is not None:
            self._tickets += 1
            self._queue.append(msgspec.structs.replace(hole, ticket=self._tickets))
            row = tables.gap(hole.first, hole.last, "recording", hole.reason, lost=hole.lost)
            self._losses.append((self._tickets, tables.batch("gap", [row])))

    def close(self) -> None:
        """Everything to disk, file closed in order, lock released; waits at most ``bounds.close_s`` for the disk."""
        if self._closed:
            return
        self._closed = True
        self._limit = -1  # whatever still comes is refused and counted
        self._end_hole()
        self._tell_refused()
        self._stop.set()
        self._thread.join(self._bounds.close_s)
        self._lock.release()
        status = self.status()
        logger.info("recording ended: {} frames, {} lost, {}", status["frames"], status["lost"], status["path"])

    def status(self) -> dict[str, Any]:
        """``on`` = frames are reaching the disk; ``frames`` = confirmed by the disk, ``waiting`` = not yet; ``bytes`` of ``path``.

        ``rows`` and ``rows_lost`` are the same of rows.

        ``state``: recording · paused · closed · failed, with a ``reason`` for people unless all is well.
        """
        writer = self._writer
        state, reason = writer.state, writer.reason
        if not self._thread.is_alive() and not self._closed:
            state, reason = "failed", "the recorder has stopped; see the log"
        elif self._closed:
            stuck = self._thread.is_alive()
            state = "failed" if stuck or self._unsaved else "closed"
            reason = "the disk does not answer" if stuck else reason
        lost = self._lost + self._unsaved
        if state == "recording" and self._hole is not None:
            state, reason = "paused", self._hole.reason
        return {
            "on": state == "recording",
            "path": "" if writer.path is None else str(writer.path),
            "bytes": writer.bytes,
            "frames": writer.frames,
            "waiting": self._accepted - writer.frames - self._unsaved,
            "lost": lost,
            "rows": writer.rows,
            "rows_lost": self._lost_rows + (self._accepted_rows - writer.rows if self._closed else 0),
            "state": state,
            "reason": reason,
        }

    def _run(self) -> None:
        share, bounds = 1.0, self._bounds
        while not self._stop.wait(bounds.flush_s * share):
            share = SHORT if self._writer.step(share) >= bounds.busy_frames * share else 1.0
        self._unsaved = self._writer.finish()


def _whole(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch; dictionaries of its chunks become one."""
    batches = table.unify_dictionaries().combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
