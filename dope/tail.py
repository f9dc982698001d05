"""The tail of recorded history: rows of the running process that no sealed file holds yet, kept in memory for queries."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dope.tables import TABLES

#: rows kept per table, about 100 MB in all; ``Tail`` says what happens beyond
KEEP = {"bbo": 1_000_000, "trade": 300_000, "opportunity": 20_000, "signal": 20_000, "gap": 20_000}
MERGE = 8  #: parts of one tape and one generation that are made one of the next
LARGE = 16_384  #: rows from which a part is left as it is


class _Part(NamedTuple):
    """Some rows of one table. ``tape`` None = not on the disk yet, "" = not recorded at all."""

    batch: pa.RecordBatch
    ticket: int
    tape: str | None
    first: int  # ts, ns
    last: int
    generation: int = 0  # how often it was made of others


class Tail:
    """Rows by table, oldest first. Any thread may call anything: lists are replaced, never changed, under a lock.

    At the bound of a table its oldest rows go, but only once the disk has confirmed them on a tape; then ``since`` says from
    when on the tail is whole, and what is older must be read from the tape. Rows that wait for a stuck disk stay beyond the
    bound: the journal's memory bound holds for them too. What is not recorded at all is simply forgotten at the bound.
    """

    def __init__(self, keep: Mapping[str, int] = KEEP) -> None:
        self._keep = {name: keep.get(name, KEEP[name]) for name in TABLES}
        self._parts: dict[str, list[_Part]] = {name: [] for name in TABLES}
        self._since = dict.fromkeys(TABLES, 0)
        self._lock = threading.Lock()

    # -- filling -----------------------------------------------------------------------------------------------------
    def add(self, name: str, batch: pa.RecordBatch, ticket: int = 0) -> None:
        """More rows; ``ticket`` is the journal's, 0 = they are not recorded."""
        times = batch.column("ts").to_numpy()
        part = _Part(batch, ticket, None if ticket else "", int(times.min()), int(times.max()))
        with self._lock:
            self._parts[name] = self._bounded(name, [*self._parts[name], part])

    def placed(self, where: Iterable[tuple[int, str]]) -> None:
        """The disk has confirmed the rows of these tickets on these tapes."""
        tapes = dict(where)
        if not tapes:
            return
        with self._lock:
            for name, parts in self._parts.items():
                if any(part.ticket in tapes for part in parts):
                    found = [part._replace(tape=tapes[part.ticket], ticket=0) if part.ticket in tapes else part for part in parts]
                    self._parts[name] = self._bounded(name, found)

    def tidy(self) -> None:
        """Few parts out of many. Takes milliseconds, all but moments of them without the lock: not for the market's thread."""
        for name in TABLES:
            with self._lock:
                before = self._parts[name]
            after = _merged(before)
            with self._lock:
                now = self._parts[name]
                if len(after) < len(before) and all(a is b for a, b in zip(before, now, strict=False)) and len(now) >= len(before):
                    self._parts[name] = [*after, *now[len(before) :]]  # else something has changed meanwhile: another time

    def forget(self, tape: str) -> None:
        """The rows of this tape (a file's name) are in sealed files now."""
        with self._lock:
            for name, parts in self._parts.items():
                self._parts[name] = [part for part in parts if part.tape != tape]

    def _bounded(self, name: str, parts: list[_Part]) -> list[_Part]:
        rows, at = sum(len(part.batch) for part in parts), 0
        while rows > self._keep[name] and parts[at].tape is not None and at < len(parts) - 1:
            rows -= len(parts[at].batch)
            self._since[name] = max(self._since[name], parts[at].last + 1)
            at += 1
        return parts[at:]

    # -- asking ------------------------------------------------------------------------------------------------------
    def since(self, name: str) -> int:
        """ns UTC: rows of this table received before it are no longer here; read them from the tapes that are not sealed. 0 = all are."""
        return self._since[name]

    def tapes(self) -> frozenset[str]:
        """Names of the tapes of which rows are here."""
        with self._lock:
            return frozenset(part.tape for parts in self._parts.values() for part in parts if part.tape)

    def table(self, name: str, symbol: str = "", start: int = 0, end: int = 0) -> pa.Table:
        """Rows with ``start`` ≤ ts ≤ ``end`` (ns UTC, 0 = no end) of one symbol ("" = all), in the order in which they were made."""
        found = [batch for _, batch in self._within(name, symbol, start, end)]
        return pa.Table.from_batches(found, schema=TABLES[name]).unify_dictionaries()

    def by_tape(self, name: str, symbol: str = "", start: int = 0, end: int = 0) -> list[tuple[str | None, pa.Table]]:
        """The same as (tape, rows), tapes in their order. ``None`` = on no disk yet, "" = not recorded; names with their ending."""
        found: dict[str | None, list[pa.RecordBatch]] = {}
        for tape, batch in self._within(name, symbol, start, end):
            found.setdefault(tape, []).append(batch)
        return [(tape, pa.Table.from_batches(batches, schema=TABLES[name])) for tape, batches in found.items()]

    def _within(self, name: str, symbol: str, start: int, end: int) -> list[tuple[str | None, pa.RecordBatch]]:
        with self._lock:
            parts, since = self._parts[name], self._since[name]
        start, end = max(start, since), end or 2**63 - 1
        return [(part.tape, _chosen(part, symbol, start, end)) for part in parts if part.first <= end and part.last >= start]


def _chosen(part: _Part, symbol: str, start: int, end: int) -> pa.RecordBatch:
    batch = part.batch
    masks = []
    if symbol:
        masks.append(pc.equal(batch.column("symbol"), symbol))
    if part.first < start or part.last > end:
        times = batch.column("ts")
        masks.append(pc.and_(pc.greater_equal(times, start), pc.less_equal(times, end)))
    for mask in masks[1:]:
        masks[0] = pc.and_(masks[0], mask)
    return batch.filter(masks[0]) if masks else batch


def _merged(parts: list[_Part]) -> list[_Part]:
    """The same rows in fewer parts, once there are several of a tape: each costs more than its rows."""
    while True:
        out: list[_Part] = []
        for (tape, _), run in itertools.groupby(parts, lambda part: (_tape_if_small(part), part.generation)):
            found = list(run)
            out += found if tape is None or len(found) < MERGE else [_one(found)]
        if len(out) == len(parts):
            return out
        parts = out


def _tape_if_small(part: _Part) -> str | None:
    return part.tape if len(part.batch) < LARGE else None


def _one(run: list[_Part]) -> _Part:
    (batch,) = pa.Table.from_batches([part.batch for part in run]).unify_dictionaries().combine_chunks().to_batches()
    return _Part(batch, 0, run[0].tape, min(part.first for part in run), max(part.last for part in run), run[0].generation + 1)
