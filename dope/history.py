"""History for whoever asks: one embedded store per source, and between them what is recorded but not sealed yet."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from dope.errors import NoEngine, StoreError, TapeError, UnknownName
from dope.feed.clock import Clock
from dope.session import Session
from dope.settings import Settings
from dope.store.cut import PlainSeals, Unsealed
from dope.store.embedded import MAX_ROWS, Store
from dope.tables import TABLES, History
from dope.tape import seal
from dope.tape.catalogue import SEALED, SUFFIX
from dope.tape.read import Tape

SOURCES = ("live", "sim", "import")  #: whose history can be asked for, each in a folder of its own
READ_TAPES = 8  #: tables of unsealed tapes that are kept in memory after they were read


class Seals:
    """Sealed files as the tape room makes them: checked by their manifest, or by their pages where it is missing."""

    def check(self, path: Path) -> Sequence[object]:
        if not seal.manifest_of(path).exists():
            return PlainSeals().check(path)
        return [problem.what for problem in seal.check(path)]

    def read(self, path: Path) -> pa.Table:
        return seal.read(path)


class Histories:
    """Any thread may ask. ``current`` gives the running session."""

    def __init__(self, settings: Settings, clock: Clock, current: Callable[[], Session | None]) -> None:
        self._settings, self._clock, self._current = settings, clock, current
        self._stores: dict[str, Store] = {}
        self._read: OrderedDict[tuple[str, int, str], tuple[pa.Table, int, int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def query(self, kind: str, symbol: str, start: int, end: int, *, limit: int = 0, source: str = "") -> History:
        """As ``Store.query``; ``end`` 0 = now, ``limit`` 0 = as many as may be, ``source`` "" = what runs now."""
        session = self._current()
        if not source and session is None:
            raise NoEngine("the engine is still starting; name the source of the history that is meant")
        source = source or (session.source if session is not None else "")
        if source == "tape":
            raise StoreError("a recording is played back and not recorded again; choose the history of live or sim")
        if source not in SOURCES:
            raise UnknownName("source", source, SOURCES)
        answer = self._store(source).query(kind, symbol, start, end or self._clock.now(), limit=limit or MAX_ROWS)
        return answer._replace(source=source)

    def close(self) -> None:
        with self._lock:
            stores, self._stores = list(self._stores.values()), {}
        for store in stores:
            store.close()

    def _store(self, source: str) -> Store:
        with self._lock:
            if source not in self._stores:
                folder = self._settings.data_dir / source

                def tail(table: str, symbol: str, start: int, end: int) -> list[Unsealed]:
                    return self._unsealed(folder, table, start, end)

                self._stores[source] = Store(folder, tail=tail, seals=Seals(), clock_ns=self._clock.now)
            return self._stores[source]

    # -- what is not sealed ----------------------------------------------------------------------------------------------
    def _unsealed(self, folder: Path, table: str, start: int, end: int) -> list[Unsealed]:
        """Rows of ``table`` on tapes without sealed files; the tape that is being written has recorded until now."""
        sealed = seal.sealed_tapes(folder / SEALED)
        session = self._current()
        writing = session.writing() if session is not None and session.folder == folder else None
        found = []
        for path in sorted(folder.glob("*" + SUFFIX)):
            if path.stem in sealed:
                continue
            try:
                rows, first, last, run = self._rows_of(path, table)
            except (TapeError, OSError):
                continue  # unreadable or just removed: coverage shows that nothing is known of its time
            last = self._clock.now() if path == writing else last
            if first and first < end and last >= start:
                found.append(Unsealed(path.stem, rows, first, last, run))
        return found

    def _rows_of(self, path: Path, table: str) -> tuple[pa.Table, int, int, str]:
        """(rows, first, last, session) of one tape, read once for each size that it has had lately."""
        key = (str(path), path.stat().st_size, table)
        with self._lock:
            if key in self._read:
                self._read.move_to_end(key)
                return self._read[key]
        tape = Tape(path, tolerant=True)
        batches = [batch for _, batch in tape.rows(table)]
        rows = pa.Table.from_batches(batches, TABLES[table]).unify_dictionaries().combine_chunks()
        told = (rows, tape.first, tape.last, tape.meta.session)
        with self._lock:
            self._read[key] = told
            while len(self._read) > READ_TAPES:
                self._read.popitem(last=False)
        return told
