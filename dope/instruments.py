"""What could be watched: the instruments of all venues as rows, from their own lists, and from the shipped tables before those are read."""

from __future__ import annotations

from typing import Any

from dope.session import Session
from dope.types import DEFAULT_SYMBOLS, Instrument
from dope.venues.base import Venue


def instrument_rows(session: Session) -> list[dict[str, Any]]:
    """One row per instrument and venue, unsorted; any thread may ask.

    venue, symbol, native, base, quote, kind, tick, lot, min_size, min_notional, contract_value, inverse, status as in ``Instrument``;
    ``watched``; ``source`` "list" or "table"; ``label`` = the venue's name for people.
    """
    rows: list[dict[str, Any]] = []
    watching = session.watching
    for venue_id, venue in session.engine.venues.items():
        symbols = frozenset(watching.of(venue_id))
        listed = venue.offers()
        source, instruments = ("list", listed.values()) if listed else ("table", _shipped(venue, (*DEFAULT_SYMBOLS, *symbols)))
        head = {"label": venue.LABEL, "source": source}
        rows += [head | _row(i, watched=i.symbol in symbols and venue.name_of(i.symbol) == i.native) for i in instruments]
    return rows


def _shipped(venue: Venue, symbols: tuple[str, ...]) -> list[Instrument]:
    natives = [native for symbol in dict.fromkeys(symbols) if (native := venue.name_of(symbol)) is not None]
    found = [instrument for native in natives if (instrument := venue.market_of(native)) is not None]
    return [instrument for instrument in found if instrument.tick > 0.0]


def _row(i: Instrument, *, watched: bool) -> dict[str, Any]:
    return {
        "venue": i.venue, "symbol": i.symbol, "native": i.native, "base": i.base, "quote": i.quote, "kind": i.kind, "tick": i.tick,
        "lot": i.lot, "min_size": i.min_size, "min_notional": i.min_notional, "contract_value": i.contract_value, "inverse": i.inverse,
        "status": i.status, "watched": watched,
    }  # fmt: skip
