"""The clocks: our own, how far each venue's messages are behind it, how sure that is, and how old every book is known to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.detectors.clocks import wander_ms
from dope.market.delays import DELAYS_SEEN
from dope.market.freshness import resolution_ns
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import SENTINEL

MS = 1_000_000
STAMPS = 256  #: of each book that are looked at for the step of stamps
BOOKS = 8  #: of each venue that are


def clock_rows(session: Session, asked: Asked) -> dict[str, Any]:
    """Answers ``Board.query("clocks")``: {at, offset_ms, trouble, steps, venues, books}, of one symbol or all."""
    found: dict[str, Any] = asked.between_turns(lambda: _copied(session, asked))
    stamps = found.pop("stamps")
    for row in found["venues"]:
        step = resolution_ns(np.concatenate(stamps[row["venue"]])) if stamps[row["venue"]] else None
        row["resolution_ms"] = None if step is None else step / MS
        known = [part for part in (row.pop("wander_ms"), row["resolution_ms"]) if part is not None]
        row["uncertainty_ms"] = sum(known) if len(known) == 2 else None
    return found


def _copied(session: Session, asked: Asked) -> dict[str, Any]:
    """In the engine's thread: figures, and the newest stamps of a few books of each venue."""
    market, clocks, now = session.engine.market, session.clocks, asked.now
    stamps: dict[str, list[np.ndarray]] = {venue: [] for venue in session.engine.venues}
    books = []
    for row in session.picture.standing.ages(now):
        if asked.symbol in ("", row["symbol"]):
            books.append(row)
    for book in market.books.values():
        mine = stamps.get(book.instrument.venue)
        if mine is not None and book.instrument.kind != SENTINEL and len(mine) < BOOKS:
            n = int(market.slots.ring_n[book.slot])
            mine.append(market.slots.ring_t[book.slot, max(min(n, market.slots.ring_t.shape[1]) - STAMPS, 0) : n, 1].copy())
    venues = []
    for venue_id, venue in session.engine.venues.items():
        delay = market.delays.get(venue_id)
        if delay is None or not delay.state[DELAYS_SEEN]:
            continue
        late, drift = delay.percentiles() or (None, None), clocks.drift(venue_id)
        venues.append({
            "venue": venue_id, "label": venue.LABEL, "floor_ms": None if delay.floor is None else delay.floor / MS,
            "excess_p50_ms": late[0], "excess_p99_ms": late[1], "n": int(delay.state[DELAYS_SEEN]), "wander_ms": wander_ms(delay),
            "drift_ms_h": drift[0] if drift else None, "drift_minutes": drift[1] if drift else 0,
        })  # fmt: skip
    steps = [{"at": step.ts // MS, "step_ms": step.step_ms, "offset_ms": step.offset_ms} for step in clocks.steps]
    offset = None if clocks.offset_ns is None else clocks.offset_ns / MS
    return {"at": now // MS, "offset_ms": offset, "trouble": clocks.trouble(market), "steps": steps, "venues": venues, "books": books,
            "stamps": stamps}  # fmt: skip
