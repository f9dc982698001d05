"""Which of many candidates are worth a walk at this tick: those whose books have spoken since the last one, the longest waiting first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from dope.market.book import Book
from dope.market.freshness import age_limit_ns
from dope.market.market import Market
from dope.types import LIVE

MAX_WALKS = 16  #: per tick; the others wait for the next one
RECHECK_NS = 100_000_000  #: what is open is looked at this often even when nothing moves: ages grow


class Candidate(Protocol):
    """Something that several books make: ``looked`` = when it was looked at, ns, ``seen`` = what the books were then."""

    looked: int
    seen: list[int]

    def markets(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Candidate)


class Looks:
    """Deals out the walks. Counts only, no clock: the same however messages are grouped."""

    def __init__(self) -> None:
        self.postponed = 0  #: walks that had to wait for another tick

    def due(self, candidates: Iterable[T], market: Market, now: int) -> Iterator[T]:
        """Those to be walked now. ``seen`` empty = it must be looked at in any case."""
        walks = 0
        for each in sorted(candidates, key=lambda each: each.looked):
            books = [market.books[key] for key in each.markets()]
            seen = [stamp for book in books for stamp in (book.own_ts, book.quote_ts)]
            if seen == each.seen and now - each.looked < RECHECK_NS:
                continue
            if walks == MAX_WALKS:
                self.postponed += 1
                continue
            walks += 1
            each.seen, each.looked = seen, now
            yield each


def fresh(books: Iterable[Book], limit_ns: int, market: Market, now: int) -> bool:
    """All LIVE, none older than the limit or silent beyond its habit."""
    return all(book.state == LIVE and market.age(book, now) <= min(limit_ns, book.rhythm.limit_ns()) for book in books)


def limit_ns(books: Iterable[Book], wall_bps: float, max_age_s: float) -> int:
    """Oldest that any of these may be, from the fees and the liveliest book's volatility."""
    return age_limit_ns(wall_bps, max(book.sigma for book in books), max_age_s)
