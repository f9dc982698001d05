"""The engine: one function, ``step(frame)``, for live, simulation, replay and backtest. Which of them, it cannot know.

Frames go to their venue, the venue's events to the market, what changed there to the detectors, in the order of the
registry; a detector sees the signals of those before it. Nothing here asks a clock: time is the frame's ``ts``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from dope.fast_lane import FastLane
from dope.market.lane import SILENCE_NS
from dope.market.market import Market
from dope.types import (
    CLOSED,
    DATA,
    LAG,
    OPEN,
    REPLY,
    SET,
    TICK,
    Ack,
    Action,
    Bar,
    BookState,
    BookUpdate,
    Checked,
    Confirmed,
    Event,
    Fault,
    Frame,
    Funding,
    Gap,
    Instrument,
    Instruments,
    Link,
    Listed,
    Notice,
    Quote,
    Setting,
    Tick,
    Trade,
    of_sentinel,
)
from dope.venues.base import Venue

MIN_RUN = 3  #: messages in a row that are worth a compiled call
LATE_S = 1.0  #: our own loop late by this much: nothing counts as fresh
DIGEST_LEVELS = 50  #: levels per side that enter the digest

_encode = msgspec.msgpack.Encoder().encode


class Detector(Protocol):
    """What the engine needs of a detector: the kinds it wants to see, and what it makes of one event."""

    @property
    def KINDS(self) -> tuple[type[Event], ...]: ...

    def on(self, event: Event, market: Market) -> Sequence[Event]: ...


class Engine:
    """Venues + market + detectors. ``step`` returns what is worth telling: signals, state changes, gaps, faults, notices."""

    def __init__(self, venues: dict[str, Venue], detectors: Sequence[Detector] = (), hidden: dict[str, Venue] | None = None) -> None:
        """``hidden`` = venues of the self-test: stepped like all others, and none of ``venues``."""
        self.venues, self.detectors = venues, tuple(detectors)
        self.every = {**venues, **(hidden or {})}
        self.market = Market()
        self.connections: dict[int, str] = {}  #: open connections → venue
        self.counts: dict[str, int] = {}  #: signals by kind, without those of the self-test
        self.faults: dict[str, int] = {}  #: faults per venue
        self.frames = 0
        self.lane = FastLane(self, self.detectors)
        self._hash = hashlib.sha256()
        self._wanting: dict[type[Event], list[Detector]] = {}
        for detector in self.detectors:
            for kind in detector.KINDS:
                self._wanting.setdefault(kind, []).append(detector)

    # -- stepping ----------------------------------------------------------------------------------------------------
    def step(self, frame: Frame) -> list[Event]:
        """One frame in; everything that follows from it, out, in causal order."""
        self.frames += 1
        market = self.market
        out: list[Event] = []
        if frame.ts - market.now > SILENCE_NS:  # clock frames come every 10 ms: here the recording or the machine slept
            for event in market.silence(frame.ts):
                self.detect(event, out)
        market.now = frame.ts
        if frame.kind == DATA:
            venue = self.every.get(frame.venue)
            if venue is None:
                return [self._note(Fault(frame.ts, frame.venue, "", "no such venue here"))]
            for event in venue.receive(frame):
                if type(event) is BookUpdate:
                    conn = frame.conn
                    if venue.NUMBERED:
                        market.conn_ts[conn] = event.ts
                    found = market.apply(event, conn)
                    if found:
                        for item in found:
                            self.detect(item, out)
                else:
                    self._take(event, frame, venue, out)
        elif frame.kind == TICK:
            self._tick(frame, out)
        elif frame.kind == LAG:
            self._lag(frame, out)
        elif frame.kind == SET:
            self.detect(Setting(frame.ts, frame.data), out)
        else:
            venue = self.every.get(frame.venue)
            if venue is None:
                return [self._note(Fault(frame.ts, frame.venue, "", "no such venue here"))]
            if frame.kind == OPEN:
                self.connections[frame.conn] = frame.venue
                self.detect(Link(frame.ts, frame.venue, frame.conn, True, frame.data), out)
            for event in venue.receive(frame):
                self._take(event, frame, venue, out)
            if frame.kind == CLOSED:
                self.connections.pop(frame.conn, None)
                market.slots.end(frame.conn)
                self.detect(Link(frame.ts, frame.venue, frame.conn, False, frame.data), out)
        if market.resyncs:
            self.resync(frame, out)
        return out

    def step_many(self, frames: Iterable[Frame]) -> list[Event]:
        """The same as successive steps, for any grouping; runs of book messages of one connection take the fast lane."""
        batch = frames if isinstance(frames, list) else list(frames)
        out: list[Event] = []
        i, n = 0, len(batch)
        while i < n:
            frame = batch[i]
            j = i + 1
            if frame.kind == DATA:
                conn = frame.conn
                for follower in islice(batch, j, None):
                    if follower.conn != conn or follower.kind != DATA:
                        break
                    j += 1
                if j - i >= MIN_RUN and self.lane.run(batch[i:j], out):
                    i = j
                    continue
            for k in range(i, j):
                out += self.step(batch[k])
            i = j
        return out

    def drain(self) -> list[tuple[str, Action]]:
        """What the venues ask the feed to do; each action is handed out once."""
        found: list[tuple[str, Action]] = []
        for venue_id, venue in self.venues.items():
            if venue.actions:
                found += [(venue_id, action) for action in venue.actions]
                venue.actions.clear()
        return found

    # -- inside ------------------------------------------------------------------------------------------------------
    def _take(self, event: Event, frame: Frame, venue: Venue, out: list[Event]) -> None:
        market = self.market
        kind = type(event)
        if kind is BookUpdate:
            if venue.NUMBERED and frame.kind != REPLY:  # an answer proves the book that it is about, not the others
                market.conn_ts[frame.conn] = frame.ts
            found: Sequence[Event] = market.apply(event, frame.conn)  # type: ignore[arg-type]
        elif kind is Quote:
            if venue.NUMBERED:
                market.conn_ts[frame.conn] = frame.ts
            found = market.quote(event, frame.conn)  # type: ignore[arg-type]
        elif kind is Trade:
            if venue.NUMBERED:
                market.conn_ts[frame.conn] = frame.ts
            found = [event] if market.trade(event, frame.conn) else []  # type: ignore[arg-type]
        else:
            found = self._take_rare(event, frame, venue)
        for item in found:
            self.detect(item, out)

    def _take_rare(self, event: Event, frame: Frame, venue: Venue) -> list[Event]:
        market = self.market
        if isinstance(event, Listed):
            market.open_book(event.instrument, event.ts, venue.CHECKSUM, venue.IDLE_S, venue.DEPTH, venue.FIELDS)
            return [event]
        if isinstance(event, Gap):
            return [event, *market.gap(event)]
        if isinstance(event, Checked):
            return market.check(event)
        if venue.NUMBERED and isinstance(event, Funding | Bar):
            market.conn_ts[frame.conn] = frame.ts
        if isinstance(event, Funding):
            old = market.funding.get(event.key)
            if old is not None and event.rate is None:
                event = msgspec.structs.replace(event, rate=old.rate, next_ts=old.next_ts)
            elif old is not None and event.mark is None:
                event = msgspec.structs.replace(event, mark=old.mark, index=old.index)
            market.funding[event.key] = event
        elif isinstance(event, Bar):
            market.bars[event.key] = event
        elif isinstance(event, Confirmed):
            market.conn_ts[event.conn] = frame.ts
        return [event]

    def detect(self, event: Event, out: list[Event]) -> None:
        """Offer an event to the detectors that want it, and their signals to those after them."""
        kind = type(event)
        if kind in _TOLD:
            out.append(self._note(event))
        for detector in self._wanting.get(kind, _NOBODY):
            signals = detector.on(event, self.market)
            if signals:
                self._pass_on(signals, detector, out)

    def _pass_on(self, signals: Sequence[Event], detector: Detector, out: list[Event]) -> None:
        for signal in signals:
            out.append(self._note(signal))
            for later in self.detectors[self.detectors.index(detector) + 1 :]:
                if type(signal) in later.KINDS:
                    out += [self._note(s) for s in later.on(signal, self.market)]

    def _note(self, event: Event) -> Event:
        name = type(event).__name__
        if not of_sentinel(event):
            self.counts[name] = self.counts.get(name, 0) + 1
            if isinstance(event, Fault):
                self.faults[event.venue] = self.faults.get(event.venue, 0) + 1
        self._hash.update(name.encode())
        data = _encode(event)
        for at in range(0, len(data), HASH_PIECE):
            self._hash.update(data[at : at + HASH_PIECE])
        return event

    def _tick(self, frame: Frame, out: list[Event]) -> None:
        for venue in self.venues.values():
            for event in venue.receive(frame):
                self._take(event, frame, venue, out)
        for event in self.market.tick(frame.ts):
            self.detect(event, out)
        try:
            offset = int(frame.data or b"0")
        except ValueError:
            offset = 0
        self.detect(Tick(frame.ts, offset), out)

    def _lag(self, frame: Frame, out: list[Event]) -> None:
        try:
            seconds = float(frame.data)
        except ValueError:
            seconds = LATE_S
        if seconds >= LATE_S:
            for event in self.market.late(frame.ts, f"our own loop was {seconds:.1f} s late"):
                self.detect(event, out)

    def resync(self, frame: Frame, out: list[Event]) -> None:
        wishes, self.market.resyncs = self.market.resyncs, []
        for key, reason in wishes:
            instrument: Instrument = self.market.books[key].instrument
            venue = self.every[instrument.venue]
            if reason == "window":
                venue.reseed(instrument.symbol, frame.ts)
            else:
                for event in venue.resync(instrument.symbol, frame.ts):
                    self._take(event, frame, venue, out)

    # -- comparison --------------------------------------------------------------------------------------------------
    def digest(self) -> str:
        """SHA-256 over every signal, state change, gap and fault so far, and over the books as they are now."""
        total = self._hash.copy()
        for key in sorted(self.market.books):
            book = self.market.books[key]
            counters = (book.book_updates, book.snapshots, book.trades, book.gaps, book.faults, book.crossed)
            state = (book.live_ns, book.state, book.seq)
            total.update(_encode((key, counters, state, book.levels("bid", DIGEST_LEVELS), book.levels("ask", DIGEST_LEVELS))))
        return total.hexdigest()


#: bytes: after a larger piece the library would let go of the interpreter at every further one, and the market would wait for it
HASH_PIECE = 2047
#: events of venues and market that are told to the outside and enter the digest, besides all signals
_TOLD: frozenset[type[Event]] = frozenset((Listed, Instruments, Gap, Fault, Ack, Notice, BookState))
_NOBODY: tuple[Detector, ...] = ()
