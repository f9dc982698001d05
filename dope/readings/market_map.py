"""Where it pays to look: per symbol and pair of venues how often it opened, for how long, at what net for which size, and why.

All from what became of the openings that are kept (``detectors/openings.py``); rows are ordered by what they would have been worth
an hour at a thousand of the quote currency: openings an hour × the median net of that size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dope.detectors.openings import SIZES, Opening, Openings
from dope.detectors.shares import Z95, wilson
from dope.detectors.survival import kaplan_meier
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.readings.survival import fills
from dope.session import Session

HOUR_NS = 3_600_000_000_000
LEAST_NS = 60_000_000_000  #: rates are of at least a minute


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """Of ``asked.symbol`` ("" = all), at most ``asked.limit`` rows (0 = all)."""
    found: Openings = detector_of(session.engine, Openings)
    records = [row for row in asked.between_turns(lambda: list(found.records)) if asked.symbol in ("", row.symbol)]
    start = found.since if len(records) < (found.records.maxlen or 0) else records[0].opened
    hours = max(asked.now - start, LEAST_NS) / HOUR_NS if start else 0.0
    pairs: dict[tuple[str, str, str, str], list[Opening]] = {}
    for row in records:
        pairs.setdefault((row.symbol, row.kind, row.buy, row.sell), []).append(row)
    rows = [_row(names, each, hours, asked.now, session.settings.latency_ms) for names, each in pairs.items()]
    rows.sort(key=lambda row: -(row["worth_per_hour"] or 0.0))
    return {
        "t": asked.now // 1_000_000, "hours": hours, "sizes": list(SIZES), "latency_ms": session.settings.latency_ms,
        "rows": rows[: asked.limit or None],
    }  # fmt: skip


def _row(names: tuple[str, str, str, str], rows: Sequence[Opening], hours: float, now: int, latency_ms: float) -> dict[str, Any]:
    symbol, kind, buy, sell = names
    count, lives = len(rows), kaplan_meier([row.life(now) for row in rows])
    low, high = poisson(count)
    late = [row.late for row in rows if row.late]
    late_low, late_high = wilson(len(late), count)
    at_latency = next((row for row in fills(rows) if row["ms"] >= latency_ms and row["n"]), None)
    sizes = [[net for row in rows if (net := row.net_bps[k]) is not None] for k in range(len(SIZES))]
    capacities = sorted(row.capacity for row in rows if row.capacity is not None)
    usual = quantile(sizes[0], 0.5)
    return {
        "symbol": symbol, "kind": kind, "buy_venue": buy.partition(":")[0], "sell_venue": sell.partition(":")[0],
        "openings": count, "per_hour": count / hours if hours else None,
        "per_hour_low": low / hours if hours else None, "per_hour_high": high / hours if hours else None,
        "median_s": lives.median, "median_low_s": lives.median_low, "median_high_s": lives.median_high,
        "net_bps": [{"size": size, "n": len(nets), "median": quantile(nets, 0.5), "p95": quantile(nets, 0.95)}
                    for size, nets in zip(SIZES, sizes, strict=True)],
        "capacity": quantile(capacities, 0.5), "capacity_per_day": sum(capacities) / hours * 24.0 if hours else None,
        "late_share": len(late) / count, "late_low": late_low, "late_high": late_high,
        "late_venue": max(sorted(set(late)), key=late.count) if late else "",
        "fills": at_latency["share"] if at_latency else None, "fills_low": at_latency["low"] if at_latency else None,
        "fills_high": at_latency["high"] if at_latency else None,
        "worth_per_hour": count / hours * max(usual, 0.0) / 1e4 * SIZES[0] if hours and usual is not None else None,
    }  # fmt: skip


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest of the values; None of none."""
    return sorted(values)[min(len(values) - 1, math.floor(share * len(values)))] if values else None


def poisson(count: int) -> tuple[float, float]:
    """95 % interval of a count of rare events, by Byar's formula."""
    more = count + 1.0
    low = count * (1.0 - 1.0 / (9.0 * count) - Z95 / (3.0 * math.sqrt(count))) ** 3 if count else 0.0
    return max(low, 0.0), more * (1.0 - 1.0 / (9.0 * more) + Z95 / (3.0 * math.sqrt(more))) ** 3
