"""The recorder's working half: packs what waits, writes, syncs, rotates, pauses and resumes. No thread of its own.

What is not yet confirmed by the disk stays in memory as packed blocks. Any failure is handled in one way: the file is
cut back to what the disk confirmed and closed, recording pauses, and each ``retry_s`` a new file is tried with the same
blocks. (A file whose sync failed is never synced again and called good: the system may have dropped its pages.)
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from loguru import logger

from dope.errors import TapeError
from dope.tape.files import Files
from dope.tape.format import BLOCK_BYTES, FRAMES, HOLE, MAX_BLOCK, ROWS, Block, Bundle, Meta, Record, pack, parse_name, tape_name
from dope.tape.retention import remove_for_room
from dope.tape.segment import DRAFT, Segment

MB = 1 << 20
PLACED = 100_000  #: tickets remembered until somebody asks where their rows are


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of a recording. Times in seconds, sizes in bytes."""

    flush_s: float = 0.06  #: a killed process loses at most this much and the time of one round, together below 0.1
    sync_s: float = 1.0  #: a power cut loses at most this much
    retry_s: float = 4.0  #: between attempts while paused: with room again it records within 5 s
    close_s: float = 5.0  #: close() waits no longer for the disk
    rotate_s: int = 3600  #: a new file at each multiple of this, UTC
    block_bytes: int = BLOCK_BYTES
    busy_frames: int = 500  #: so many in one round: the next ones are a third as long, because the market stands still while one is packed
    hurry_frames: int = 5_000  #: more waiting in one round: written uncompressed, so that a burst takes no CPU from the market
    segment_bytes: int = 256 * MB
    total_bytes: int = 4096 * MB  #: all tapes of the folder; the oldest are removed first
    free_bytes: int = 64 * MB  #: left to others on the disk
    waiting_bytes: int = 64 * MB  #: in memory; beyond it frames and rows are lost and counted


class Writer:
    """``queue`` is filled on its right by one other thread and emptied here; every other attribute is ours alone."""

    def __init__(
        self, folder: Path, meta: Meta, bounds: Bounds, *, files: Files, monotonic: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        """Raises TapeError when the folder holds tapes of another source, or the bounds contradict the format."""
        if bounds.waiting_bytes > MAX_BLOCK // 2:
            raise TapeError(f"at most {MAX_BLOCK // 2 // MB} MB may wait in memory")
        self.queue: deque[Record] = deque()
        self.state, self.reason = "recording", ""
        self.released = 0  #: bytes of the queue's cost that no longer occupy memory; only rises
        self.frames = self.rows = 0  #: confirmed by the disk
        self.placed: deque[tuple[int, str]] = deque(maxlen=PLACED)  #: (ticket, tape) of rows and holes that the disk has confirmed
        self.path: Path | None = None
        self.bytes = 0  #: of the current file
        self.meta = meta  #: another one, put here by any thread, begins a new file before anything further is written
        self._folder, self._meta, self._bounds, self._files = folder, meta, bounds, files
        self._monotonic, self._wall = monotonic, wall
        self._backlog: deque[Block] = deque()  # not confirmed by the disk, oldest first
        self._written = 0  # how many of them stand in the current file
        self._segment: Segment | None = None
        self._broken = False  # the current file must be cut back before anything else
        self._period = 0
        self._parts = 0
        self._retry_at = self._sync_at = float("-inf")
        self._limit = min(bounds.segment_bytes, max(bounds.total_bytes // 4, 1))
        tapes = self._tapes()
        others = {source for _, source, _ in tapes} - {meta.source}
        if others:
            raise TapeError(f"{folder} holds tapes of source {', '.join(sorted(others))}; {meta.source} needs a folder of its own")
        for draft in folder.glob("*" + DRAFT):  # of a process that was killed while it began a file
            if parse_name(draft.name.removesuffix(DRAFT)):
                draft.unlink()
        self._number = max((number for number, _, _ in tapes), default=0)

    # -- one round -------------------------------------------------------------------------------------------------
    def step(self, share: float = 1.0) -> int:
        """Pack what waits and bring it as far as the disk allows; called each ``share`` of ``flush_s``. How many frames were waiting."""
        frames = self._pack(share)
        now = self._monotonic()
        if self._broken and now < self._retry_at:
            return frames
        try:
            self._advance(now)
        except OSError as error:
            self._pause(now, error)
        return frames

    def finish(self) -> int:
        """Bring everything to disk and close the file in order. Gives the number of frames that could not be saved."""
        self._sync_at = self._retry_at = float("-inf")
        self.step()
        try:
            if self._segment is not None and not self._broken:
                self._close_segment()
        except OSError as error:
            self._pause(self._monotonic(), error)
        return sum(block.count for block in self._backlog if block.kind == FRAMES)

    def _pack(self, share: float) -> int:
        take = self.queue.popleft
        waiting = [take() for _ in range(len(self.queue))]
        frames = sum([record.count if type(record) is Bundle else 1 for record in waiting])
        for block in pack(waiting, self._bounds.block_bytes, compress=frames < self._bounds.hurry_frames * share):
            self._backlog.append(block)
            self.released += block.cost - _held(block)
        return frames

    def _advance(self, now: float) -> None:
        if self._broken:
            self._cut_back()
        if self._segment is not None and (self._period != self._current_period() or self._meta is not self.meta):
            self._close_segment()
        self._meta = self.meta
        while self._written < len(self._backlog):
            self._write(self._backlog[self._written])
        if self._segment is not None and self._written and (now >= self._sync_at or self.state == "paused"):
            self._sync(self._segment)
            self._sync_at = now + self._bounds.sync_s
        if self.state == "paused" and not self._backlog:
            self.state, self.reason = "recording", ""
            logger.info("recording again: {}", self.path)

    def _write(self, block: Block) -> None:
        free = self._files.free(self._folder)
        if free < self._bounds.free_bytes + len(block.data):
            raise OSError(errno.ENOSPC, f"disk full: less than {self._bounds.free_bytes // MB} MB free")
        if self._segment is not None and self._segment.totals.frames and self._segment.size + len(block.data) > self._limit:
            self._close_segment()
        segment = self._segment or self._open_segment()
        segment.append(block)
        self._written += 1
        self.bytes = segment.size

    def _sync(self, segment: Segment) -> None:
        segment.sync()
        for _ in range(self._written):
            block = self._backlog.popleft()
            self.released += _held(block)
            if block.kind == FRAMES:
                self.frames += block.count
            elif block.kind == ROWS:
                self.rows += block.count
            if block.ticket:
                self.placed.append((block.ticket, segment.path.name))
        self._written = 0

    # -- files -----------------------------------------------------------------------------------------------------
    def _open_segment(self) -> Segment:
        self._make_room()
        self._number += 1  # even if this attempt fails: a name is never used twice
        stamp = datetime.fromtimestamp(self._wall(), UTC)
        path = self._folder / tape_name(f"{stamp:%Y%m%dT%H%MZ}", self._meta.source, self._number)
        meta = msgspec.structs.replace(self._meta, created=int(self._wall() * 1e9), part=self._parts + 1)
        segment = Segment(path, meta, self._files)
        segment.publish()
        self._parts += 1
        self._period = self._current_period()
        self._segment, self.path, self.bytes = segment, path, segment.size
        return segment

    def _close_segment(self) -> None:
        assert self._segment is not None
        self._sync(self._segment)
        self._segment.finish()
        self._segment = None

    def _cut_back(self) -> None:
        """Raises OSError as long as the file cannot be cut: until then its unconfirmed blocks may not go elsewhere."""
        if self._segment is not None:
            self._segment.cut_back()
        self._segment, self._written, self._broken = None, 0, False

    def _pause(self, now: float, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self.state != "paused" or reason != self.reason:
            logger.warning("recording paused: {}; {} frames are safe, trying again each {} s", reason, self.frames, self._bounds.retry_s)
        self.state, self.reason, self._broken = "paused", reason, True
        self._retry_at = now + self._bounds.retry_s
        try:
            self._cut_back()
        except OSError:
            return  # tried again at the next attempt
        self._broken = True  # nothing to cut any more, but wait for the next attempt

    def _make_room(self) -> None:
        """Remove the oldest tapes of ours until a whole new one fits under the folder's cap."""
        tapes = [(path, _size(path)) for _, _, path in sorted(self._tapes())]
        total = sum(size for _, size in tapes)
        for path, size in tapes:
            if total + self._limit <= self._bounds.total_bytes:
                return
            total -= size
            remove_for_room(path, files=self._files)
            logger.info("removed the oldest tape {} to stay below {} MB", path.name, self._bounds.total_bytes // MB)

    def _tapes(self) -> list[tuple[int, str, Path]]:
        """(number, source, path) of the tapes that a journal made here."""
        named = ((parse_name(path.name), path) for path in self._folder.iterdir())
        return [(name[1], name[0], path) for name, path in named if name is not None]

    def _current_period(self) -> int:
        return int(self._wall() // self._bounds.rotate_s)


def _size(path: Path) -> int:
    """Bytes of a tape; 0 if it has just been removed because of its age."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _held(block: Block) -> int:
    """Bytes that a packed block keeps in memory; holes are few and free."""
    return 0 if block.kind == HOLE else len(block.data)
