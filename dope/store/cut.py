"""One consistent look at what there is: each tape once, either from its sealed files or from the open tail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from dope.errors import StoreError
from dope.store.sealed import HOUR_NS, Bad, Part, Sealed, Span, check_pages
from dope.tables import GAP

TRIES = 4  #: looks, should tapes be sealed meanwhile
LOSSY = ("recording", "rows", "file")  #: gaps in which rows of this history are missing
NOTHING = "nothing was recorded"  #: why of a gap between two recordings
JOIN_NS = 2_000_000_000  #: two tapes that follow each other within this are one recording


class Unsealed(NamedTuple):
    """Rows of one tape that is not sealed, and from when to when it recorded (until now, while it does), ns UTC."""

    tape: str  #: name without ending
    rows: pa.Table  #: of one table, in the order in which they were made; may hold more than was asked for
    first: int
    last: int
    session: str = ""


#: (table, symbol or "", start, end) → what is not sealed; a tape without such rows may be told too
Tail = Callable[[str, str, int, int], Sequence[Unsealed]]


class Seals(Protocol):
    """What the store needs to know of how files are sealed."""

    def check(self, path: Path) -> Sequence[object]:
        """What is wrong with a file, in words; empty = nothing."""

    def read(self, path: Path) -> pa.Table:
        """A file of an older version in today's columns. Raises DopeError."""


class PlainSeals:
    """For files of today's version without a manifest: checked by the checksums of their pages."""

    def check(self, path: Path) -> Sequence[object]:
        return check_pages(path)

    def read(self, path: Path) -> pa.Table:
        raise StoreError(f"{path.name}: of an older version that cannot be read here")


class Cut(NamedTuple):
    """What there is of one table: each tape once, oldest first."""

    table: str
    parts: list[Part]
    bad: list[Bad]
    open: list[Unsealed]

    def about(self, start: int, end: int) -> float:
        """Roughly how many rows lie in [start, end)."""
        spans = [(part.first, part.last, part.rows) for part in self.parts]
        spans += [(each.first, each.last, each.rows.num_rows) for each in self.open]
        return sum(rows * max(0, min(end, last + 1) - max(start, first)) / (last + 1 - first) for first, last, rows in spans)

    def bounds(self) -> tuple[int, int]:
        """Time of the first row and behind the last; (0, 0) without any."""
        times = [(part.first, part.last) for part in self.parts] + [(each.first, each.last) for each in self.open]
        return (min(first for first, _ in times), max(last for _, last in times) + 1) if times else (0, 0)


def look(sealed: Sealed, tail: Tail | None, tables: Iterable[str], symbol: str, span: tuple[int, int]) -> tuple[dict[str, Cut], list[Span]]:
    """The cuts of ``tables`` for [start, end), and when anything was recorded.

    The names of the sealed tapes are read first and their entries of the tail left out; were there more of them afterwards, the
    tail may have forgotten rows that were not looked for in files: then once more. Raises StoreError when it never holds still.
    """
    for _ in range(TRIES):
        tapes = sealed.tapes()
        spans = set(sealed.spans(tapes))
        cuts = {}
        for table in dict.fromkeys(tables):
            entries = [each for each in (tail(table, symbol, *span) if tail is not None else ()) if each.tape not in tapes]
            spans |= {Span(each.first, each.last, each.session) for each in entries if each.last}
            alive = frozenset(each.session for each in entries if each.last >= span[0] and each.session)
            cuts[table] = Cut(table, *sealed.files(table, *span, tapes, alive), [each for each in entries if each.rows.num_rows])
        if sealed.tapes() == tapes:
            return cuts, sorted(spans)
    raise StoreError("recordings are being sealed just now: try again")


def holes(spans: Sequence[Span], start: int, end: int) -> pa.Table:
    """Rows of GAP for the parts of [start, end) in which nothing was recorded at all."""
    rows = []
    covered, session = start, ""
    for span in spans:
        joined = span.first <= covered + JOIN_NS and (not session or not span.session or span.session == session or covered == start)
        if span.last < covered:
            continue
        if not joined and covered < end and span.first > covered:
            rows.append((covered, min(span.first, end)))
        covered, session = max(covered, span.last + 1), span.session
    if covered + JOIN_NS < end:
        rows.append((covered, end))
    return _gaps([(since, until, "recording", NOTHING) for since, until in rows])


def damaged(bad: Iterable[Bad]) -> pa.Table:
    """Rows of GAP for files that are set apart."""
    return _gaps([(each.hour, each.hour + HOUR_NS, "file", f"{each.path.name} of {each.path.parts[-4]}: {each.why}") for each in bad])


def _gaps(rows: list[tuple[int, int, str, str]]) -> pa.Table:
    made = [
        {"ts": since, "symbol": "", "venue": "", "until": until, "what": what, "why": why, "lost": None} for since, until, what, why in rows
    ]
    return pa.Table.from_pylist(made, schema=GAP)


def ledger(
    sealed: Sealed, cut: Cut, symbols: Sequence[str], read: Callable[[Part], pa.Table], later: Callable[[int], Iterable[Span]]
) -> pa.Table:
    """The gap table for these symbols (none = any). A gap that is told twice, open and then over, counts as it was told last.

    One that its own session never told to be over, because it was killed, ends where the next session begins: ``later`` gives
    what was recorded from a moment on.
    """
    told = [(sealed.small(part, read), part.about.get("dope.session", "")) for part in cut.parts]
    told += [(each.rows.cast(GAP), each.session) for each in cut.open]
    if not told:
        return GAP.empty_table()
    whole = pa.concat_tables([table for table, _ in told]).unify_dictionaries().combine_chunks()
    sessions = [session for table, session in told for _ in range(table.num_rows)]
    last: dict[tuple[int, str, str, str], int] = {}
    names = ("ts", "symbol", "venue", "what")
    for number, name in enumerate(zip(*(whole[name].to_pylist() for name in names), strict=True)):
        if not symbols or name[1] == "" or name[1] in symbols:
            last[name] = number
    rows = sorted(last.values())
    return _ended(whole.take(pa.array(rows, pa.int64())), [sessions[number] for number in rows], later)


def _ended(gaps: pa.Table, sessions: list[str], later: Callable[[int], Iterable[Span]]) -> pa.Table:
    """The same rows, none left open by a session after which another one began. Rows of unknown sessions stay as they are."""
    starts, until = gaps["ts"].to_pylist(), gaps["until"].to_pylist()
    open_ = [number for number, end in enumerate(until) if end is None and sessions[number]]
    if not open_:
        return gaps
    spans = list(later(min(starts[number] for number in open_)))
    for number in open_:
        began = [span.first for span in spans if span.first >= starts[number] and span.session not in ("", sessions[number])]
        until[number] = min(began, default=None)
    at = gaps.schema.get_field_index("until")
    return gaps.set_column(at, gaps.schema.field(at), pa.array(until, pa.int64()))


def ends(gaps: pa.Table) -> list[tuple[int, str]]:
    """(time, venue, "" = all) from which on nothing that was known before may be taken for granted.

    A lost connection alone is no end: each book that it takes out of LIVE says so in a row of its own, and others go on.
    """
    found = []
    for ts, until, venue, what in zip(*(gaps[name].to_pylist() for name in ("ts", "until", "venue", "what")), strict=True):
        if what != "connection":
            found.append((ts, venue))
        if what in LOSSY and until is not None:
            found.append((until - 1, venue))  # what comes at that moment is whole again
    return sorted(found)
