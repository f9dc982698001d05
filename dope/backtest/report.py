"""What a backtest found: counts, where the promised profit went, the curve, and how sure one can be of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dope.backtest.desk import DUST, Execution
from dope.backtest.naive import Naive

UPPER_BOUND = "upper bound of fills: no latency"  #: of fills, not of profit: a price may also move our way
MAX_CURVE = 2000  #: points of the curve that are shown
MAX_TRADES = 1000  #: newest orders that are listed
RESAMPLES = 1000  #: bootstrap samples of the profit per order
LEAST_INTERVAL = 10  #: orders below which no interval is given


@dataclass(frozen=True)
class Result:
    """One way of executing the same orders; money in quote currency.

    ``touch_gross − depth_cost − fee_cost = detected_net`` and ``detected_net − latency_cost = realised_net``:
    latency takes what moved, was missed, or had to be unwound; negative = prices moved our way. ``open_value`` is the
    part of realised_net that is still inventory, marked to mid. ``interval`` is the bootstrap 95 % interval of the mean profit per order.
    """

    label: str
    latency_ms: dict[str, float] | float
    attempted: int
    both_filled: int
    partial: int
    missed: int
    unknown: int
    unfinished: int
    touch_gross: float
    depth_cost: float
    fee_cost: float
    detected_net: float
    latency_cost: float
    realised_net: float
    open_value: float
    win_rate: float | None
    average_profit: float | None
    interval: tuple[float, float] | None
    max_drawdown: float
    curve: list[tuple[int, float]] = field(repr=False, default_factory=list)  #: (t int ns, cumulative net)
    trades: list[Execution] = field(repr=False, default_factory=list)


@dataclass(frozen=True)
class Gaps:
    """Holes in the data: what venues lost (events by reason), and silences of the recording itself (from, to; ns)."""

    events: dict[str, int]
    silences: list[tuple[int, int]]
    silent_s: float


@dataclass(frozen=True)
class Report:
    """The honest result, the same with other latencies, the naive one, and what all of them rest on."""

    start: int
    end: int
    frames: int
    opportunities: int
    skipped: dict[str, int]
    order_size: float
    result: Result
    sensitivity: list[Result]
    naive: Naive
    gaps: Gaps
    assumptions: list[str]


def summarise(executions: Sequence[Execution], latency_ms: dict[str, float] | float, *, seed: int = 0) -> Result:
    """Count and sum up; orders whose legs had not all arrived when the data ended are left out and counted."""
    done = sorted((e for e in executions if not e.legs_due), key=lambda e: (e.done_t or 0, e.order.id))
    nets = [e.net for e in done]
    detected = math.fsum(e.order.detected_net for e in done)
    realised = math.fsum(nets)
    statuses = [e.status for e in done]
    curve = _curve(done)
    zero = not any(latency_ms.values()) if isinstance(latency_ms, dict) else not latency_ms
    return Result(
        label=UPPER_BOUND if zero else "simulated",
        latency_ms=latency_ms,
        attempted=len(done),
        both_filled=statuses.count("both filled"),
        partial=statuses.count("partial"),
        missed=statuses.count("missed"),
        unknown=sum(e.unknown for e in done),
        unfinished=len(executions) - len(done),
        touch_gross=math.fsum(e.order.touch_gross for e in done),
        depth_cost=math.fsum(e.order.depth_cost for e in done),
        fee_cost=math.fsum(e.order.fee_cost for e in done),
        detected_net=detected,
        latency_cost=detected - realised,
        realised_net=realised,
        open_value=math.fsum(e.open_residual * e.mark for e in done if abs(e.open_residual) > DUST),
        win_rate=sum(net > 0 for net in nets) / len(nets) if nets else None,
        average_profit=realised / len(nets) if nets else None,
        interval=_interval(nets, seed),
        max_drawdown=_drawdown(curve),
        curve=curve,
        trades=done,
    )


def report_dict(report: Report) -> dict[str, Any]:
    """JSON-ready: times in ms UTC, curve thinned to 2000 points, the newest 1000 orders, no number that is not finite."""
    return {
        "start": report.start // 1_000_000,
        "end": report.end // 1_000_000,
        "frames": report.frames,
        "opportunities": report.opportunities,
        "skipped": report.skipped,
        "order_size": report.order_size,
        "result": _result_dict(report.result) | {"trades": [_trade_dict(e) for e in report.result.trades[-MAX_TRADES:]]},
        "sensitivity": [{k: v for k, v in _result_dict(r).items() if k != "curve"} for r in report.sensitivity],
        "naive": asdict(report.naive),
        "gaps": {
            "events": report.gaps.events,
            "silences": [[a // 1_000_000, b // 1_000_000] for a, b in report.gaps.silences],
            "silent_s": report.gaps.silent_s,
        },
        "assumptions": report.assumptions,
    }


def _result_dict(result: Result) -> dict[str, Any]:
    names = [name for name in Result.__dataclass_fields__ if name not in ("curve", "trades", "interval")]
    stride = max(1, math.ceil(len(result.curve) / MAX_CURVE))
    points = result.curve[::-stride][::-1]  # counted from the end: the last point is always shown
    return {name: getattr(result, name) for name in names} | {
        "interval": list(result.interval) if result.interval else None,
        "curve": [[t // 1_000_000, value] for t, value in points],
    }


def _trade_dict(e: Execution) -> dict[str, Any]:
    order = e.order
    return {
        "id": order.id,
        "t": order.t // 1_000_000,
        "symbol": order.symbol,
        "buy": order.buy,
        "sell": order.sell,
        "qty": order.qty,
        "status": e.status,
        "bought": e.bought,
        "sold": e.sold,
        "buy_vwap": e.buy_value / e.bought if e.bought else None,
        "sell_vwap": e.sell_value / e.sold if e.sold else None,
        "unwound": e.unwound,
        "open_residual": e.open_residual,
        "detected_net": order.detected_net,
        "net": e.net,
        "unknown": e.unknown,
    }


def _curve(done: Sequence[Execution]) -> list[tuple[int, float]]:
    total, points = 0.0, []
    for execution in done:
        total += execution.net
        points.append((execution.done_t or execution.order.t, total))
    return points


def _drawdown(curve: Sequence[tuple[int, float]]) -> float:
    """Largest fall below the highest point so far, starting at 0; not negative."""
    peak = worst = 0.0
    for _, value in curve:
        peak = max(peak, value)
        worst = max(worst, peak - value)
    return worst


def _interval(nets: Sequence[float], seed: int) -> tuple[float, float] | None:
    if len(nets) < LEAST_INTERVAL:
        return None
    values, rng = np.array(nets), np.random.default_rng(seed)
    means = [float(values[rng.integers(0, len(values), len(values))].mean()) for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
