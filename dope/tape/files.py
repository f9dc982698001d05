"""What the tape needs of a disk, as one small object, so that tests can make every call fail; and the folder's lock."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import IO, Protocol

from dope.errors import FolderTaken

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
LOCK_NAME = ".writer.lock"
LOCK_AT = 1 << 30  #: Windows locks a byte that nobody reads, so that the holder's pid stays readable


class Files(Protocol):
    """All calls raise OSError. ``write`` may write less than it was given: its answer counts, not the intention."""

    def create(self, path: Path) -> int: ...
    def append(self, path: Path) -> int: ...
    def rename(self, old: Path, new: Path) -> None: ...
    def make_folder(self, folder: Path) -> None: ...
    def write(self, fd: int, data: bytes | memoryview) -> int: ...
    def sync(self, fd: int) -> None: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def close(self, fd: int) -> None: ...
    def remove(self, path: Path) -> None: ...
    def free(self, folder: Path) -> int: ...


class RealFiles:
    """The operating system's files, always written at their end."""

    def create(self, path: Path) -> int:
        """Raises FileExistsError rather than write into a file of somebody else."""
        return os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, 0o644)

    def append(self, path: Path) -> int:
        return os.open(path, _APPEND)

    def rename(self, old: Path, new: Path) -> None:
        """The new name survives a power cut; a file that bore it before is replaced in one step."""
        os.replace(old, new)
        _sync_folder(new.parent)

    def make_folder(self, folder: Path) -> None:
        """The folder and those above it, all of which survive a power cut; no error if they exist."""
        if not folder.is_dir():
            self.make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        getattr(os, "fdatasync", os.fsync)(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        os.close(fd)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def free(self, folder: Path) -> int:
        """Bytes that an ordinary user may still write."""
        return shutil.disk_usage(folder).free


def _sync_folder(folder: Path) -> None:
    """Make a new name durable; only Unix needs and allows it."""
    if hasattr(os, "O_DIRECTORY"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def refuse_second(folder: Path) -> None:
    """Raises FolderTaken when another process records into ``folder``, before anything was begun; changes nothing."""
    if not (folder / LOCK_NAME).exists():
        return
    try:
        FolderLock(folder).release()
    except OSError:
        return  # it can only be read: whoever wants to write there will say so


class FolderLock:
    """One writer per folder. The system lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock, or raises FolderTaken that names the process which holds it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / LOCK_NAME).open("a+", encoding="ascii")
        try:
            if sys.platform == "win32":
                self._file.seek(LOCK_AT)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise FolderTaken(f"{folder} is already being written by process {holder}") from error
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()
