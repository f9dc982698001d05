"""Backup and restore: a copy of a data folder that is consistent even while a recorder runs, proved by its manifest.

Closed tapes and sealed files never change again, so they are hard-linked where the target is on the same disk, and copied
elsewhere; a tape that is being written is copied to its last good block and closed. SQLite databases are copied by SQLite.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from loguru import logger

from dope.care.verify import BACKUP, DATABASES
from dope.errors import TapeError
from dope.tape.catalogue import SEALED, SUFFIX, describe
from dope.tape.files import LOCK_NAME, RealFiles
from dope.tape.manifest import Entry, Manifest, Problem, check_file, measure, pack_manifest, read_manifest, read_pieces
from dope.tape.mend import mend
from dope.tape.seal import LAST, MANIFESTS
from dope.tape.segment import DRAFT

OPEN_END = "copied while it was being recorded"
DAMAGED = ".damaged"  #: ending of what repair has set aside
_LEFT_OUT = (DRAFT, DAMAGED, "-wal", "-shm", "-journal")
_RECORDED = (SUFFIX, ".parquet")


def backup(folder: Path, target: Path) -> Manifest:
    """Copy all of ``folder`` to ``target``, which must be absent or empty. Raises TapeError; then nothing is left of it."""
    if not folder.is_dir():
        raise TapeError(f"{folder}: is not a folder")
    _must_be_new(target)
    if target.resolve().is_relative_to(folder.resolve()):
        raise TapeError(f"{target} lies inside {folder}: a backup of itself would never end")
    draft = target.with_name(target.name + DRAFT)
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        entries = [entry for path in _worth(folder) for entry in _copy(path, folder, draft)]
        manifest = Manifest("backup", folder.name, tuple(entries))
        (draft / BACKUP).write_bytes(pack_manifest(manifest))
        _refuse(check_backup(draft))
        _publish(draft, target)
    except OSError as error:
        raise TapeError(f"{target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def restore(source: Path, target: Path) -> Manifest:
    """Put a backup in place, if every byte of it is right, before and after. Raises TapeError; then nothing is in place."""
    _must_be_new(target)
    manifest = read_manifest(source / BACKUP)
    _refuse(check_backup(source))
    draft = target.with_name(target.name + DRAFT)
    try:
        shutil.rmtree(draft, ignore_errors=True)
        for entry in manifest.entries:
            (draft / entry.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / entry.name, draft / entry.name)
            _sync(draft / entry.name)
            _refuse(check_file(entry, draft / entry.name))
        draft.mkdir(parents=True, exist_ok=True)
        _publish(draft, target)
    except OSError as error:
        raise TapeError(f"{target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def check_backup(folder: Path) -> list[Problem]:
    """What is wrong with the files of a backup. Raises TapeError when its manifest cannot be read."""
    return [problem for entry in read_manifest(folder / BACKUP).entries for problem in check_file(entry, folder / entry.name)]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise TapeError("; ".join(map(str, problems[:5])) + (f" and {len(problems) - 5} more" if len(problems) > 5 else ""))


def _must_be_new(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TapeError(f"{target} is not empty: nothing is overwritten")


def _publish(draft: Path, target: Path) -> None:
    if target.exists():
        target.rmdir()
    RealFiles().rename(draft, target)


def _worth(folder: Path) -> Iterator[Path]:
    """Files to copy. Gap files of sealed tapes before their manifests: what is sealed meanwhile is then half there at no time."""
    found = [
        path for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != LOCK_NAME and not path.name.endswith(_LEFT_OUT)
    ]  # fmt: skip
    sealed = [path for path in found if SEALED in path.relative_to(folder).parts[:-1]]
    marked = {path.stem for path in sealed if LAST in path.parts}
    yield from (path for path in found if path not in set(sealed))
    yield from (path for path in sealed if path.stem in marked and MANIFESTS not in path.parts)
    yield from (path for path in sealed if path.stem in marked and MANIFESTS in path.parts)


def _copy(path: Path, folder: Path, draft: Path) -> Iterator[Entry]:
    """The entry of what was copied; none for a file that retention has removed meanwhile."""
    name = path.relative_to(folder).as_posix()
    copy = draft / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == SUFFIX and not describe(path, folder).complete:
            mend(path, copy, end=OPEN_END)
        elif path.suffix in DATABASES:
            _copy_database(path, copy)
        else:
            _link_or_copy(path, copy)
        with copy.open("rb") as file:
            yield measure(name, read_pieces(file))
    except FileNotFoundError:
        logger.warning("{} went away during the backup", name)


def _link_or_copy(path: Path, copy: Path) -> None:
    if path.suffix in _RECORDED:  # never changed in place
        try:
            os.link(path, copy)
            return
        except FileNotFoundError:
            raise
        except OSError:
            pass  # another disk, or one without links
    shutil.copy2(path, copy)
    _sync(copy)


def _copy_database(path: Path, copy: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise TapeError(f"{path}: {error}") from error


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
