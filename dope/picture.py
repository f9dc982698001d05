"""Turns engine, feed health, model and jobs into the plain sections of a Snapshot (their shape: ``dope/board.py``)."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from dope.detectors.arbitrage import Arbitrage, Opportunity
from dope.detectors.clocks import ClockStep
from dope.detectors.conversion import CrossQuote
from dope.detectors.near import near_misses
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.findings import Findings
from dope.market.book import Book
from dope.market.freshness import simultaneous
from dope.market.market import Market
from dope.matrices import Matrices, short
from dope.muting import Muting
from dope.types import DOWN, HALTED, SYNCING, Ack, BookState, Event, Fault, Gap, Notice, Signal, of_sentinel
from dope.venues.sentinel import KEYS as SENTINEL_KEYS

MS = 1_000_000
NS = 1_000_000_000
ROWS_SHOWN = 20  #: open rows, filled up with those that closed last
EVENTS_KEPT = 500
SIGNALS_KEPT = 5_000  #: signals but opportunities, as they were found
CLOSED_KEPT = 10_000  #: closed lives kept for statistics and export
SERIES_POINTS = 900  #: one per second
FAULT_LINES_PER_MIN = 10  #: lines of one kind told on the event tape per minute and venue
RECENT_NS = 300 * NS
STATES_KEPT = 60  #: changes of a venue's state that are told, of the last hour
HOUR_MS = 3_600_000
MATRIX_NS = NS // 4  #: from one drawing of the matrices to the next: every cell walks two books
SLICE = 6  #: books that are drawn before the engine may step again
BOOK_LEVELS = 50  #: levels per side of a book that is asked for


def opportunity_row(o: Opportunity, stepped: Container[int] = ()) -> dict[str, Any]:
    """An Opportunity as the ``opps`` section and the export hold it: times in ms, the rest as it is.

    ``stepped`` = ids of those that were open while the system clock was set, or that of one of their venues.
    """
    row = msgspec.structs.asdict(o)
    row["life_s"] = o.life_s
    row["peak_t"], row["opened"] = o.peak_t // MS, o.opened // MS
    row["closed"] = None if o.closed is None else o.closed // MS
    row["ts"] = o.ts // MS
    row["levels"] = [list(level) for level in o.levels]
    row["comparable"], row["clock_step"] = simultaneous(o.buy_age_ms, o.sell_age_ms), o.id in stepped
    return row


def book_row(market: Market, book: Book, now: int) -> dict[str, Any]:
    """One order book with its best levels, as the API gives it; a book that is not LIVE has none."""
    live = book.state == "LIVE"
    return {
        "key": book.key, "venue": book.instrument.venue, "symbol": book.instrument.symbol, "kind": book.instrument.kind,
        "state": book.state, "reason": book.reason, "seq": book.seq,
        "bids": book.levels("bid", BOOK_LEVELS) if live else [], "asks": book.levels("ask", BOOK_LEVELS) if live else [],
        "age_ms": market.age(book, now) / MS if live else None, "received": book.own_ts // MS or None,
    }  # fmt: skip


class Picture:
    """Keeps what a screen needs over time (events, closed lives, price series) for one engine."""

    def __init__(
        self, engine: Engine, arbitrage: Arbitrage, spreads: Spreads, *, started_ns: int, alert_pct: float, first_event: int = 0
    ) -> None:
        """Lines of the event tape are numbered from ``first_event`` + 1 on."""
        self.engine, self.arbitrage, self.spreads = engine, arbitrage, spreads
        self._crossing = [detector for detector in engine.detectors if isinstance(detector, CrossQuote)]
        self.muting = Muting()  #: whose lines are marked as muted
        self.started_ns, self.alert_pct = started_ns, alert_pct
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self.signals: deque[Signal] = deque(maxlen=SIGNALS_KEPT)
        self._findings = Findings()
        self.closed: deque[Opportunity] = deque(maxlen=CLOSED_KEPT)
        self._lives: list[float] = []  #: s, of ``closed``, ascending
        self._closed_rows: dict[int, dict[str, Any]] = {}
        self.total = 0
        self._sum_pct = 0.0
        self._max_pct: float | None = None
        self._opened: deque[int] = deque(maxlen=CLOSED_KEPT)
        self.last_event = first_event  #: number of the newest line of the event tape
        self._told: dict[tuple[str, str], tuple[int, int]] = {}
        self._matrices, self._matrices_at = Matrices(engine, arbitrage, spreads), -NS
        self._hidden_venues, self._hidden = frozenset[str](), frozenset(SENTINEL_KEYS)  # keys
        self._probe: dict[str, Any] | None = None  # the newest one that was seen
        self._past: dict[str, deque[tuple[int, str]]] = {}  # venue → (since ms, state)
        self.stepped: set[int] = set()  #: ids of those that were open while the system clock was set, or that of one of their venues
        self._t: deque[int] = deque(maxlen=SERIES_POINTS)
        self._mid: dict[str, deque[float | None]] = {}
        self._best: deque[float | None] = deque(maxlen=600)
        self._open_count: deque[int] = deque(maxlen=600)
        self._rates: dict[str, tuple[int, int]] = {}
        self.acks: dict[str, dict[str, tuple[bool, str]]] = {}

    def hide(self, venues: Iterable[str], keys: Iterable[str]) -> None:
        """Show nothing of these venues and markets any more: they are not watched."""
        self._hidden_venues, self._hidden = frozenset(venues), frozenset((*keys, *SENTINEL_KEYS))
        for key in self._hidden & self._mid.keys():
            del self._mid[key]

    def open(self) -> list[Opportunity]:
        """All opportunities that are open now, in one currency and in two."""
        return [*self.arbitrage.rows(), *(row for each in self._crossing for row in each.rows())]

    def _books(self) -> list[Book]:
        return [book for key, book in self.engine.market.books.items() if key not in self._hidden]

    # -- what happens ------------------------------------------------------------------------------------------------
    def note(self, event: Event) -> None:
        """Take one event or signal of the engine."""
        if of_sentinel(event):
            return
        if isinstance(event, Opportunity):
            self._opportunity(event)
        elif isinstance(event, BookState):
            self._book_state(event)
        elif isinstance(event, Fault):
            self._limited(event.ts, event.venue, "fault", f"{self.label(event.venue)}: {event.reason}")
        elif isinstance(event, Gap):
            if event.reason not in ("disconnected", "unsubscribed"):
                self._limited(event.ts, event.key, "book", f"{self._market(event.key)}: gap ({event.reason}), fetching the book anew")
        elif isinstance(event, Ack):
            self.acks.setdefault(event.venue, {})[event.topic] = (event.ok, event.reason)
            if not event.ok:
                self._limited(event.ts, event.venue, "venue", f"{self.label(event.venue)} refused {event.topic}: {event.reason}")
        elif isinstance(event, Notice):
            self._limited(event.ts, event.venue, "venue", f"{self.label(event.venue)}: {event.text}")
        elif isinstance(event, Signal):
            self.signals.append(event)
            if isinstance(event, ClockStep):
                open_now = {o.id for o in self.open() if event.venue in ("", o.buy_venue, o.sell_venue)}
                self.stepped = self.stepped & {o.id for o in self.closed} | open_now
            self.tell(event.ts, event.KIND, *event.line(self.label))
            self._findings.note(event, self.last_event)

    def tell(self, ts: int, kind: str, text: str, value: str = "", tone: str = "", *, venue: str = "") -> None:
        """One line for the event tape; ``venue`` = whose warning or news it is, which a user may have muted."""
        self.last_event += 1
        row = {"id": self.last_event, "t": ts // MS, "kind": kind, "text": text, "value": value, "tone": tone}
        self.events.append(row | {"muted": bool(venue) and self.muting.of(venue, ts) is not None})

    def _limited(self, ts: int, subject: str, kind: str, text: str) -> None:
        """The same, so many times a minute; ``subject`` = a venue, or the key of its market."""
        minute = ts // (60 * NS)
        seen, count = self._told.get((subject, text[:40]), (minute, 0))
        count = count + 1 if seen == minute else 1
        self._told[(subject, text[:40])] = (minute, count)
        if len(self._told) > 1000:
            self._told.pop(next(iter(self._told)))
        if count <= FAULT_LINES_PER_MIN:
            self.tell(ts, kind, text, "", "bad" if kind != "venue" else "warn", venue=subject.partition(":")[0])

    def _opportunity(self, o: Opportunity) -> None:
        route = f"{o.base} {self.label(o.buy_venue)} → {self.label(o.sell_venue)}"
        if o.state in ("open", "fading"):
            self.total += 1
            self._opened.append(o.ts)
            self.tell(o.ts, "opp", f"{route} opened", f"{o.net_bps:+.2f} bps", "pos")
            return
        self._keep(o)
        pct = o.peak_bps / 100.0
        self._sum_pct += pct
        self._max_pct = pct if self._max_pct is None else max(self._max_pct, pct)
        end = "" if o.reason == "faded" else f" ({o.reason})"
        self.tell(o.ts, "opp", f"{route} closed after {o.life_s:.1f} s{end}", f"peak {o.peak_bps:+.2f}", "")

    def _keep(self, o: Opportunity) -> None:
        if len(self.closed) == CLOSED_KEPT:
            del self._lives[bisect_left(self._lives, self.closed[0].life_s)]
        self.closed.append(o)
        insort(self._lives, o.life_s)

    def _book_state(self, e: BookState) -> None:
        if e.state == "LIVE":
            if e.was != "SYNCING":
                self.tell(e.ts, "book", f"{self._market(e.key)} live again after {(e.ts - e.since) / NS:.1f} s", e.was.lower(), "pos",
                          venue=e.key.partition(":")[0])  # fmt: skip
        elif e.state in (DOWN, HALTED) or e.was == "LIVE":
            self._limited(e.ts, e.key, "book", f"{self._market(e.key)} {e.state.lower()}: {e.reason}")

    def label(self, venue_id: str) -> str:
        """A venue's name for people."""
        venue = self.engine.venues.get(venue_id)
        return venue.LABEL if venue else venue_id

    def _market(self, key: str) -> str:
        venue, _, symbol = key.partition(":")
        return f"{self.label(venue)} {symbol}"

    # -- once per second ---------------------------------------------------------------------------------------------
    def second(self, now: int) -> None:
        """Close one point of every series; whoever was muted long enough is heard again."""
        for venue in self.muting.over(now):
            self.tell(now, "system", f"{self.label(venue)} is no longer muted")
        self._t.append((now + NS // 2) // NS * 1000)  # called just after our clock's second began, by frames that may be just before
        for book in self._books():
            key = book.key
            line = self._mid.get(key)
            if line is None:
                line = self._mid[key] = deque([None] * (len(self._t) - 1), maxlen=SERIES_POINTS)
            line.append(book.mid() if book.state == "LIVE" else None)
        rows = self.open()
        self._best.append(max((r.net_bps for r in rows), default=None))
        self._open_count.append(len(rows))

    # -- sections ----------------------------------------------------------------------------------------------------
    def drawing(self, now: Callable[[], int]) -> Iterator[dict[str, Any]]:
        """Sections that change many times a second, in slices short enough for the engine to step in between.

        Every row, line of a matrix and card is drawn within one slice and so right as of one instant; what is urgent comes last.
        """
        if not 0 <= now() - self._matrices_at < MATRIX_NS:
            self._matrices_at = now()
            yield from self._matrices.drawing(now, self._hidden)
        instruments: list[dict[str, Any]] = []
        books = self._books()
        for at in range(0, len(books), SLICE):
            instruments += [self._instrument(book, now()) for book in books[at : at + SLICE]]
            yield {"instruments": instruments}
        yield {"instruments": instruments, "misses": near_misses(self.arbitrage, self.engine.market, now(), 5)}
        yield self._opportunities(now()) | {"events": list(self.events)}

    def fast(self, now: int) -> dict[str, Any]:
        """The same at one instant."""
        return {name: section for part in self.drawing(lambda: now) for name, section in part.items()}

    def _opportunities(self, now: int) -> dict[str, Any]:
        rows = [opportunity_row(o, self.stepped) for o in self.open()]
        for row in rows:
            row["life_s"] = (now // MS - row["opened"]) / 1e3
        recent = [self._row(o) for o in list(self.closed)[-ROWS_SHOWN:][::-1][: max(ROWS_SHOWN - len(rows), 0)]]
        for o in self.arbitrage.probes():
            if self._probe is None or self._probe["opened"] != o.opened // MS:
                self._probe = opportunity_row(o)
        return {"opps": rows + recent, "cards": self._cards(now, rows), "sentinel": self._probe}

    def slow(self) -> dict[str, Any]:
        """Sections that change once per second."""
        return {
            "pairs": self._pairs(),
            "basis": self._bases(),
            "series": {"t": list(self._t), "mid": {key: list(line) for key, line in self._mid.items()}},
            "findings": self._findings.rows(),
        }

    def _row(self, o: Opportunity) -> dict[str, Any]:
        """The row of a closed life, the same object each time: nothing about it changes."""
        row = self._closed_rows.get(o.id)
        if row is None:
            row = self._closed_rows[o.id] = opportunity_row(o, self.stepped)
            if len(self._closed_rows) > 2 * ROWS_SHOWN:
                del self._closed_rows[next(iter(self._closed_rows))]
        return row

    def _cards(self, now: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
        best = max(rows, key=lambda r: r["net"], default=None)
        lives = self._lives
        open_peaks = [max(r["peak_bps"], r["net_bps"]) / 100.0 for r in rows]
        known = len(self.closed) + len(open_peaks)
        maxima = [p for p in (self._max_pct, *open_peaks) if p is not None]
        while self._opened and now - self._opened[0] > RECENT_NS:
            self._opened.popleft()
        return {
            "total": self.total,
            "avg_pct": (self._sum_pct + sum(open_peaks)) / known if known else None,
            "max_pct": max(maxima, default=None),
            "recent_5m": len(self._opened),
            "open": len(rows),
            "best": best,
            "alert": best if best is not None and best["net_bps"] / 100.0 >= self.alert_pct else None,
            "median_life_s": lives[len(lives) // 2] if lives else None,
            "p90_life_s": lives[min(len(lives) - 1, len(lives) * 9 // 10)] if lives else None,
            "closed_n": len(self.closed),
            "history": {"best": list(self._best), "open": list(self._open_count)},
        }

    def _instrument(self, book: Book, now: int) -> dict[str, Any]:
        i = book.instrument
        live = book.state == "LIVE"
        bid, bid_size, ask, ask_size = book.touch() if live else (0.0, 0.0, 0.0, 0.0)
        market = self.engine.market
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
            "mid": book.mid() if live else None,
            "age_ms": self.engine.market.age(book, now) / MS if ever else None,
            "unchanged_ms": (now - book.touch_ts) / MS if ever and book.touch_ts else None,
            "limit_ms": self._limit_ms(book), "tick": i.tick or None,
            "check": check or "none", "checked_ms": (now - checked) / MS if checked else None,
            "gaps": book.gaps, "checksum_bad": book.checksum_mismatches,
            "depth": {str(bps): [b, a] for bps, (b, a, _) in book.depth((5, 10, 25, 50)).items()} if live else {},
            "imbalance": book.imbalance() if live else None,
            "funding": funding.rate if funding else None, "mark": funding.mark if funding else None,
        }  # fmt: skip

    def ages(self, now: int) -> list[dict[str, Any]]:
        """How old each book is known to be, and how old it may be."""
        return [
            {"key": book.key, "venue": book.instrument.venue, "symbol": book.instrument.symbol, "state": book.state,
             "age_ms": self.engine.market.age(book, now) / MS if book.own_ts else None,
             "unchanged_ms": (now - book.touch_ts) / MS if book.own_ts and book.touch_ts else None,
             "limit_ms": self._limit_ms(book), "sigma_bps": book.sigma or None}
            for book in self._books()
        ]  # fmt: skip

    def _why(self, book: Book) -> str:
        """Why it is not live; of a book that waits, what the venue refused."""
        if book.state == SYNCING:
            native = book.instrument.native.lower()
            for topic, (ok, why) in self.acks.get(book.instrument.venue, {}).items():
                if not ok and native in topic.lower():
                    return f"{topic} refused: {why}"
        return book.reason

    def _limit_ms(self, book: Book) -> float | None:
        pairs = self.arbitrage.of.get(book.key)
        return min(self.arbitrage.limit_ns(pair, self.engine.market) for pair in pairs) / MS if pairs else None

    def _pairs(self) -> list[dict[str, Any]]:
        rows = []
        for a, b, current, mean, sd, low, high, n in self.spreads.pairs.told():
            if not self._hidden & {a, b}:
                i = self.engine.market.books[a].instrument
                row = {"a": a, "b": b, "symbol": i.symbol, "kind": i.kind, "current": short(current)}
                rows.append({**row, "mean": short(mean), "sd": short(sd), "min": short(low), "max": short(high), "n": n})
        return rows

    def _bases(self) -> list[dict[str, Any]]:
        rows = []
        for spot, perp, current, mean, *_ in self.spreads.bases.told():
            if not self._hidden & {spot, perp}:
                funding = self.engine.market.funding.get(perp)
                base = self.engine.market.books[spot].instrument.base
                rows.append({
                    "base": base, "spot": spot, "perp": perp, "bps": short(current), "mean": short(mean),
                    "deviation": None if current is None else short(current - mean),
                    "funding_8h_bps": funding.rate * 1e4 if funding and funding.rate is not None else None,
                })  # fmt: skip
        return rows

    def venue_rows(self, now: int, health: dict[str, Any]) -> list[dict[str, Any]]:
        """One row per venue, from the feed's health and the market's books."""
        return [self._venue(venue_id, now, health.get(venue_id)) for venue_id in self.engine.venues if venue_id not in self._hidden_venues]

    def _venue(self, venue_id: str, now: int, health: Any) -> dict[str, Any]:
        venue, market = self.engine.venues[venue_id], self.engine.market
        books = [b for b in self._books() if b.instrument.venue == venue_id and b.instrument.kind != "reference"]
        live = sum(b.state == "LIVE" for b in books)
        acks = self.acks.get(venue_id, {})
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
            "past": [list(each) for each in past], "muted_until_ns": self.muting.of(venue_id, now),
        }  # fmt: skip


def finite(value: Any) -> Any:
    """The same value with every NaN and infinity replaced by None, so that it is JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value


def stopped(data: Mapping[str, Any]) -> dict[str, Any]:
    """The last sections of an engine that has died: nothing is open, nothing is live, and the screen says so."""
    why = "the engine has stopped"
    price = dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "mid", "age_ms", "unchanged_ms", "imbalance"))
    return {
        "mode": {**data.get("mode", {}), "banner": "ENGINE STOPPED: nothing here is current any more; the log tells why", "stopped": True,
                 "scenario": None},
        "venues": [{**row, "state": "down", "books_live": 0, "msgs_s": 0.0, "last_error": why} for row in data.get("venues", ())],
        "instruments": [{**row, **price, "state": DOWN, "reason": why, "depth": {}} for row in data.get("instruments", ())],
        "opps": [], "misses": [], "matrix": [],
        "cards": {**data.get("cards", {}), "open": 0, "best": None, "alert": None},
    }  # fmt: skip
