"""One question about history on its way to its answer: looked up, worked through in slices, put into its columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dope.store.cut import Cut, ends, holes
from dope.store.sealed import Bad, Part, Span
from dope.store.spreads import ALL, NS, Pairs, Quotes, with_ends
from dope.store.views import VIEWS
from dope.tables import BAR, KINDS, SCHEMA_VERSION, TABLES, History

SLICE_ROWS = 4_000_000  #: rows looked at together, about
SLICE_NS = 6 * 3_600 * NS  #: longest slice
CARRY_NS = 600 * NS  #: how far back a best price may stand that still holds when a range begins
FAR = 2**63 - 1  #: ns; never
PAIRED = ("spread", "spread_1s")

_READ = "select * from read_parquet($files) where ts >= $start and ts < $end"
_READ_SYMBOL = "select * from read_parquet($files) where symbol = $symbol and ts >= $start and ts < $end"
_READ_QUOTES = "select ts, venue, bid, ask from read_parquet($files) where symbol = $symbol and ts >= $start and ts < $end"
#: the last row of each venue and second only, which is all that the end of a second needs: a file's own order breaks ties
_READ_SECONDS = """
select max(ts) as ts, venue, arg_max_null(bid, file_row_number) as bid, arg_max_null(ask, file_row_number) as ask
from read_parquet($files, file_row_number = true) where symbol = $symbol and ts >= $start and ts < $end
group by file_index, venue, ts // 1000000000 order by file_index
"""
_QUOTES = ["ts", "venue", "bid", "ask"]


class Found(NamedTuple):
    """What a look at the store gave: the cut of the table that is needed, the gaps known, when anything was recorded."""

    cut: Cut
    gaps: pa.Table
    bad: list[Bad]
    spans: list[Span]

    def missing(self, start: int, end: int, now: int) -> pa.Table:
        """All gaps that began before ``end``, those in which nothing was recorded at all only since ``start``."""
        gaps = pa.concat_tables([self.gaps, holes(self.spans, start, min(end, now))])
        gaps = in_order(gaps.unify_dictionaries().combine_chunks())
        return gaps.filter(pc.less(gaps["ts"], end))

    def problems(self) -> tuple[str, ...]:
        """In words: files that could not be used."""
        return tuple(dict.fromkeys(f"{bad.path.name} ({bad.path.parts[-4]}) is not used: {bad.why}" for bad in self.bad))


class Question:
    """``connection`` belongs to it alone; ``old`` reads files of older versions; ``deadline`` is monotonic, in s."""

    def __init__(
        self, kind: str, symbol: str, limit: int, *, connection: duckdb.DuckDBPyConnection, old: Callable[[Part], pa.Table], deadline: float
    ) -> None:
        self.kind, self._symbol, self._limit = KINDS[kind], symbol, limit
        self._name, self._db, self._old, self._deadline = kind, connection, old, deadline
        self.lookback = CARRY_NS if kind in PAIRED else 0
        self.venues: tuple[str, ...] = ()  #: pairs of these alone; empty = of all
        self.until: Mapping[str, int] | None = None  #: bars alone: of these venues trades before then only, in the columns of BAR

    def answer(self, found: Found, start: int, end: int, now: int) -> History:
        """The answer for [start, end), which are whole steps of the kind. Raises duckdb.Error."""
        begin = max(start - self.lookback, 0)
        gaps = found.missing(begin, end, now)
        if self._name == "gap":
            table = gaps.filter(pc.greater_equal(gaps["ts"], start)).slice(0, self._limit + 1)
        elif self._name in PAIRED:
            table = self._spreads(found.cut, gaps, self._span(found.cut, begin, min(end, now)), start)
        else:
            table = self._tables(found.cut, self._span(found.cut, begin, end))
        return History(table.slice(0, self._limit), start, end, table.num_rows > self._limit, lasting(gaps, start), found.problems())

    def _span(self, cut: Cut, start: int, end: int) -> tuple[int, int]:
        """[start, end) as far as there is something, in whole steps."""
        step = self.kind.step
        first, behind = cut.bounds()
        behind = end if self._name in PAIRED and behind else behind  # what stands holds on after its last change
        return max(start, first // step * step), min(-(-end // step) * step, -(-behind // step) * step)

    # -- the ways to make a table ----------------------------------------------------------------------------------------
    def _tables(self, cut: Cut, span: tuple[int, int]) -> pa.Table:
        found: list[pa.Table] = []
        schema = self.kind.schema if self.until is None else BAR
        for start, end in self._slices(cut, span):
            rows = self._before(self._rows(cut, start, end))
            if rows.num_rows:
                found.append(_shaped(self._view(rows) if self._name in VIEWS else rows, schema))
            if sum(each.num_rows for each in found) > self._limit:
                break
        return pa.concat_tables(found).unify_dictionaries() if found else schema.empty_table()

    def _before(self, rows: pa.Table) -> pa.Table:
        """Without what somebody else counts."""
        if not self.until:
            return rows
        coded = rows["venue"].combine_chunks()
        ends_ = np.array([self.until.get(name, FAR) for name in coded.dictionary.to_pylist()], dtype=np.int64)
        return rows.filter(pa.array(rows["ts"].to_numpy() < ends_[coded.indices.to_numpy()])) if len(ends_) else rows

    def _view(self, rows: pa.Table) -> pa.Table:
        """A kind that is one sentence of SQL over the rows of its table."""
        sentence = VIEWS[self._name]
        self._db.register(self.kind.of, rows.append_column("_n", pa.array(np.arange(rows.num_rows))))
        try:
            return self._db.sql(sentence, params={"step": self.kind.step} if "$step" in sentence else None).to_arrow_table()
        finally:
            self._db.unregister(self.kind.of)

    def _spreads(self, cut: Cut, gaps: pa.Table, span: tuple[int, int], start: int) -> pa.Table:
        found: list[pa.Table] = []
        pairs = Pairs()
        make = pairs.seconds if self._name == "spread" else pairs.moments
        over = ends(gaps)
        for begin, end in self._slices(cut, span):
            rows = self._between(self._rows(cut, begin, end))
            coded = rows["venue"].combine_chunks()
            number = pairs.meet(coded.dictionary.to_pylist())
            venue = number[coded.indices.to_numpy()] if len(number) else np.empty(0, dtype=np.int64)
            quotes = Quotes(rows["ts"].to_numpy(), venue, _floats(rows["bid"]), _floats(rows["ask"]))
            here = [(ts, name) for ts, name in over if begin <= ts < end and name in ("", *pairs.venues)]
            numbered = [(ts, pairs.venues.index(name) if name else ALL) for ts, name in here]
            told = with_ends(quotes, numbered, len(pairs.venues))
            if begin < start:
                before = int(np.searchsorted(told.ts, start))
                pairs.stand(Quotes(*(column[:before] for column in told)))
                told, begin = Quotes(*(column[before:] for column in told)), min(start, end)
            if begin < end:
                found.append(make(told, begin, end))
            if sum(each.num_rows for each in found) > self._limit:
                break
        return pa.concat_tables(found).unify_dictionaries() if found else self.kind.schema.empty_table()

    def _between(self, rows: pa.Table) -> pa.Table:
        """Those of the venues that are meant."""
        if not self.venues:
            return rows
        names = rows["venue"].cast(pa.string())
        few = rows.set_column(rows.column_names.index("venue"), "venue", names).filter(pc.is_in(names, pa.array(self.venues, pa.string())))
        return _shaped(few, rows.schema)

    # -- rows ------------------------------------------------------------------------------------------------------------
    def _slices(self, cut: Cut, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """[start, end) in pieces of whole steps with about SLICE_ROWS rows at most, none longer than SLICE_NS."""
        waiting = [span]
        while waiting:
            start, end = waiting.pop()
            if end <= start:
                continue
            if time.monotonic() > self._deadline:
                raise duckdb.InterruptException("too long")
            middle = (start + (end - start) // 2) // self.kind.step * self.kind.step
            if start < middle < end and (end - start > SLICE_NS or cut.about(start, end) > SLICE_ROWS):
                waiting += [(middle, end), (start, middle)]
            else:
                yield start, end

    def _rows(self, cut: Cut, start: int, end: int) -> pa.Table:
        """All rows in [start, end) in the order of time; rows of one time as they were made."""
        names = _QUOTES if self._name in PAIRED else TABLES[cut.table].names
        schema = pa.schema([TABLES[cut.table].field(name) for name in names])
        wanted = [part for part in cut.parts if part.first < end and part.last >= start]
        found = []
        files = [part for part in wanted if part.version == SCHEMA_VERSION]
        if files:
            given: dict[str, object] = {"files": [str(part.path) for part in files], "start": start, "end": end}
            one = {"spread": _READ_SECONDS, "spread_1s": _READ_QUOTES}.get(self._name, _READ_SYMBOL)
            sentence = one if self._symbol else _READ
            given |= {"symbol": self._symbol} if self._symbol else {}
            found.append(_shaped(self._db.sql(sentence, params=given).to_arrow_table(), schema))
        others = [self._old(part) for part in wanted if part not in files]
        others += [each.rows for each in cut.open if each.first < end and each.last >= start]
        found += [_shaped(self._within(rows, start, end).select(names), schema) for rows in others]
        if not found:
            return schema.empty_table()
        return in_order(pa.concat_tables(found).unify_dictionaries().combine_chunks())

    def _within(self, rows: pa.Table, start: int, end: int) -> pa.Table:
        wanted = pc.and_(pc.greater_equal(rows["ts"], start), pc.less(rows["ts"], end))
        if self._symbol:
            wanted = pc.and_(wanted, pc.equal(rows["symbol"].cast(pa.string()), self._symbol))
        return rows.filter(wanted)


def lasting(gaps: pa.Table, start: int) -> pa.Table:
    """Those of the gaps that are not over before ``start``."""
    return gaps.filter(pc.fill_null(pc.greater(gaps["until"], start), True))


def in_order(table: pa.Table) -> pa.Table:
    """Sorted by ts; at one time by symbol, and rows of one symbol as they stand."""
    ts = table["ts"].to_numpy()
    rising = len(ts) < 2 or bool((ts[1:] >= ts[:-1]).all())
    names = table["symbol"].combine_chunks() if "symbol" in table.column_names else None
    if names is None or len(names.dictionary) < 2:
        return table if rising else table.take(pa.array(np.argsort(ts, kind="stable")))
    order = np.argsort(names.dictionary.to_numpy(zero_copy_only=False).astype(str), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return table.take(pa.array(np.lexsort((rank[names.indices.to_numpy()], ts))))


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows in the columns of ``schema``; names become dictionaries."""
    columns = []
    for field in schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).combine_chunks().dictionary_encode()
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)
