"""Triangles: those that are open, those that closed last, and the ways round three markets of a venue that come nearest to paying."""

from __future__ import annotations

from typing import Any

import msgspec

from dope.detectors.triangles import Triangle, Triangles
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session

MS = 1_000_000
ROWS = 50  #: of each sort, unless fewer are asked for


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """``symbol`` = an asset or a market on the way; "" = all. Times ms UTC."""
    found: Triangles = detector_of(session.engine, Triangles)
    market = session.engine.market
    opened, closed, near = asked.between_turns(lambda: (found.rows(), list(found.over), found.nearest(market, len(found.ways))))
    limit = asked.limit or ROWS
    rows = [each for each in (*opened, *reversed(closed)) if _wanted(asked.symbol, each.path, each.markets)]
    nearest = [row for row in near if _wanted(asked.symbol, row["path"], row["markets"])]
    return {"ways": len(found.ways), "opened": found.lives, "rows": [_row(each) for each in rows[:limit]], "nearest": nearest[:limit]}


def _wanted(symbol: str, path: Any, markets: Any) -> bool:
    return not symbol or symbol in path or any(key.partition(":")[2] == symbol for key in markets)


def _row(each: Triangle) -> dict[str, Any]:
    end = each.ts if each.closed is None else each.closed
    row: dict[str, Any] = msgspec.to_builtins(each)
    row |= {name: list(row[name]) for name in ("path", "markets", "sides", "amounts", "roles", "fees_bps")}
    return row | {
        "opened": each.opened // MS, "closed": None if each.closed is None else each.closed // MS, "peak_t": each.peak_t // MS,
        "life_s": (end - each.opened) / 1e9,
    }  # fmt: skip
