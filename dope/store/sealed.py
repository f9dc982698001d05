"""The sealed Parquet files of one source: found by their folders, checked once, remembered; a bad one is set apart.

    <folder>/sealed/<table>/date=YYYY-MM-DD/hour=HH/<tape>.parquet

A tape counts as sealed when its file in the ``gap`` table stands there, because that one is written last. DuckDB does not look
at the checksums of Parquet pages (40 of 40 flipped bits gave other numbers without a word), so every file is checked as a whole
before any row of it is served; after that its path, size and time of change vouch for it.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from loguru import logger

from dope.tables import SCHEMA_VERSION, TABLES

HOUR_NS = 3_600 * 10**9
REMEMBERED = 20_000  #: files whose state is remembered; beyond it those not asked for longest are looked at anew
MARKER = "gap"  #: the table whose file is written last
_DATE, _HOUR = re.compile(r"date=(\d{4}-\d{2}-\d{2})"), re.compile(r"hour=(\d{2})")
_TAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

#: what is wrong with a file, in words; empty = nothing
Check = Callable[[Path], Sequence[object]]


class Place(NamedTuple):
    """One file as it was found: what it should hold, nothing of it read yet."""

    path: Path
    table: str
    tape: str
    hour: int  #: ns UTC, of its folder


class Part(NamedTuple):
    """What the end of a file tells. ``first`` and ``last`` are times of rows, ns UTC; 0 when it has none."""

    path: Path
    tape: str
    hour: int  #: ns UTC, of its folder
    rows: int
    first: int
    last: int
    about: dict[str, str]  #: the file's own metadata that begins with "dope."
    version: int


class Bad(NamedTuple):
    """One file that must not be read, the beginning of the hour it is for, and why."""

    path: Path
    hour: int
    why: str


class Span(NamedTuple):
    """From when to when one tape recorded, ns UTC, both included; ``session`` "" = not told."""

    first: int
    last: int
    session: str


class Damaged(Exception):
    """What is wrong with a file, in words."""


class Sealed:
    """The files below ``folder``; thread-safe. ``checked`` counts the checks that were really made."""

    def __init__(self, folder: Path, check: Check) -> None:
        self._root, self._check = folder / "sealed", check
        self._ends: OrderedDict[tuple[str, int, int], Part | Bad] = OrderedDict()
        self._sound: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._gaps: OrderedDict[tuple[str, int, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()
        self.checked = 0

    def tapes(self) -> frozenset[str]:
        """Names of all sealed tapes."""
        return frozenset(place.tape for place in self._places(MARKER))

    def files(
        self, table: str, start: int, end: int, tapes: frozenset[str], sessions: frozenset[str] = frozenset()
    ) -> tuple[list[Part], list[Bad]]:
        """Sound files of ``tapes`` with rows in [start, end), in the order of their tapes, and those set apart.

        Of the gap table also earlier files of ``sessions`` and of all that recorded at ``start`` or later: what began to be
        missing in one of them may be missing still.
        """
        parts: list[Part] = []
        bad: list[Bad] = []
        alive = sessions | self._recording_at(start, tapes) if table == MARKER else frozenset()
        for place in self._of(table, tapes):
            if place.hour >= end and table != MARKER:  # a gap may be noted after the hour in which it began
                continue
            found = self._end(place)
            near = place.hour + 2 * HOUR_NS > start
            if isinstance(found, Part):
                reaches = found.last >= start or found.about.get("dope.session", "") in alive
                within = found.rows > 0 and found.first < end and reaches
                why = self._trouble(found) if near or within else ""  # its end may be damaged too: do not believe it unchecked
                if why:
                    found = Bad(place.path, place.hour, why)
                elif within:
                    parts.append(found)
            if isinstance(found, Bad) and place.hour < end and near:
                bad.append(found)
        return parts, bad

    def _recording_at(self, start: int, tapes: frozenset[str]) -> frozenset[str]:
        return frozenset(span.session for span in self.spans(tapes) if span.last >= start and span.session)

    def known_bad(self, start: int, end: int) -> list[Bad]:
        """Files set apart so far, of any table, that still stand there as they were found."""
        with self._lock:
            found = {key: each for key, each in self._ends.items() if isinstance(each, Bad)}
            for key, why in self._sound.items():
                if why and isinstance(end_ := self._ends.get(key), Part):
                    found[key] = Bad(end_.path, end_.hour, why)
        return [bad for key, bad in found.items() if bad.hour < end and bad.hour + 2 * HOUR_NS > start and _key(bad.path) == key]

    def spans(self, tapes: frozenset[str]) -> list[Span]:
        """When ``tapes`` recorded, oldest first: what their gap files say, else the times of their best prices."""
        spans = []
        told: set[str] = set()
        for place in self._of(MARKER, tapes):
            found = self._end(place)
            if isinstance(found, Part) and found.about.get("dope.first", "").isdigit() and found.about.get("dope.last", "").isdigit():
                spans.append(Span(int(found.about["dope.first"]), int(found.about["dope.last"]), found.about.get("dope.session", "")))
                told.add(place.tape)
        for place in self._of("bbo", tapes - told):
            found = self._end(place)
            if isinstance(found, Part) and found.rows:
                spans.append(Span(found.first, found.last, found.about.get("dope.session", "")))
        return sorted(spans)

    def small(self, part: Part, old: Callable[[Part], pa.Table]) -> pa.Table:
        """A whole file of the gap table, read once; ``old`` reads those of older versions."""
        key = _key(part.path) or (str(part.path), -1, -1)
        with self._lock:
            if key in self._gaps:
                self._gaps.move_to_end(key)
                return self._gaps[key]
        try:
            table = pq.read_table(part.path, partitioning=None).cast(TABLES[MARKER]) if part.version == SCHEMA_VERSION else old(part)
        except FileNotFoundError:  # removed just now, and its tape's other files with it
            return TABLES[MARKER].empty_table()
        with self._lock:
            self._gaps[key] = table
            while len(self._gaps) > REMEMBERED:
                self._gaps.popitem(last=False)
        return table

    # -- one file ----------------------------------------------------------------------------------------------------
    def _of(self, table: str, tapes: frozenset[str]) -> list[Place]:
        return sorted((place for place in self._places(table) if place.tape in tapes), key=lambda place: place.tape)

    def _places(self, table: str) -> Iterator[Place]:
        for date in _subfolders(self._root / table, _DATE):
            for hour in _subfolders(date, _HOUR):
                try:
                    begins = datetime.fromisoformat(f"{date.name[5:]}T{hour.name[5:]}:00:00").replace(tzinfo=UTC)
                except ValueError:
                    continue
                for path in hour.glob("*.parquet"):
                    if _TAPE.fullmatch(path.stem):
                        yield Place(path, table, path.stem, int(begins.timestamp()) * 10**9)

    def _end(self, place: Place) -> Part | Bad | None:
        """What the file's end tells, read when it is met for the first time; None when it has just been removed."""
        key = _key(place.path)
        if key is None:
            return None
        with self._lock:
            if key in self._ends:
                self._ends.move_to_end(key)
                return self._ends[key]
        found: Part | Bad
        try:
            found = read_end(place)
        except FileNotFoundError:
            return None
        except Damaged as error:
            found = Bad(place.path, place.hour, str(error))
            logger.error("history: {} is set apart: {}", place.path, error)
        with self._lock:
            self._ends[key] = found
            while len(self._ends) > REMEMBERED:
                self._ends.popitem(last=False)
        return found

    def _trouble(self, part: Part) -> str:
        """Why the file must not be read; "" = it may. Checked when it is first needed, and after each change."""
        key = _key(part.path)
        if key is None:
            return ""  # removed just now: whoever reads it will see that
        with self._lock:
            if key in self._sound:
                self._sound.move_to_end(key)
                return self._sound[key]
        problems = self._check(part.path)
        why = str(problems[0]) if problems else ""
        if why:
            logger.error("history: {} is set apart: {}", part.path, why)
        with self._lock:
            self.checked += 1
            self._sound[key] = why
            while len(self._sound) > REMEMBERED:
                self._sound.popitem(last=False)
        return why


def _key(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return str(path), status.st_size, status.st_mtime_ns


def _subfolders(folder: Path, named: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if named.fullmatch(path.name) and path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


# -- reading -----------------------------------------------------------------------------------------------------------
def read_end(place: Place) -> Part:
    """Schema, metadata and times from a file's footer. Raises Damaged, or FileNotFoundError."""
    try:
        with pq.ParquetFile(place.path) as file:
            version = _check_schema(file.schema_arrow, place)
            column = file.schema_arrow.get_field_index("ts")
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            times = [group.column(column).statistics for group in groups if group.num_rows]
            if any(told is None or not told.has_min_max for told in times):
                raise Damaged("it does not tell the times of its rows")
            about = {k.decode(): v.decode() for k, v in (file.schema_arrow.metadata or {}).items() if k.startswith(b"dope.")}
            first, last = min((told.min for told in times), default=0), max((told.max for told in times), default=0)
            return Part(place.path, place.tape, place.hour, file.metadata.num_rows, first, last, about, version)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError, ValueError, KeyError) as error:
        raise Damaged(f"damaged: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}") from error


def _check_schema(schema: pa.Schema, place: Place) -> int:
    """The file's version, if its columns are those of today or it is an older one."""
    about = schema.metadata or {}
    said = about.get(b"dope.schema", b"").decode("ascii", "replace")
    if not said.isdigit() or int(said) > SCHEMA_VERSION:
        newer = f"written by a newer version (schema {said}; this program reads up to {SCHEMA_VERSION})"
        raise Damaged(newer if said.isdigit() else "not a sealed table of this program")
    if about.get(b"dope.tape", b"").decode("utf-8", "replace").removesuffix(".dope") != place.tape:
        raise Damaged("it says that it was made from another tape")
    kinds = {field.name: _plain(field.type) for field in schema}
    if int(said) == SCHEMA_VERSION and kinds != {field.name: _plain(field.type) for field in TABLES[place.table]}:
        raise Damaged(f"its columns are not those of {place.table}")
    return int(said)


def _plain(kind: pa.DataType) -> pa.DataType:
    """A dictionary is only a way to write its values."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def check_pages(path: Path) -> list[str]:
    """What is wrong with a Parquet file by the checksums of its own pages; reads it once, a row group at a time.

    They do not cover the footer, so the times and symbols announced there are compared with those that were read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                group, about = file.read_row_group(number, use_threads=False), file.metadata.row_group(number)
                for name in ("ts", "symbol"):
                    told = about.column(file.schema_arrow.get_field_index(name)).statistics
                    column = group.column(name)
                    plain = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
                    held = pc.min_max(plain)
                    if len(column) and (told is None or (told.min, told.max) != (held["min"].as_py(), held["max"].as_py())):
                        return [f"row group {number} announces another {name} than it holds"]
    except (OSError, pa.ArrowException, UnicodeDecodeError, ValueError, KeyError) as error:
        return [f"damaged: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}"]
    return []
