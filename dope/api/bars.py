"""Bars of trades over REST: ``/api/v1/bars``, from memory and, before that, from what was recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from dope.api.context import Current, Refusal, TheWeb, spend, with_times
from dope.api.depth import SymbolAsked, known
from dope.api.history import instant
from dope.api.routes import problems, unknown

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])
KEPT_BARS, MAX_BARS = 600, 5000


class BarOut(BaseModel):
    """One bar; times without trades have none."""

    start: str | None
    start_ms: int
    end: str | None
    end_ms: int
    open: float = Field(description="quote currency, as all prices")
    high: float
    low: float
    close: float
    volume: float = Field(description="base units")
    bought: float = Field(description="base units of it that takers bought")
    value: float = Field(description="quote currency")
    count: int = Field(description="trades")
    exchange_count: int = Field(description="venues that traded")
    closed: bool = Field(description="its time is over; false: more may come")
    partial: bool = Field(description="trades of it may be missing: it began before this program listened, or was not recorded throughout")
    missing_s: float | None = Field(description="s of it in which trades may be missing; null = recordings were not looked through")


class LookedOut(BaseModel):
    """The time for which recordings were looked through; before it there are only bars of memory."""

    start: str | None
    start_ms: int
    end: str | None
    end_ms: int


class MissingOut(BaseModel):
    """A time in which trades were not heard, or not recorded."""

    start: str | None
    start_ms: int
    end: str | None = Field(description="null = still")
    end_ms: int | None
    venue: str = Field(description="empty = all")
    what: str = Field(description="recording, rows, file or connection")
    why: str


class BarsOut(BaseModel):
    """Bars of trades, oldest first, by the time at which they were received; candles that venues send are not mixed in."""

    symbol: str
    venue: str = Field(description="venue id, or consolidated")
    interval: str
    interval_s: int
    kept: int = Field(description="bars of each length that memory holds")
    lost: int = Field(description="trades that came faster than they could be counted and are in no bar of memory")
    rows: list[BarOut]
    recorded: LookedOut | None = Field(description="null = recordings were not looked through; problems say why, unless nobody asked")
    gaps: list[MissingOut] = Field(description="of that time, newest first, 200 at most")
    problems: list[str] = Field(description="what could not be read")


@router.get("/bars", responses=unknown)
def bars(
    request: Request,
    web: TheWeb,
    snapshot: Current,
    symbol: SymbolAsked,
    venue: Annotated[str, Query(max_length=64, description="venue id, or consolidated")] = "consolidated",
    interval: Annotated[Literal["1s", "5s", "1m", "5m", "1h", "1d"], Query(description="length of a bar")] = "1m",
    start: Annotated[str | None, Query(max_length=40, description="begin at or after: ISO-8601 (else UTC) or ms")] = None,
    end: Annotated[str | None, Query(max_length=40, description="begin before: the same forms")] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_BARS, description="the newest so many; recordings of so many times the length, 8 days at most")
    ] = KEPT_BARS,
    recorded: Annotated[bool, Query(description="also from recordings, which counts as a costly request; false = memory alone")] = True,
) -> BarsOut:  # fmt: skip
    """Open, high, low, close and volume of trades, of one venue or of all together; the newest bar is marked as not closed."""
    one = None if venue == "consolidated" else venue
    known(snapshot, symbol, one)
    since, until = (instant(name, text) if text is not None else 0 for name, text in (("start", start), ("end", end)))
    if until and since >= until:
        raise Refusal(422, "the range ends before it begins", "start has to be before end")
    if recorded:
        spend(request)
    asked = {"interval": interval, "venue": one or "", "recorded": recorded}
    found = web.board.query("bars", symbol, since, until, limit=limit, args=asked)
    told = {name: [with_times(row, ("start", "end")) for row in found[name]] for name in ("rows", "gaps")}
    looked = None if found["recorded"] is None else with_times(found["recorded"], ("start", "end"))
    return BarsOut.model_validate({**found, "venue": venue, **told, "recorded": looked})
