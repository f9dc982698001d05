"""Spread statistics per pair of comparable markets, and the basis of each perpetual against its spot markets.

Definition: once per second, for two LIVE markets a and b of the same base, quote and kind, s = (ln mid_a − ln mid_b)·1e4
bps; for a spot and a perpetual of the same base and quote, basis = (perp mid / spot mid − 1)·1e4 bps. Of both mean, deviation
and extremes of the last hour are kept. A basis is constant for good reasons (funding): it is shown, never an opportunity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dope.detectors.rolling import Moments, Rolling
from dope.market.market import Market
from dope.types import Event, Instrument, Listed, Tick

SECOND = 1_000_000_000
FEWEST = 30  #: samples below which there is no z-score


class Told(NamedTuple):
    """A couple at the last sample, bps: ``current`` None = not known now; the rest is of the last hour."""

    a: str
    b: str
    current: float | None
    mean: float
    sd: float
    low: float
    high: float
    n: int


class Couples:
    """Two markets each, and the difference of their mids, a sample per second."""

    def __init__(self) -> None:
        self.number: dict[tuple[str, str], int] = {}  #: (a, b) → its row
        self.rolling = Rolling()
        self._legs: list[tuple[int, int]] = []  # numbers of the markets
        self._at = np.zeros((0, 2), dtype=np.int64)
        self._current = np.zeros(0)
        self._moments: Moments | None = None

    def add(self, keys: tuple[str, str], legs: tuple[int, int]) -> None:
        """One more couple; ``legs`` = the places of both among the mids."""
        self.number[keys] = self.rolling.add()
        self._legs.append(legs)

    def legs(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of all first and of all second markets."""
        if len(self._at) != len(self._legs):
            self._at = np.array(self._legs, dtype=np.int64).reshape(-1, 2)
        return self._at[:, 0], self._at[:, 1]

    def sample(self, second: int, values: np.ndarray) -> None:
        """What all couples are now; not a number = not known."""
        self._current, self._moments = values, None
        self.rolling.sample(second, values)

    @property
    def moments(self) -> Moments:
        """Of the last hour, by row; reckoned once per sample, if anybody asks."""
        if self._moments is None:
            self._moments = self.rolling.moments()
        return self._moments

    def current(self, a: str, b: str) -> float | None:
        """The last sample; None = one of them was not LIVE, or none was taken yet."""
        row = self.number[(a, b)]
        return None if row >= len(self._current) or np.isnan(self._current[row]) else float(self._current[row])

    def z(self, rows: np.ndarray) -> np.ndarray:
        """How many deviations the newest known sample of these rows lies from the mean of the hour.

        Not a number = too few samples, or nothing ever moved, or no such couple (a row below 0).
        """
        m, out = self.moments, np.full(rows.shape, np.nan)
        there = (rows >= 0) & (rows < len(m.n))
        row = rows[there]
        enough = (m.n[row] >= FEWEST) & (m.sd[row] > 0.0)
        found = np.full(len(row), np.nan)
        found[enough] = (self.rolling.last[row[enough]] - m.mean[row[enough]]) / m.sd[row[enough]]
        out[there] = found
        return out

    def told(self) -> Iterator[Told]:
        """All couples that were ever known, in the order in which they were listed."""
        now = [None if math.isnan(value) else value for value in self._current.tolist()]
        columns = (column.tolist() for column in (*self.moments[:4], self.moments.n.astype(np.int64)))
        for (a, b), current, *figures in zip(self.number, now, *columns, strict=False):
            if figures[-1]:
                yield Told(a, b, current, *figures)


class Spreads:
    """Read through ``pairs`` and ``bases`` (spot, perpetual). Emits no signals."""

    KINDS = (Listed, Tick)

    def __init__(self) -> None:
        self.pairs, self.bases = Couples(), Couples()
        self._instruments: dict[str, Instrument] = {}
        self._second = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Listed):
            self._list(event.instrument)
        elif isinstance(event, Tick) and event.ts // SECOND != self._second:
            self._second = event.ts // SECOND
            self._sample(market)
        return ()

    def _list(self, new: Instrument) -> None:
        if new.kind not in ("spot", "perp") or new.key in self._instruments:
            return
        at = len(self._instruments)
        for number, known in enumerate(self._instruments.values()):
            if (known.base, known.quote) != (new.base, new.quote):
                continue
            turned = known.key > new.key if known.kind == new.kind else known.kind == "perp"
            keys, legs = (known.key, new.key), (number, at)
            if turned:
                keys, legs = keys[::-1], legs[::-1]
            (self.pairs if known.kind == new.kind else self.bases).add(keys, legs)
        self._instruments[new.key] = new

    def _sample(self, market: Market) -> None:
        books = (market.books[key] for key in self._instruments)
        mids = np.array([book.mid() if book.state == "LIVE" else np.nan for book in books], dtype=np.float64)
        logs = np.log(mids, where=mids > 0.0, out=np.full(len(mids), np.nan)) * 1e4
        a, b = self.pairs.legs()
        self.pairs.sample(self._second, logs[a] - logs[b])
        spot, perp = self.bases.legs()
        self.bases.sample(self._second, (mids[perp] / mids[spot] - 1.0) * 1e4)
