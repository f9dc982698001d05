"""One market's book: its levels (kernel), its state, the venue's own quote laid over it, and its counters.

The venue's best-bid-ask feed is often faster than its depth feed. While the quote is newer than the levels
(by sequence number, else by receive time) it *is* the touch, and levels better than it are not shown: they are gone.
The levels themselves are never changed by a quote.
"""

from __future__ import annotations

import zlib

import numpy as np

from dope.market import checksums, kernel, lane
from dope.market.delays import NS, DelayFloor
from dope.market.freshness import Rhythm
from dope.market.lane import Slots
from dope.market.walk import vwap
from dope.types import LIVE, SYNCING, BookState, Instrument, Quote

Level = tuple[float, float]
LIES, LIES_NS = 3, 60 * NS  #: so many wrong checksums within this time, and the book is suspended
SUSPENSION_NS = 300 * NS  #: then it is asked for anew
VWAP_LEVELS = 200  #: levels that an average price may use

#: a checksum rule: name → (depth, how the text under its CRC32 is written)
CHECKSUMS = {
    "interleaved25": (25, checksums.interleaved_text),
    "digits10": (10, checksums.digits_text),
    "signed25": (25, checksums.signed_text),
}


class Book:
    """Mutable state of one instrument; written only by ``Market``, read by everybody through its methods."""

    __slots__ = (
        "_slots", "ask", "ask_size", "bid", "bid_size", "book_updates", "checked_ts", "checksum_mismatches", "checksum_rule",
        "checksums_ok", "conn", "crossed", "crossed_since", "delay", "excess", "faults", "gaps", "instrument", "key", "live_ns",
        "mismatches", "mult", "own_ts", "quote", "quote_ts", "reason", "rhythm", "seq", "since", "slot", "snapshots", "stamp",
        "state", "suspended", "touch_ts", "trades", "trades_from", "volume",
    )  # fmt: skip

    def __init__(
        self, instrument: Instrument, slots: Slots, delay: DelayFloor, checksum_rule: str = "", ts: int = 0, *, depth: int = 0,
        fields: int = 0,
    ) -> None:  # fmt: skip
        self.instrument, self.key, self.checksum_rule = instrument, instrument.key, checksum_rule
        self.delay = delay  # of the whole venue
        self._slots, self.slot = slots, slots.add()
        slots.state[self.slot, lane.DELAYS] = delay.state.ctypes.data
        self.relist(instrument)
        self.a[4, kernel.DEPTH], self.a[4, kernel.FIELDS] = depth, fields
        self.state, self.since = SYNCING, ts
        self.reason = "a reference price, without a book" if instrument.kind == "reference" else "waiting for a snapshot"
        self.seq, self.conn = -1, -1
        self.bid = self.bid_size = self.ask = self.ask_size = 0.0  # of the levels, as the venue counts sizes
        self.quote: Quote | None = None
        self.quote_ts = self.own_ts = self.touch_ts = self.crossed_since = 0
        self.stamp = 0  # the venue's own of the newest message, ns; 0 = none
        self.excess = 0  # ns that the newest message was late, above the venue's best case
        self.rhythm = Rhythm()
        slots.state[self.slot, lane.HABIT] = self.rhythm.limit_ns()
        self.book_updates = self.snapshots = self.gaps = self.faults = self.crossed = 0
        self.checked_ts = 0  # when its last checksum matched, ns; 0 = never
        self.mismatches: list[int] = []  # when its last checksums were wrong, ns
        self.suspended = 0  # until when no snapshot is taken, ns; 0 = it is not suspended
        self.checksums_ok = self.checksum_mismatches = self.live_ns = self.trades = 0
        self.trades_from = -1  # connection of the newest one
        self.volume = 0.0  # base units traded since start

    def relist(self, instrument: Instrument) -> None:
        """Take this for the instrument's data; its key is the same."""
        self.instrument = instrument
        self.mult = instrument.contract_value if instrument.contract_value is not None else 1.0
        self._slots.touch[self.slot, lane.UNIT] = -self.mult if instrument.inverse else self.mult

    @property
    def a(self) -> np.ndarray:
        """The levels, as the kernel keeps them."""
        found: np.ndarray = self._slots.levels[self.slot]
        return found

    @property
    def sigma_mid(self) -> float:
        """The mid that the volatility was last fed with; 0.0 = none yet."""
        return float(self._slots.touch[self.slot, lane.MID])

    @sigma_mid.setter
    def sigma_mid(self, mid: float) -> None:
        self._slots.touch[self.slot, lane.MID] = mid

    @property
    def sigma(self) -> float:
        """Volatility in bps per sqrt(s); 0.0 = not known yet."""
        return float(self._slots.touch[self.slot, lane.SIGMA])

    @sigma.setter
    def sigma(self, sigma: float) -> None:
        self._slots.touch[self.slot, lane.SIGMA] = sigma

    def look(self, age: int) -> None:
        """One look at how old it is, ns: see ``Rhythm``."""
        self.rhythm.look(age)
        self._slots.state[self.slot, lane.HABIT] = self.rhythm.limit_ns()

    def write(self) -> None:
        """Let compiled code know what became of it in Python."""
        slots, slot, quote = self._slots, self.slot, self.quote
        said, seat = (self.seq, self.own_ts, self.excess, self.stamp), slots.heard.seat(self.conn)
        quoted = (0, -1, self.quote_ts, 0) if quote is None else (1, quote.seq, self.quote_ts, quote.ts_exch)
        slots.state[slot, lane.SAID] = *said, seat, *quoted
        if quote is not None:
            slots.touch[slot, lane.Q_BID :] = quote.bid, quote.bid_size, quote.ask, quote.ask_size
        bid, _, ask, _ = self.touch()
        slots.prices[slot] = bid, ask

    def quote_leads(self) -> bool:
        """Whether the venue's own quote is newer than the levels."""
        quote = self.quote
        if quote is None:
            return False
        return quote.seq > self.seq if quote.seq >= 0 and self.seq >= 0 else self.quote_ts > self.own_ts

    def base_size(self, size: float, price: float) -> float:
        """Size as the venue counts it → base units."""
        if self.instrument.inverse:
            return size * self.mult / price if price else 0.0
        return size * self.mult

    def touch(self) -> tuple[float, float, float, float]:
        """(bid, bid size, ask, ask size) in base units; 0.0 where a side is empty."""
        if self.quote_leads():
            q = self.quote
            assert q is not None
            return q.bid, self.base_size(q.bid_size, q.bid), q.ask, self.base_size(q.ask_size, q.ask)
        return self.bid, self.base_size(self.bid_size, self.bid), self.ask, self.base_size(self.ask_size, self.ask)

    def mid(self) -> float | None:
        """Middle of the touch, None while a side is empty."""
        bid, _, ask, _ = self.touch()
        return (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else None

    def levels(self, side: str, limit: int) -> list[Level]:
        """Best ``limit`` levels of ``side`` ("bid" | "ask"), best first, as (price, base size), under the newer quote."""
        bid_side = side == "bid"
        read = limit + 8
        raw: list[list[float]] = kernel.levels(self.a, bid_side, read).tolist()
        if self.quote_leads():
            q = self.quote
            assert q is not None
            best, size = (q.bid, q.bid_size) if bid_side else (q.ask, q.ask_size)
            behind = [level for level in raw if (level[0] < best if bid_side else level[0] > best)]
            if len(behind) < limit <= read == len(raw):  # the quote has gone past many of them: there are more behind it
                raw = kernel.levels(self.a, bid_side, kernel.CAPACITY).tolist()
                behind = [level for level in raw if (level[0] < best if bid_side else level[0] > best)]
            raw = [[best, size], *behind] if best > 0.0 and size > 0.0 else behind
        if self.instrument.inverse:
            return [(price, self.base_size(size, price)) for price, size in raw[:limit]]
        mult = self.mult  # what ``base_size`` does, without a call per level
        return [(price, size * mult) for price, size in raw[:limit]]

    def depth(self, windows_bps: tuple[int, ...]) -> dict[int, tuple[float, float, bool]]:
        """Base size within each window of the mid: {bps: (bids, asks, complete)}; not complete = the book ends before."""
        found = kernel.depth_within(self.a, np.array(windows_bps, dtype=np.float64))
        mid = (self.bid + self.ask) / 2.0
        return {
            bps: (self.base_size(row[0], mid), self.base_size(row[1], mid), bool(row[2] and row[3]))
            for bps, row in zip(windows_bps, found.tolist(), strict=True)
        }

    def touches(self) -> tuple[np.ndarray, np.ndarray]:
        """The last price changes of the touch, oldest first: (n, 2) received and stamped, ns; (n, 4) as in ``Slots.ring``."""
        return self._slots.touches(self.slot)

    def deals(self) -> tuple[np.ndarray, np.ndarray]:
        """The last trades as of the last clock tick, oldest first: (n, 2) received and stamped, ns; (n, 3) as in ``Slots.trades``."""
        return self._slots.trades_of(self.slot)

    def flow(self) -> float:
        """Imbalance of order flow since the start, base units: the difference between two looks is that of the time between."""
        return float(self._slots.flow[self.slot, 0])

    def vwap(self, side: str, qty: float) -> float | None:
        """Average price of taking ``qty`` base units from ``side`` now; None when the kept levels do not hold as much."""
        return vwap(self.levels(side, VWAP_LEVELS), qty)

    def imbalance(self) -> float | None:
        """(bid size − ask size) / (bid size + ask size) at the touch, −1 … 1."""
        _, bid_size, _, ask_size = self.touch()
        total = bid_size + ask_size
        return (bid_size - ask_size) / total if total > 0.0 else None

    def checksum(self) -> int:
        """CRC32 of the levels by this book's rule (unsigned)."""
        text = self._slots.text
        depth, written = CHECKSUMS[self.checksum_rule]
        return zlib.crc32(text.data[: written(self.a, depth, text)])

    def lied_to(self, ts: int) -> bool:
        """Count a wrong checksum; True = it is one too many, and the book is suspended: it may be the venue's that are wrong."""
        self.checksum_mismatches += 1
        self.mismatches = [*(before for before in self.mismatches if ts - before <= LIES_NS), ts]
        if len(self.mismatches) < LIES:
            return False
        self.mismatches, self.suspended = [], ts + SUSPENSION_NS
        return True

    def enter(self, ts: int, state: str, reason: str) -> BookState | None:
        """Change the state; None when nothing changes."""
        if state == self.state:
            self.reason = reason
            return None
        change = BookState(ts=ts, key=self.key, state=state, was=self.state, reason=reason, since=self.since)
        if self.state == LIVE:
            self.live_ns += ts - self.since
            nothing = float("nan")  # from here on the last touch is no longer current
            lane.remember(self.slot, ts, 0, nothing, nothing, nothing, nothing, self._slots.rings)
        self.state, self.reason, self.since = state, reason, ts
        self._slots.state[self.slot, lane.IS_LIVE] = state == LIVE
        return change

    def live_seconds(self, now: int) -> float:
        """Seconds spent LIVE so far."""
        return (self.live_ns + (now - self.since if self.state == "LIVE" else 0)) / 1e9
