"""Depth over REST: ``/api/v1/depth`` (ladder, heat map, cost of an order), ``/consolidated/{symbol}``, ``/half-lives``."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb
from dope.api.routes import Symbol, problems, unknown
from dope.api.select import check_name
from dope.board import Snapshot
from dope.errors import UnknownName

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])
MAX_LEVELS, MAX_POINTS = 1000, 1800
SymbolAsked = Annotated[str, Query(max_length=64, description="canonical symbol, e.g. BTC-USDT")]
VenueAsked = Annotated[str | None, Query(max_length=64, description="venue id; all venues together without it")]


class ConsolidatedLevelOut(BaseModel):
    price: float
    size: float = Field(description="base units, of all venues together")
    exchange_count: int = Field(description="venues that have some of it")
    venues: dict[str, float] = Field(description="base units by venue id")
    complete: bool = Field(description="false: behind the last level that some venue told it may have more here")


class ConsolidatedVenueOut(BaseModel):
    venue: str
    state: str
    reason: str
    used: bool = Field(description="only a LIVE book whose sizes are known in base units is")
    age_ms: float | None = Field(description="confirmed age")


class ConsolidatedOut(BaseModel):
    """The LIVE books of one symbol, which is one quote currency and one kind of market, added up by price."""

    symbol: str
    base: str
    quote: str
    kind: str
    exchange_count: int = Field(description="books in it")
    bid: float | None
    ask: float | None
    mid: float | None
    crossed: bool = Field(description="the best bid of one venue is at or above the best ask of another")
    venues: list[ConsolidatedVenueOut]
    bids: list[ConsolidatedLevelOut]
    asks: list[ConsolidatedLevelOut]


class DepthVenueOut(BaseModel):
    """One venue's book; figures are null where it is not LIVE."""

    venue: str
    label: str
    state: str
    reason: str
    used: bool
    bid: float | None
    ask: float | None
    mid: float | None
    age_ms: float | None = Field(description="confirmed age")
    near_bps: float = Field(description="window of the two depths, bps of the mid either way")
    bid_depth: float | None = Field(description="base units")
    ask_depth: float | None = Field(description="base units")
    whole: bool = Field(description="false: the known levels end inside the window, there may be more")
    imbalance: float | None = Field(description="(bids − asks) / (bids + asks) of the two depths, −1 … 1")
    fee_bps: float | None = Field(description="taker fee in force; null = not known")
    buy_bps: float | None = Field(description="bps that buying the order costs against the mid, fee included; null: not enough levels")
    sell_bps: float | None = Field(description="the same for selling")
    buy_filled: float = Field(description="part of the order that the known levels hold, 0 … 1")
    sell_filled: float


class BucketsOut(BaseModel):
    step: float | None = Field(description="width of a bucket, quote currency; null before the first sample")
    bids: list[tuple[float, float, int]] = Field(description="[price at which the bucket begins, base units, venues], best first")
    asks: list[tuple[float, float, int]]


class HeatPointOut(BaseModel):
    t: int = Field(description="ms UTC")
    mid: float = Field(description="median of the venues' mids")
    first: int = Field(description="number of the first bucket: it begins at first · step")
    intensity: list[float] = Field(description="0 … 1 by bucket, as a part of peak; below the mid bids, above it asks")


class HeatmapOut(BaseModel):
    step: float | None
    steps: list[float] = Field(description="widths that can be asked for, by factor 1, 2, 5, 10")
    every_s: int = Field(description="s from one point to the next")
    peak: float | None = Field(description="base units in a bucket at intensity 1")
    points: list[HeatPointOut] = Field(description="oldest first; none for times at which no book was LIVE")


class DotsOut(BaseModel):
    span_s: int = Field(description="s of trades that one dot stands for")
    dots: list[tuple[int, float, float, int]] = Field(description="[ms UTC, average price, base units, 1 = takers bought, −1 = sold]")


class DepthOut(BaseModel):
    """How deep the books of one symbol are."""

    symbol: str
    base: str
    quote: str
    kind: str
    t: int = Field(description="ms UTC, the market's time of this answer")
    venue: str = Field(description="venue id; empty = all together")
    order_size: float = Field(description="quote currency, that the costs are for")
    mid: float | None
    venues: list[DepthVenueOut]
    buckets: BucketsOut
    heatmap: HeatmapOut
    trades: DotsOut


class HalfLifeOut(BaseModel):
    """How fast the spread of one pair of markets returns to its mean; ten minutes, a sample a second."""

    a: str = Field(description="instrument key")
    b: str
    symbol: str
    n: int = Field(description="steps fitted")
    half_life_s: float | None = Field(description="s; null = it may not be told from a random walk (t above −2.86, Dickey-Fuller 5 %)")
    t: float | None = Field(description="(b − 1) / se(b) of x(k+1) = a + b x(k)")
    mean_bps: float
    sd_bps: float | None = Field(description="stationary; null where there is none")


def known(snapshot: Snapshot, symbol: str, venue: str | None) -> None:
    """Raises Refusal or UnknownName for names that are none."""
    rows = snapshot.data.get("instruments", ())
    check_name("symbol", symbol, {row["symbol"] for row in rows})
    if venue is not None and venue not in (ids := [row["venue"] for row in rows if row["symbol"] == symbol]):
        raise UnknownName("venue", venue, ids)


@router.get("/consolidated/{symbol}", responses=unknown)
def consolidated(
    web: TheWeb, snapshot: Current, symbol: Symbol,
    levels: Annotated[int, Query(ge=1, le=MAX_LEVELS, description="per side")] = 50,
) -> ConsolidatedOut:  # fmt: skip
    """One book out of those of all venues: only LIVE ones, in base units, each level with the venues that have some of it."""
    known(snapshot, symbol, None)
    return ConsolidatedOut.model_validate(web.board.query("consolidated", symbol, limit=levels))


@router.get("/half-lives", responses=unknown)
def half_lives(web: TheWeb, snapshot: Current, symbol: SymbolAsked) -> list[HalfLifeOut]:
    """Half-lives of the spreads between the venues of a symbol, told only where they are significant."""
    known(snapshot, symbol, None)
    return [HalfLifeOut.model_validate(row) for row in web.board.query("half_lives", symbol)]


@router.get("/depth", responses=unknown, response_model=DepthOut)
def depth(
    web: TheWeb,
    snapshot: Current,
    symbol: SymbolAsked,
    venue: VenueAsked = None,
    factor: Annotated[int, Query(ge=1, le=10, description="buckets so many times as wide as the finest")] = 1,
    window_s: Annotated[int, Query(ge=10, le=1800, description="s of the past")] = 300,
    points: Annotated[int, Query(ge=10, le=MAX_POINTS, description="of the heat map at most; further apart for a longer past")] = 600,
    after: Annotated[int, Query(ge=0, le=2**53, description="ms UTC: only points behind it")] = 0,
    order: Annotated[float, Query(ge=0, le=1e12, allow_inf_nan=False, description="quote currency; 0 = the size in force")] = 0.0,
) -> Response:
    """Ladder of price buckets, heat map of the last minutes, and what an order of a size costs at each venue, fee included."""
    known(snapshot, symbol, venue)
    args: dict[str, Any] = {"venue": venue or "", "factor": factor, "window_s": window_s, "points": points, "after": after, "order": order}
    found = web.board.query("depth", symbol, args=args)
    return Response(orjson.dumps(found), media_type="application/json")
