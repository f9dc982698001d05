"""Sealed history: the rows of one closed tape as one Parquet file per table, sorted, checksummed, whole or absent.

For the tape ``20261121T0512Z-live-0001.dope`` and a root ``sealed``::

    sealed/<table>/date=2026-11-21/hour=05/20261121T0512Z-live-0001.parquet     one per table that has rows; gap always
    sealed/manifest/date=2026-11-21/hour=05/20261121T0512Z-live-0001.json      size, rows and checksums of each of them

The hour is that of the tape's first frame, UTC. All files are written under draft names and synced; then the manifest
takes its name, then the tables, the gap table last: a tape whose gap file is there is sealed, whole and described.
Sealing is a function of the tape alone, so a file that is lost or damaged can be made again, row for row.

What guards what: pages carry CRC32s (Parquet's own, verified when read), which cover the packed bytes of data and
dictionary pages but neither page headers nor the footer. The manifest's checksums cover every bit of a file and its own,
so ``read`` and ``check`` look there; a file without manifest is read with page checksums only.

Encodings, chosen by measurement (B/row of one million book tops of three venues): times DELTA_BINARY_PACKED, prices,
sizes and names by dictionary, zstd level 3: 15 B/row; without dictionaries 27, with pyarrow's defaults 20 to 26.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dope.errors import TapeError
from dope.tables import SCHEMA_VERSION, TABLES, gap
from dope.tables import batch as batch_of
from dope.tape.catalogue import SEALED
from dope.tape.files import Files, RealFiles
from dope.tape.manifest import Entry, Manifest, Problem, check_file, compare, measure, pack_manifest, pieces_of, read_manifest
from dope.tape.read import Tape
from dope.tape.segment import DRAFT, write_all

LAST = "gap"  #: the table written last, even when empty: its file says that a tape is sealed
MANIFESTS = "manifest"
ROW_GROUP = 1 << 16  #: rows; also keeps every dictionary small enough to stay one
LEVEL = 3  #: of zstd
OLDEST_SCHEMA = 0  #: files of this version and later can be read
_WRITE = 1 << 20  #: bytes given to the disk at once
_TOGETHER = 1000  #: small batches that are made one while rows are gathered: each takes kilobytes besides its rows


class Sealed(msgspec.Struct, frozen=True):
    """What became of one tape: its files in the order in which they appeared, and their sizes."""

    tape: str
    files: tuple[Path, ...]
    rows: dict[str, int]
    bytes: int


# -- writing -----------------------------------------------------------------------------------------------------------
def seal(path: Path, folder: Path, *, files: Files | None = None) -> Sealed:
    """Seal the closed tape ``path`` below ``folder``; damaged stretches are stepped over and become gap rows.

    Does the same again for a tape that is sealed already. Raises TapeError if the tape cannot be read or the disk
    refuses; then no half file bears a final name. Memory: the tape's rows unpacked, and one table sorted.
    """
    tape = Tape(path, tolerant=True)
    return _seal_tables(path, tape, _gather(tape), folder, files or RealFiles())


def give_up(path: Path, folder: Path, why: str, *, files: Files | None = None) -> Sealed:
    """Seal nothing of a tape but a line in the gap table that its rows are lost, and why. Raises TapeError like ``seal``."""
    tape = Tape(path, tolerant=True)
    begin = tape.first or tape.meta.created
    tables = {name: schema.empty_table() for name, schema in TABLES.items()}
    tables[LAST] = pa.Table.from_batches([batch_of(LAST, [gap(begin, tape.last or begin, "file", why, lost=tape.count)])])
    return _seal_tables(path, tape, tables, folder, files or RealFiles())


def _seal_tables(path: Path, tape: Tape, tables: dict[str, pa.Table], folder: Path, files: Files) -> Sealed:
    hour = _hour(tape)
    names = [name for name in TABLES if name != LAST and tables[name].num_rows] + [LAST]
    made: dict[Path, bytes] = {}
    entries: list[Entry] = []
    counts = {name: tables[name].num_rows for name in names}
    about = {"dope.source": tape.meta.source, "dope.tape": path.name, "dope.session": tape.meta.session}
    about |= {"dope.first": str(tape.first), "dope.last": str(tape.last)} if tape.first else {}  # from when to when it recorded
    for name in names:
        data = encode(name, tables.pop(name), about)
        place = Path(name, *hour, path.stem + ".parquet")
        entries.append(measure(place.as_posix(), pieces_of(data), rows=counts[name]))
        made[folder / place] = data
    manifest = folder.joinpath(MANIFESTS, *hour, path.stem + ".json")
    whole = {manifest: pack_manifest(Manifest(SEALED, path.name, tuple(entries))), **made}
    publish(whole, files)
    return Sealed(path.name, tuple(whole), counts, sum(map(len, whole.values())))


def publish(contents: dict[Path, bytes], files: Files) -> None:
    """Write all under draft names, sync them, then give them their names in this order. Raises TapeError.

    Where several files of these names exist, the last goes first: until it is there again, the set is not complete.
    """
    drafts: list[Path] = []
    path = Path()
    try:
        for path, data in contents.items():
            files.make_folder(path.parent)
            draft = path.with_name(path.name + DRAFT)
            files.remove(draft)  # of an attempt that was killed
            drafts.append(draft)
            _write_whole(draft, data, files)
        if len(contents) > 1:
            files.remove(path)
        for path in contents:
            files.rename(path.with_name(path.name + DRAFT), path)
    except OSError as error:
        for draft in drafts:
            _try_remove(draft, files)
        raise TapeError(f"{path}: {error.strerror or error}") from error


def _write_whole(path: Path, data: bytes, files: Files) -> None:
    fd = files.create(path)
    try:
        view = memoryview(data)
        for at in range(0, len(view), _WRITE):
            write_all(files, fd, view[at : at + _WRITE])
        files.sync(fd)
    finally:
        files.close(fd)


def _try_remove(path: Path, files: Files) -> None:
    try:
        files.remove(path)
    except OSError:
        return  # the next attempt removes it


def _hour(tape: Tape) -> tuple[str, str]:
    """The folders of a tape's hour: that of its first frame, of its beginning if it holds none."""
    moment = datetime.fromtimestamp((tape.first or tape.meta.created) // 1_000_000_000, UTC)
    return f"date={moment:%Y-%m-%d}", f"hour={moment:%H}"


def _gather(tape: Tape) -> dict[str, pa.Table]:
    """All rows of a tape by table, in the order in which they were made; tables without rows are empty."""
    parts: dict[str, list[pa.Table]] = {name: [schema.empty_table()] for name, schema in TABLES.items()}
    for name, batch in tape.rows():
        if name not in parts:  # a table of another version stays on the tape
            continue
        parts[name].append(_of_today(name, pa.Table.from_batches([batch])))
        if len(parts[name]) > _TOGETHER:
            parts[name] = [_one(parts[name])]
    parts[LAST].append(pa.Table.from_batches([batch_of(LAST, _harm(tape))]))
    return {name: _one(tables) for name, tables in parts.items()}


def _one(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _harm(tape: Tape) -> list[dict[str, Any]]:
    """What only a reader of the whole file can know, as rows of the gap table."""
    return [
        gap(hole.first, hole.last, "file" if hole.lost else "recording", hole.reason, lost=hole.lost or None)
        for hole in tape.harm()
    ]


def _of_today(name: str, table: pa.Table) -> pa.Table:
    """The columns of today by name: those that the table lacks are null, those that nobody knows any more are left out."""
    schema = TABLES[name]
    if table.schema.equals(schema):
        return table
    known = set(table.column_names)
    columns = [table[field.name].cast(field.type) if field.name in known else pa.nulls(len(table), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def encode(name: str, table: pa.Table, about: dict[str, str]) -> bytes:
    """One table as the bytes of a sealed file: sorted by (symbol, ts), equal ones in the order given."""
    schema = TABLES[name].with_metadata({"dope.schema": str(SCHEMA_VERSION), **about})
    table = pa.Table.from_arrays(table.columns, schema=schema)
    table = table.take(_order(table))
    sink = io.BytesIO()
    times = {field.name: "DELTA_BINARY_PACKED" for field in schema if field.type == pa.int64()}
    texts = {field.name: "PLAIN" for field in schema if field.type == pa.string()}
    pq.write_table(
        table, sink, row_group_size=ROW_GROUP, compression="zstd", compression_level=LEVEL, write_page_checksum=True,
        use_dictionary=[field.name for field in schema if field.name not in times and field.name not in texts],
        column_encoding=times | texts,
    )  # fmt: skip
    return sink.getvalue()


def _order(table: pa.Table) -> pa.Array:
    """Row numbers by (symbol, ts), stable."""
    if not len(table):
        return pa.array([], pa.int64())
    symbols = table["symbol"].combine_chunks()
    symbols = symbols.chunk(0) if isinstance(symbols, pa.ChunkedArray) else symbols
    rank = np.argsort(np.argsort(symbols.dictionary.to_numpy(zero_copy_only=False).astype(str), kind="stable"), kind="stable")
    by_time = np.argsort(table["ts"].to_numpy(), kind="stable")
    keys = rank[symbols.indices.to_numpy()[by_time]].astype(np.uint32)
    return pa.array(by_time[np.argsort(keys, kind="stable")])


# -- reading -----------------------------------------------------------------------------------------------------------
def sealed_tapes(folder: Path) -> dict[str, Path]:
    """Tape name without its ending → its gap file, for all that are sealed below ``folder``."""
    return {path.stem: path for path in (folder / LAST).glob("date=*/hour=*/*.parquet")}


def manifest_of(path: Path) -> Path:
    """The manifest that describes a sealed file."""
    return path.parents[3].joinpath(MANIFESTS, *path.parts[-3:-1], path.stem + ".json")


def check(path: Path) -> list[Problem]:
    """What is wrong with a sealed file, by its manifest; empty = nothing. Reads every byte once."""
    try:
        return check_file(_entry(path), path)
    except TapeError as error:
        return [Problem(str(path), -1, f"cannot be judged: {error}")]


def _entry(path: Path) -> Entry:
    manifest, name = manifest_of(path), Path(*path.parts[-4:]).as_posix()
    for entry in read_manifest(manifest).entries:
        if entry.name == name:
            return entry
    raise TapeError(f"{manifest}: does not name {name}")


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A sealed file's rows, in today's columns. Raises TapeError, naming file and byte, for damage or a newer version."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror or error}") from error
    if manifest_of(path).exists():
        for problem in compare(_entry(path), pieces_of(data), str(path)):
            raise TapeError(str(problem))
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise TapeError(f"{path}: damaged: {error}") from error
    table = migrate(path, table)
    return table if columns is None else table.select(list(columns))


# -- versions ----------------------------------------------------------------------------------------------------------
def _from_0(name: str, table: pa.Table) -> pa.Table:
    """Version 0 had no ``lost`` in gap: not known."""
    return _of_today(name, table)


#: version → what makes a table of it one of the next version
MIGRATIONS: dict[int, Callable[[str, pa.Table], pa.Table]] = {0: _from_0}


def migrate(path: Path, table: pa.Table) -> pa.Table:
    """A table as it was sealed in the columns of today. Raises TapeError for a version that cannot be read."""
    name = path.parts[-4] if len(path.parts) > 3 else ""
    said = (table.schema.metadata or {}).get(b"dope.schema", b"")
    version = int(said) if said.isdigit() else -1
    if version < OLDEST_SCHEMA or name not in TABLES:
        raise TapeError(f"{path}: not a sealed table of this program")
    if version > SCHEMA_VERSION:
        raise TapeError(f"{path}: written by a newer version (schema {version}; this program reads up to {SCHEMA_VERSION})")
    for step in range(version, SCHEMA_VERSION):
        table = MIGRATIONS[step](name, table)
    return _of_today(name, table)
