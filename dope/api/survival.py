"""How long opportunities last, whether orders would have filled, where it pays to look: ``/api/v1/survival`` and ``/api/v1/market-map``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, iso
from dope.api.routes import problems

MAX_ROWS = 1000
router = APIRouter(prefix="/api/v1", responses=problems, tags=["arbitrage"])
SymbolWanted = Annotated[str, Query(max_length=40, description="canonical symbol; empty = all")]
VenueWanted = Annotated[str, Query(max_length=32, description="venue id; empty = any")]


class StepOut(BaseModel):
    t: float = Field(description="s after the opening")
    s: float = Field(description="share still open from then on")
    low: float = Field(description="lower end of the 95 % band")
    high: float
    at_risk: int = Field(description="lives that were seen so long")


class FillOut(BaseModel):
    """Orders that arrive so much later; it need not fall with time: a price that left may come back."""

    ms: float = Field(description="ms from detection to arrival at both venues")
    n: int = Field(description="openings that were looked at")
    filled: int = Field(description="both orders in full, at the limits seen when it opened")
    blind: int = Field(description="a book was not known to be right then; counts as not filled")
    share: float | None = Field(description="filled ÷ n; null = none yet")
    low: float | None = Field(description="lower end of Wilson's 95 % interval")
    high: float | None


class LivesOut(BaseModel):
    """What became of some openings."""

    openings: int
    ended: int = Field(description="seen to fade; all others are censored")
    stale: int = Field(description="a leg became too old or left LIVE")
    open: int = Field(description="still open")
    median_s: float | None = Field(description="s, median life; null = fewer than half were seen to end")
    median_low_s: float | None = Field(description="its 95 % interval")
    median_high_s: float | None
    open_after: list[StepOut] = Field(description="still open after: Kaplan–Meier; before the first step all are")
    fills: list[FillOut] = Field(description="fills after so many ms")
    fills_at_latency: FillOut | None = Field(description="fills at my latency: of the shortest wait looked at that is as long")


class PairLivesOut(LivesOut):
    symbol: str
    buy_venue: str
    sell_venue: str
    differs_p: float | None = Field(description="log-rank p of its lives lasting as long as all others'; null = too few")


class SurvivalOut(BaseModel):
    """Of the openings that are kept, the newest 20,000."""

    at: str | None
    at_ms: int | None
    since: str | None = Field(description="when counting began")
    since_ms: int | None
    latency_ms: float = Field(description="ms, DOPE_LATENCY_MS")
    unwatched: int = Field(description="openings not watched for fills, because too many were being watched")
    total: LivesOut
    pairs: list[PairLivesOut] = Field(description="the most frequent first")


class NetAtOut(BaseModel):
    size: float = Field(description="quote currency")
    n: int = Field(description="openings whose books held as much")
    median: float | None = Field(description="bps after fees")
    p95: float | None = Field(description="bps, one in twenty paid more")


class MapRowOut(BaseModel):
    """One symbol between two venues, one way."""

    symbol: str
    kind: str
    buy_venue: str
    sell_venue: str
    openings: int
    per_hour: float | None = Field(description="openings an hour")
    per_hour_low: float | None = Field(description="95 % interval")
    per_hour_high: float | None
    median_s: float | None = Field(description="s, median life")
    median_low_s: float | None
    median_high_s: float | None
    net_bps: list[NetAtOut] = Field(description="at the moment of opening, for each size")
    capacity: float | None = Field(description="quote currency, median of the largest size that reaches the level")
    capacity_per_day: float | None = Field(description="quote currency, all openings taken once at that size")
    late_share: float = Field(description="share of openings in which exactly one of the two venues was late")
    late_low: float
    late_high: float
    late_venue: str = Field(description="the one that was late most often; empty = none was")
    fills: float | None = Field(description="share that fills at my latency")
    fills_low: float | None
    fills_high: float | None
    worth_per_hour: float | None = Field(description="quote currency: openings an hour × median net of the smallest size")


class MarketMapOut(BaseModel):
    at: str | None
    at_ms: int | None
    hours: float = Field(description="h that the openings are from")
    sizes: list[float] = Field(description="quote currency")
    latency_ms: float
    rows: list[MapRowOut] = Field(description="what is worth most an hour first")


@router.get("/survival")
def survival(
    web: TheWeb, snapshot: Current, symbol: SymbolWanted = "", buy_venue: VenueWanted = "", sell_venue: VenueWanted = ""
) -> SurvivalOut:
    """Still open after so long, and fills at a latency, of each pair and in total."""
    row = web.board.query("survival", symbol, args={"buy_venue": buy_venue, "sell_venue": sell_venue})
    return SurvivalOut.model_validate(_timed(row, "since"))


@router.get("/market-map")
def market_map(
    web: TheWeb,
    snapshot: Current,
    symbol: SymbolWanted = "",
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most")] = 200,
) -> MarketMapOut:
    """How often, how long, at what net for which size it paid, and why: per symbol and pair of venues."""
    return MarketMapOut.model_validate(_timed(web.board.query("market_map", symbol, limit=limit)))


def _timed(row: dict[str, Any], *more: str) -> dict[str, Any]:
    row = {"at": iso(row["t"]), "at_ms": row["t"], **row}
    return row | {f"{name}_ms": row[name] for name in more} | {name: iso(row[name]) for name in more}
