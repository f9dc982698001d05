"""Tapes and what was sealed of them, hour after hour, for the tests of retention and care."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from dope.tape.catalogue import SEALED
from dope.tape.format import tape_name
from dope.tape.seal import seal
from dope.tape.segment import write_tape
from dope.types import DATA, Frame
from tests.tape.frames import META, START
from tests.tape.rows import HOUR, mixed


def tape_of(folder: Path, number: int, *, hour: int = 0, frames: int = 20, rows: int = 0, complete: bool = True) -> Path:
    """A tape that a recorder left, its first frame ``hour`` hours after START; about ``rows`` book tops and a few others."""
    begin = START + hour * HOUR
    path = folder / tape_name(f"{datetime.fromtimestamp(begin // 10**9, UTC):%Y%m%dT%H%MZ}", "live", number)
    folder.mkdir(parents=True, exist_ok=True)
    recorded = [Frame(begin + n * 1_000_000, "okx", 1, DATA, b"%d " % n) for n in range(frames)]
    write_tape(path, META, [*recorded, *(mixed(rows, seed=number) if rows else ())])
    if not complete:
        path.write_bytes(path.read_bytes()[:-48])
    return path


def sealed_of(folder: Path, number: int, *, hour: int = 0, rows: int = 300) -> list[Path]:
    """The same, sealed: the files, manifest first, gap last."""
    return list(seal(tape_of(folder, number, hour=hour, rows=rows), folder / SEALED).files)


def tables(folder: Path) -> dict[str, int]:
    """Table (and "manifest") → number of its files."""
    found: dict[str, int] = {}
    for path in sorted((folder / SEALED).rglob("*.*")):
        if path.is_file():
            name = path.relative_to(folder / SEALED).parts[0]
            found[name] = found.get(name, 0) + 1
    return found
