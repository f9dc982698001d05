"""The sampler: each 10 ms the features of the books that somebody listens to, and nothing at all while nobody does.

Whoever listens says so again and again (``want``); what nobody has wanted for a while is no longer sampled. Samples wait in
a bounded queue, the oldest go first. No signals: another listener changes nothing of what is recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
import numpy as np

from dope.market.market import Market
from dope.market.sample import NAMES, WINDOW_NAMES, sample
from dope.types import SENTINEL, Event, Tick

MS = 1_000_000
WANTED_NS = 2_000 * MS  #: so long a symbol is sampled after somebody wanted it last
WAITING = 512  #: samples kept for those who read them
BOOKS = 256  #: sampled at once; further ones are left out


class FeatureEvent(msgspec.Struct, frozen=True):
    """Features of several books at one instant: ``values[i][j]`` is column ``j`` of book ``keys[i]``, not a number = not known.

    Prices in quote currency, sizes in base units; deltas and order flow are those since the sample before. Numbered without holes.
    """

    ts: int
    number: int
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray

    def of(self, key: str) -> dict[str, float]:
        """One book's features by name."""
        return dict(zip(self.columns, self.values[self.keys.index(key)].tolist(), strict=True))


class Sampler:
    """``on`` belongs to the engine's thread, and so do ``want`` and ``after``, which are called between two turns of it."""

    KINDS = (Tick,)

    def __init__(self, *, period_ms: int = 10, windows_bps: Sequence[int] = (5, 10, 25, 50)) -> None:
        self.period_ms, self.windows_bps = period_ms, tuple(windows_bps)
        self.columns = (*NAMES, *(f"{name}_{bps}" for bps in self.windows_bps for name in WINDOW_NAMES))
        self.number = 0  #: samples so far
        self._windows = np.array(self.windows_bps, dtype=np.float64)
        self._until: dict[str, int] = {}  # symbol → ns until which it is wanted
        self._events: deque[FeatureEvent] = deque(maxlen=WAITING)
        self._due = self._books = 0
        self._keys: tuple[str, ...] = ()
        self._slots = np.zeros(0, dtype=np.int64)
        self._before = np.zeros((0, 2))

    def want(self, symbols: Iterable[str], now: int) -> None:
        """Somebody listens to these, as of now (ns)."""
        new = [symbol for symbol in symbols if symbol not in self._until]
        self._until |= dict.fromkeys(symbols, now + WANTED_NS)
        if new:
            self._books = 0  # which books these are must be looked up

    def after(self, number: int) -> list[FeatureEvent]:
        """Samples behind this number, oldest first, as far as they are kept."""
        count = min(self.number - number, len(self._events))
        return list(islice(self._events, len(self._events) - count, None)) if count > 0 else []

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if not self._until or event.ts < self._due:
            return ()
        period = self.period_ms * MS
        self._due = event.ts - event.ts % period + period
        if any(until < event.ts for until in self._until.values()):
            self._until = {symbol: until for symbol, until in self._until.items() if until >= event.ts}
            self._books = 0
        if self._books != len(market.books):
            self._look_up(market)
        if not self._keys:
            return ()
        slots, values = market.slots, np.empty((len(self._keys), len(self.columns)))
        sample(slots.levels, slots.touch, slots.flow, self._slots, self._windows, self._before, values)
        self.number += 1
        self._events.append(FeatureEvent(event.ts, self.number, self._keys, self.columns, values))
        return ()

    def _look_up(self, market: Market) -> None:
        """Which books are wanted; those that were sampled already go on from their last sample."""
        known = dict(zip(self._keys, self._before.tolist(), strict=True))
        books = [
            book for book in market.books.values()
            if book.instrument.symbol in self._until and book.instrument.kind not in (SENTINEL, "reference")
            and book.instrument.contract_value is not None
        ][:BOOKS]  # fmt: skip
        self._books, self._keys = len(market.books), tuple(book.key for book in books)
        self._slots = np.array([book.slot for book in books], dtype=np.int64)
        first = [known.get(book.key, [float("nan"), book.flow()]) for book in books]
        self._before = np.array(first, dtype=np.float64).reshape(-1, 2)
