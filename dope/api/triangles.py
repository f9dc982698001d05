"""Triangles: ``/api/v1/triangles``, once round three markets of one venue after three fees."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import problems
from dope.symbols import MAX_TEXT

router = APIRouter(prefix="/api/v1", responses=problems, tags=["arbitrage"])


class TriangleOut(BaseModel):
    """One life; ``start``, ``end`` and ``profit`` in the currency that the path begins with."""

    id: int
    venue: str
    path: list[str] = Field(description="currencies in their order, the first one again at the end")
    markets: list[str] = Field(description="keys, in their order")
    sides: list[Literal["buy", "sell"]] = Field(description="what is done with the base of each market")
    roles: list[Literal["taker", "maker"]] = Field(description="which fee each leg pays; prices stay those of taking")
    fees_bps: list[float] = Field(description="of each leg, of what is traded there")
    amounts: list[float] = Field(description="what each market takes in, in the currency held then")
    state: Literal["open", "closed", "stale"]
    reason: str
    start: float = Field(description="what is put in at the best size")
    end: float = Field(description="what comes back")
    profit: float
    profit_bps: float = Field(description="of the start, after three fees")
    peak_bps: float
    peak_t: str | None
    peak_t_ms: int | None
    opened: str | None
    opened_ms: int | None
    closed: str | None = Field(description="null while it is open")
    closed_ms: int | None
    life_s: float
    updates: int


class WayOut(BaseModel):
    """A way round by the touches of three live books."""

    venue: str
    path: list[str]
    markets: list[str]
    sides: list[Literal["buy", "sell"]]
    roles: list[Literal["taker", "maker"]] = Field(description="which fee each leg pays")
    net_bps: float = Field(description="what comes back above what is put in, after fees, bps; below 0 = a loss")
    fees_bps: float = Field(description="all three")
    open: bool


class TrianglesOut(BaseModel):
    ways: int = Field(description="ways round three markets that are known")
    opened: int = Field(description="lives since start")
    rows: list[TriangleOut] = Field(description="open ones, then those that closed last")
    nearest: list[WayOut] = Field(description="best first")


@router.get("/triangles")
def triangles(
    web: TheWeb, snapshot: Current,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="an asset or a symbol on the way; empty = all")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="rows of each sort at most")] = 50,
) -> TrianglesOut:  # fmt: skip
    """Triangles that are open or were, and the ways that come nearest to paying."""
    empty: dict[str, Any] = {"ways": 0, "opened": 0, "rows": [], "nearest": []}
    found = empty | dict(web.board.query("triangles", symbol, limit=limit) or {})
    return TrianglesOut.model_validate(found | {"rows": [with_times(row, ("opened", "closed", "peak_t")) for row in found["rows"]]})
