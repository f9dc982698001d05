"""Checksums of the records, kept by the database itself: one per row, and per table how many rows there are and the sum of theirs.

SQLite checks the structure of its file, not the content: of 30 flipped bits 18 gave other values without a word. Triggers keep
the sums within the transaction that changes a row, so that they hold at any kill. Whoever writes needs ``row_sum`` (``register``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple
from zlib import crc32

#: table → (columns that name a row, all columns), in the order in which they are summed
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "job": (("run", "id"), ("run", "id", "kind", "state", "args", "asked", "started", "ended", "error", "result")),
    "setting": (("name",), ("name", "value", "changed")),
    "view": (("page", "name"), ("page", "name", "state", "saved")),
    "audit": (("id",), ("id", "at", "who", "what", "detail")),
}
TOLD = 100  #: rows of one table that are named


class Sound(NamedTuple):
    """A row as it was written: its table and the values of its columns."""

    table: str
    values: tuple[Any, ...]


def row_sum(*values: Any) -> int:
    """CRC32 of the values of a row."""
    return crc32(json.dumps(values, default=repr).encode())


def register(db: sqlite3.Connection) -> None:
    """What a connection needs to change records; also makes ``insert or replace`` run the triggers of what it deletes."""
    db.create_function("row_sum", -1, row_sum, deterministic=True)
    db.execute("pragma recursive_triggers = on")


def statements() -> tuple[str, ...]:
    """SQL that gives every table its sums, also for the rows that stand in it already."""
    made = ["create table proof (name text primary key, rows integer not null, total integer not null) strict"]
    for table, (_, columns) in COLUMNS.items():
        new = f"row_sum({', '.join(f'new.{name}' for name in columns)})"
        made += [
            f"alter table {table} add column sum integer",
            f"update {table} set sum = row_sum({', '.join(columns)})",
            f"insert into proof select '{table}', count(*), coalesce(sum(sum), 0) from {table}",
            f"create trigger {table}_added after insert on {table} begin"
            f" update {table} set sum = {new} where rowid = new.rowid;"
            f" update proof set rows = rows + 1, total = total + {new} where name = '{table}'; end",
            f"create trigger {table}_changed after update of {', '.join(columns)} on {table} begin"
            f" update {table} set sum = {new} where rowid = new.rowid;"
            f" update proof set total = total - old.sum + {new} where name = '{table}'; end",
            f"create trigger {table}_removed after delete on {table} begin"
            f" update proof set rows = rows - 1, total = total - old.sum where name = '{table}'; end",
        ]
    return tuple(made)


def check(db: sqlite3.Connection, expected: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with the content, in words, naming table and row. ``expected`` = an empty database of the same version."""
    db.text_factory = _text
    try:
        if schema(db) != schema(expected):
            names = sorted({name for _, name, _ in set(schema(db)) ^ set(schema(expected))})
            yield f"its tables are not as they were made: {', '.join(names)}"
            return
        for table in COLUMNS:
            yield from _table(db, table)
    except (sqlite3.Error, OverflowError) as error:
        yield f"cannot be read: {error}"


def schema(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """(type, name, SQL) of everything in a database."""
    return sorted((str(kind), str(name), str(sql)) for kind, name, sql in db.execute("select type, name, sql from sqlite_master"))


def _table(db: sqlite3.Connection, table: str) -> Iterator[str]:
    keys, columns = COLUMNS[table]
    rows = total = bad = 0
    for *values, told in db.execute(f"select {', '.join(columns)}, sum from {table}"):
        rows, total = rows + 1, total + (told if isinstance(told, int) else 0)
        if told != row_sum(*values):
            bad += 1
            if bad <= TOLD:
                name = ", ".join(f"{key} {str(values[columns.index(key)])[:40]!r}" for key in keys)
                yield f"table {table}, {name}: the row does not match its checksum"
    written = db.execute("select rows, total from proof where name = ?", (table,)).fetchone()
    if written != (rows, total) and not bad:
        yield f"table {table}: its {rows} rows are not the {written[0] if written else 'unknown number of'} that were written"


def sound_rows(path: str) -> Iterator[Sound]:
    """All rows of a damaged file that still match their checksum. Raises sqlite3.Error where nothing more can be read."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.text_factory = _text
        for table, (_, columns) in COLUMNS.items():
            yield from _sound(db, table, columns)


def _sound(db: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[Sound]:
    try:
        for *values, told in db.execute(f"select {', '.join(columns)}, sum from {table}"):
            if told == row_sum(*values):
                yield Sound(table, tuple(values))
    except (sqlite3.Error, OverflowError):
        return  # what follows in this table cannot be read


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")  # never an error in the middle of a table; what was replaced matches no checksum
