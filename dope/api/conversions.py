"""How currencies are exchanged: ``/api/v1/conversions``, the live markets that do it, and pairs of markets in two currencies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb
from dope.api.routes import problems
from dope.symbols import MAX_TEXT

router = APIRouter(prefix="/api/v1", responses=problems, tags=["arbitrage"])


class ExchangeOut(BaseModel):
    """A market that exchanges ``coin`` (its base) for ``money`` (its quote). Prices are null unless its book is live."""

    coin: str
    money: str
    market: str = Field(description="key")
    state: str
    bid: float | None = Field(description="money that a coin brings")
    ask: float | None = Field(description="money that a coin costs")
    bid_size: float | None = Field(description="coins")
    ask_size: float | None = Field(description="coins")
    mid: float | None
    age_ms: float | None
    off_bps: float | None = Field(description="of two dollars: how far the mid is from 1")
    off: bool = Field(description="the coin counts as off its peg")


class ImpliedOut(BaseModel):
    """What the prices of ``base`` in both currencies say; for display only, nobody exchanges at this rate."""

    coin: str
    money: str
    base: str
    rate: float


class CrossingOut(BaseModel):
    """Buy for one currency, sell for another, by the touches of live books."""

    base: str
    buy: str = Field(description="key")
    sell: str = Field(description="key")
    coin: str
    money: str
    via: str | None = Field(description="key of the market that exchanges the two; null = none is fresh, and nothing can be compared")
    naive_bps: float = Field(description="with the two currencies taken for one, which they are not")
    net_bps: float | None = Field(description="through the exchange, after three fees; null = not comparable")
    blocks: str = Field(description="what keeps it from being an opportunity; empty = it is one")


class ConversionsOut(BaseModel):
    exchanges: list[ExchangeOut]
    implied: list[ImpliedOut]
    pairs: list[CrossingOut] = Field(description="highest net first, then those that cannot be compared")


@router.get("/conversions")
def conversions(
    web: TheWeb, snapshot: Current,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="base of the pairs; empty = all")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="pairs at most")] = 50,
    comparable: Annotated[bool | None, Query(description="only pairs that can be compared now, or only those that cannot")] = None,
) -> ConversionsOut:  # fmt: skip
    """What exchanges one currency for another, and what pairs in two currencies are worth through it."""
    empty: dict[str, Any] = {"exchanges": [], "implied": [], "pairs": []}
    found = web.board.query("conversions", symbol, limit=limit, args={"comparable": comparable})
    return ConversionsOut.model_validate(empty | dict(found or {}))
