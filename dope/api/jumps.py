"""The audit of a market's bars for jumps: ``/api/v1/jumps/audit``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, Refusal, TheWeb, iso
from dope.api.history import instant
from dope.api.routes import problems
from dope.symbols import MAX_TEXT
from dope.tables import History

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])

MS = 1_000_000
MAX_BARS = 500_000  #: of one recorded range, all venues together


class JumpBarOut(BaseModel):
    """One bar that was a jump."""

    at: str = Field(description="when the bar began")
    at_ms: int
    statistic: float = Field(description="its return over the volatility of the bars before it; Lee and Mykland's L")
    bps: float = Field(description="its return, basis points")


class AuditedOut(BaseModel):
    """The bars of one market."""

    venue: str
    n: int = Field(description="bars, those without a trade included: these close where the one before did")
    missing: int = Field(description="of them without a trade")
    start: str
    start_ms: int
    end: str
    end_ms: int
    threshold: float | None = Field(description="what |statistic| must exceed; null = too few bars to say anything")
    jumps: list[JumpBarOut] = Field(description="oldest first")
    rv: float | None = Field(description="realised variance of the range, bps²")
    bv: float | None = Field(description="its bipower part, which jumps do not enter, bps²")
    tp: float | None = Field(description="tripower quarticity")
    rj: float | None = Field(description="share of jumps in the variance")
    z: float | None = Field(
        description="Barndorff-Nielsen and Shephard's ratio statistic; about normal without jumps, so above 2.33 they are likely"
    )


class AuditOut(BaseModel):
    """Which bars of a symbol were jumps, venue by venue."""

    symbol: str
    interval_s: int
    alpha: float = Field(description="chance of one false jump in the whole range")
    recorded: bool = Field(description="from recorded trades; else from the bars in memory")
    markets: list[AuditedOut]


@router.get("/jumps/audit")
def jumps_audit(
    web: TheWeb, snapshot: Current,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="canonical")] = "BTC-USDT",
    interval: Annotated[Literal["1s", "1m", "5m", "1h"], Query(description="length of the bars")] = "1m",
    alpha: Annotated[float, Query(gt=0, lt=0.5, description="chance of one false jump in the whole range")] = 0.01,
    window: Annotated[int, Query(ge=3, le=5000, description="bars before one that its volatility is taken from")] = 78,
    start: Annotated[str | None, Query(max_length=40, description="from: ISO-8601 or ms; bars of recorded trades then")] = None,
    end: Annotated[str | None, Query(max_length=40, description="up to, not included: the same forms; now")] = None,
) -> AuditOut:  # fmt: skip
    """Lee and Mykland's test of every bar and Barndorff-Nielsen and Shephard's of the range: after the fact, unlike the signals."""
    asked: dict[str, Any] = {"interval": interval, "alpha": alpha, "window": window}
    step_s = {"1s": 1, "1m": 60, "5m": 300, "1h": 3600}[interval]
    if start is not None:
        since, until = instant("start", start), web.clock_ns() if end is None else instant("end", end)
        if since >= until:
            raise Refusal(422, "the range ends before it begins", "start has to be before end")
        asked |= {"bars": _recorded(web.board.query(f"ohlcv_{interval}", symbol, since, until, limit=MAX_BARS)), "step_s": step_s}
    rows = web.board.query("jump_audit", symbol, args=asked) or []
    return AuditOut(symbol=symbol, interval_s=step_s, alpha=alpha, recorded=start is not None, markets=[_market(row) for row in rows])


def _recorded(answer: History) -> dict[str, tuple[list[int], list[float]]]:
    found: dict[str, tuple[list[int], list[float]]] = {}
    table = answer.table
    for ts, venue, close in zip(*(table.column(name).to_pylist() for name in ("ts", "venue", "close")), strict=True):
        times, closes = found.setdefault(venue, ([], []))
        times.append(ts // MS)
        closes.append(close)
    return found


def _market(row: dict[str, Any]) -> AuditedOut:
    jumps = [{"at": iso(one["start"]), "at_ms": one["start"], "statistic": one["statistic"], "bps": one["bps"]} for one in row["jumps"]]
    return AuditedOut.model_validate({
        **row, "jumps": jumps, "start": iso(row["start"]), "start_ms": row["start"], "end": iso(row["end"]), "end_ms": row["end"],
    })  # fmt: skip
