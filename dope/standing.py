"""How each market and each venue stands at this moment, as rows; what is not watched any more has none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.market.book import Book
from dope.market.freshness import age_limits_ns
from dope.market.pairs import BUY, SELL, WALL
from dope.market.sample import depths
from dope.matrices import short
from dope.muting import Muting
from dope.types import LIVE, SYNCING, Ack
from dope.venues.sentinel import KEYS as SENTINEL_KEYS

MS = 1_000_000
STATES_KEPT = 60  #: changes of a venue's state that are told, of the last hour
HOUR_MS = 3_600_000
WINDOWS = np.array([5.0, 10.0, 25.0, 50.0])  #: bps of the mid within which depth is told
WINDOW_NAMES = ("5", "10", "25", "50")
DIGITS = 6  #: of a depth
NO_TOUCH = 0.0, 0.0, 0.0, 0.0


class Standing:
    """Reads one engine; of its own it remembers what the venues confirmed and refused, and the states that they went through."""

    def __init__(self, engine: Engine, arbitrage: Arbitrage, spreads: Spreads) -> None:
        self.engine, self.arbitrage, self.spreads = engine, arbitrage, spreads
        self.hidden = frozenset(SENTINEL_KEYS)  #: keys of markets that have no row
        self._hidden_venues = frozenset[str]()
        self._acks: dict[str, dict[str, tuple[bool, str]]] = {}  # venue → topic → (ok, why not)
        self._past: dict[str, deque[tuple[int, str]]] = {}  # venue → (since ms, state)

    def hide(self, venues: Iterable[str], keys: Iterable[str]) -> None:
        """These venues and markets have no rows any more."""
        self._hidden_venues, self.hidden = frozenset(venues), frozenset((*keys, *SENTINEL_KEYS))

    def answered(self, ack: Ack) -> None:
        """A venue confirmed or refused a topic."""
        self._acks.setdefault(ack.venue, {})[ack.topic] = (ack.ok, ack.reason)

    def books(self) -> list[Book]:
        """All that have a row."""
        return [book for key, book in self.engine.market.books.items() if key not in self.hidden]

    def instruments(self, books: Sequence[Book], now: int, limits_ms: Mapping[str, float]) -> list[dict[str, Any]]:
        """Markets with their best prices, while their books are LIVE; ``limits_ms`` of all as ``limits_ms`` gives them."""
        slots = self.engine.market.slots
        of = np.array([book.slot for book in books], dtype=np.int64)
        within = _readable(depths(slots.levels, slots.touch, of, WINDOWS)).tolist()
        return [self._instrument(book, now, limits_ms, found) for book, found in zip(books, within, strict=True)]

    def _instrument(self, book: Book, now: int, limits_ms: Mapping[str, float], within: Sequence[Sequence[float]]) -> dict[str, Any]:
        i, market = book.instrument, self.engine.market
        live = book.state == LIVE
        bid, bid_size, ask, ask_size = book.touch() if live else NO_TOUCH
        funding = market.funding.get(book.key)
        if funding is not None and i.kind == "reference" and now - funding.ts > market.idle_ns[i.venue]:
            funding = None  # it has no book whose state would say that it is old
        ever = book.own_ts > 0
        check = self.engine.venues[i.venue].INTEGRITY
        checked = book.checked_ts if check == "checksum" else book.own_ts if check else 0
        return {
            "key": book.key, "venue": i.venue, "symbol": i.symbol, "base": i.base, "quote": i.quote, "kind": i.kind,
            "state": book.state, "reason": self._why(book), "since": book.since // MS,
            "bid": bid or None, "ask": ask or None, "bid_size": bid_size or None, "ask_size": ask_size or None,
            "mid": (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else None,
            "age_ms": _ms(market.age(book, now)) if ever else None,
            "unchanged_ms": _ms(now - book.touch_ts) if ever and book.touch_ts else None,
            "limit_ms": limits_ms.get(book.key), "tick": i.tick or None,
            "check": check or "none", "checked_ms": _ms(now - checked) if checked else None,
            "gaps": book.gaps, "checksum_bad": book.checksum_mismatches,
            "depth": dict(zip(WINDOW_NAMES, within, strict=True)) if live else {},
            "imbalance": round((bid_size - ask_size) / total, 4) if (total := bid_size + ask_size) > 0.0 else None,
            "funding": funding.rate if funding else None, "mark": funding.mark if funding else None,
        }  # fmt: skip

    def ages(self, now: int) -> list[dict[str, Any]]:
        """How old each book is known to be, and how old it may be."""
        limits_ms = self.limits_ms()
        return [
            {"key": book.key, "venue": book.instrument.venue, "symbol": book.instrument.symbol, "state": book.state,
             "age_ms": self.engine.market.age(book, now) / MS if book.own_ts else None,
             "unchanged_ms": (now - book.touch_ts) / MS if book.own_ts and book.touch_ts else None,
             "limit_ms": limits_ms.get(book.key), "sigma_bps": book.sigma or None}
            for book in self.books()
        ]  # fmt: skip

    def _why(self, book: Book) -> str:
        """Why it is not live; of a book that waits, what the venue refused."""
        if book.state == SYNCING:
            native = book.instrument.native.lower()
            for topic, (ok, why) in self._acks.get(book.instrument.venue, {}).items():
                if not ok and native in topic.lower():
                    return f"{topic} refused: {why}"
        return book.reason

    def limits_ms(self) -> dict[str, float]:
        """How old each market may be to count as a leg: of its pairs the least, ms, by key; one without a pair is in none."""
        books, slots = self.engine.market.books, self.engine.market.slots
        sigmas, limits = np.zeros(slots.count), np.full(slots.count, np.iinfo(np.int64).max)
        for key in self.arbitrage.of:
            sigmas[books[key].slot] = books[key].sigma
        numbers = self.arbitrage.numbers()
        legs, walls = slots.pairs.numbers[numbers][:, [BUY, SELL]], slots.pairs.figures[numbers, WALL]
        of_pair = age_limits_ns(walls, sigmas[legs].max(axis=1, initial=0.0), self.arbitrage.rules.max_age_s)
        for leg in legs.T:
            np.minimum.at(limits, leg, of_pair)
        return {key: int(limits[books[key].slot]) / MS for key, has in self.arbitrage.of.items() if has}

    def pairs(self) -> list[dict[str, Any]]:
        """The spread of every pair in one currency, beside what it usually is."""
        rows = []
        for a, b, current, mean, sd, low, high, n in self.spreads.pairs.told():
            if not self.hidden & {a, b}:
                i = self.engine.market.books[a].instrument
                row = {"a": a, "b": b, "symbol": i.symbol, "kind": i.kind, "current": short(current)}
                rows.append({**row, "mean": short(mean), "sd": short(sd), "min": short(low), "max": short(high), "n": n})
        return rows

    def bases(self) -> list[dict[str, Any]]:
        """The basis of every perpetual against its spot, beside what it usually is, and the funding."""
        rows = []
        for spot, perp, current, mean, *_ in self.spreads.bases.told():
            if not self.hidden & {spot, perp}:
                funding = self.engine.market.funding.get(perp)
                base = self.engine.market.books[spot].instrument.base
                rows.append({
                    "base": base, "spot": spot, "perp": perp, "bps": short(current), "mean": short(mean),
                    "deviation": None if current is None else short(current - mean),
                    "funding_8h_bps": funding.rate * 1e4 if funding and funding.rate is not None else None,
                })  # fmt: skip
        return rows

    def venues(self, now: int, health: dict[str, Any], muting: Muting) -> list[dict[str, Any]]:
        """One row per venue, from the feed's health and the market's books."""
        books: dict[str, list[Book]] = {venue: [] for venue in self.engine.venues if venue not in self._hidden_venues}
        for book in self.books():
            if book.instrument.kind != "reference" and book.instrument.venue in books:
                books[book.instrument.venue].append(book)
        return [self._venue(venue, found, now, health.get(venue), muting.of(venue, now)) for venue, found in books.items()]

    def _venue(self, venue_id: str, books: list[Book], now: int, health: Any, muted_until: int | None) -> dict[str, Any]:
        venue, market = self.engine.venues[venue_id], self.engine.market
        live = sum(b.state == "LIVE" for b in books)
        acks = self._acks.get(venue_id, {})
        delays = market.delays.get(venue_id)
        late = delays.percentiles() if delays else None
        state = "down" if health is None else health.state
        if state in ("live", "rest") and live < len(books):
            state = "degraded" if live else "connecting"
        past = self._past.setdefault(venue_id, deque(maxlen=STATES_KEPT))
        if not past or past[-1][1] != state:
            past.append((now // MS, state))
        while len(past) > 1 and past[1][0] < now // MS - HOUR_MS:
            past.popleft()
        return {
            "id": venue_id, "label": venue.LABEL, "short": venue.SHORT, "state": state,
            "since": health.since // MS if health and health.since else None, "books_live": live, "books_total": len(books),
            "msgs_s": health.msgs_s if health else 0.0,
            "excess_p50_ms": late[0] if late else None, "excess_p99_ms": late[1] if late else None,
            "errors_min": health.errors_min if health else 0, "reconnects": health.reconnects if health else 0,
            "gaps": sum(b.gaps for b in books), "faults": self.engine.faults.get(venue_id, 0),
            "checksums_ok": sum(b.checksums_ok for b in books), "checksum_bad": sum(b.checksum_mismatches for b in books),
            "acks_ok": sum(ok for ok, _ in acks.values()), "acks_total": len(acks),
            "unacked": [t for t, (ok, _) in acks.items() if not ok][:20],
            "last_error": health.last_error if health else "",
            "next_retry": health.next_retry // MS if health and health.next_retry else None,
            "breaker": health.breaker if health else "closed", "integrity": venue.INTEGRITY or "none",
            "past": [list(each) for each in past], "muted_until_ns": muted_until,
        }  # fmt: skip


def _ms(ns: int) -> float:
    """As finely as anybody can read it: most of what is sent each time are ages."""
    return round(ns / MS, 1)


def _readable(sizes: np.ndarray) -> np.ndarray:
    """Rounded to ``DIGITS`` significant digits; sizes are not below zero."""
    unit = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.where(sizes > 0.0, sizes, 1.0))))
    rounded: np.ndarray = np.round(sizes * unit) / unit
    return rounded
