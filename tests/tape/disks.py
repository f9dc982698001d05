"""Disks that misbehave on command: the real files underneath, with failures put in by the test."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dope.tape.files import RealFiles


class FailingDisk:
    """``room`` bytes may still be written (None = any number); ``fail`` names calls that raise EIO; ``most`` cuts each write short."""

    def __init__(self) -> None:
        self.real = RealFiles()
        self.room: int | None = None
        self.fail: set[str] = set()
        self.most: int | None = None
        self.free_bytes = 10**12
        self.syncs = 0
        self.sizes: dict[int, int] = {}  # fd → bytes confirmed by a sync

    def _check(self, call: str) -> None:
        if call in self.fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def create(self, path: Path) -> int:
        self._check("create")
        return self.real.create(path)

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

    def truncate(self, fd: int, size: int) -> None:
        self._check("truncate")
        self.real.truncate(fd, size)

    def close(self, fd: int) -> None:
        self.real.close(fd)

    def remove(self, path: Path) -> None:
        self.real.remove(path)

    def free(self, folder: Path) -> int:
        return self.free_bytes


class Hands:
    """A clock moved by hand: ``monotonic`` and ``wall`` in seconds."""

    def __init__(self, wall: float = 1_795_238_000.0) -> None:
        self.t = 0.0
        self.start = wall

    def monotonic(self) -> float:
        return self.t

    def wall(self) -> float:
        return self.start + self.t
