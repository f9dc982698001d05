"""Volume bursts: one side of a market trades far more within a second than it is used to.

Definition: per side, v = what was traded in the last ``span`` buckets of ``bucket``; x = ln(1 + v / average of v); z = (x − mean of x) /
max(deviation of x, least deviation). A bucket with z ≥ ``z`` and enough trades is a hit, hits not farther apart than ``merge`` are one
burst. A value is judged before it enters the averages, and enters them cut. One signal per burst, at its end. The plain form, a z-score
of single 50 ms buckets, is ``PLAIN``: it calls every few trades in a row a burst.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from dope.detectors.jumps import WITHOUT_A_BOOK
from dope.format import number, quantity
from dope.market import bursting
from dope.market.bursting import Bursting
from dope.market.columns import calls
from dope.market.lane import TRADE_RING
from dope.market.market import Market
from dope.types import DOWN, HALTED, STALE, BookState, Event, Instrument, Listed, Signal, Tick

MS = 1_000_000
SIDES = {1: "buy", -1: "sell"}
SILENT = (DOWN, STALE, HALTED)  #: states of a book in which its trades are not heard either; a wrong book says nothing of them


class BurstParameters(Struct, frozen=True):
    """What makes volume a burst."""

    bucket_ms: Annotated[float, Meta(ge=5, le=10_000, title="ms", description="trades are added up in buckets of this length")] = 50.0
    span: Annotated[
        float, Meta(ge=1, le=bursting.SPAN, title="buckets", description="what counts is the sum of so many; 1 = the plain form")
    ] = 20.0
    halflife_buckets: Annotated[
        float, Meta(ge=10, le=100_000, title="buckets", description="after which a bucket counts half in what is usual")
    ] = 1200.0
    z: Annotated[float, Meta(ge=0, le=100, title="deviations", description="a burst is so many above what is usual")] = 4.0
    warmup: Annotated[float, Meta(ge=0, le=100_000, title="buckets", description="before which nothing is a burst")] = 400.0
    min_trades: Annotated[float, Meta(ge=1, le=10_000, title="trades", description="a burst has at least so many in its span")] = 3.0
    clip: Annotated[float, Meta(ge=0.5, le=100, title="deviations", description="what a bucket may add to what is usual is cut here")] = 3.0
    sd_floor: Annotated[float, Meta(ge=0.001, le=10, title="ln", description="the deviation is taken for at least this")] = 0.1
    merge_ms: Annotated[float, Meta(ge=0, le=60_000, title="ms", description="hits of one side not farther apart are one burst")] = 250.0


PLAIN = BurstParameters(span=1.0)  #: the plain form: single buckets


class Burst(Signal, frozen=True):
    """One burst that is over; ``start`` and ``end`` = when its first and its last bucket began, ns, received.

    ``side`` = the taker's; ``volume`` = base units that this side traded from one span before ``start`` until it was over;
    ``buckets`` = hits.
    """

    KIND = "burst"

    key: str
    venue: str
    symbol: str
    base: str
    side: str
    start: int
    end: int
    buckets: int
    peak_z: float
    volume: float

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        word, tone = ("Buying", "pos") if self.side == "buy" else ("Selling", "neg")
        took, z = number((self.end - self.start) / 1e9, 1), number(self.peak_z, 1)
        text = f"{word} burst of {self.symbol} on {label(self.venue)}, {took} s (z {z})"
        return text, f"{quantity(float(f'{self.volume:.4g}'))} {self.base}", tone


class Bursts:
    """All markets with books, while their feed is heard: empty buckets count, so one that is down must not look like calm."""

    PARAMETERS = BurstParameters
    KINDS = (Listed, BookState, Tick)

    def __init__(self, parameters: BurstParameters | None = None) -> None:
        self.parameters = parameters or BurstParameters()
        self._bursting = Bursting()
        self._instruments: dict[int, Instrument] = {}  # slot → its market
        set_up(self._bursting, self.parameters)

    @property
    def lost(self) -> int:
        """Trades that were overwritten before they were looked at."""
        return int(self._bursting.lost.sum())

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            return self._tick(event.ts, market)
        if isinstance(event, BookState):
            self._look(event.key, event.state, market)
        elif isinstance(event, Listed) and event.instrument.kind not in WITHOUT_A_BOOK:
            book = market.books[event.instrument.key]
            self._bursting.grow(book.slot + 1)
            self._instruments[book.slot] = event.instrument
            self._look(book.key, book.state, market)
        return ()

    def _look(self, key: str, state: str, market: Market) -> None:
        slot = market.books[key].slot
        if slot in self._instruments:
            self._bursting.on[slot] = state not in SILENT

    def take(self, new: BurstParameters) -> None:
        """Judge by these from now on."""
        old, self.parameters = self.parameters, new
        set_up(self._bursting, new)
        if (old.bucket_ms, old.span) != (new.bucket_ms, new.span):
            self._bursting.begin_anew()  # sums over other buckets say nothing

    def _tick(self, now: int, market: Market) -> Sequence[Burst]:
        own, slots = self._bursting, market.slots
        counts = calls(partial(own.advance, slots.trade_t, slots.trades, slots.trade_n, now), own.full)
        found = [burst for count in counts if count for burst in self._read(count, now)]
        return sorted(found, key=lambda burst: (burst.start, burst.key, burst.side))

    def _read(self, count: int, now: int) -> list[Burst]:
        found = []
        for numbers, figures in zip(self._bursting.numbers[:count].tolist(), self._bursting.figures[:count].tolist(), strict=True):
            slot, way, start, end, hits = numbers
            i = self._instruments[slot]
            found.append(Burst(now, i.key, i.venue, i.symbol, i.base, SIDES[way], start, end, hits, *figures))
        return found


def set_up(own: Bursting, p: BurstParameters) -> None:
    """Put parameters into the compiled form."""
    own.spans[:] = [int(p.bucket_ms * MS), int(p.span), int(p.warmup), int(p.min_trades), int(p.merge_ms * MS)]
    own.rates[:] = [1.0 - 0.5 ** (1.0 / p.halflife_buckets), p.z, p.clip, p.sd_floor]


class BurstSeries:
    """One series of trades through the detector's own code, bucket by bucket: for studies and tests."""

    def __init__(self, p: BurstParameters) -> None:
        self._own, self._p = Bursting(), p
        self._own.grow(1)
        self._own.on[0] = 1
        set_up(self._own, p)
        self._trade_t = np.zeros((1, TRADE_RING, 2), dtype=np.int64)
        self._trades = np.zeros((1, TRADE_RING, 3))
        self._n = np.zeros(1, dtype=np.int64)
        self.bursts: list[dict[str, Any]] = []  #: that have ended; keys as the fields of ``Burst``

    @property
    def closed(self) -> int:
        """Buckets so far."""
        return int(self._own.state[0, bursting.CLOSED])

    @property
    def z(self) -> tuple[float, float]:
        """z of the bought and of the sold of the last bucket."""
        buy, sell = self._own.values[0, :, bursting.Z].tolist()
        return buy, sell

    def trade(self, ts: int, size: float, sign: float) -> None:
        """One trade; ns, base units, above zero = bought."""
        at = int(self._n[0]) & TRADE_RING - 1
        self._trade_t[0, at, 0], self._trades[0, at] = ts, (1.0, size, sign)
        self._n[0] += 1
        if at % (TRADE_RING // 4) == 0:
            self.close(ts)

    def close(self, now: int) -> None:
        """Close all buckets that have ended at ``now``, ns."""
        for count in calls(partial(self._own.advance, self._trade_t, self._trades, self._n, now), self._own.full):
            for numbers, (peak, volume) in zip(self._own.numbers[:count].tolist(), self._own.figures[:count].tolist(), strict=True):
                _, way, start, end, hits = numbers
                self.bursts.append({"side": SIDES[way], "start": start, "end": end, "buckets": hits, "peak_z": peak, "volume": volume})

    def finish(self) -> None:
        """The series is over: so is what is open."""
        self._own.on[0] = 0
        self.close(0)
