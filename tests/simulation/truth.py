"""What every market's book truly was at the end of each step, and whether a book of ours is one of those, and of when."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np

from dope.market import kernel
from dope.market.book import Book
from dope.sim.book import ASK, BID
from dope.sim.quoting import Market
from dope.sim.world import World

ALL = 1_000  #: levels per side, more than any simulated book has
PIECEMEAL = ("bitfinex",)  #: a message per level: on a slow line a book is seen between two steps
PROVED = {"kraken": 10}  #: levels a side that each checksum sees: what was lost behind them is noticed when it comes up
TINY = 1e-3  #: ticks or lots by which a float may miss a whole number

Sides = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]  #: bids and asks as (tick, lots), best first


class WrittenWorld(World):
    """A world whose books are written down after each step; set ``ledger`` before time goes on."""

    ledger: Ledger

    def advance(self, steps: int = 1) -> None:
        for _ in range(steps):
            super().advance(1)
            self.ledger.note(self.sample.steps)


class Ledger:
    """The past of all markets, to the depth that our book of each keeps."""

    def __init__(self, world: World, depths: dict[str, int]) -> None:
        """``depths``: levels per side by venue, 0 = all."""
        self.pasts = {key: Past(market, depths[market.spec.venue] or ALL) for key, market in world.sample.markets.items()}

    def note(self, step: int) -> None:
        """A step is over."""
        for past in self.pasts.values():
            if past.market.book.changes:
                past.enter(step)


class Past:
    """One market: the books that it had, numbered, and from which step on."""

    def __init__(self, market: Market, depth: int) -> None:
        self.market, self.depth = market, depth
        self.began: list[int] = []  #: step from which on the book of this number was the true one
        self.found = -1  #: number of the book that ours was equal to last
        self._numbers: dict[int, list[int]] = {}  # hash of a book → its numbers
        self._tops: dict[int, list[int]] = {}  # likewise of the levels that are proved
        self._books: list[Sides] | None = [] if market.spec.venue in PIECEMEAL else None
        self.enter(0)

    def enter(self, step: int) -> None:
        """The book as it is now, if it is another one to this depth."""
        numbers = self._numbers.setdefault(hash(self.true()), [])
        if numbers and numbers[-1] == len(self.began) - 1:
            return
        numbers.append(len(self.began))
        self._tops.setdefault(hash(self._top(self.true())), []).append(len(self.began))
        self.began.append(step)
        if self._books is not None:
            self._books.append(self.true())

    def true(self) -> Sides:
        """The book as it is now."""
        book = self.market.book
        return tuple(book.side(BID, self.depth)), tuple(book.side(ASK, self.depth))

    def _top(self, sides: Sides) -> Sides:
        """The levels that are proved."""
        first = PROVED.get(self.market.spec.venue, ALL)
        return sides[0][:first], sides[1][:first]

    def wrong(self, book: Book, step: int, oldest: int, *, lossy: bool = False) -> str:
        """Why ``book`` is none that this market had, or none that may still be shown at ``step``; "" = all is well.

        A book never goes back, and its time ended at most ``oldest`` steps ago. ``lossy`` = messages may have been lost: then only
        levels that are proved count.
        """
        ours = (self._side(book, True), self._side(book, False))
        numbers: Sequence[int] = self._numbers.get(hash(ours), ())
        if not numbers and lossy:
            numbers = self._tops.get(hash(self._top(ours)), ())
        if not numbers:
            between = self._between(ours)
            if between is None:
                return f"never was like this: {self._differing(ours)}"
            numbers = [between]
        number = numbers[-1]
        if number < self.found:
            return f"went back from the book of step {self.began[self.found]} to that of step {self.began[number]}"
        self.found = max(self.found, numbers[bisect.bisect_left(numbers, self.found)])
        over = self.began[number + 1] if number + 1 < len(self.began) else step
        return f"was right until {(step - over) / 100:.2f} s ago" if step - over > oldest else ""

    def _between(self, ours: Sides) -> int | None:
        """The newest book of which some levels are told already and others not yet; only where they are told one by one."""
        for number in range(len(self._books or ()) - 1, max(self.found, 0), -1):
            assert self._books is not None
            before, after = self._books[number - 1], self._books[number]
            if all({*old} & {*new} <= {*mine} <= {*old} | {*new} for mine, old, new in zip(ours, before, after, strict=True)):
                return number - 1
        return None

    def _side(self, book: Book, bid: bool) -> tuple[tuple[int, int], ...]:
        spec = self.market.spec
        raw = kernel.levels(book.a, bid, ALL)
        exact = raw * np.array([1e6 / spec.tick_e6, 1e8 / spec.lot_e8])
        whole = np.rint(exact)
        if np.abs(exact - whole).max(initial=0.0) > TINY:
            return ((-1, -1),)
        return tuple(map(tuple, whole.astype(np.int64).tolist()))  # type: ignore[arg-type]

    def _differing(self, ours: Sides) -> dict[str, Any]:
        """The levels that are not those of now."""
        return {
            name: {"only ours": sorted(set(mine) - set(its))[:5], "only true": sorted(set(its) - set(mine))[:5]}
            for name, mine, its in zip(("bids", "asks"), ours, self.true(), strict=True)
        }
