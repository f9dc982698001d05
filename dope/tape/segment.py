"""One tape file while it is being written: knows which bytes are good and which of them are safely on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from dope.errors import TapeError
from dope.tape.files import Files, RealFiles
from dope.tape.format import BLOCK_BYTES, FRAMES, HOLE, Block, Meta, Record, pack, pack_end, pack_meta

DRAFT = ".new"  #: ending of a file whose header is not yet on disk


class Totals(msgspec.Struct):
    """What a file holds so far; becomes its END block."""

    frames: int = 0
    lost: int = 0
    first: int = 0
    last: int = 0

    def add(self, block: Block) -> None:
        if block.kind == HOLE:
            self.lost += block.count
        if block.kind != FRAMES:
            return
        self.first = min(self.first, block.first) if self.frames else block.first
        self.last = max(self.last, block.last) if self.frames else block.last
        self.frames += block.count


def write_all(files: Files, fd: int, data: bytes | memoryview) -> None:
    """Write every byte: a short answer of the system is no success. Raises OSError."""
    left = memoryview(data)
    while left:
        done = files.write(fd, left)
        if done <= 0:
            raise OSError("the disk took no bytes")
        left = left[done:]


class Segment:
    """Appends blocks to a new file. All calls raise OSError; after one, only ``cut_back`` and ``discard`` make sense.

    A file is begun under a draft name: whatever bears a tape's name has its header on disk.
    """

    def __init__(self, path: Path, meta: Meta, files: Files) -> None:
        self.path = path
        self.size = 0  #: bytes of good blocks
        self.synced = 0  #: bytes that the disk has confirmed
        self.totals = Totals()
        self._files = files
        self._name = path.with_name(path.name + DRAFT)
        self._fd: int | None = files.create(self._name)
        try:
            self._write(pack_meta(meta))
        except OSError:
            self.discard()
            raise
        self._header = self.size

    def publish(self) -> None:
        """Take the final name; on some systems that needs the file closed. A failure leaves no file."""
        try:
            self.sync()
            self._close()
            self._files.rename(self._name, self.path)
            self._name = self.path
            self._fd = self._files.append(self.path)
        except OSError:
            self.discard()
            raise

    def append(self, block: Block) -> None:
        self._write(block.data)
        self.totals.add(block)

    def sync(self) -> None:
        assert self._fd is not None
        self._files.sync(self._fd)
        self.synced = self.size

    def finish(self) -> None:
        """END block, sync, close."""
        totals = self.totals
        self._write(pack_end(frames=totals.frames, lost=totals.lost, first=totals.first, last=totals.last).data)
        self.sync()
        self._close()

    def cut_back(self) -> None:
        """Keep what the disk has confirmed and nothing else; a file without any such block goes away."""
        if self.synced <= self._header:
            self.discard()
            return
        if self._fd is not None:
            self._files.truncate(self._fd, self.synced)
        self._close()

    def discard(self) -> None:
        """Close and remove the file."""
        self._close()
        self._files.remove(self._name)

    def _write(self, data: bytes) -> None:
        assert self._fd is not None
        write_all(self._files, self._fd, data)
        self.size += len(data)

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._files.close(fd)


def write_tape(
    path: Path, meta: Meta, records: Iterable[Record], *, files: Files | None = None, block_bytes: int = BLOCK_BYTES
) -> Totals:
    """A whole tape from any frames: an import, an export, a repaired copy. It has its name only when it is complete.

    Raises TapeError if the file exists or cannot be written; then no half file is left.
    """
    files = files or RealFiles()
    if path.exists():
        raise TapeError(f"{path}: File exists")
    try:
        files.remove(path.with_name(path.name + DRAFT))  # of an attempt that was killed
        segment = Segment(path, meta, files)
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror or error}") from error
    try:
        for block in pack(records, block_bytes):
            segment.append(block)
        segment.finish()
        files.rename(path.with_name(path.name + DRAFT), path)
    except OSError as error:
        segment.discard()
        raise TapeError(f"{path}: {error.strerror or error}") from error
    except BaseException:  # also Ctrl-C: half an import is no tape
        segment.discard()
        raise
    return segment.totals
