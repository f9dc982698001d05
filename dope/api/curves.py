"""Why it pays and why not: profit against size and the ledger of an opportunity, or of any two comparable markets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, iso
from dope.api.routes import problems, unknown

router = APIRouter(prefix="/api/v1", responses=problems | unknown, tags=["arbitrage"])
Key = Annotated[str, Query(max_length=80, description="key of a market, venue:symbol")]


class CurvePointOut(BaseModel):
    """A size at which a level of either book ends; ``ask`` and ``bid`` are the prices of its last unit."""

    qty: float = Field(description="base currency")
    cost: float = Field(description="quote currency, with fee")
    gross: float = Field(description="quote currency")
    net: float = Field(description="quote currency, after fees and fixed costs")
    net_bps: float = Field(description="bps of the cost, of all of it")
    marginal_bps: float = Field(description="bps of the cost, of the last unit alone, without fixed costs")
    ask: float
    bid: float


class CurveSizeOut(BaseModel):
    """One size of interest, down to whole lots of both venues; ``ask`` and ``bid`` are the limits that it needs."""

    qty: float = Field(description="base currency")
    cost: float = Field(description="quote currency, with fee")
    net: float = Field(description="quote currency")
    net_bps: float = Field(description="bps of the cost")
    marginal_bps: float = Field(description="bps, what its last unit earns")
    ask: float
    bid: float
    at_least: bool = Field(description="the books end here as far as they are read: it may be larger")
    takes: bool = Field(description="both venues take an order of this size")


class TermOut(BaseModel):
    """One line of a ledger. Costs are below zero; all lines but net add up to net, to the last digit."""

    term: str = Field(description="touch (all at the best prices), depth, fee_buy, fee_sell, conversion, transfer, buffer or net")
    amount: str = Field(description="quote currency, an exact decimal number")
    bps: float = Field(description="of the buy cost with fee")


class LegFeeOut(BaseModel):
    """The fee that one leg is reckoned with."""

    leg: str = Field(description="buy or sell")
    venue: str
    role: str = Field(description="taker or maker")
    bps: float = Field(description="bps of the notional")
    currency: str = Field(description="what the fee of a buy is taken in: base or quote")
    tier: str = ""
    source: str = ""
    as_of: str = Field("", description="date at which it was looked up")
    confidence: str = Field("", description="high, medium or low; empty = not known")


class BlockOut(BaseModel):
    """The one term that keeps a pair from being an opportunity; lowered by ``amount`` it opens."""

    term: str = Field(description="state, age, prices, fees, transfer, lot, size, or nothing")
    amount: float | None = Field(description="by how much; null where there is nothing to measure")
    unit: str = Field(description="bps, ms, or a currency")
    text: str


class CurveOut(BaseModel):
    """Profit against size, and where it goes. The best size is where the marginal edge ends; of net sizes the largest one is ``widest``."""

    id: int | None = Field(description="of the opportunity; null while none is open")
    state: str | None = None
    symbol: str
    kind: str
    base: str
    quote: str
    buy: str
    sell: str
    buy_venue: str
    sell_venue: str
    at: str | None = Field(description="when the books stood so")
    at_ms: int | None
    recorded: bool = Field(description="of a life that has closed, as last seen, up to its best size; false = the books as they are")
    lot: float = Field(description="base currency, least common multiple of both; 0 = none")
    min_size: float = Field(description="base currency")
    min_notional: float = Field(description="quote currency")
    transfer: float = Field(description="quote currency, fixed costs of one opportunity")
    buffer_bps: float = Field(description="bps of the sale that are held back")
    order_size: float | None = Field(description="quote currency, your own")
    threshold_bps: float = Field(description="net from which an opportunity opens, bps")
    points: list[CurvePointOut] = Field(description="smallest first; empty while a book is not LIVE")
    best: CurveSizeOut | None = Field(description="the size of the largest profit; null = none")
    widest: CurveSizeOut | None = Field(description="the largest size whose net is at least threshold_bps; null = none")
    slack_bps: float = Field(description="bps by which both fees together may be higher before the best size earns nothing")
    fees: list[LegFeeOut]
    ledger: list[TermOut] = Field(description="of the best size; empty = none")
    order_ledger: list[TermOut] = Field(description="of your own order size, at a loss if need be")
    order_qty: float = Field(description="base currency that your order size buys")
    blocks: BlockOut | None = Field(description="why it is no opportunity; null = it is one")


@router.get("/opportunities/{id}/curve")
def opportunity_curve(web: TheWeb, snapshot: Current, id: Annotated[int, Path(ge=1, le=2**53)]) -> CurveOut:
    """An opportunity at every size: open ones as the books stand now, closed ones as they were last seen."""
    return _out(web.board.query("curve", args={"id": id}))


@router.get("/curve")
def pair_curve(web: TheWeb, snapshot: Current, buy: Key, sell: Key) -> CurveOut:
    """Buying at one market and selling at another at every size, whether it pays or not, and what blocks it."""
    return _out(web.board.query("curve", args={"buy": buy, "sell": sell}))


def _out(row: dict[str, Any]) -> CurveOut:
    at = row.pop("t")
    return CurveOut.model_validate({**row, "at": iso(at), "at_ms": at})
