"""What is known of a simulated market's book: plain dicts of ticks and lots, for every step in which it was another one."""

from __future__ import annotations

import numpy as np

from dope.market import kernel
from dope.market.book import Book
from dope.sim.book import ASK, BID
from dope.sim.quoting import Market

ALL = 1_000  #: levels per side, more than any simulated book has
TINY = 1e-3  #: ticks or lots by which a float may miss a whole number

Sides = tuple[dict[int, int], dict[int, int]]  #: bids and asks: tick → lots


class Truth:
    """The books that a market had: at which step each was the true one, to a depth."""

    def __init__(self, market: Market, depth: int) -> None:
        self.market, self.depth = market, depth
        self._spans: dict[int, list[tuple[int, int]]] = {}  # hash of a book → steps (from, before)
        self._now = 0, 0  # hash, since
        self._tick, self._lot = 1e6 / market.spec.tick_e6, 1e8 / market.spec.lot_e8
        self.enter(0)

    def sides(self) -> Sides:
        """The book as it is now."""
        book = self.market.book
        return dict(book.side(BID, self.depth)), dict(book.side(ASK, self.depth))

    def enter(self, step: int) -> None:
        """A step is over."""
        found = _hash(self.sides())
        if found != self._now[0]:
            if self._now[0]:
                self._spans.setdefault(self._now[0], []).append((self._now[1], step))
            self._now = found, step

    def forget(self) -> None:
        """All that was before now."""
        self._spans.clear()

    def wrong(self, ours: Sides, newest: int) -> str:
        """Why this book is none that there was at step ``newest`` or after it; "" = all is well."""
        found = _hash(ours)
        if found == self._now[0] or any(end > newest for _, end in self._spans.get(found, ())):
            return ""
        if found in self._spans:
            return f"is that of steps {self._spans[found]}, heard was all of step {newest}"
        true = self.sides()
        differing = [
            sorted(set(mine.items()) ^ set(its.items()))[:6] for mine, its in zip(ours, true, strict=True)
        ]
        return f"never was like this: {differing}"

    def ours(self, book: Book) -> Sides:
        """A book of the engine in ticks and lots."""
        return _whole(kernel.levels(book.a, True, self.depth), self._tick, self._lot), _whole(
            kernel.levels(book.a, False, self.depth), self._tick, self._lot
        )


def _whole(raw: np.ndarray, tick: float, lot: float) -> dict[int, int]:
    exact = raw * (tick, lot)
    whole = np.rint(exact)
    if np.abs(exact - whole).max(initial=0.0) > TINY:
        return {-1: -1}
    found = dict(map(tuple, whole.astype(np.int64).tolist()))
    return found if len(found) == len(raw) else {-1: -2}


def _hash(sides: Sides) -> int:
    return hash((tuple(sides[0].items()), tuple(sides[1].items()))) or 1
