"""What a screen needs of one engine over time, as sections of a Snapshot (their shape: ``dope/board.py``): events, lives, prices."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dope.crowded import Crowded
from dope.detectors.arbitrage import Arbitrage, Opportunity
from dope.detectors.clocks import ClockStep
from dope.detectors.conversion import CrossQuote
from dope.detectors.near import near_misses
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.findings import Findings
from dope.matrices import Matrices
from dope.muting import Muting
from dope.shown import opportunity_row
from dope.standing import Standing
from dope.types import DOWN, HALTED, Ack, BookState, Event, Fault, Gap, Notice, Signal, of_sentinel

MS = 1_000_000
NS = 1_000_000_000
ROWS_SHOWN = 20  #: open rows, filled up with those that closed last
EVENTS_KEPT = 500
SIGNALS_KEPT = 5_000  #: signals but opportunities, as they were found
CLOSED_KEPT = 10_000  #: closed lives kept for statistics and export
SERIES_POINTS = 900  #: one per second
FAULT_LINES_PER_MIN = 10  #: lines of one kind told on the event tape per minute and venue
RECENT_NS = 300 * NS
SLICE = 12  #: books that are drawn before the engine may step again


class Picture:
    """Keeps what a screen needs over time (events, closed lives, price series) for one engine."""

    def __init__(
        self, engine: Engine, arbitrage: Arbitrage, spreads: Spreads, *, started_ns: int, alert_pct: float, first_event: int = 0
    ) -> None:
        """Lines of the event tape are numbered from ``first_event`` + 1 on."""
        self.engine, self.arbitrage = engine, arbitrage
        self.standing = Standing(engine, arbitrage, spreads)
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
        self._books = Crowded()
        self._matrices = Matrices(engine, arbitrage, spreads)
        self._probe: dict[str, Any] | None = None  # the newest one that was seen
        self.stepped: set[int] = set()  #: ids of those that were open while the system clock was set, or that of one of their venues
        self._t: deque[int] = deque(maxlen=SERIES_POINTS)
        self._mid: dict[str, deque[float | None]] = {}
        self._best: deque[float | None] = deque(maxlen=600)
        self._open_count: deque[int] = deque(maxlen=600)

    def hide(self, venues: Iterable[str], keys: Iterable[str]) -> None:
        """Show nothing of these venues and markets any more: they are not watched."""
        self.standing.hide(venues, keys)
        self._matrices.again()
        for key in self.standing.hidden & self._mid.keys():
            del self._mid[key]

    def open(self) -> list[Opportunity]:
        """All opportunities that are open now, in one currency and in two."""
        return [*self.arbitrage.rows(), *(row for each in self._crossing for row in each.rows())]

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
            self.standing.answered(event)
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
        back = e.state == "LIVE"
        if e.was == "SYNCING" if back else not (e.state in (DOWN, HALTED) or e.was == "LIVE"):
            return
        venue = e.key.partition(":")[0]
        if not self._books.admits("live again" if back else f"{e.state.lower()}: {e.reason}", self.label(venue)):
            return
        if back:
            text = f"{self._market(e.key)} live again after {(e.ts - e.since) / NS:.1f} s"
            self.tell(e.ts, "book", text, e.was.lower(), "pos", venue=venue)
        else:
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
        for change, rest in self._books.rest():
            self.tell(now, "book", f"Books {change}: {rest}")
        self._t.append((now + NS // 2) // NS * 1000)  # called just after our clock's second began, by frames that may be just before
        for book in self.standing.books():
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
        Matrices are among them when ``draw_more`` has finished some.
        """
        while not self._matrices.drawn:  # nothing of an earlier source stays beside this one's
            self.draw_more(now)
            yield {}
        if (matrices := self._matrices.take()) is not None:
            yield {"matrix": matrices}
        instruments: list[dict[str, Any]] = []
        books, limits_ms = self.standing.books(), self.standing.limits_ms()
        for at in range(0, len(books), SLICE):
            instruments += self.standing.instruments(books[at : at + SLICE], now(), limits_ms)
            yield {"instruments": instruments}
        yield {"instruments": instruments, "misses": near_misses(self.arbitrage, self.engine.market, now(), 5)}
        yield self._opportunities(now()) | {"events": list(self.events)}

    def draw_more(self, now: Callable[[], int]) -> bool:
        """One slice of what nobody waits for: the matrices, a few times a second. False = there is nothing to draw for now."""
        return self._matrices.step(now, self.standing.hidden)

    def fast(self, now: int) -> dict[str, Any]:
        """The same at one instant, and the matrices when their time has come."""
        while self.draw_more(lambda: now):
            pass
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
            "pairs": self.standing.pairs(),
            "basis": self.standing.bases(),
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

    def venue_rows(self, now: int, health: dict[str, Any]) -> list[dict[str, Any]]:
        """One row per venue, from the feed's health and the market's books."""
        return self.standing.venues(now, health, self.muting)
