"""What must outlive the process besides the market: jobs and their results, changed rules, saved views, who asked for what.

One SQLite file. Whatever a method has returned from is on the disk (synchronous FULL): a kill at any moment loses nothing that was
acknowledged. No write-ahead log: a damaged one ends silently, and what was committed behind the damage is gone. Every row carries a
checksum (``proof``). A damaged file is moved aside, said in ``notice``, and a new one begun with all rows that are sound; where nothing
can be written, records live in memory and ``notice`` says so. A file of a newer version is refused, one of an older one copied, then
brought up to date.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from dope.errors import StoreError, UnknownName
from dope.store import proof

NAME = "dope.sqlite"
BUSY_MS = 5_000  #: how long another process may hold the file
JOBS_KEPT = 1_000
AUDIT_KEPT = 10_000
MAX_VIEWS = 200
MAX_JSON = 1 << 16  #: characters of one stored value; longer results of jobs are left out

#: version n → n + 1; never changed once released, only added to
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "create table job (run integer not null, id integer not null, kind text not null, state text not null, args text not null,"
        " asked integer not null, started integer, ended integer, error text, result text, primary key (run, id)) strict",
        "create table setting (name text primary key, value text not null, changed integer not null) strict",
        "create table view (page text not null, name text not null, state text not null, saved integer not null,"
        " primary key (page, name)) strict",
    ),
    (
        "create table audit (id integer primary key, at integer not null, who text not null, what text not null,"
        " detail text not null) strict",
        "create index job_asked on job (asked)",
    ),
    proof.statements(),
)
VERSION = len(MIGRATIONS)
SUMMED = 3  #: from this version on rows carry checksums


class JobRecord(NamedTuple):
    """One job as it was asked for and ended; times ms UTC. ``run`` = start of the process that ran it."""

    run: int
    id: int
    kind: str
    state: str
    args: dict[str, Any]
    asked: int
    started: int | None
    ended: int | None
    error: str | None
    result: Any


class View(NamedTuple):
    """A saved view: the filters of ``page`` under a name."""

    page: str
    name: str
    state: dict[str, Any]
    saved: int  #: ms UTC


class AuditRow(NamedTuple):
    id: int
    at: int  #: ms UTC
    who: str
    what: str
    detail: dict[str, Any]


class Records:
    """All methods may be called from any thread; each returns when the disk has it. They raise StoreError."""

    def __init__(self, path: Path, *, clock_ms: Callable[[], int]) -> None:
        """Opens or creates the file. Raises StoreError when it is of a newer version."""
        self._path, self._clock_ms = path, clock_ms
        self._lock = threading.Lock()
        self.notice = ""  #: what went wrong with the file at the start, in words; "" = nothing
        self.failing = ""  #: why the last change or question failed, in words; "" = it did not
        self.run = clock_ms()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open_or_begin()
        except (OSError, sqlite3.Error) as error:
            self.notice = f"records are not kept: {path} cannot be used: {error}"
            logger.error(self.notice)
            self._db = self._open(":memory:")
        self._run("update job set state = 'ended with the program', ended = null where state in ('queued', 'running')")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def troubles(self) -> list[str]:
        """What is wrong with the records, in words: at the start, and now; empty = nothing."""
        return [words for words in (self.notice, self.failing) if words]

    # -- the file ------------------------------------------------------------------------------------------------------
    def _open_or_begin(self) -> sqlite3.Connection:
        try:
            return self._open(self._path)
        except sqlite3.OperationalError:  # no permission, no room, held by somebody else: nothing is wrong with the file
            raise
        except (sqlite3.DatabaseError, _Damaged) as error:
            aside = self._move_aside(error)
            db = self._open(self._path)
            saved = _rescue(db, aside)
            self.notice += f"; {saved} sound rows of it were kept"
            logger.error(self.notice)
            return db

    def _open(self, path: Path | str) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            found = db.execute("pragma integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise _Damaged(found)
            proof.register(db)
            for pragma in ("journal_mode = truncate", "synchronous = full", "foreign_keys = on", f"busy_timeout = {BUSY_MS}"):
                db.execute(f"pragma {pragma}").fetchall()
            self._migrate(db)
            if problems := list(check(db)):
                raise _Damaged("; ".join(problems[:3]))
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = db.execute("pragma user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(f"{self._path} was written by a newer version of this program (records {version}, this one knows {VERSION})")
        if version == VERSION:
            return
        if version:
            copy = self._path.with_name(f"{self._path.name}.version{version}")
            with sqlite3.connect(copy) as target:
                db.backup(target)
            target.close()
            logger.info("records brought from version {} to {}; a copy of the old ones is {}", version, VERSION, copy.name)
        db.execute("begin immediate")
        make(db)
        db.execute("commit")

    def _move_aside(self, error: Exception) -> Path:
        aside = self._path.with_name(f"{self._path.name}.damaged-{self.run}")
        self._path.rename(aside)
        for ending in ("-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self.notice = f"the records were damaged ({str(error)[:160]}): begun anew, the old file is {aside.name}"
        return aside

    def _run(self, sentence: str, *given: Any) -> int:
        """One change, on the disk when this returns; the number of rows changed."""
        with self._lock:
            try:
                changed = self._db.execute(sentence, given).rowcount
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise self._failed("written", error) from error
            self.failing = ""
            return changed

    def _failed(self, what: str, error: Exception) -> StoreError:
        self.failing = f"records cannot be {what}: {error}"
        return StoreError(self.failing)

    def _rows(self, sentence: str, *given: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(sentence, given).fetchall()
            except sqlite3.Error as error:
                raise self._failed("read", error) from error

    # -- jobs ----------------------------------------------------------------------------------------------------------
    def job_asked(self, id: int, kind: str, args: dict[str, Any]) -> None:
        """A job was accepted."""
        self._run("insert or replace into job (run, id, kind, state, args, asked) values (?, ?, ?, 'queued', ?, ?)",
                  self.run, id, kind, _text(args), self._clock_ms())  # fmt: skip
        self._run("delete from job where rowid in (select rowid from job order by asked desc, id desc limit -1 offset ?)", JOBS_KEPT)

    def job_ended(self, id: int, state: str, *, started: int | None, ended: int | None, error: str | None, result: Any) -> None:
        """What became of it; a result that is too long is left out."""
        text = _text(result)
        self._run("update job set state = ?, started = ?, ended = ?, error = ?, result = ? where run = ? and id = ?",
                  state, started, ended, error, text if len(text) <= MAX_JSON else "null", self.run, id)  # fmt: skip

    def jobs(self, limit: int = 100, *, leave_out: int = 0) -> list[JobRecord]:
        """The newest first, without the newest ``leave_out``."""
        rows = self._rows("select run, id, kind, state, args, asked, started, ended, error, result from job"
                          " order by asked desc, id desc limit ? offset ?", limit, leave_out)  # fmt: skip
        return [
            JobRecord(run, id, kind, state, json.loads(args), asked, started, ended, error, json.loads(result or "null"))
            for run, id, kind, state, args, asked, started, ended, error, result in rows
        ]

    # -- changed rules -------------------------------------------------------------------------------------------------
    def keep(self, changes: dict[str, Any]) -> None:
        """Settings that a user changed; all or none."""
        with self._lock:
            try:
                self._db.execute("begin immediate")
                for name, value in changes.items():
                    given = (name, _text(value), self._clock_ms())
                    self._db.execute("insert or replace into setting (name, value, changed) values (?, ?, ?)", given)
                self._db.execute("commit")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise self._failed("written", error) from error
            self.failing = ""

    def kept(self) -> dict[str, Any]:
        """All settings that a user changed, as they are now."""
        return {name: json.loads(value) for name, value in self._rows("select name, value from setting order by name")}

    # -- saved views ---------------------------------------------------------------------------------------------------
    def save_view(self, page: str, name: str, state: dict[str, Any]) -> View:
        """Under this name, in place of an older one."""
        text = _text(state)
        if len(text) > MAX_JSON:
            raise StoreError("this view is too large to be saved")
        known = {(view.page, view.name) for view in self.views()}
        if (page, name) not in known and len(known) >= MAX_VIEWS:
            raise StoreError(f"{MAX_VIEWS} views are saved already; delete one first")
        view = View(page, name, state, self._clock_ms())
        self._run("insert or replace into view (page, name, state, saved) values (?, ?, ?, ?)", page, name, text, view.saved)
        return view

    def views(self) -> list[View]:
        """By page and name."""
        rows = self._rows("select page, name, state, saved from view order by page, name")
        return [View(page, name, json.loads(state), saved) for page, name, state, saved in rows]

    def delete_view(self, page: str, name: str) -> None:
        """Raises UnknownName when there is none."""
        if not self._run("delete from view where page = ? and name = ?", page, name):
            raise UnknownName("view", name, [view.name for view in self.views() if view.page == page])

    # -- who asked for what ----------------------------------------------------------------------------------------------
    def note(self, who: str, what: str, detail: dict[str, Any]) -> int:
        """One line of the audit log; gives its number."""
        text = _text(detail)
        given = (self._clock_ms(), who[:100], what[:100], text if len(text) <= MAX_JSON else "{}")
        with self._lock:
            try:
                number = self._db.execute("insert into audit (at, who, what, detail) values (?, ?, ?, ?)", given).lastrowid
            except sqlite3.Error as error:
                raise self._failed("written", error) from error
            self.failing = ""
        assert number is not None
        if number % 100 == 0:
            self._run("delete from audit where id <= ?", number - AUDIT_KEPT)
        return number

    def audit(self, limit: int = 100, *, before: int = 0) -> list[AuditRow]:
        """The newest first; ``before`` = only rows with a smaller id, 0 = all."""
        rows = self._rows("select id, at, who, what, detail from audit where id < ? order by id desc limit ?", before or 2**62, limit)
        return [AuditRow(id, at, who, what, json.loads(detail)) for id, at, who, what, detail in rows]


def make(db: sqlite3.Connection, version: int = VERSION) -> None:
    """Bring a database from the version that it says to ``version``."""
    proof.register(db)
    for number in range(db.execute("pragma user_version").fetchone()[0], version):
        for statement in MIGRATIONS[number]:
            db.execute(statement)
    db.execute(f"pragma user_version = {version}")


def check(db: sqlite3.Connection) -> list[str]:
    """What is wrong with the content of a file of records, in words; files of versions without checksums are not judged."""
    try:
        version = db.execute("pragma user_version").fetchone()[0]
    except sqlite3.Error as error:
        return [f"cannot be read: {error}"]
    if not 1 <= version <= VERSION:
        return [f"of an unknown version {version}"] if version else ["empty: nothing was ever written, or all of it is gone"]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as expected:
        make(expected, version)
        if version >= SUMMED:
            return list(proof.check(db, expected))
        return [] if proof.schema(db) == proof.schema(expected) else ["its tables are not as they were made"]


def _rescue(db: sqlite3.Connection, aside: Path) -> int:
    """Take over what is sound in a damaged file; the number of rows."""
    saved = 0
    db.execute("begin immediate")
    try:
        for table, values in proof.sound_rows(str(aside)):
            columns = proof.COLUMNS[table][1]
            marks = ", ".join("?" * len(columns))
            saved += db.execute(f"insert or ignore into {table} ({', '.join(columns)}) values ({marks})", values).rowcount
    except sqlite3.Error as error:
        logger.warning("nothing more can be read from {}: {}", aside.name, error)
    db.execute("commit")
    return saved


class _Damaged(Exception):
    """What the integrity check found."""


def _text(value: Any) -> str:
    return json.dumps(value, default=str, allow_nan=True)
