"""What the API answers of the market and of itself as they are now: fields with their units. Of the past: ``shapes_recorded.py``.

Times come twice, ISO-8601 UTC and ``_ms`` (int milliseconds UTC).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Level = tuple[float, float]
Table = list[list[float | None]]


class ErrorOut(BaseModel):
    """Every answer other than success."""

    error: str = Field(description="what is wrong, in words")
    hint: str = Field("", description="what to do about it; names the nearest known names after a typing error")


class VenueOut(BaseModel):
    """One exchange and the health of its connection."""

    id: str = Field(description="venue id, the part before the colon of an instrument key")
    label: str = ""
    state: str = Field(
        description="live, rest (books by REST, no socket delivers), connecting, degraded, down, blocked, refused or maintenance"
    )
    since: str | None = Field(None, description="when this state began")
    since_ms: int | None = None
    books_live: int = Field(0, description="order books known to be right")
    books_total: int = 0
    msgs_s: float | None = Field(None, description="messages per second")
    excess_p50_ms: float | None = Field(None, description="ms, median delay above the fastest message")
    excess_p99_ms: float | None = Field(None, description="ms, 99th percentile of the same")
    reconnects: int = Field(0, description="since start")
    gaps: int = Field(0, description="holes found in book streams since start")
    faults: int = Field(0, description="messages that could not be used since start")
    checksums_ok: int = 0
    checksum_bad: int = 0
    integrity: str | None = Field(None, description="what proves its books right: sequence, checksum, snapshot (each a whole book) or none")
    breaker: str | None = Field(None, description="closed, open (not trying for a while) or half-open")
    last_error: str | None = None
    next_retry: str | None = None
    next_retry_ms: int | None = None
    muted_until_ns: int | None = Field(
        None, description="ns UTC until which none of its warnings is raised; null = it is not muted, 9223372036854775807 = until unmuted"
    )


class InstrumentOut(BaseModel):
    """One market that a venue lists, watched or not. 0 = not known or no limit."""

    venue: str
    symbol: str = Field(description="canonical, e.g. BTC-USDT, BTC-USDT-PERP")
    native: str = Field(description="the venue's own name")
    ccxt: str = Field(description="name in ccxt; empty where it has none")
    base: str
    quote: str
    kind: str = Field(description="spot, perp, future, option or reference")
    tick: float = Field(description="quote currency, step of prices")
    lot: float = Field(description="base currency, step of sizes")
    min_size: float = Field(description="base currency, least order")
    min_notional: float = Field(description="quote currency, least order")
    contract_value: float | None = Field(description="base currency per contract, quote if inverse; null = not known: never a leg")
    inverse: bool = Field(description="margined and settled in base currency")
    status: str = Field(description="trading, or the venue's own word for why it does not trade")
    watched: bool = Field(description="its book is being watched now")
    source: str = Field(description="list = the venue's own list, read since start; table = shipped with this program")


class ListingOut(BaseModel):
    venue: str
    label: str = Field(description="its name for people, watched or not")
    listed: int = Field(description="markets known of this venue")
    watched: int


class InstrumentsOut(BaseModel):
    """Markets that fit a text, the best fit first; without a text what is watched, then what is usual."""

    q: str
    meant: list[str] = Field(description="canonical symbols that the text may mean among these markets, the likeliest first")
    count: int = Field(description="rows here")
    more: bool = Field(description="cut at the limit")
    venues: list[ListingOut] = Field(description="all venues that can be watched")
    rows: list[InstrumentOut]


class SymbolOut(BaseModel):
    """One market at one venue. Prices are null unless ``state`` is LIVE."""

    key: str = Field(description="venue:symbol")
    venue: str
    symbol: str = Field(description="canonical, e.g. BTC-USDT or BTC-USDT-PERP")
    base: str
    quote: str
    kind: str = Field(description="spot, perp, future, option or reference")
    state: str = Field(description="LIVE: known to be right; else SYNCING, STALE, GAP, CROSSED, INVALID, HALTED or DOWN")
    reason: str | None = Field(None, description="why it is not LIVE")
    bid: float | None = Field(None, description="quote currency")
    bid_size: float | None = Field(None, description="base currency")
    ask: float | None = Field(None, description="quote currency")
    ask_size: float | None = Field(None, description="base currency")
    mid: float | None = Field(None, description="quote currency")
    age_ms: float | None = Field(None, description="ms since the venue last confirmed this book")
    tick: float | None = Field(None, description="smallest price step, quote currency")
    check: str | None = Field(None, description="what proves this book right, as ``integrity`` of its venue")
    checked_ms: float | None = Field(None, description="ms since its last number, checksum or whole book was found right; null = never")
    gaps: int = Field(0, description="holes found in its stream since start")
    checksum_bad: int = 0
    funding: float | None = Field(None, description="perpetuals: rate of the current interval as a fraction")
    mark: float | None = Field(None, description="perpetuals: mark price, quote currency")


class BookOut(BaseModel):
    """The order book of one venue. Levels are present only while the book is LIVE, best first."""

    key: str
    venue: str
    symbol: str
    state: str
    reason: str | None = None
    current: bool = Field(description="true exactly when state is LIVE")
    received: str | None = Field(None, description="when its last message was received")
    received_ms: int | None = None
    age_ms: float | None = Field(None, description="ms since the venue last confirmed it")
    bids: list[Level] = Field([], description="[price in quote, size in base], highest first")
    asks: list[Level] = Field([], description="[price in quote, size in base], lowest first")


class OpportunityOut(BaseModel):
    """One life of a price difference: buy at one venue, sell at another, after taker fees, walked through the books."""

    id: int | str
    state: str = Field(description="open, fading, closed or stale")
    reason: str | None = Field(None, description="why it closed or went stale")
    symbol: str
    base: str
    quote: str
    kind: str
    buy: str = Field(description="instrument key of the buying leg")
    sell: str = Field(description="instrument key of the selling leg")
    buy_venue: str
    sell_venue: str
    buy_px: float | None = Field(None, description="best ask, quote currency")
    sell_px: float | None = Field(None, description="best bid, quote currency")
    buy_vwap: float | None = Field(None, description="average price at the best size")
    sell_vwap: float | None = None
    gross_bps: float | None = Field(None, description="bps before fees, at the best size")
    fees_bps: float | None = Field(None, description="bps, both legs")
    net_bps: float | None = Field(None, description="bps after fees, at the best size")
    size: float | None = Field(None, description="best size, quote currency")
    qty: float | None = Field(None, description="best size, base currency")
    net: float | None = Field(None, description="profit after fees at the best size, quote currency")
    net_at_order: float | None = Field(None, description="profit after fees at your order size, quote currency")
    net_bps_at_order: float | None = Field(None, description="bps after fees at your order size")
    touch_net_bps: float | None = Field(None, description="bps after fees for the best level alone")
    peak_bps: float | None = Field(None, description="highest net_bps of this life")
    peak_t: str | None = Field(None, description="when it was reached")
    peak_t_ms: int | None = None
    opened: str | None = None
    opened_ms: int | None = None
    closed: str | None = Field(None, description="null while it is open")
    closed_ms: int | None = None
    life_s: float | None = Field(None, description="s from open to close, or until now")
    updates: int | None = Field(None, description="re-evaluations during this life")
    buy_age_ms: float | None = Field(None, description="ms, confirmed age of the buying book")
    sell_age_ms: float | None = Field(None, description="ms, confirmed age of the selling book")
    skew_ms: float | None = Field(None, description="ms between the two books")
    comparable: bool = Field(True, description="false = the ages of both quotes differ by more than 500 ms")
    clock_step: bool = Field(False, description="the system clock, or that of one of its venues, was set while it was open")
    fee_buy_bps: float | None = Field(None, description="taker fee, bps")
    fee_sell_bps: float | None = Field(None, description="taker fee, bps")
    via: str = Field("", description="of kind cross-quote: key of the market that exchanges the two currencies; empty = none")
    via_px: float | None = Field(None, description="its executable side, ask where its base is bought, bid where it is sold")
    conversion_bps: float | None = Field(None, description="what it takes beyond its mid, fee included, bps of the buy cost")


class OpportunitiesOut(BaseModel):
    count: int = Field(description="rows here")
    matched: int = Field(description="rows that match the filters; more than count when limit cut them")
    rows: list[OpportunityOut] = Field(description="newest first")


class MatrixOut(BaseModel):
    """Bps between all venues of one market, at the user's order size: row buys, column sells. Null = no LIVE book, or itself."""

    id: str
    base: str
    quote: str
    kind: str
    venues: list[str]
    gross: Table = Field([], description="bps before fees")
    net: Table = Field([], description="bps after fees")
    wall: Table = Field([], description="bps that the fees take")
    state: list[list[str]] = Field([], description="ok, stale or self")


class PairOut(BaseModel):
    """Mid-price spread of two instruments over the last hour, a sample a second, bps."""

    a: str
    b: str
    symbol: str
    kind: str
    current: float | None = None
    mean: float | None = None
    sd: float | None = None
    min: float | None = None
    max: float | None = None
    n: int = Field(0, description="samples")


class SpreadsOut(BaseModel):
    symbol: str
    matrix: MatrixOut | None = Field(None, description="null while fewer than two venues list the symbol")
    pairs: list[PairOut]


class JobOut(BaseModel):
    """A background job: training, backtest."""

    id: int
    kind: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(0.0, ge=0, le=1)
    step: str = ""
    eta_s: float | None = Field(None, description="s until its end, estimated from its progress")
    started: str | None = None
    started_ms: int | None = None
    ended: str | None = None
    ended_ms: int | None = None
    error: str | None = None
    result: Any = Field(None, description="the report of a backtest; null for a training, whose model is kept")


class AcceptedOut(BaseModel):
    job: int = Field(description="id of the job; ask /api/v1/jobs/{id}")


class RelayOut(BaseModel):
    """A stream of one venue, of one symbol or of features, for other programs."""

    channel: str = Field(description="path of the WebSocket")
    subscribers: int = Field(description="clients that listen now, in whichever form")
    messages: int = Field(description="sent since start, to all of them")


class HealthOut(BaseModel):
    status: Literal["ok", "starting", "degraded", "down"]
    runtime_alive: bool
    publish_age_s: float | None = Field(description="s since the last publication; null before the first")
    reason: str | None = Field(None, description="why it is down or degraded")
    seq: int = Field(description="publications so far")
    source: str | None = Field(None, description="live, sim or tape")
    version: str


class ReadyOut(BaseModel):
    ready: bool = Field(description="the engine runs and at least one book is LIVE")
    books_live: int
    books_total: int
    reason: str | None = None
