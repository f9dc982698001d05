"""Drives the market's fast lane: hands it runs of messages, keeps books and venues in step, looks where it must be looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dope.market import kernel, lane
from dope.market.digits import AHEAD
from dope.market.lane import Names, Template
from dope.market.market import Market
from dope.types import LIVE, Event, Frame, Touch
from dope.venues.base import Venue

REST = 512  #: messages of a venue that are stepped after the lane has brought nothing
WORTH = 3  #: messages per compiled call below which it brings nothing
_PADDING = bytes(AHEAD)


class Judge(Protocol):
    """What is needed of a detector."""

    @property
    def KINDS(self) -> tuple[type[Event], ...]: ...


class Stepper(Protocol):
    """What is needed of the engine."""

    market: Market
    venues: dict[str, Venue]
    frames: int

    def step(self, frame: Frame) -> list[Event]: ...
    def detect(self, event: Event, out: list[Event]) -> None: ...
    def resync(self, frame: Frame, out: list[Event]) -> None: ...


class _Venue:
    """What the lane knows of one venue's messages."""

    def __init__(self, template: tuple[bytes | str, ...]) -> None:
        read, self.names = Template(template), Names()
        self.words = read.ops, read.text, self.names.table, self.names.names
        self.rest = 0


class FastLane:
    """``run`` has the effect of stepping the same frames one by one; how many took the lane stands in ``messages``."""

    def __init__(self, engine: Stepper, detectors: Sequence[Judge]) -> None:
        self.messages = 0
        self._engine = engine
        self._venues = {name: _Venue(venue.TEMPLATE) for name, venue in engine.venues.items() if venue.TEMPLATE and venue.NUMBERED}
        wanting = [d for d in detectors if Touch in d.KINDS]
        every_touch = not all(getattr(detector, "NEAR_ONLY", False) for detector in wanting)
        engine.market.slots.near[1] = float(every_touch)
        self._work = kernel.new_scratch(), np.zeros(8, dtype=np.int64)
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
        ends = np.cumsum(np.array([len(text) for text in texts], dtype=np.int64))
        stamps = np.array([frame.ts for frame in frames], dtype=np.int64)
        k, calls, before = 0, 0, self.messages
        text = b"".join([*texts, _PADDING])
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
        venue = engine.venues[frames[0].venue]
        delays = market.delays.get(venue.ID)
        if delays is None or frames[k].ts - market.now > lane.SILENCE_NS:
            out += engine.step(frames[k])
            return k + 1
        at: int
        at, why, slot, flags = lane.run(
            text, ends, stamps, k, conn, known.words, slots.books, slots.watch, delays.state, self._work
        )
        done = at - k + (why == lane.LOOK)
        if done:
            self.messages += done
            engine.frames += done
            market.now = market.conn_ts[conn] = int(stamps[k + done - 1])
            self._catch_up()
        if why == lane.STEP:
            out += engine.step(frames[at])
        elif why == lane.LOOK:
            key = self._keys[slot]
            market.dirty[key] = None
            for item in market.look(market.books[key], frames[at].ts, flags):
                engine.detect(item, out)
            if market.resyncs:
                engine.resync(frames[at], out)
        return at if why == lane.END else at + 1

    def _learn(self) -> None:
        """Tell the lane of every book that changed by other ways."""
        market = self._engine.market
        if not market.dirty:
            return
        dirty, market.dirty = market.dirty, {}
        state, slots = market.slots.state, market.slots
        for key in dirty:
            book = market.books[key]
            slot, i = book.slot, book.instrument
            while len(self._keys) <= slot:
                self._keys.append("")
            self._keys[slot] = key
            bid, _, ask, _ = book.touch()
            slots.prices[slot] = bid, ask
            chain = self._engine.venues[i.venue].chain(i.symbol)
            quote = book.quote
            ready = book.state == LIVE and chain is not None and (quote is None or quote.seq >= 0) and book.bid > 0.0 and book.ask > 0.0
            state[slot, lane.READY] = int(ready and not (book.checksum_rule and book.checksums_ok))
            if chain is None:
                continue
            native, conn, last = chain
            if i.venue in self._venues:
                self._venues[i.venue].names.add(native, slot)
            state[slot, lane.LAST] = last
            state[slot, lane.CONN] = conn
            state[slot, lane.WATCHED] = int(key in market.watched or slot in slots.crowded)
            state[slot, lane.QUOTE_SEQ] = quote.seq if quote is not None else -1
            state[slot, lane.TOUCH_TS] = book.touch_ts
            state[slot, lane.LATE] = book.excess

    def _catch_up(self) -> None:
        """Bring books and venues to where the lane has got."""
        market = self._engine.market
        slots = market.slots
        state = slots.state
        for slot in np.flatnonzero(state[: slots.count, lane.DIRTY]).tolist():
            book = market.books[self._keys[slot]]
            row, touch = state[slot].tolist(), slots.touch[slot].tolist()
            book.seq = row[lane.LAST]
            book.own_ts = row[lane.OWN_TS]
            book.conn = row[lane.CONN]
            book.touch_ts = row[lane.TOUCH_TS]
            book.stamp = row[lane.STAMP]
            book.excess = row[lane.LATE]
            book.book_updates += row[lane.COUNT]
            book.bid, book.bid_size, book.ask, book.ask_size = touch[:4]
            state[slot, lane.COUNT] = state[slot, lane.DIRTY] = 0
            venue = self._engine.venues[book.instrument.venue]
            venue.advance(book.instrument.symbol, book.seq)
            venue.seen[book.key] = venue.seen.get(book.key, 0) + row[lane.COUNT]
