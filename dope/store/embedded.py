"""The embedded store: questions about what one source recorded, answered from sealed files and the open tail.

DuckDB runs in memory over the sealed Parquet files and never leaves one open; it may read this one folder and nothing else.
Long ranges are worked through in slices, so that memory is bounded by the slice and the limit, not by the range.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from dope.errors import StoreError, TooMuch, UnknownName
from dope.store.cut import Cut, PlainSeals, Seals, Tail, damaged, ledger, look
from dope.store.moment import cells, concerning, newest
from dope.store.question import CARRY_NS, Found, Question, lasting
from dope.store.sealed import Part, Sealed, Span
from dope.store.views import server_tables
from dope.tables import KINDS, SCHEMA_VERSION, SYMBOL, TABLES, History

MAX_ROWS = 1_000_000  #: rows of one answer
TIMEOUT_S = 20.0  #: s after which a question is given up
AT_ONCE = 2  #: questions answered at the same time; further ones wait, at most their own timeout
MEMORY_MB = 512  #: DuckDB's own; beyond it it uses temporary files
TEMPORARY_MB = 2048
TRIES = 3  #: attempts, should files be removed between looking and reading
SECOND = 1_000_000_000

T = TypeVar("T")


class Store:
    """History below ``folder``. Thread-safe; each question has a connection of its own.

    ``tail`` tells what is not sealed yet, ``seals`` how files are checked, ``clock_ns`` is the clock of the recording.
    """

    def __init__(
        self, folder: Path, *, tail: Tail | None = None, seals: Seals | None = None, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder, self._tail, self._clock_ns = folder, tail, clock_ns
        self._seals = seals or PlainSeals()
        self.sealed = Sealed(folder, self._seals.check)
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._closed = False

    def query(
        self, kind: str, symbol: str, start: int, end: int, *, limit: int = MAX_ROWS, timeout_s: float = TIMEOUT_S,
        venues: Sequence[str] = (), until: Mapping[str, int] | None = None,
    ) -> History:  # fmt: skip
        """Rows of ``kind`` in [start, end) ns UTC, sorted by time, the first ``limit``; ``symbol`` "" = all.

        ``venues``: spreads between these alone; empty = all. ``until`` (bars): of these venues trades before then (ns) alone, and
        the columns of ``BAR``.

        The range is widened to whole steps of the kind. Raises UnknownName for a kind, StoreError for what cannot be meant
        or read, TooMuch when it takes too long or too much memory.
        """
        if kind not in KINDS:
            raise UnknownName("history", kind, KINDS)
        if symbol and SYMBOL.fullmatch(symbol) is None:
            raise StoreError("this is not the form of a symbol")
        step = KINDS[kind].step
        if KINDS[kind].one_symbol and not symbol:
            raise StoreError(f"{kind} has to be asked for one symbol")
        start, end = max(start, 0) // step * step, -(-max(end, 0) // step) * step
        if end <= start:
            raise StoreError("the range ends before it begins")
        with self._asking(timeout_s) as (connection, deadline):
            wanted = min(max(limit, 0), MAX_ROWS)
            question = Question(kind, symbol, wanted, connection=connection, old=self._read_old, deadline=deadline)
            question.venues, question.until = tuple(venues), until
            begin, of, names = max(start - question.lookback, 0), KINDS[kind].of, (symbol,) if symbol else ()
            return _tried(lambda: question.answer(self._look(of, names, begin, end), start, end, self._clock_ns()))

    def moment(self, symbols: Sequence[str], end: int, *, timeout_s: float = TIMEOUT_S) -> dict[str, History]:
        """Of each of these symbols what the kind "spread" tells of the second that ends at ``end`` (ns UTC, a whole second).

        One look for all of them: much cheaper than a question for each. Raises like ``query``.
        """
        if not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
            raise StoreError("this is not the form of a symbol")
        if end < SECOND or end % SECOND:
            raise StoreError("a moment is the end of a whole second after 1970 began")
        with self._asking(timeout_s) as (connection, _):
            return _tried(lambda: self._stood(tuple(symbols), end, connection))

    def _stood(self, symbols: tuple[str, ...], end: int, connection: duckdb.DuckDBPyConnection) -> dict[str, History]:
        start, begin, now = end - SECOND, max(end - SECOND - CARRY_NS, 0), self._clock_ns()
        found = self._look("bbo", symbols, begin, end)
        gaps = found.missing(begin, end, now)
        stood = newest(found.cut, symbols, begin, end, connection=connection, old=self._read_old)
        answers = {}
        for symbol in symbols:
            mine = concerning(gaps, symbol)
            table = cells(stood[symbol] if start < now else {}, mine, start)
            answers[symbol] = History(table, start, end, False, lasting(mine, start), found.problems())
        return answers

    def select(self, sentence: str, start: int, end: int, *, timeout_s: float = TIMEOUT_S) -> pa.Table:
        """One SELECT over what was recorded in [start, end) ns UTC: ``bbo``, ``trade`` and the four tables of the usual server
        schema, by their names. Files that are damaged are left out: ``query("gap", …)`` names them. Raises like ``query``."""
        with self._asking(timeout_s) as (connection, _):
            cuts, _ = look(self.sealed, self._tail, ("bbo", "trade"), "", (start, end))
            for table in ("bbo", "trade"):
                self._name(connection, cuts[table], start, end)
            for name, select in server_tables().items():
                connection.execute(f"create temp view {name} as {select}")
            return connection.sql(sentence).to_arrow_table()

    def _name(self, connection: duckdb.DuckDBPyConnection, cut: Cut, start: int, end: int) -> None:
        """A view of one table under its name; rows of one time as they were made, sealed ones first."""
        columns = ", ".join(f'"{name}"' for name in TABLES[cut.table].names)
        parts = []
        files = [str(part.path).replace("'", "''") for part in cut.parts if part.version == SCHEMA_VERSION]
        if files:
            listed = ", ".join(f"'{path}'" for path in files)
            parts.append(f"select {columns}, file_index as _f, file_row_number as _r from read_parquet([{listed}], file_row_number = true)")
        others = [self._read_old(part) for part in cut.parts if part.version != SCHEMA_VERSION] + [each.rows for each in cut.open]
        rest = pa.concat_tables([rows.cast(TABLES[cut.table]) for rows in others] or [TABLES[cut.table].empty_table()])
        connection.register(f"{cut.table}_open", rest.append_column("_r", pa.array(range(rest.num_rows), pa.int64())))
        parts.append(f"select {columns}, {1 << 40} as _f, _r from {cut.table}_open")
        numbered = f"select {columns}, row_number() over (order by ts, _f, _r) as _n from ({' union all '.join(parts)})"
        connection.execute(f"create temp view {cut.table} as {numbered} where ts >= {int(start)} and ts < {int(end)}")

    @contextmanager
    def _asking(self, timeout_s: float) -> Iterator[tuple[duckdb.DuckDBPyConnection, float]]:
        """A connection and its deadline, when it is our turn; what DuckDB raises becomes an error of ours."""
        deadline = time.monotonic() + timeout_s
        if not self._places.acquire(timeout=timeout_s):
            raise StoreError("too many questions about history at once; try again later")
        try:
            with self._connection(deadline) as connection:
                yield connection, deadline
        except duckdb.InterruptException as error:
            raise TooMuch(f"this takes longer than {timeout_s:g} s; ask for a shorter range") from error
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise TooMuch("this takes too much memory; ask for a shorter range") from error
        except duckdb.Error as error:
            raise StoreError(f"history cannot be read: {str(error).splitlines()[0][:200]}") from error
        finally:
            self._places.release()

    def _look(self, table: str, symbols: Sequence[str], start: int, end: int) -> Found:
        """What there is of ``table``, for these symbols (none = all)."""
        cuts, spans = look(self.sealed, self._tail, ("gap", table), symbols[0] if len(symbols) == 1 else "", (start, end))
        bad = list(dict.fromkeys([*cuts[table].bad, *cuts["gap"].bad]))

        def later(since: int) -> list[Span]:
            found = [] if self._tail is None else self._tail("gap", "", since, max(end, self._clock_ns()))
            return [*spans, *(Span(each.first, each.last, each.session) for each in found if each.last)]

        noted = ledger(self.sealed, cuts["gap"], symbols, self._read_old, later)
        known = dict.fromkeys([*bad, *self.sealed.known_bad(start, end)])
        return Found(cuts[table], pa.concat_tables([noted, damaged(known)]), bad, spans)

    def _read_old(self, part: Part) -> pa.Table:
        return self._seals.read(part.path)

    def close(self) -> None:
        """Interrupt what runs and let go of everything; later questions are refused."""
        with self._lock:
            self._closed = True
            for connection in self._running:
                connection.interrupt()
            database, self._database = self._database, None
        if database is not None:
            database.close()

    # -- DuckDB --------------------------------------------------------------------------------------------------------
    @contextmanager
    def _connection(self, deadline: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one question, interrupted at its deadline."""
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._database is None:
                self._database = self._open()
            connection = self._database.cursor()
            self._running.add(connection)
        alarm = threading.Timer(max(deadline - time.monotonic(), 0.0), connection.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            yield connection
        finally:
            alarm.cancel()
            with self._lock:
                self._running.discard(connection)
            connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        """A database in memory that may read this folder and nothing else, and loads nothing."""
        database = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": f"{MEMORY_MB}MB"})
        temporary = self._folder / ".temporary"
        database.execute("set autoinstall_known_extensions = false")
        database.execute("set temp_directory = $folder", {"folder": str(temporary)})
        database.execute("set max_temp_directory_size = $size", {"size": f"{TEMPORARY_MB}MB"})
        database.execute("set allowed_directories = $folders", {"folders": [str(self._folder)]})
        database.execute("set enable_external_access = false")
        database.execute("set lock_configuration = true")
        return database


def _tried(ask: Callable[[], T]) -> T:
    """Asked anew when a file has gone between looking and reading."""
    for _ in range(TRIES - 1):
        try:
            return ask()
        except duckdb.IOException:
            continue
    return ask()
