"""Basis and carry: ``/api/v1/basis``, what holding a perpetual against another market would pay, largest deviation first."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import problems
from dope.symbols import MAX_TEXT

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])


class SettledOut(BaseModel):
    """Rates that were settled while this program watched, bps per interval."""

    n: int
    mean_bps: float | None
    p5_bps: float | None
    p50_bps: float | None
    p95_bps: float | None
    positive: float | None = Field(description="share of them above 0, 0 to 1")


class FundingOut(BaseModel):
    """Funding of a perpetual; a positive rate is paid by those who are long."""

    rate_bps: float = Field(description="bps of the notional per interval, as the venue forecasts it now")
    interval_h: float = Field(description="hours from one settlement to the next")
    next: str | None = Field(description="the next settlement")
    next_ms: int | None
    annual_pct: float = Field(description="percent per year at this rate")
    settled: SettledOut


class CarrySideOut(BaseModel):
    """One side held for ``hold_h``: funding + convergence − fees = net, all bps of the notional of one leg."""

    entry_bps: float = Field(description="basis at the executable sides: what is bought at its ask, what is sold at its bid")
    settlements_a: int = Field(description="settlements of a in that time")
    settlements_b: int
    funding_bps: float = Field(description="expected, at today's rates")
    convergence_bps: float = Field(description="from the entry to the median of the last hour, or to 0 while there is none")
    fees_bps: float = Field(description="of both legs, in and out, each for its role")
    net_bps: float
    apr_pct: float = Field(description="net, percent per year, not compounded")
    break_even_h: float | None = Field(description="hours until nothing is lost; null = not within 90 days")


class TradeFeeOut(BaseModel):
    """One of the four trades of a holding; whichever side is held, all four are made."""

    market: str = Field(description="key")
    side: Literal["buy", "sell"]
    role: Literal["taker", "maker"] = Field(description="which fee is paid; prices stay those of taking")
    fee_bps: float


class BasisRowOut(BaseModel):
    """Two markets of one base and quote, ``b`` a perpetual. Never an opportunity: funding is a forecast, and a basis may stand."""

    base: str
    quote: str
    kind: Literal["spot-perp", "perp-perp"]
    a: str = Field(description="key")
    b: str = Field(description="key")
    basis_bps: float | None = Field(description="mid of b above that of a; null while a book is not live")
    median_bps: float | None = Field(description="of the last hour; null = fewer than 5 minutes known")
    deviation_bps: float | None = Field(description="basis − median; rows are ordered by its size")
    samples: int = Field(description="of the last hour, one each 10 s")
    hold_h: float
    long_a: CarrySideOut | None = Field(description="long a, short b; null while a book is not live")
    long_b: CarrySideOut | None = Field(description="long b, short a")
    fees: list[TradeFeeOut] = Field(description="buying a, selling a, buying b, selling b")
    funding_a: FundingOut | None = Field(description="null = spot, or not known yet")
    funding_b: FundingOut | None


class BasisOut(BaseModel):
    rows: list[BasisRowOut]


@router.get("/basis")
def basis(
    web: TheWeb, snapshot: Current,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="an asset, or the symbol of either market; empty = all")] = "",
    hold: Annotated[float | None, Query(ge=1, le=2160, description="hours that a side is held; the setting by default")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="rows at most")] = 100,
) -> BasisOut:  # fmt: skip
    """Perpetuals against spot and against each other; unknown markets are none."""
    rows: list[dict[str, Any]] = web.board.query("basis", symbol, limit=limit, args={"hold_h": hold})
    return BasisOut.model_validate({"rows": [row | {name: _told(row[name]) for name in ("funding_a", "funding_b")} for row in rows]})


def _told(fund: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if fund is None else with_times(fund, ("next",))
