"""Markets that could be watched: everything the venues list, found by any spelling of its name."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query

from dope.api.context import Current, TheWeb
from dope.api.routes import problems, unknown
from dope.api.shapes import InstrumentOut, InstrumentsOut, ListingOut
from dope.errors import UnknownName
from dope.symbols import MAX_TEXT, ccxt, resolve, search
from dope.types import Instrument

MAX_ROWS = 500
FIELDS = Instrument.__struct_fields__

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])


@router.get("/instruments", responses=unknown)
def instruments(
    web: TheWeb,
    snapshot: Current,
    q: Annotated[str, Query(max_length=MAX_TEXT, description="symbol, coin, own name at a venue or in ccxt, in any case")] = "",
    venue: Annotated[str | None, Query(max_length=64, description="only of this venue")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most")] = 50,
) -> InstrumentsOut:
    """Markets that the venues list, watched or not; the best fit first."""
    told: list[dict[str, Any]] = list(web.board.query("instruments", q.strip()))
    venues = _listings(told)
    if venue is not None:
        if venue not in (known := {each.venue for each in venues} | {row["id"] for row in snapshot.data.get("venues", ())}):
            raise UnknownName("venue", venue, known)
        told = [row for row in told if row["venue"] == venue]
    markets = [_market(row) for row in told]
    rows = {id(market): row for market, row in zip(markets, told, strict=True)}
    found = search(q, markets, limit + 1) if q.strip() else _usual(markets, told, limit + 1)
    shown = [_out(market, rows[id(market)]) for market in found[:limit]]
    meant = list(resolve(q, markets)) if markets and q.strip() else []
    return InstrumentsOut(q=q, meant=meant, count=len(shown), more=len(found) > limit, venues=venues, rows=shown)


def _usual(markets: list[Instrument], rows: list[dict[str, Any]], limit: int) -> list[Instrument]:
    """What is watched, then the rest."""
    watched = search("", [market for market, row in zip(markets, rows, strict=True) if row["watched"]], limit)
    rest = [market for market, row in zip(markets, rows, strict=True) if not row["watched"]]
    return watched + search("", rest, limit - len(watched))


def _listings(rows: list[dict[str, Any]]) -> list[ListingOut]:
    listed = Counter(row["venue"] for row in rows)
    watched = Counter(row["venue"] for row in rows if row["watched"])
    labels = {row["venue"]: row["label"] for row in rows}
    return [ListingOut(venue=venue, label=labels[venue], listed=listed[venue], watched=watched[venue]) for venue in sorted(listed)]


def _market(row: dict[str, Any]) -> Instrument:
    return Instrument(**{name: row[name] for name in FIELDS})


def _out(market: Instrument, row: dict[str, Any]) -> InstrumentOut:
    return InstrumentOut(**row, ccxt=ccxt(market))
