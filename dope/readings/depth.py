"""How deep the books of a symbol are: now, at each venue and for an order, and through time as a heat map of price buckets.

Asked with ``venue`` ("" = all together), ``factor`` (buckets so many times as wide as the finest), ``window_s``, ``after`` (ms: only rows
behind it), ``points`` (rows at most; every second, third … second is taken then), ``order`` (quote currency; 0 = the size in force).
The heat map: {step, steps, first, peak, points: [{t, mid, first, intensity}]} where ``intensity[i]`` 0 … 1 belongs to the bucket
that begins at (first + i)·step, as a part of ``peak`` base units; at times when no book was LIVE there is no point.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.detectors.bars import INTERVALS, Bars, Copied, bars_of, together
from dope.detectors.depth import KEPT, DepthHistory, DepthRows
from dope.engines import detector_of
from dope.market.book import Book
from dope.market.buckets import WIDE, bucket_of, price_buckets
from dope.market.consolidated import OrderCost, order_cost
from dope.readings.asked import Asked
from dope.readings.consolidated import books_of, usable
from dope.session import Session

MS, NS = 1_000_000, 1_000_000_000
FACTORS = (1, 2, 5, 10)  #: widths of buckets that can be asked for, in finest ones
NEAR_BPS = 10  #: window of the depth figures
LEVELS = 500  #: per side that an order may walk, and that are cut into buckets
WIDEST = 240  #: buckets of a heat map, around the newest mid
DIGITS = 4  #: decimals of an intensity


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """Everything about the depth of one symbol."""
    venue, factor = asked.args.get("venue", ""), int(asked.args.get("factor", 1))
    order = float(asked.args.get("order", 0.0)) or session.arbitrage.rules.order_size
    history: DepthHistory = detector_of(session.engine, DepthHistory)
    bars: Bars = detector_of(session.engine, Bars)
    books, every, start = books_of(session, asked.symbol), _every(asked), _start(asked)
    shown = [book for book in books if venue in ("", book.instrument.venue)]
    dots = "1s" if asked.now - start <= 600 * NS else "5s"

    def copy_past() -> tuple[list[DepthRows], list[Copied]]:
        rows = [history.rows(book.key, start, every) for book in shown]
        return [row for row in rows if row is not None], [bars.copy(book.slot, dots, start) for book in shown]

    rows, traded = asked.between_turns(copy_past)
    finest = history.step(asked.symbol)
    now = [asked.between_turns(lambda book=book: _copy(session, book)) for book in books]  # type: ignore[misc]
    step = finest * factor if finest else None
    i = books[0].instrument if books else None
    mids = [row["mid"] for row in now if row["mid"] is not None and venue in ("", row["venue"])]
    return {
        "symbol": asked.symbol, "base": i.base if i else "", "quote": i.quote if i else "", "kind": i.kind if i else "",
        "t": asked.now // MS, "venue": venue, "order_size": order, "mid": float(np.median(mids)) if mids else None,
        "venues": [_venue(session, row, order) for row in now],
        "buckets": _buckets([row for row in now if venue in ("", row["venue"])], step),
        "heatmap": heatmap(rows, finest, factor) | {"every_s": every, "steps": [finest * each for each in FACTORS] if finest else []},
        "trades": _dots(traded, INTERVALS[dots]),
    }  # fmt: skip


def _every(asked: Asked) -> int:
    window, points = int(asked.args.get("window_s", 300)), int(asked.args.get("points", 600))
    return max(1, math.ceil(window / points))


def _start(asked: Asked) -> int:
    window = min(int(asked.args.get("window_s", 300)), KEPT) * NS
    return max(asked.now - window, (int(asked.args.get("after", 0)) + 1) * MS)


def _copy(session: Session, book: Book) -> dict[str, Any]:
    """One book as it is now, the levels that an order may need."""
    used, i, market = usable(book), book.instrument, session.engine.market
    row: dict[str, Any] = {
        "venue": i.venue, "kind": i.kind, "state": book.state, "reason": book.reason, "used": used, "bids": [], "asks": [],
        "mid": None, "bid": None, "ask": None, "age_ms": None, "near": None,
    }  # fmt: skip
    if used:
        bid, _, ask, _ = book.touch()
        row |= {
            "bids": book.levels("bid", LEVELS), "asks": book.levels("ask", LEVELS), "mid": (bid + ask) / 2.0, "bid": bid, "ask": ask,
            "age_ms": market.age(book, market.now) / MS, "near": book.depth((NEAR_BPS,))[NEAR_BPS],
        }  # fmt: skip
    return row


def _venue(session: Session, row: dict[str, Any], order: float) -> dict[str, Any]:
    cost = session.arbitrage.costs.get((row["venue"], row["kind"]))
    near_bid, near_ask, whole = row["near"] or (None, None, False)
    total = (near_bid or 0.0) + (near_ask or 0.0)
    costs = {"buy": OrderCost(None, None, 0.0), "sell": OrderCost(None, None, 0.0)}
    if row["used"] and cost is not None:
        qty, in_base = order / row["mid"], cost.currency == "base"
        costs = {
            "buy": order_cost(row["asks"], row["mid"], qty, fee=cost.fee, buy=True, fee_in_base=in_base),
            "sell": order_cost(row["bids"], row["mid"], qty, fee=cost.fee, buy=False),
        }
    return {
        **{name: row[name] for name in ("venue", "state", "reason", "used", "bid", "ask", "mid", "age_ms")},
        "label": session.engine.venues[row["venue"]].LABEL, "near_bps": NEAR_BPS, "bid_depth": near_bid, "ask_depth": near_ask,
        "whole": bool(whole), "imbalance": ((near_bid or 0.0) - (near_ask or 0.0)) / total if total > 0.0 else None,
        "fee_bps": cost.fee * 1e4 if cost else None,
        **{f"{side}_bps": each.bps for side, each in costs.items()}, **{f"{side}_filled": each.filled for side, each in costs.items()},
    }  # fmt: skip


def _buckets(rows: list[dict[str, Any]], step: float | None) -> dict[str, Any]:
    """The ladder: [[price at which the bucket begins, base size, venues]…] per side, best first."""
    found: dict[str, Any] = {"step": step, "bids": [], "asks": []}
    if step is None:
        return found
    sums: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    for row in rows:
        for side, parts in zip(sums, price_buckets(row["bids"], row["asks"], step), strict=True):
            for at, size in parts.items():
                side.setdefault(at, []).append(size)
    for name, side, down in (("bids", sums[0], True), ("asks", sums[1], False)):
        found[name] = [[_edge(at, step), math.fsum(side[at]), len(side[at])] for at in sorted(side, reverse=down)[:WIDEST]]
    return found


def _edge(at: int, step: float) -> float:
    return round(at * step, 12)


def heatmap(rows: list[DepthRows], finest: float | None, factor: int) -> dict[str, Any]:
    """Rows of several books added up second by second, as intensities."""
    empty: dict[str, Any] = {"step": finest * factor if finest else None, "peak": None, "points": []}
    rows = [row for row in rows if len(row.t)]
    if not rows or finest is None:
        return empty
    t = np.unique(np.concatenate([row.t for row in rows]))
    mids = np.full((len(rows), len(t)), np.nan)
    for k, row in enumerate(rows):
        mids[k, np.searchsorted(t, row.t)] = row.mid
    mid = np.nanmedian(mids, axis=0)
    step = finest * factor
    middle = bucket_of(float(mid[-1]), step)
    low = middle - WIDEST // 2
    sizes = np.zeros((len(t), WIDEST), dtype=np.float64)
    reach = np.arange(WIDE)
    for row in rows:
        line = np.searchsorted(t, row.t)[:, None]
        for side, way in ((0, -1), (1, 1)):
            at = np.floor_divide(row.first[:, side, None] + way * reach, factor) - low
            inside = (at >= 0) & (at < WIDEST)
            flat = (np.broadcast_to(line, at.shape) * WIDEST + at)[inside]
            sizes += np.bincount(flat, weights=row.sizes[:, side][inside], minlength=sizes.size).reshape(sizes.shape)
    peak = float(sizes.max())
    shares = np.round(sizes / peak, DIGITS) if peak > 0.0 else sizes
    points = []
    for k, when in enumerate(t.tolist()):
        there = np.flatnonzero(shares[k])
        a, b = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
        points.append({"t": when // MS, "mid": float(mid[k]), "first": low + a, "intensity": shares[k, a:b].tolist()})
    return {"step": step, "peak": peak or None, "points": points}


def _dots(traded: list[Copied], span_s: int) -> dict[str, Any]:
    """What was traded, each moment and side one dot at its average price: [[ms, price, base size, +1 bought | −1 sold]…]."""
    dots = []
    for bar in together([bars_of(each) for each in traded]):
        middle = (bar.start + bar.end) // 2 // MS
        sold, sold_value = bar.volume - bar.bought, bar.value - bar.bought_value
        dots += [[middle, value / size, size, sign] for size, value, sign in ((bar.bought, bar.bought_value, 1), (sold, sold_value, -1))
                 if size > 1e-12 * bar.volume]  # fmt: skip
    return {"span_s": span_s, "dots": dots}
