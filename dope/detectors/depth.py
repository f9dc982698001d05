"""Keeps how deep every book was, second by second, for half an hour: sizes per price bucket, what the depth heat map is drawn from.

Once a second, each symbol at a Tick of its own so that no message waits long; rows of the venues of one symbol are of one
instant and on one grid of buckets, so that they add up. A book that is not LIVE has no row then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from dope.market.book import Book
from dope.market.buckets import WIDE, fill, step_for
from dope.market.market import Market
from dope.types import LIVE, SENTINEL, Event, Listed, Tick

NS = 1_000_000_000
KEPT = 1800  #: rows per book, one a second
TURNS = 50  #: Ticks over which the symbols of a second are spread


class DepthParameters(msgspec.Struct, frozen=True):
    """How the grids of buckets are chosen. A change begins the history anew."""

    btc_bucket: Annotated[float, Meta(ge=0.01, le=10_000, title="quote currency", description="width of a price bucket of BTC")] = 10.0
    eth_bucket: Annotated[float, Meta(ge=0.01, le=1_000, title="quote currency", description="width of a price bucket of ETH")] = 1.0
    bucket_bps: Annotated[float, Meta(ge=0.1, le=50, title="bps of the price", description="width of others' buckets: 1, 2, 5 …")] = 1.0

    def given(self, base: str) -> float | None:
        """The width that is given for an asset."""
        return {"BTC": self.btc_bucket, "ETH": self.eth_bucket}.get(base)


class DepthRows(NamedTuple):
    """Rows of one book, oldest first: when (ns), mid, buckets of the best bid and ask (n, 2), sizes (n, 2, ``WIDE``) in base units.

    Sizes of bids go downwards from the bucket of the best one, those of asks upwards.
    """

    t: np.ndarray
    mid: np.ndarray
    first: np.ndarray
    sizes: np.ndarray


class Ring:
    """The rows of one book; sizes as the upper halves of 32-bit floats, exact to 0.4 %, half the room."""

    def __init__(self) -> None:
        self.n = 0
        # written to once, so that the memory is taken now and not bit by bit for half an hour
        self.t, self.mid = np.full(KEPT, 0, dtype=np.int64), np.full(KEPT, 0.0)
        self.first, self.halves = np.full((KEPT, 2), 0, dtype=np.int32), np.full((KEPT, 2, WIDE), 0, dtype=np.uint16)

    def add(self, t: int, mid: float, first: tuple[int, int], sizes: np.ndarray) -> None:
        at = self.n % KEPT
        self.t[at], self.mid[at], self.first[at] = t, mid, first
        self.halves[at] = (sizes.astype(np.float32).view(np.uint32) + 0x8000) >> 16
        self.n += 1

    def rows(self, start: int, every: int) -> DepthRows:
        order = np.arange(max(0, self.n - KEPT), self.n) % KEPT
        t = self.t[order]
        order = order[(t >= start) & (t // NS % every == 0)]
        sizes = (self.halves[order].astype(np.uint32) << 16).view(np.float32)
        return DepthRows(self.t[order], self.mid[order], self.first[order], sizes)


class DepthHistory:
    """Emits no signals; read through ``rows`` and ``step``. Costs some 10 µs per book and second."""

    KINDS = (Listed, Tick)
    PARAMETERS = DepthParameters

    def __init__(self, parameters: DepthParameters | None = None) -> None:
        self.parameters = parameters or DepthParameters()
        self._used = self.parameters
        self._symbols: dict[str, list[str]] = {}  # symbol → keys of its books
        self._steps: dict[str, float] = {}
        self._rings: dict[str, Ring] = {}
        self._second, self._due = 0, list[str]()
        self._out = np.zeros((2, WIDE))

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Tick):
            second = event.ts // NS
            if second != self._second:
                self._begin(second)
            for _ in range(min(len(self._due), 1 + len(self._symbols) // TURNS)):
                self._sample(self._due.pop(), market)
        elif isinstance(event, Listed):
            instrument = event.instrument
            keys = self._symbols.setdefault(instrument.symbol, [])
            if instrument.kind not in (SENTINEL, "reference") and instrument.key not in keys:
                keys.append(instrument.key)
        return ()

    def _begin(self, second: int) -> None:
        self._second, self._due = second, list(self._symbols)[::-1]
        if self.parameters != self._used:
            self._used = self.parameters
            self._steps.clear()
            self._rings.clear()

    def _sample(self, symbol: str, market: Market) -> None:
        for key in self._symbols[symbol]:
            book = market.books[key]
            if book.state != LIVE or book.instrument.contract_value is None:
                continue
            touch = book.touch()
            if not (touch[0] > 0.0 and touch[2] > 0.0):
                continue
            mid = (touch[0] + touch[2]) / 2.0
            step = self._steps.get(symbol) or self._choose(symbol, book, mid)
            unit = -book.mult if book.instrument.inverse else book.mult
            first = fill(book.a, touch, unit, step, self._out)
            ring = self._rings.get(key)
            if ring is None:
                ring = self._rings[key] = Ring()
            ring.add(self._second * NS, mid, first, self._out)

    def _choose(self, symbol: str, book: Book, mid: float) -> float:
        base = book.instrument.base
        step = self._steps[symbol] = step_for(mid, self._used.given(base), self._used.bucket_bps)
        return step

    def step(self, symbol: str) -> float | None:
        """Width of the buckets of a symbol; None before the first row."""
        return self._steps.get(symbol)

    def rows(self, key: str, start: int = 0, every: int = 1) -> DepthRows | None:
        """Rows of a book from ``start`` (ns) on, those of each ``every``-th second, copied; None while there are none."""
        ring = self._rings.get(key)
        return None if ring is None else ring.rows(start, every)
