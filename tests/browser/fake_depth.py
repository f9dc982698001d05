"""Made-up depth of one market for the page alone: a wall that stands, a mid that wanders, a trade a second, three venues."""

from __future__ import annotations

import math
from typing import Any

MID, STEP = 91_230.0, 10.0
VENUES = (("binance_spot", "Binance", 10.0), ("okx", "OKX", 10.0), ("gate", "Gate", 20.0))


def depth_of(symbol: str, args: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """An answer of ``/api/v1/depth`` as of that moment."""
    window, factor = args["window_s"], args["factor"]
    every = max(1, math.ceil(window / args["points"]))
    last = now_ms // 1000
    seconds = [s for s in range(last - min(window, 400), last + 1) if s * 1000 > args["after"] and s % every == 0]
    step = STEP * factor
    order = args["order"] or 1000.0
    venues = []
    for n, (venue, label, fee) in enumerate(VENUES):
        used = venue != "gate"
        figures = {"bid": MID - 1, "ask": MID + 1, "mid": MID, "age_ms": 40.0, "bid_depth": 12.5 + n, "ask_depth": 8.0, "imbalance": 0.22,
                   "buy_bps": fee + order / 1e4 + n, "sell_bps": fee + 0.3}  # fmt: skip
        venues.append({
            "venue": venue, "label": label, "state": "LIVE" if used else "STALE", "reason": "" if used else "no message", "used": used,
            **(figures if used else dict.fromkeys(figures)), "near_bps": 10, "whole": n == 0, "fee_bps": fee,
            "buy_filled": float(used), "sell_filled": float(used),
        })  # fmt: skip
    return {
        "symbol": symbol, "base": "BTC", "quote": "USDT", "kind": "spot", "t": now_ms, "venue": args["venue"], "order_size": order,
        "mid": MID, "venues": venues,
        "buckets": {"step": step, "bids": [[MID - step * k, 1.0 + k % 4, 2] for k in range(1, 30)],
                    "asks": [[MID + step * k, 2.0 + k % 3, 1] for k in range(30)]},
        "heatmap": {"step": step, "steps": [STEP * f for f in (1, 2, 5, 10)], "every_s": every, "peak": 8.0,
                    "points": [_point(s, step) for s in seconds]},
        "trades": {"span_s": 1, "dots": [[s * 1000 + 500, _mid(s), 0.1 + s % 7 / 10, 1 if s % 3 else -1] for s in seconds]},
    }  # fmt: skip


def _mid(second: int) -> float:
    return MID + 60.0 * math.sin(second / 40.0)


def _point(second: int, step: float) -> dict[str, Any]:
    wide = 45
    first = math.floor(_mid(second) / step) - wide
    sizes = [round(0.25 + 0.2 * math.sin(k * 1.7) + (0.55 if (first + k) % 17 == 0 else 0.0), 4) for k in range(2 * wide)]
    return {"t": second * 1000, "mid": _mid(second), "first": first, "intensity": sizes}
