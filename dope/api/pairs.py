"""Spreads in the past: all matrices at one recorded moment, and what one pair of venues did over a time."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api import past
from dope.api.context import Current, Refusal, TheWeb, iso
from dope.api.history import instant, iso_of, rows_of
from dope.api.routes import problems
from dope.api.security import is_name
from dope.api.shapes import ErrorOut
from dope.api.shapes_recorded import GapOut
from dope.board import Snapshot
from dope.tables import History

NS, MS = past.NS, past.MS
MAX_SYMBOLS = 24
MAX_GAPS = 100  #: told in one answer
LONGEST_H = 24.0

router = APIRouter(prefix="/api/v1", responses=problems, tags=["history"])
costly: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorOut, "description": "this history cannot be read now"},
    413: {"model": ErrorOut, "description": "this takes too long or too much memory: ask for a shorter range"},
}
Key = Annotated[str, Query(max_length=80, description="key of a market, venue:symbol")]


class ThenCellOut(BaseModel):
    buy_venue: str
    sell_venue: str
    gross_bps: float = Field(description="sell bid over buy ask at that moment, bps before fees, at the best prices")


class ThenRowOut(BaseModel):
    """One symbol at that moment."""

    symbol: str
    recorded: bool = Field(description="false = nothing is known of that moment")
    why: str = Field(description="what is missing there, in words; empty = nothing")
    cells: list[ThenCellOut] = Field(description="pairs whose books were both LIVE")


class ThenOut(BaseModel):
    """Matrices of the past: best prices, without order size and fees."""

    at: str
    at_ms: int
    source: str = Field(description="whose recording: live, sim or import")
    rows: list[ThenRowOut]


class SummaryOut(BaseModel):
    n: int = Field(description="seconds")
    mean: float | None
    sd: float | None = Field(description="standard deviation")
    low: float | None
    p5: float | None
    p50: float | None = Field(description="median")
    p95: float | None
    high: float | None


class PointOut(BaseModel):
    at: str
    at_ms: int = Field(description="beginning of the ``step_s`` seconds that it stands for")
    gross: float = Field(description="bps before fees, at the end of the newest second with data")
    low: float = Field(description="bps, lowest gross of a second's end")
    high: float = Field(description="bps, highest gross of a second's end")
    mid: float | None = Field(description="bps by which the selling venue's mid is above the buying venue's")
    z: float | None = Field(description="of mid: standard deviations from its mean over the range")


class BinOut(BaseModel):
    low: float = Field(description="bps")
    high: float = Field(description="bps")
    n: int = Field(description="seconds whose gross lay there; the outermost bins hold what lies beyond as well")


class LivesOut(BaseModel):
    """Runs of seconds in which gross reached the fee wall; no opportunities, which are judged at every change of a book."""

    n: int
    seconds: int = Field(description="s in which it paid, together")
    median_s: float | None
    p90_s: float | None
    longest_s: int | None
    goes_on: bool = Field(description="the last one has not ended")


class ConvergencesOut(BaseModel):
    """Mid spread once two standard deviations away from its mean that came back to it."""

    n: int
    seconds: int = Field(description="s with data")
    per_day: float | None = Field(description="in 24 h of data at this rate; null below 600 s with data")


class PairPastOut(BaseModel):
    """Buying at one venue and selling at another over a recorded time, at the best prices and a second's end each."""

    symbol: str
    buy: str
    sell: str
    buy_venue: str
    sell_venue: str
    source: str = Field(description="whose recording: live, sim or import")
    start: str
    end: str
    seconds: int = Field(description="s of the range")
    known_s: int = Field(description="s of it in which both books were LIVE and recorded")
    step_s: int = Field(description="s that one point stands for")
    wall_bps: float | None = Field(description="what the fees of the pair take now, bps; null = not watched now")
    gross: SummaryOut = Field(description="bps")
    mid: SummaryOut = Field(description="bps")
    points: list[PointOut] = Field(description="oldest first; none where nothing is known")
    distribution: list[BinOut] = Field(description="of gross")
    lives: LivesOut | None = Field(description="null while wall_bps is not known")
    convergences: ConvergencesOut
    gaps: list[GapOut] = Field(description="what is missing in the range, the first 100")
    problems: list[str] = Field(description="files that could not be used, and why")


@router.get("/matrix", responses=costly)
def matrix_then(
    web: TheWeb,
    snapshot: Current,
    at: Annotated[str, Query(max_length=40, description="ISO-8601 (else UTC) or ms: the second that ends there")],
    symbol: Annotated[list[str], Query(max_length=MAX_SYMBOLS, description="canonical symbols, e.g. BTC-USDT")],
) -> ThenOut:
    """What every venue paid against every other at one moment of the recording; see /api/v1/spreads/{symbol} for now."""
    end = instant("at", at) // NS * NS
    for name in symbol:
        if not is_name(name):
            raise Refusal(422, "this is not the form of a symbol", "upper-case letters, digits and '-', at most 32, such as BTC-USDT-PERP")
    if end < NS:
        raise Refusal(422, "at is too early", "a moment after 1970-01-01T00:00:01Z")
    found: dict[str, History] = web.board.query("moment", end=end, args={"symbols": tuple(dict.fromkeys(symbol))})
    rows = [{"symbol": name, "recorded": answer.table.num_rows > 0, "why": _missing(answer), "cells": _cells(answer)}
            for name, answer in found.items()]  # fmt: skip
    source = next((answer.source for answer in found.values()), "")
    return ThenOut.model_validate({"at": iso_of(end), "at_ms": end // MS, "source": source, "rows": rows})


def _cells(answer: History) -> list[dict[str, Any]]:
    names = tuple(ThenCellOut.model_fields)
    return [dict(zip(names, row, strict=True)) for row in zip(*(answer.table[name].to_pylist() for name in names), strict=True)]


@router.get("/pair", responses=costly)
def pair_past(
    web: TheWeb,
    snapshot: Current,
    buy: Key,
    sell: Key,
    hours: Annotated[float, Query(gt=0.0, le=LONGEST_H, description="h up to the end")] = 1.0,
    end: Annotated[str | None, Query(max_length=40, description="ISO-8601 (else UTC) or ms; now")] = None,
) -> PairPastOut:
    """Gross, mid spread, distribution, lives and convergences of one pair of venues over a recorded time."""
    buy_venue, _, symbol = buy.partition(":")
    sell_venue, _, other = sell.partition(":")
    if not (buy_venue and sell_venue and is_name(symbol)):
        raise Refusal(422, "this is not the form of a key", "venue:symbol, such as those of /api/v1/symbols")
    if symbol != other or buy_venue == sell_venue:
        raise Refusal(422, "only the same symbol at two venues can be compared", "give buy and sell the same symbol")
    until = (web.clock_ns() if end is None else instant("end", end)) // NS * NS
    since = max(until - round(hours * 3600) * NS, 0)
    if until - since < NS:
        raise Refusal(422, "the range is shorter than a second", "ask for more hours or a later end")
    answer: History = web.board.query("spread", symbol, since, until, args={"venues": (buy_venue, sell_venue)})
    wall = _wall(snapshot, buy, sell)
    return PairPastOut.model_validate(
        {"symbol": symbol, "buy": buy, "sell": sell, "buy_venue": buy_venue, "sell_venue": sell_venue, "source": answer.source,
         "wall_bps": wall, **_reckoned(answer, (buy_venue, sell_venue), wall), "problems": list(answer.problems),
         "start": iso_of(answer.start), "end": iso_of(answer.end), "seconds": (answer.end - answer.start) // NS,
         "gaps": rows_of(answer.gaps.slice(0, MAX_GAPS))}
    )  # fmt: skip


def _reckoned(answer: History, venues: tuple[str, str], wall: float | None) -> dict[str, Any]:
    of = past.seconds(_one_way(answer.table, *venues), _one_way(answer.table, *reversed(venues)))
    step, points = past.points(of, answer.start, answer.end)
    return {
        "known_s": len(of.second), "step_s": step, "gross": past.summary(of.gross), "mid": past.summary(of.mid),
        "points": [{"at": iso(row["t"]), "at_ms": row["t"], **row} for row in points], "distribution": past.distribution(of.gross),
        "lives": None if wall is None else past.lives(of, wall, answer.end), "convergences": past.convergences(of),
    }  # fmt: skip


def _one_way(table: pa.Table, buy: str, sell: str) -> tuple[past.Ints, past.Floats]:
    rows = table.filter(pc.and_(pc.equal(table["buy_venue"].cast(pa.string()), buy), pc.equal(table["sell_venue"].cast(pa.string()), sell)))
    return rows["second"].to_numpy(), rows["gross_bps"].to_numpy()


def _wall(snapshot: Snapshot, buy: str, sell: str) -> float | None:
    """What the fees of both legs take, as the matrix of now has it."""
    ids = {row["key"]: (row["base"], row["quote"], row["kind"]) for row in snapshot.data.get("instruments", ())}
    for m in snapshot.data.get("matrix", ()):
        if ids.get(buy) == ids.get(sell) == (m["base"], m["quote"], m["kind"]):
            venues = [key.partition(":")[0] for key in (buy, sell)]
            if all(venue in m["venues"] for venue in venues):
                wall: float | None = m["wall"][m["venues"].index(venues[0])][m["venues"].index(venues[1])]
                return wall
    return None


def _missing(answer: History) -> str:
    """What is missing at that moment, each reason once."""
    told = answer.gaps.slice(0, MAX_GAPS).to_pylist()
    words = dict.fromkeys(f"{row['venue'] or row['what']}: {row['why']}" if row["venue"] else row["why"] for row in told)
    return "; ".join([*words, *answer.problems][:6])
