"""All books: applies what the venues understood, decides what is LIVE, and tells what changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dope.market import digits, kernel
from dope.market.book import LIES, LIES_NS, SUSPENSION_NS, Book
from dope.market.compared import Doubts, differing
from dope.market.delays import NS, DelayFloor
from dope.market.freshness import next_sigma
from dope.market.lane import BOOK_SENT, PAIRED, QUOTE_MEMORY_NS, QUOTE_SENT, WILD_MOVE, Slots
from dope.market.near import follow, glance, remember_near
from dope.market.trade_ids import TradeIds
from dope.types import (
    CROSSED,
    DOWN,
    GAP,
    HALTED,
    INVALID,
    LIVE,
    STALE,
    SYNCING,
    Bar,
    BookState,
    BookUpdate,
    Checked,
    DepthChange,
    Event,
    Fault,
    Funding,
    Gap,
    Instrument,
    Notice,
    Quote,
    Touch,
    Trade,
)

CROSSED_GRACE_NS = NS  #: a book crossed for longer is asked for anew
DOUBT_NS = 20 * NS  #: two comparisons with REST farther apart are not two in a row
HOUR = 3600 * NS  #: a stamp farther from the receive time is no time of this message
FAR = 2**62  #: a number or a time beyond it, either way, is none: columns and the fast lane could not hold it
MAX_SCRATCH = 1 << 18  #: levels of one message
WINDOW_OR_CROSSED = kernel.WINDOW | kernel.CROSSED
EMPTY = (b"[]", b"")  #: sides without a change; both = a keep-alive
SUSPENDED = f"suspended for {SUSPENSION_NS // NS} s: {LIES} wrong checksums within {LIES_NS // NS} s"
HALF_NS = 10 * NS  #: a book whose snapshot lacked a side is asked for anew after this
HALF_SNAPSHOT = "a snapshot without bids or asks"
STALE_EVERY_NS = 100_000_000  #: silence is looked at this often

_STATE_OF_GAP = {"disconnected": DOWN, "unsubscribed": SYNCING, "halted": HALTED}


class Market:
    """Books by key. ``resyncs`` collects (key, reason) of books that the market itself no longer trusts."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.watched: set[str] = set()  #: keys whose changes behind the touch somebody wants to hear of; see ``watch``
        self.every_touch = True  #: somebody wants to hear of every touch; else of those alone with which a pair is due, or of watched books
        self.slots = Slots()
        self.dirty: dict[str, None] = {}  #: keys of which the fast lane must learn anew
        self._unwritten: dict[str, None] = {}  # those of which no compiled code knows yet what became of them: see ``written``
        self._beside: dict[str, dict[str, None]] = {}  # key → keys of the books that a look at its pairs reads
        self.resyncs: list[tuple[str, str]] = []
        self.conn_ts = self.slots.heard  #: newest data on each connection of a venue with NUMBERED books
        self.idle_ns: dict[str, int] = {}  #: silence limit per venue
        self.delays: dict[str, DelayFloor] = {}
        self.funding: dict[str, Funding] = {}
        self.bars: dict[str, Bar] = {}
        self.now = 0
        self.duplicates = 0
        self._scratch = kernel.new_scratch()
        self._doubts: dict[str, tuple[int, Doubts]] = {}  # key → when it was compared with REST, and what differed
        self.trade_ids = TradeIds()
        self._next_look = 0
        self._second = 0

    def open_book(self, instrument: Instrument, ts: int, checksum_rule: str, idle_s: float, depth: int = 0, fields: int = 0) -> None:
        """Open the book of an instrument; ``depth`` = levels per side that the venue keeps up to date, ``fields`` = elements of each
        level as it is sent; 0 = all, or any.

        An open one takes what the instrument says now: sizes mean what its contract value is from here on.
        """
        if (book := self.books.get(instrument.key)) is not None:
            if book.instrument != instrument:
                book.relist(instrument)
                self.dirty[instrument.key] = self._unwritten[instrument.key] = None
        else:
            delay = self.delays.setdefault(instrument.venue, DelayFloor())
            self.books[instrument.key] = Book(instrument, self.slots, delay, checksum_rule, ts, depth=depth, fields=fields)
            self.dirty[instrument.key] = self._unwritten[instrument.key] = None
            self.idle_ns[instrument.venue] = int(idle_s * NS)

    def watch(self, key: str, on: bool) -> None:
        """Have changes behind the touch of this book told, or no longer."""
        (self.watched.add if on else self.watched.discard)(key)
        self.dirty[key] = None

    def pair(self, buy: str, sell: str) -> int:
        """The number of a new pair, which is looked at when it is near or open; its terms are the detector's, see ``Pairs``."""
        for key in (buy, sell):
            self._beside.setdefault(key, {}).update({buy: None, sell: None})
        return self.slots.pairs.add(self.books[buy].slot, self.books[sell].slot)

    def follow(self, number: int) -> None:
        """Look at this pair with each change of its books, as long as it is near or open."""
        follow(number, True, self.slots.pairs.numbers, self.slots.state)

    def written(self, key: str) -> None:
        """Let compiled code know what became of this book, if it does not yet."""
        if key in self._unwritten:
            del self._unwritten[key]
            self.books[key].write()

    def write(self) -> None:
        """Let compiled code know what became of all books."""
        for key in self._unwritten:
            self.books[key].write()
        self._unwritten.clear()

    def _due(self, book: Book, ts: int) -> bool:
        """Whether somebody has to look at a pair of this book, which changed."""
        for key in self._beside.get(book.key, ()):
            self.written(key)
        due: bool = glance(book.slot, ts, self.slots.books, self.slots.pairs.watch)
        return due

    def age(self, book: Book, now: int) -> int:
        """Confirmed age in ns: time since anything proved this book current, counted from when that proof was due."""
        shared = self.conn_ts[book.conn]
        own = book.own_ts - book.excess
        return now - max(own, shared - book.delay.last if shared else 0)

    # -- book levels ---------------------------------------------------------------------------------------------
    def apply(self, update: BookUpdate, conn: int) -> Sequence[Event]:
        """Put one message into its book."""
        book = self.books[update.key]
        ts = update.ts
        was_live = book.state == LIVE
        snapshot = update.snapshot
        if book.suspended or not (was_live or snapshot or book.state in (CROSSED, STALE)):
            return ()  # nothing to build on
        if not -FAR < update.seq < FAR:
            return self._distrust(book, ts, INVALID, "a number beyond all bounds", update)
        self.dirty[book.key] = self._unwritten[book.key] = None
        leads = book.quote is not None and book.quote_leads()
        bids, asks = update.bids, update.asks
        flags, bid, bid_size, ask, ask_size = kernel.apply(book.a, self._scratch, bids, asks, snapshot)
        if flags < 0:
            if flags != digits.TOO_MANY or self._scratch.shape[1] > MAX_SCRATCH:
                return self._distrust(book, ts, INVALID, digits.ERRORS[flags], update)
            self._scratch = kernel.new_scratch(self._scratch.shape[1] * 2)
            return self.apply(update, conn)
        book.book_updates += 1
        book.seq = update.seq
        book.own_ts = ts
        stamped = -HOUR < ts - update.ts_exch < HOUR
        book.stamp = update.ts_exch if stamped else 0
        book.conn = conn
        book.bid = bid
        book.bid_size = bid_size
        book.ask = ask
        book.ask_size = ask_size
        checksum = update.checksum if book.checksum_rule else None
        if snapshot:
            book.snapshots += 1
            book.excess = 0
            if checksum is None and (bid == 0.0 or ask == 0.0):
                return self._half(book, ts)
        elif stamped and not (bids in EMPTY and asks in EMPTY):
            # a snapshot or keep-alive carries the stamp of an older change: it says nothing about delay
            stream = self.slots.state, book.slot, BOOK_SENT
            book.excess = book.delay.heard(ts, update.ts_exch, stream, conn)
        ts = max(ts, self.now)  # what waited for its snapshot is told when it is applied: time does not fall
        if checksum is not None:
            if book.checksum() != checksum & 0xFFFFFFFF:  # some venues send it signed
                return self._suspend(book, ts) if book.lied_to(ts) else self._distrust(book, ts, GAP, "checksum", update)
            book.checksums_ok += 1
            book.checked_ts = ts
        if not was_live and not flags & kernel.CROSSED:
            return self._settle(book, ts, False)
        return self.look(book, ts, flags & ~kernel.WINDOW if snapshot else flags, leads)

    def look(self, book: Book, ts: int, flags: int, leads: bool = False, due: bool = False) -> Sequence[Event]:
        """What follows from a message that is applied: its ``flags`` are the kernel's, ``leads`` = a quote led before it.

        ``due`` = its pairs have been looked at already, and one is due.
        """
        if flags & WINDOW_OR_CROSSED:
            if flags & kernel.WINDOW:
                self.resyncs.append((book.key, "window"))
            if flags & kernel.CROSSED:
                return self._settle(book, ts, True)
        if flags & kernel.TOUCH or leads:
            return self._touched(book, ts, due)
        if not due and self.slots.state.item(book.slot, PAIRED):
            due = self._due(book, ts)
        return (DepthChange(ts, book.key),) if due or book.key in self.watched else ()

    def _settle(self, book: Book, ts: int, crossed: bool) -> list[Event]:
        """A book that was not LIVE, or that just crossed, finds its state."""
        self.dirty[book.key] = self._unwritten[book.key] = None
        if crossed:
            if book.state != CROSSED:
                book.crossed += 1
                book.crossed_since = ts
            change = book.enter(ts, CROSSED, "best bid at or above best ask")
            return [change] if change else []
        change = book.enter(ts, LIVE, "")
        out: list[Event] = [change] if change else []
        return out + self._touched(book, ts)

    def _touched(self, book: Book, ts: int, due: bool = False) -> list[Event]:
        bid, bid_size, ask, ask_size = book.touch()
        if bid > 0.0 and ask > 0.0:
            mid = (bid + ask) / 2.0
            if book.sigma_mid > 0.0 and not book.sigma_mid / WILD_MOVE < mid < book.sigma_mid * WILD_MOVE:
                return self._distrust(book, ts, INVALID, "touch moved by a factor of 50 at once", None)
            if book.sigma_mid == 0.0:
                book.sigma_mid = mid
        book.touch_ts = ts
        slots = self.slots
        near = remember_near(
            book.slot, ts, book.stamp, bid, bid_size, ask, ask_size, slots.seen, slots.rings, slots.pairs.near
        )
        due = due or (near and self._due(book, ts))
        return [Touch(ts, book.key, bid, bid_size, ask, ask_size)] if due or self.every_touch or book.key in self.watched else []

    def _suspend(self, book: Book, ts: int) -> list[Event]:
        """Its checksums are wrong time and again, after new snapshots too: leave the venue alone for a while."""
        self.dirty[book.key] = self._unwritten[book.key] = None
        book.gaps += 1
        change = book.enter(ts, INVALID, SUSPENDED)
        notice = Notice(ts, book.instrument.venue, "checksum", f"{book.instrument.symbol}: {SUSPENDED}")
        return [notice, change] if change else [notice]

    def _half(self, book: Book, ts: int) -> list[Event]:
        """A snapshot that lacks a side is no book, and what changes in it would not make it one: it is asked for anew, later."""
        book.suspended = ts + HALF_NS
        book.faults += 1
        change = book.enter(ts, INVALID, HALF_SNAPSHOT)
        fault = Fault(ts, book.instrument.venue, book.key, HALF_SNAPSHOT)
        return [fault, change] if change else [fault]

    def _distrust(self, book: Book, ts: int, state: str, reason: str, update: BookUpdate | None) -> list[Event]:
        """Leave LIVE for a reason of our own and ask for a new snapshot."""
        self.resyncs.append((book.key, reason))
        self.dirty[book.key] = self._unwritten[book.key] = None
        out: list[Event] = []
        if state == GAP:
            book.gaps += 1
        else:
            book.faults += 1
            book.sigma_mid = 0.0
            sample = (update.bids[:100] + update.asks[:100]) if update is not None else b""
            out.append(Fault(ts, book.instrument.venue, book.key, reason, sample))
        change = book.enter(ts, state, reason)
        return [*out, change] if change else out

    def check(self, told: Checked) -> list[Event]:
        """The venue's own word on the best levels: what differs twice while ours did not change is wrong here."""
        book, before = self.books.get(told.key), self._doubts.pop(told.key, None)
        if book is None or book.state != LIVE:
            return []
        found = differing(book, told)
        if before is None or told.ts - before[0] > DOUBT_NS:
            self._doubts[told.key] = (told.ts, found)
            return []
        if any(before[1].get(place) == ours for place, ours in found.items()):
            return self._distrust(book, told.ts, GAP, "differs from what REST says", None)
        return []

    # -- the rest ------------------------------------------------------------------------------------------------
    def quote(self, quote: Quote, conn: int = 0) -> list[Event]:
        """The venue's own best bid and ask, as connection ``conn`` brought it: the touch while it is newer than the levels."""
        book = self.books[quote.key]
        old = book.quote
        if old is not None and 0 <= quote.seq <= old.seq and quote.ts - book.quote_ts < QUOTE_MEMORY_NS:
            return []
        if not -FAR < quote.seq < FAR:
            book.faults += 1
            return [Fault(quote.ts, book.instrument.venue, quote.key, "a number beyond all bounds")]
        if not -FAR < quote.ts_exch < FAR:
            quote = msgspec.structs.replace(quote, ts_exch=0)
        if quote.bid >= quote.ask > 0.0:
            book.faults += 1
            return [Fault(quote.ts, book.instrument.venue, quote.key, "crossed quote")]
        before = book.touch() if book.state == LIVE else None
        self.dirty[quote.key] = self._unwritten[quote.key] = None
        book.quote, book.quote_ts, book.stamp = quote, quote.ts, 0
        if -HOUR < quote.ts - quote.ts_exch < HOUR:
            book.stamp = quote.ts_exch
            stream = self.slots.state, book.slot, QUOTE_SENT
            book.excess = book.delay.heard(quote.ts, quote.ts_exch, stream, conn)
        if before is None or book.touch() == before:
            return []
        return self._touched(book, quote.ts)

    def trade(self, trade: Trade, conn: int) -> bool:
        """Count a trade; False when its id was seen before (a replay after a reconnect)."""
        book = self.books[trade.key]
        if book.trades_from != conn:
            book.trades_from = conn
            self.dirty[trade.key] = None
        if not self.trade_ids.new(trade.key, trade.trade_id, trade.ts):
            self.duplicates += 1
            return False
        book.trades += 1
        book.volume += trade.size
        ts, stamp = trade.ts, trade.ts_exch
        times = ts, stamp if -HOUR < ts - stamp < HOUR else 0
        self.slots.trade(book.slot, times, (trade.price, trade.size, 1.0 if trade.side == "buy" else -1.0))
        return True

    def gap(self, gap: Gap) -> list[Event]:
        """The venue says that a book is no longer known to be right."""
        book = self.books.get(gap.key)
        if book is None:
            return []
        if gap.reason in _STATE_OF_GAP:
            book.suspended = 0
        elif book.suspended:
            return []  # it is known to be wrong, and why
        else:
            book.gaps += 1
        book.quote = None
        self.dirty[gap.key] = self._unwritten[gap.key] = None
        if gap.reason in ("disconnected", "reset", "unsubscribed"):
            book.sigma_mid = 0.0
        change = book.enter(max(gap.ts, self.now), _STATE_OF_GAP.get(gap.reason, GAP), gap.reason)
        return [change] if change else []

    def tick(self, now: int) -> list[Event]:
        """Every 10 ms: trades into the rings, silence, lasting crosses, the 1 s volatility."""
        self.slots.settle_trades()
        if now < self._next_look:
            return []
        self._next_look = now + STALE_EVERY_NS
        new_second = now // NS != self._second
        self._second = now // NS
        out: list[Event] = []
        for book in self.books.values():
            if book.state == LIVE:
                age = self.age(book, now)
                book.look(age)
                if age > self.idle_ns[book.instrument.venue]:
                    out += self._change(book, now, STALE, "no message within the silence limit")
                elif new_second and (mid := book.mid()) is not None:
                    book.sigma, book.sigma_mid = next_sigma(book.sigma, book.sigma_mid, mid), mid
            elif book.state == STALE and self.age(book, now) <= self.idle_ns[book.instrument.venue]:
                out += self._settle(book, now, False)
            elif book.state == CROSSED and now - book.crossed_since > CROSSED_GRACE_NS:
                book.crossed_since = now
                self.resyncs.append((book.key, "crossed"))
            elif book.suspended and now >= book.suspended:
                book.suspended = 0
                self.resyncs.append((book.key, HALF_SNAPSHOT if book.reason == HALF_SNAPSHOT else "checksum"))
        return out

    def silence(self, now: int) -> list[Event]:
        """Nothing was received for a while, not even our own clock: what grew too old meanwhile was stale from then on."""
        out: list[Event] = []
        for book in self.books.values():
            limit = self.idle_ns[book.instrument.venue]
            if book.state == LIVE and self.age(book, now) > limit:
                out += self._change(book, min(now, now - self.age(book, now) + limit), STALE, "no message within the silence limit")
        return out

    def late(self, now: int, reason: str) -> list[Event]:
        """Our own loop was late: what looks fresh may be old; nothing is LIVE until it is proved again."""
        self.conn_ts.forget()
        out: list[Event] = []
        for book in self.books.values():
            if book.state == LIVE:
                book.own_ts = 0
                out += self._change(book, now, STALE, reason)
        return out

    def _change(self, book: Book, ts: int, state: str, reason: str) -> list[Event]:
        self.dirty[book.key] = self._unwritten[book.key] = None
        change: BookState | None = book.enter(ts, state, reason)
        return [change] if change else []

    def syncing(self, key: str, ts: int, reason: str) -> list[Event]:
        """A new snapshot is on its way; the old book is not to be used."""
        book = self.books.get(key)
        return [] if book is None else self._change(book, ts, SYNCING, reason)
