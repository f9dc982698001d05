"""The same answers in plain Python over a list of rows: slow, obvious, and what the store is measured against."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

NS = 1_000_000_000

Row = dict[str, Any]


def rows_of(made: Iterable[Row], symbol: str, start: int, end: int) -> list[Row]:
    """In the order of time; rows of one time and symbol as they were made."""
    wanted = [row for row in made if start <= row["ts"] < end and symbol in ("", row["symbol"])]
    return sorted(wanted, key=lambda row: (row["ts"], row["symbol"]))


def spread_1s(made: Iterable[Row], symbol: str, ends: list[tuple[int, str]], start: int, end: int) -> tuple[list[Row], list[Row]]:
    """(spread, spread_1s) of whole seconds [start, end), by walking through all that happened, one thing after the other."""
    things = [(row["ts"], 0, number, row) for number, row in enumerate(rows_of(made, symbol, 0, end))]
    things += [(ts, 1, number, {"venue": venue}) for number, (ts, venue) in enumerate(ends) if ts < end]
    things.sort(key=lambda thing: thing[:3])
    venues = sorted({row["venue"] for _, kind, _, row in things if not kind})
    bid, ask = dict.fromkeys(venues, math.nan), dict.fromkeys(venues, math.nan)
    lasts, sums = [], []
    at = 0

    def apply(thing: tuple[int, int, int, Row]) -> str:
        _, kind, _, row = thing
        for venue in venues if kind and not row["venue"] else [row["venue"]]:
            if venue in bid:
                bid[venue], ask[venue] = (math.nan, math.nan) if kind else (number(row["bid"]), number(row["ask"]))
        return str(row["venue"])

    while at < len(things) and things[at][0] < start:
        apply(things[at])
        at += 1
    for second in range(start, end, NS):
        seen: dict[tuple[str, str], list[float]] = defaultdict(list)
        _tell(seen, venues, "", bid, ask)
        while at < len(things) and things[at][0] < second + NS:
            _tell(seen, venues, apply(things[at]), bid, ask)
            at += 1
        for pair in ((a, b) for a in venues for b in venues if a != b):
            gross = (bid[pair[1]] / ask[pair[0]] - 1.0) * 1e4
            if math.isfinite(gross):
                lasts.append({"second": second, "buy_venue": pair[0], "sell_venue": pair[1], "gross_bps": gross})
            if seen[pair]:
                values = seen[pair]
                told = {"best": max(values), "mean": sum(values) / len(values), "n": len(values)}
                sums.append({"second": second, "buy_venue": pair[0], "sell_venue": pair[1], **told})
    return lasts, sums


def number(value: float | None) -> float:
    return math.nan if value is None else value


def _tell(seen: dict[tuple[str, str], list[float]], venues: list[str], of: str, bid: dict[str, float], ask: dict[str, float]) -> None:
    """Note the value of every pair that ``of`` ("" = anybody) is a leg of."""
    for buy in venues:
        for sell in venues:
            gross = (bid[sell] / ask[buy] - 1.0) * 1e4
            if buy != sell and of in ("", buy, sell) and math.isfinite(gross):
                seen[buy, sell].append(gross)


def bars(made: Iterable[Row], symbol: str, start: int, end: int, step: int) -> list[Row]:
    groups: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in rows_of(made, symbol, start, end):
        groups[row["ts"] // step * step, row["symbol"], row["venue"]].append(row)
    found = []
    for (ts, name, venue), rows in sorted(groups.items()):
        prices = [row["price"] for row in rows]
        volume = math.fsum(row["size"] for row in rows)
        found.append({"ts": ts, "symbol": name, "venue": venue, "open": prices[0], "high": max(prices), "low": min(prices),
                      "close": prices[-1], "volume": volume, "trades": len(rows)})  # fmt: skip
    return found
