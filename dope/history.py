"""History for whoever asks: one embedded store per source, and between them what is recorded but not sealed yet."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dope.errors import NoEngine, StoreError, TapeError, UnknownName
from dope.feed.clock import Clock
from dope.session import Session
from dope.settings import Settings
from dope.store.cut import PlainSeals, Unsealed
from dope.store.embedded import MAX_ROWS, Store
from dope.tables import TABLES, History
from dope.tape import seal
from dope.tape.catalogue import SEALED, SUFFIX, session_of
from dope.tape.read import Tape

SOURCES = ("live", "sim", "import")  #: whose history can be asked for, each in a folder of its own
NAMES = 10_000  #: tapes whose session is remembered
SETTLED_NS = 5 * 10**9  #: a row comes to its tape at most so much later than another one of the same time
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
        self._read: OrderedDict[tuple[str, str], tuple[int, tuple[pa.Table, int, int], int]] = OrderedDict()  # size, rows, newest row
        self._sessions: OrderedDict[str, str] = OrderedDict()  # path of a tape → who recorded it
        self._lock = threading.Lock()

    def query(
        self, kind: str, symbol: str, start: int, end: int, *, limit: int = 0, source: str = "", venues: Sequence[str] = (),
        until: Mapping[str, int] | None = None,
    ) -> History:  # fmt: skip
        """As ``Store.query``; ``end`` 0 = now, ``limit`` 0 = as many as may be, ``source`` "" = what runs now."""
        source, end = self._meant(source), end or self._clock.now()
        answer = self._store(source).query(kind, symbol, start, end, limit=limit or MAX_ROWS, venues=venues, until=until)
        return answer._replace(source=source)

    def moment(self, symbols: Sequence[str], end: int, *, source: str = "") -> dict[str, History]:
        """As ``Store.moment``; ``source`` as above."""
        source = self._meant(source)
        found = self._store(source).moment(symbols, end)
        return {symbol: answer._replace(source=source) for symbol, answer in found.items()}

    def _meant(self, source: str) -> str:
        session = self._current()
        if not source and session is None:
            raise NoEngine("the engine is still starting; name the source of the history that is meant")
        source = source or (session.source if session is not None else "")
        if source == "tape":
            raise StoreError("a recording is played back and not recorded again; choose the history of live or sim")
        if source not in SOURCES:
            raise UnknownName("source", source, SOURCES)
        return source

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
                    return self._unsealed(folder, table, symbol, start, end)

                self._stores[source] = Store(folder, tail=tail, seals=Seals(), clock_ns=self._clock.now)
            return self._stores[source]

    # -- what is not sealed ----------------------------------------------------------------------------------------------
    def _unsealed(self, folder: Path, table: str, symbol: str, start: int, end: int) -> list[Unsealed]:
        """Rows that no sealed file holds: of the running session from memory, of all other tapes from them.

        Memory may have let go of the session's rows before ``since``: those are read from its tapes, and only those.
        """
        session = self._current()
        ours = session if session is not None and session.folder == folder else None
        run, since = "", 0
        found: list[Unsealed] = []
        if ours is not None:
            run = ours.rows.session
            began = 0 if table == "gap" else start  # what began to be missing long ago may be missing still
            found, since = self._in_memory(ours, table, symbol, began, end)
        sealed = seal.sealed_tapes(folder / SEALED)
        for path in sorted(folder.glob("*" + SUFFIX)):
            if path.stem in sealed:
                continue
            try:
                of = self._session_of(path)
                if run and of == run:
                    if ours is not None and start < since:
                        rows = self._rows_of(path, table, since)[0]
                        found.append(Unsealed(path.stem, rows.filter(pc.less(rows["ts"], since)), ours.picture.started_ns, since, of))
                    continue
                rows, first, last = self._rows_of(path, table)
            except (TapeError, OSError):
                continue  # unreadable or just removed: coverage shows that nothing is known of its time
            if first and first < end and last >= start:
                found.append(Unsealed(path.stem, rows, first, last, of))
        return found

    def _in_memory(self, session: Session, table: str, symbol: str, start: int, end: int) -> tuple[list[Unsealed], int]:
        """What the session remembers, and since when that is all."""
        began, now, run = session.picture.started_ns, self._clock.now(), session.rows.session
        since, parts = -1, []
        while since != session.tail.since(table):  # until nothing was let go of in between
            since = session.tail.since(table)
            parts = session.tail.by_tape(table, symbol, start, end)
        found = [Unsealed((tape or "").removesuffix(SUFFIX), rows, began, now, run) for tape, rows in parts]
        return [*found, Unsealed("", TABLES[table].empty_table(), began, now, run)], since  # it has been looking, rows or not

    def _session_of(self, path: Path) -> str:
        with self._lock:
            if str(path) in self._sessions:
                return self._sessions[str(path)]
        of = session_of(path)
        with self._lock:
            self._sessions[str(path)] = of
            while len(self._sessions) > NAMES:
                self._sessions.popitem(last=False)
        return of

    def _rows_of(self, path: Path, table: str, need: int = 2**63 - 1) -> tuple[pa.Table, int, int]:
        """(rows, first, last) of one tape. One that grows is read again only where rows before ``need`` (ns) may have come."""
        key, size = (str(path), table), path.stat().st_size
        with self._lock:
            if key in self._read:
                self._read.move_to_end(key)
                before, told, reaches = self._read[key]
                if before == size or reaches >= need + SETTLED_NS:
                    return told
        tape = Tape(path, tolerant=True)
        batches = [batch for _, batch in tape.rows(table)]
        rows = pa.Table.from_batches(batches, TABLES[table]).unify_dictionaries().combine_chunks()
        told = (rows, tape.first, tape.last)
        if not tape.first and len(rows):  # it holds rows and no frame: what was stored, and not seen
            told = (rows, pc.min(rows["ts"]).as_py(), pc.max(rows["ts"]).as_py() + 1)
        newest = pc.max(rows["ts"]).as_py() if len(rows) else 0
        with self._lock:
            self._read[key] = size, told, newest
            while len(self._read) > READ_TAPES:
                self._read.popitem(last=False)
        return told
