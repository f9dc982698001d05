"""Drives the market's fast lane: hands it runs of messages, keeps books and venues in step, looks where it must be looked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np

from dope.market import kernel, lane, lane_run, pairs
from dope.market.book import Book
from dope.market.digits import AHEAD
from dope.market.lane import TRADE, Log, Names, Templates, kind_of
from dope.market.market import Market
from dope.types import LIVE, Event, Frame, Quote, Touch, Trade
from dope.venues.base import Venue

REST = 512  #: messages of a venue that are stepped after the lane has brought nothing
WORTH = 1  #: messages per compiled call below which it brings nothing
_PADDING = bytes(AHEAD)


class Judge(Protocol):
    """What is needed of a detector."""

    @property
    def KINDS(self) -> tuple[type[Event], ...]: ...


class Stepper(Protocol):
    """What is needed of the engine."""

    market: Market
    every: dict[str, Venue]
    frames: int

    def step(self, frame: Frame) -> list[Event]: ...
    def detect(self, event: Event, out: list[Event]) -> None: ...
    def resync(self, frame: Frame, out: list[Event]) -> None: ...


class _Venue:
    """What the lane knows of one venue's messages."""

    def __init__(self, templates: Sequence[Sequence[bytes | str]], fields: int) -> None:
        read, self.names = Templates(templates, fields), Names()
        self.words = read.kinds, read.ops, read.text, self.names.table, self.names.names
        self.rest = 0


class FastLane:
    """``run`` has the effect of stepping the same frames one by one; how many took the lane stands in ``messages``."""

    def __init__(self, engine: Stepper, detectors: Sequence[Judge]) -> None:
        self.messages = 0
        self._engine = engine
        apart = all(getattr(detector, "TRADES_APART", False) for detector in detectors if Trade in detector.KINDS)
        self._venues = {
            name: _Venue([parts for parts in venue.TEMPLATES if apart or kind_of(parts) != TRADE], venue.FIELDS)
            for name, venue in engine.every.items()
            if venue.TEMPLATES and venue.NUMBERED
        }
        wanting = [d for d in detectors if Touch in d.KINDS]
        every_touch = not all(getattr(detector, "NEAR_ONLY", False) for detector in wanting)
        engine.market.every_touch, engine.market.slots.pairs.rules[pairs.EVERY] = every_touch, float(every_touch)
        self._log = Log()
        log = self._log.numbers, self._log.values, self._log.count
        self._work = kernel.new_scratch(), np.zeros(16, dtype=np.int64), np.zeros(4), log
        self._keys: list[str] = []  # slot → key

    def run(self, frames: Sequence[Frame], out: list[Event]) -> bool:
        """Take DATA frames of one connection; False = nothing was done, step them yourself."""
        known = self._venues.get(frames[0].venue)
        if known is None:
            return False
        if known.rest > 0:
            known.rest -= len(frames)
            return False
        texts = [frame.data for frame in frames]
        ends = np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))
        stamps = np.fromiter([frame.ts for frame in frames], np.int64, len(texts))
        k, calls, before = 0, 0, self.messages
        texts.append(_PADDING)
        text = b"".join(texts)
        while k < len(frames):
            k = self._call(known, text, ends, stamps, k, frames, out)
            calls += 1
        if self.messages - before < WORTH * calls:
            known.rest = REST
        return True

    def _call(
        self, known: _Venue, text: bytes, ends: np.ndarray, stamps: np.ndarray, k: int, frames: Sequence[Frame], out: list[Event]
    ) -> int:
        """One compiled call and what follows from its end; the next message to do."""
        engine, market = self._engine, self._engine.market
        self._learn()
        slots, conn = market.slots, frames[0].conn
        venue = engine.every[frames[0].venue]
        delays = market.delays.get(venue.ID)
        if delays is None or frames[k].ts - market.now > lane.SILENCE_NS:
            out += engine.step(frames[k])
            return k + 1
        at: int
        seat = market.conn_ts.take(conn)
        at, why, slot, flags = lane_run.run(
            text, ends, stamps, k, (conn, seat), known.words, slots.books, slots.pairs.watch, delays.state, self._work
        )
        done = at - k + (why == lane_run.LOOK)
        if done:
            self.messages += done
            engine.frames += done
            market.now = market.conn_ts[conn] = int(stamps[k + done - 1])
            self._catch_up()
            if self._log.count[0]:
                self._trades(conn, out)
        if why == lane_run.STEP:
            out += engine.step(frames[at])
        elif why == lane_run.LOOK:
            key = self._keys[slot]
            market.dirty[key] = None
            book, due = market.books[key], bool(flags & lane_run.DUE)
            for item in market.look(book, frames[at].ts, flags, bool(flags & lane_run.LED), due):
                engine.detect(item, out)
            if market.resyncs:
                engine.resync(frames[at], out)
        return at if why == lane_run.END else at + 1

    def _learn(self) -> None:
        """Tell the lane of every book that changed by other ways."""
        market = self._engine.market
        if not market.dirty:
            return
        dirty, market.dirty = market.dirty, {}
        for key in dirty:
            self._learn_book(market.books[key])

    def _learn_book(self, book: Book) -> None:
        slots, slot, i, quote = self._engine.market.slots, book.slot, book.instrument, book.quote
        self._engine.market.written(book.key)
        state, touch = slots.state[slot], slots.touch[slot]
        while len(self._keys) <= slot:
            self._keys.append("")
        self._keys[slot] = book.key
        if i.venue in self._venues and self._engine.every[i.venue].verbatim(i):
            self._venues[i.venue].names.add(i.native, slot)
        state[lane.TRADES_FROM] = book.trades_from if i.contract_value is not None else -1  # sizes of unknown meaning stay as sent
        whole = book.state == LIVE and book.bid > 0.0 and book.ask > 0.0 and book.seq >= 0 and (quote is None or quote.seq >= 0)
        chain = self._engine.every[i.venue].chain(i.symbol)
        bound = chain is not None and chain[2] == book.seq and not (book.checksum_rule and book.checksums_ok)
        state[lane.READY] = 0 if not whole else lane.ALL if bound else lane.QUOTES_ONLY
        state[lane.CONN] = book.conn if chain is None else chain[1]
        state[lane.WATCHED], state[lane.TOUCH_TS] = book.key in self._engine.market.watched, book.touch_ts
        touch[lane.BID], touch[lane.BID_SIZE], touch[lane.ASK], touch[lane.ASK_SIZE] = book.bid, book.bid_size, book.ask, book.ask_size

    def _catch_up(self) -> None:
        """Bring books and venues to where the lane has got."""
        market = self._engine.market
        slots = market.slots
        for slot in slots.dirt.nonzero()[0].tolist():
            book = market.books[self._keys[slot]]
            state = slots.state[slot]
            row, touch = state.tolist(), slots.touch[slot].tolist()
            state[lane.NEWS] = 0
            moved = row[lane.DIRTY]
            venue = self._engine.every[book.instrument.venue]
            venue.seen[book.key] = venue.seen.get(book.key, 0) + row[lane.SEEN]
            if moved & lane.LEVELS_MOVED:
                book.seq, book.own_ts, book.conn = row[lane.LAST], row[lane.OWN_TS], row[lane.CONN]
                book.book_updates += row[lane.COUNT]
                book.bid, book.bid_size, book.ask, book.ask_size = touch[:4]
                venue.advance(book.instrument.symbol, book.seq)
            if moved & lane.QUOTE_MOVED:
                ts = book.quote_ts = row[lane.QUOTE_TS]
                book.quote = Quote(ts, book.key, row[lane.QUOTE_STAMP], row[lane.QUOTE_SEQ], *touch[lane.Q_BID :])
            if moved & (lane.LEVELS_MOVED | lane.QUOTE_MOVED):
                book.touch_ts, book.excess, book.stamp = row[lane.TOUCH_TS], row[lane.LATE], row[lane.STAMP]

    def _trades(self, conn: int, out: list[Event]) -> None:
        """Count and tell the trades that the lane has read, in order."""
        engine, count = self._engine, int(self._log.count[0])
        rows = zip(self._log.numbers[:count].tolist(), self._log.values[:count].tolist(), strict=True)
        for (slot, ts, stamp, number, grouped, sold), (price, size) in rows:
            book = engine.market.books[self._keys[slot]]
            name, side = f"a{number}" if grouped else str(number), "sell" if sold else "buy"
            trade = Trade(ts, book.key, stamp, price, book.base_size(size, price), side, name)
            if engine.market.trade(trade, conn):
                engine.detect(trade, out)
