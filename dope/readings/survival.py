"""How long opportunities last, and how many could have been had: of every pair and of all together, from what became of each opening.

``open_after``: share of lives still open after so long (Kaplan–Meier; those that went stale or are still open are censored).
``fills``: share of openings whose two orders, sent when it opened and arriving so much later, would both have filled (Wilson).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from dope.detectors.openings import AGES_MS, Opening, Openings
from dope.detectors.shares import wilson
from dope.detectors.survival import Curve, kaplan_meier, log_rank
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session

MAX_STEPS = 120  #: of a curve that is told
MAX_PAIRS = 200  #: those with the most openings
COMPARED = 1000  #: lives of each that a comparison takes, the newest
LEAST = 5  #: lives of each that it needs


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """Of ``asked.symbol`` ("" = all); ``args``: ``buy_venue`` and ``sell_venue``, "" = any."""
    found: Openings = detector_of(session.engine, Openings)
    wanted = asked.symbol, str(asked.args.get("buy_venue") or ""), str(asked.args.get("sell_venue") or "")
    records = [row for row in asked.between_turns(lambda: list(found.records)) if _meant(row, wanted)]
    pairs: dict[tuple[str, str, str], list[Opening]] = {}
    for row in records:
        pairs.setdefault((row.symbol, row.buy, row.sell), []).append(row)
    most = sorted(pairs.items(), key=lambda item: -len(item[1]))[:MAX_PAIRS]
    latency = session.settings.latency_ms
    return {
        "t": asked.now // 1_000_000, "since": found.since // 1_000_000 or None, "latency_ms": latency, "unwatched": found.unwatched,
        "total": summary(records, asked.now, latency),
        "pairs": [
            {"symbol": symbol, "buy_venue": _venue(buy), "sell_venue": _venue(sell), **summary(rows, asked.now, latency),
             "differs_p": _differs(rows, records, asked.now)}
            for (symbol, buy, sell), rows in most
        ],
    }  # fmt: skip


def _meant(row: Opening, wanted: tuple[str, str, str]) -> bool:
    symbol, buy, sell = wanted
    return symbol in ("", row.symbol) and buy in ("", _venue(row.buy)) and sell in ("", _venue(row.sell))


def _venue(key: str) -> str:
    return key.partition(":")[0]


def summary(rows: Sequence[Opening], now: int, latency_ms: float) -> dict[str, Any]:
    """Both lives of these openings."""
    curve = kaplan_meier([row.life(now) for row in rows])
    table = fills(rows)
    mine = next((row for row in reversed(table) if row["ms"] <= latency_ms and row["n"]), None)
    later = next((row for row in table if row["ms"] >= latency_ms and row["n"]), None)
    return {
        "openings": len(rows), "ended": curve.ended, "stale": sum(row.reason == "stale" for row in rows),
        "open": sum(row.closed is None for row in rows),
        "median_s": curve.median, "median_low_s": curve.median_low, "median_high_s": curve.median_high,
        "open_after": thinned(curve), "fills": table,
        "fills_at_latency": later or mine,  # what is not looked at is taken from the next longer wait: never flattered
    }


def fills(rows: Sequence[Opening]) -> list[dict[str, Any]]:
    """Per age: how many were looked at, how many would have filled, the share with its 95 % interval."""
    table = []
    for k, ms in enumerate(AGES_MS):
        bit = 1 << k
        n, hits, blind = (sum(bool(getattr(row, name) & bit) for row in rows) for name in ("looked", "filled", "blind"))
        low, high = wilson(hits, n) if n else (None, None)
        table.append({"ms": ms, "n": n, "filled": hits, "blind": blind, "share": hits / n if n else None, "low": low, "high": high})
    return table


def thinned(curve: Curve) -> list[dict[str, Any]]:
    """At most ``MAX_STEPS`` steps of the curve, the first and the last among them."""
    steps, count = curve.steps, len(curve.steps)
    if count > MAX_STEPS:
        steps = tuple(steps[round(i * (count - 1) / (MAX_STEPS - 1))] for i in range(MAX_STEPS))
    return [msgspec.to_builtins(step) for step in steps]


def _differs(rows: Sequence[Opening], records: Sequence[Opening], now: int) -> float | None:
    """p of this pair's lives lasting as long as those of all others; None where there is nothing to compare."""
    route = rows[0].buy, rows[0].sell
    others = list(islice((row for row in reversed(records) if (row.buy, row.sell) != route), COMPARED))
    if len(rows) < LEAST or len(others) < LEAST:
        return None
    return log_rank([row.life(now) for row in rows[-COMPARED:]], [row.life(now) for row in others])
