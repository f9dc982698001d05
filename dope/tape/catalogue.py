"""What tapes there are: one line per file, read from its ends where it was closed in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dope.errors import TapeError
from dope.tape.format import BLOCK_HEAD, END, Meta, read_head
from dope.tape.read import Tape, read_meta

SUFFIX = ".dope"
SEALED = "sealed"  #: folders of this name hold what was made of tapes, thousands of files, and no tape


class TapeInfo(msgspec.Struct, frozen=True):
    """One tape of a folder. Times ns UTC (0 = empty); ``lost`` = frames noted as missing; ``error`` "" = readable."""

    name: str  #: path below the folder that was listed
    source: str  #: "live" | "sim" | "import", "" when unreadable
    first: int
    last: int
    frames: int
    bytes: int
    lost: int
    complete: bool  #: closed in order; False = still being written, or cut by a crash
    session: str
    part: int
    venues: tuple[str, ...]
    error: str


def list_tapes(folder: Path | str) -> list[TapeInfo]:
    """All tapes in ``folder`` and below, oldest first; an absent folder has none. Never raises for a bad tape."""
    root = Path(folder)
    infos = [describe(path, root) for path in tape_files(root)]
    return sorted(infos, key=lambda info: (info.first, info.session, info.part, info.name))


def tape_files(root: Path) -> Iterator[Path]:
    """The files that are named like tapes, in ``root`` and below, but not among what is sealed."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name != SEALED)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(SUFFIX))


def session_of(path: Path) -> str:
    """Which run recorded a tape, from its beginning. Raises TapeError or OSError."""
    with path.open("rb") as file:
        return read_meta(file, path)[0].session


def describe(path: Path, root: Path) -> TapeInfo:
    """One tape's line. Quick for a closed tape whatever its size: header and END block only."""
    name = path.relative_to(root).as_posix()
    try:
        return _from_ends(path, name) or _from_blocks(path, name)
    except (TapeError, OSError) as error:
        size = path.stat().st_size if path.exists() else 0
        return TapeInfo(name, "", 0, 0, 0, size, 0, False, "", 1, (), str(error))


def _from_ends(path: Path, name: str) -> TapeInfo | None:
    with path.open("rb") as file:
        meta, start = read_meta(file, path)
        size = file.seek(0, 2)
        if size < start + BLOCK_HEAD:
            return None
        file.seek(-BLOCK_HEAD, 2)
        end = read_head(file.read(BLOCK_HEAD))
    if end is None or end.kind != END:
        return None
    return _info(name, meta, (end.first, end.last), end.count, size, end.raw, complete=True)


def _from_blocks(path: Path, name: str) -> TapeInfo:
    tape = Tape(path, tolerant=True)
    lost = sum(hole.lost for hole in tape.holes())
    return _info(name, tape.meta, (tape.first, tape.last), tape.count, path.stat().st_size, lost, complete=tape.complete)


def _info(name: str, meta: Meta, span: tuple[int, int], frames: int, size: int, lost: int, *, complete: bool) -> TapeInfo:
    return TapeInfo(name, meta.source, *span, frames, size, lost, complete, meta.session, meta.part, meta.venues, "")
