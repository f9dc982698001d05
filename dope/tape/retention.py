"""What is kept for how long: raw tapes, sealed market data and the ledger each have their own bounds.

A tape goes when it is old and sealed; only the cap on all tapes may take one that is not, and then the gap table says so.
Market data (bbo, trade) goes by age, and the oldest hour first while all of it is above its cap. The ledger (opportunity,
signal, gap) stays longest; a gap file and its manifest go last of all, because they say that a tape was sealed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from loguru import logger

from dope.errors import TapeError
from dope.tables import TABLES
from dope.tape.catalogue import SEALED, describe
from dope.tape.files import Files, RealFiles
from dope.tape.format import parse_name
from dope.tape.manifest import pack_manifest, read_manifest
from dope.tape.seal import LAST, give_up, manifest_of, publish, sealed_tapes

DAY = 86_400 * 10**9
HOUR = 3_600 * 10**9
BULKY = ("bbo", "trade")  #: market data: every row of it; all other tables are the ledger
NO_ROOM = "this tape was removed before it was sealed, because all tapes together were above their cap"


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept; 0 = for ever (days), or without bound (bytes)."""

    tape_days: float = 7.0
    history_days: float = 7.0
    history_bytes: int = 20 << 30
    ledger_days: float = 365.0


def expire(folder: Path, keep: Keep, *, now: int, files: Files | None = None) -> list[str]:
    """Remove what is too old or too much in a source's folder; the names of what went. ``now`` ns UTC. Raises OSError, TapeError."""
    files = files or RealFiles()
    sealed = folder / SEALED
    done = _expire_tapes(folder, keep, now, files)
    bulky = _by_hour(sealed, BULKY)
    old = _older(bulky, keep.history_days, now)
    old |= _above(bulky.keys() - old, bulky, keep.history_bytes)
    ledger = _by_hour(sealed, [name for name in TABLES if name not in (*BULKY, LAST)])
    going = [path for hour in old for path in bulky[hour]]
    going += [path for hour in _older(ledger, keep.ledger_days, now) for path in ledger[hour]]
    done += _forget(sealed, going, files)
    marks = _by_hour(sealed, [LAST])
    aged = [path for hour in _older(marks, keep.ledger_days, now) for path in marks[hour]]
    done += _forget_marks(folder, aged, files)
    if done:
        logger.info("too old or too much, removed: {} files, first {}", len(done), done[0])
    return done


def remove_for_room(path: Path, *, files: Files) -> None:
    """Remove a tape because room is needed. One that is not sealed leaves a line in the gap table. Raises OSError."""
    sealed = path.parent / SEALED
    if path.stem not in sealed_tapes(sealed):
        logger.warning("{} has to make room before it was sealed: its rows are lost", path.name)
        try:
            give_up(path, sealed, NO_ROOM, files=files)
        except TapeError as error:
            logger.error("the gap that this leaves could not be noted: {}", error)
    files.remove(path)


def _expire_tapes(folder: Path, keep: Keep, now: int, files: Files) -> list[str]:
    if not keep.tape_days or not folder.is_dir():
        return []
    done = []
    for stem in sorted(sealed_tapes(folder / SEALED)):
        path = folder / f"{stem}.dope"
        if not path.exists() or parse_name(path.name) is None:
            continue
        info = describe(path, folder)
        if not info.error and info.last < now - keep.tape_days * DAY:
            files.remove(path)
            done.append(path.name)
    return done


def _by_hour(sealed: Path, tables: Iterable[str]) -> dict[int, list[Path]]:
    """Beginning of the hour, ns UTC → its files of these tables."""
    found: dict[int, list[Path]] = {}
    for table in tables:
        for path in (sealed / table).glob("date=*/hour=*/*.parquet"):
            date, hour = path.parts[-3].removeprefix("date="), path.parts[-2].removeprefix("hour=")
            try:
                begin = datetime.fromisoformat(f"{date}T{hour}:00:00").replace(tzinfo=UTC)
            except ValueError:
                continue  # a folder of somebody else
            found.setdefault(int(begin.timestamp()) * 10**9, []).append(path)
    return found


def _older(hours: Iterable[int], days: float, now: int) -> set[int]:
    return {hour for hour in hours if days and hour + HOUR < now - days * DAY}


def _above(hours: Iterable[int], files: dict[int, list[Path]], most: int) -> set[int]:
    """The oldest of ``hours`` that must go so that the rest takes at most ``most`` bytes."""
    sizes = {hour: sum(path.stat().st_size for path in files[hour]) for hour in hours}
    total, going = sum(sizes.values()), set()
    for hour in sorted(sizes):
        if not most or total <= most:
            break
        total -= sizes[hour]
        going.add(hour)
    return going


def _forget(sealed: Path, paths: Iterable[Path], files: Files) -> list[str]:
    """Take files out of their manifests, then remove them: nothing that is missing is ever asked for."""
    by_manifest: dict[Path, list[Path]] = {}
    for path in paths:
        by_manifest.setdefault(manifest_of(path), []).append(path)
    done = []
    for manifest, going in sorted(by_manifest.items()):
        names = {path.relative_to(sealed).as_posix() for path in going}
        try:
            whole = read_manifest(manifest)
            left = tuple(entry for entry in whole.entries if entry.name not in names)
            publish({manifest: pack_manifest(msgspec.structs.replace(whole, entries=left))}, files)
        except TapeError as error:
            logger.warning("expiring files whose manifest cannot be kept up: {}", error)
        for path in going:
            files.remove(path)
            _remove_empty(path.parent, sealed)
        done += sorted(names)
    return done


def _forget_marks(folder: Path, marks: Iterable[Path], files: Files) -> list[str]:
    """Gap file and manifest, where neither the tape nor another table of it is left."""
    sealed, done = folder / SEALED, []
    others = {path.stem for table in TABLES if table != LAST for path in (sealed / table).glob("date=*/hour=*/*.parquet")}
    for path in sorted(marks):
        if path.stem in others or (folder / f"{path.stem}.dope").exists():
            continue
        for each in (path, manifest_of(path)):
            files.remove(each)
            _remove_empty(each.parent, sealed)
        done.append(path.relative_to(sealed).as_posix())
    return done


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
