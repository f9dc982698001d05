"""Disks that misbehave on command: the real files underneath, with failures put in by the test."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dope.tape.files import RealFiles


class FailingDisk:
    """``room`` bytes may still be written (None = any number); ``fail`` names calls that raise EIO; ``most`` cuts writes short.

    Remembers what a sync has confirmed, so that ``power_cut`` can drop the rest.
    """

    def __init__(self) -> None:
        self.real = RealFiles()
        self.room: int | None = None
        self.fail: set[str] = set()
        self.most: int | None = None
        self.free_bytes = 10**12
        self.syncs = 0
        self.paths: dict[int, Path] = {}
        self.confirmed: dict[Path, int] = {}

    def _check(self, call: str) -> None:
        if call in self.fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def create(self, path: Path) -> int:
        self._check("create")
        self.confirmed[path] = 0
        return self._known(self.real.create(path), path)

    def append(self, path: Path) -> int:
        self._check("append")
        return self._known(self.real.append(path), path)

    def _known(self, fd: int, path: Path) -> int:
        self.paths[fd] = path
        return fd

    def rename(self, old: Path, new: Path) -> None:
        self._check("rename")
        self.real.rename(old, new)
        self.confirmed[new] = self.confirmed.pop(old)

    def make_folder(self, folder: Path) -> None:
        self._check("make_folder")
        self.real.make_folder(folder)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._check("write")
        allowed = len(data) if self.most is None else min(len(data), self.most)
        if self.room is not None:
            if self.room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            allowed = min(allowed, self.room)
            self.room -= allowed
        return self.real.write(fd, data[:allowed])

    def sync(self, fd: int) -> None:
        self._check("sync")
        self.syncs += 1
        self.real.sync(fd)
        self.confirmed[self.paths[fd]] = os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        self._check("truncate")
        self.real.truncate(fd, size)

    def close(self, fd: int) -> None:
        self.real.close(fd)

    def remove(self, path: Path) -> None:
        self.real.remove(path)
        self.confirmed.pop(path, None)

    def power_cut(self, keep: int) -> None:
        """Every file loses what no sync has confirmed, but for its first ``keep`` bytes, which happened to reach the disk."""
        for path, size in self.confirmed.items():
            os.truncate(path, min(size + keep, path.stat().st_size))

    def free(self, folder: Path) -> int:
        return self.free_bytes


class DyingDisk(FailingDisk):
    """Every call from the ``last``-th on raises EIO; the one before, if it is a write, was cut short."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.calls = 0

    def _check(self, call: str) -> None:
        super()._check(call)
        self.calls += 1
        self.most = 7 if self.calls == self.last - 1 else None
        if self.calls >= self.last:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def remove(self, path: Path) -> None:
        self._check("remove")
        super().remove(path)


class Hands:
    """A clock moved by hand: ``monotonic`` and ``wall`` in seconds."""

    def __init__(self, wall: float = 1_795_238_000.0) -> None:
        self.t = 0.0
        self.start = wall

    def monotonic(self) -> float:
        return self.t

    def wall(self) -> float:
        return self.start + self.t
