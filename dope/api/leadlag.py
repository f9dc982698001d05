"""Who leads whom, on which evidence: ``/api/v1/leadlag``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, iso
from dope.api.routes import problems
from dope.symbols import MAX_TEXT

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])

VenueName = Annotated[str, Field(max_length=32)]
Clock = Literal["receipt", "exchange", "corrected"]
State = Literal["leads", "not related", "not resolved", "too few"]
CLOCK = "receipt = ours, when a message came; exchange = the venues' own stamps; corrected = those, moved by each venue's smallest delay"


class LeadLagMarketOut(BaseModel):
    """One market whose path was used."""

    key: str
    venue: str
    symbol: str
    label: str = Field(description="the venue's name for people")
    n: int = Field(description="changes in the window")
    span_s: float = Field(description="seconds from the first to the last of them")
    excess_p50_ms: float = Field(description="median delay of the venue's messages above its own best case")
    stamped: bool = Field(description="whether the venue stamps them")


class ByClockOut(BaseModel):
    """What one clock says of a pair."""

    state: State
    lag_ms: float | None = None
    z: float | None = None
    llr: float | None = None


class LeadLagPairOut(BaseModel):
    """Two markets. Lags in ms; a positive one means that ``x`` leads ``y``."""

    x: str
    y: str
    at: str = Field(description="when it was reckoned")
    at_ms: int
    state: State
    why: str = Field(description="why nothing more can be said; empty where one leads")
    leader: str | None = Field(description="key of the market that leads; null unless the state says so")
    lag_ms: float | None = Field(description="where the contrast is largest")
    low_ms: float | None = Field(description="lower quartile of the lags of the sub-windows")
    middle_ms: float | None = Field(description="their median")
    high_ms: float | None = Field(description="their upper quartile")
    blocks_ms: list[float] = Field(description="the lag of each sub-window")
    top_ms: list[tuple[float, float]] = Field(description="runs of lags that reach 95 % of the peak: the lag may be any of them")
    contrast: float | None = Field(description="at the peak; no correlation, it may exceed 1")
    contrast_at_0: float | None
    llr: float | None = Field(description="contrasts squared where x leads, divided by those where y does: above 1 x leads")
    z: float | None = Field(description="how far the peak stands out of lags far from it, in standard deviations; 6 are needed")
    n_x: int = Field(description="changes of x")
    n_y: int = Field(description="changes of y; 200 of each are needed")
    least_ms: float = Field(description="lags below it cannot be told: the largest of both median excess delays and the stamps' steps")
    clocks: dict[Clock, ByClockOut] = Field(description="the same by each clock")


class JumpScoreOut(BaseModel):
    """How often one market jumped before another, of their last linked jumps, by our own clock."""

    leader: str
    follower: str
    n: int = Field(description="links in which one of both was first; 20 are needed")
    led: int = Field(description="of them, those in which the leader was")
    simultaneous: int = Field(description="linked jumps at the same time, not in n")
    unresolved: int = Field(description="linked jumps too close to say which was first, not in n")
    share: float = Field(description="led / n")
    low: float = Field(description="Wilson 95 % interval of the share")
    high: float
    p: float = Field(description="chance of such a share under equal odds, two-sided")
    lag_ms: float | None = Field(description="median lag of the jumps that were led")
    lag_q25_ms: float | None = Field(description="its lower quartile")
    lag_q75_ms: float | None = Field(description="its upper quartile")
    verdict: Literal["leads", "few", "even"] = Field(description="leads = n of at least 20 and p below 0.01")


class PathOut(BaseModel):
    """Average move of one market in the direction of the jumps."""

    key: str
    n: int = Field(description="jumps around which its price was known")
    bps: list[float | None] = Field(description="since one second before the jump was first seen anywhere, at each offset")


class PathsOut(BaseModel):
    """What all markets did on average around the jumps of any of them, by our own clock."""

    jumps: int = Field(description="jumps averaged; of one move at several markets the first")
    offsets_ms: list[float]
    markets: list[PathOut]


class ShareOut(BaseModel):
    """Share of the common price that is made at ``x`` (the rest at ``y``), over the last hour; told by its bounds only."""

    x: str
    y: str
    seconds: float = Field(description="in which both prices were known")
    low: float | None = Field(description="Hasbrouck's lower bound; null = see why")
    high: float | None = Field(description="his upper bound")
    share: float | None = Field(description="Gonzalo and Granger's share; may leave 0 … 1")
    why: str = Field(description="why nothing is told: less than an hour, or bounds more than 0.5 apart")


class MeanOut(BaseModel):
    value: float = Field(description="bps, mean over the jumps")
    low: float | None = Field(description="bps, its 95 % interval by Student's t; null = of one jump alone")
    high: float | None = Field(description="bps")


class FollowingOut(BaseModel):
    """Taking the follower at a jump of the leader and giving it up again, at executable prices: bps of what is traded, per jump."""

    leader: str
    follower: str
    n: int = Field(description="jumps of the leader with known prices of the follower; 20 are needed")
    move: MeanOut | None = Field(description="of the follower's mid, in the direction of the jump")
    spread: float | None = Field(description="bps paid for crossing its spread, half of it at either end")
    fees: float = Field(description="bps, its taker fee of getting in and of getting out")
    net: MeanOut | None = Field(description="what is left")
    verdict: Literal["pays", "no", "few"] = Field(description="pays = the whole interval of net above 0, of at least 20 jumps")


class FollowedOut(BaseModel):
    """Would trading the follower pay? Of the last hour, as far as memory goes."""

    after_ms: float = Field(description="from the jump until the order is there: your latency")
    hold_ms: float = Field(description="from the jump until it is given up")
    rows: list[FollowingOut] = Field(description="pairs whose leader has jumped")


class LeadLagOut(BaseModel):
    """The contrast of all pairs of markets of one asset or symbol."""

    at: str | None = Field(description="when it was reckoned; null = nothing is known yet")
    at_ms: int | None
    symbol: str
    window_s: float
    series: Literal["quotes", "trades"] = Field(description="quotes = mids of the best prices; trades = prices of trades")
    clock: Clock = Field(description=CLOCK)
    grid: Literal["fine", "wide", "slow"]
    reach_ms: float = Field(description="largest lag that is looked for")
    step_ms: float = Field(description="between two lags")
    markets: list[LeadLagMarketOut]
    pairs: list[LeadLagPairOut]
    jumps: list[JumpScoreOut] = Field(description="scores of linked jumps, every ordered pair that was ever linked")
    paths: PathsOut
    shares: list[ShareOut] = Field(description="price discovery, if asked for")
    following: FollowedOut


#: before anything is known
NOTHING: dict[str, Any] = {
    "at": None, "reach_ms": 0.0, "step_ms": 0.0, "markets": [], "pairs": [], "jumps": [], "shares": [],
    "paths": {"jumps": 0, "offsets_ms": [], "markets": []}, "following": {"after_ms": 0.0, "hold_ms": 0.0, "rows": []},
}  # fmt: skip


@router.get("/leadlag")
def leadlag(
    web: TheWeb, snapshot: Current,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="an asset (all its markets) or a canonical symbol")] = "BTC",
    window: Annotated[float, Query(ge=30, le=900, description="seconds to look back")] = 300.0,
    series: Annotated[Literal["quotes", "trades"], Query(description="mids of the best prices, or prices of trades")] = "quotes",
    clock: Annotated[Clock, Query(description=CLOCK)] = "receipt",
    grid: Annotated[Literal["fine", "wide", "slow"], Query(description="±0.5 s by 5 ms, ±2 s by 10 ms, ±60 s by 1 s")] = "fine",
    discovery: Annotated[bool, Query(description="with shares of the common price, from the last hour")] = False,
    venue: Annotated[list[VenueName] | None, Query(max_length=32, description="markets of these venues alone; none = all")] = None,
) -> LeadLagOut:  # fmt: skip
    """Who leads whom and by how much, pair by pair, with the evidence; unknown markets are none."""
    asked = {"window_s": window, "series": series, "clock": clock, "grid": grid, "discovery": discovery, "venues": venue or []}
    found = web.board.query("leadlag", symbol, args=asked)
    told = NOTHING | asked | {"symbol": symbol} | (found or {})
    pairs = [{**row, "at": iso(row["at"]), "at_ms": row["at"]} for row in told["pairs"]]
    return LeadLagOut.model_validate({**told, "at": iso(told["at"]), "at_ms": told["at"], "pairs": pairs})
