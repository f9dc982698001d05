"""Vectors of arbitrage: the best size of two books, the life of an opportunity, orders that arrive later, edges of recorded touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dope.backtest.desk import Desk, Execution, Order
from dope.detectors.arbitrage import Cost, Pair, Rules
from dope.detectors.lifecycle import Life, Lifecycle, LifeRules
from dope.market.curve import profit_curve
from dope.market.walk import two_book
from dope.types import Instrument
from tests.backtest.books import MS, ListedEngine, frames
from tests.vectors.case import Case, Document, near, same
from tests.vectors.leadlag import file_of, rows_of

LIMITS = ("max_qty", "max_quote", "lot", "transfer")
KNOWN = {"name", "asks_on_buy_venue", "bids_on_sell_venue", "fee_buy", "fee_sell", "note", "expected", *LIMITS}
GRID_NS = 100 * MS
ORDER_FIGURES = ("bought", "buy_value", "sold", "sell_value", "hedged", "residual", "unwound", "unwind_value", "open_residual", "cash_pnl")


def two_books(document: Document, market: Path) -> Iterator[Case]:
    """The walk of two books, and the curve's best size where nothing but lots limits it."""
    tolerance = document["tolerance_abs"]
    for case in document["two_book"]:
        name, want = case["name"], case["expected"]
        if strange := sorted(case.keys() - KNOWN):
            yield Case(name, f"nobody knows {', '.join(strange)}", "parameters", False)
            continue
        given = case["asks_on_buy_venue"], case["bids_on_sell_venue"], case["fee_buy"], case["fee_sell"]
        walk = two_book(*given, **{limit: case[limit] for limit in LIMITS if limit in case})
        found = {
            "qty": walk.qty, "buy_cost": walk.cost, "sell_proceeds": walk.proceeds, "gross": walk.gross, "fees": walk.fees,
            "net": walk.net, "buy_vwap": walk.buy_vwap, "sell_vwap": walk.sell_vwap, "net_bps": walk.net_bps,
        }  # fmt: skip
        for figure, value in found.items():
            if figure in want:
                yield near(f"{name}: {figure}", value, want[figure], abs_tol=tolerance)
        if "levels" in want:
            yield same(f"{name}: levels", list(walk.levels), want["levels"])
        if "fills" in want:
            wrong = [n for n, (a, b) in enumerate(zip(walk.fills, want["fills"], strict=False)) if not np.allclose(a, b, 0.0, tolerance)]
            yield same(f"{name}: fills", (len(walk.fills), wrong), (len(want["fills"]), []))
        if not {"max_qty", "max_quote"} & case.keys():
            best = profit_curve(*given, **{limit: case[limit] for limit in ("lot", "transfer") if limit in case}).best
            yield near(f"{name}: best of the curve", best.net if best else 0.0, want["net"], abs_tol=tolerance)


def lifecycle(document: Document, market: Path) -> Iterator[Case]:
    """Lives from figures in time."""
    rules = LifeRules(**document["lifecycle"]["params"])
    for number, case in enumerate(document["lifecycle"]["cases"], 1):
        lives = list[Life]()
        machine = Lifecycle(rules)
        for t, net in case["events"]:
            lives += [life for life in machine.update(t, net) if not any(life is known for known in lives)]
        yield same(f"case {number}: lives", len(lives), len(case["expected"]))
        for life, want in zip(lives, case["expected"], strict=False):
            duration = None if life.close is None else life.close - life.open
            found = {"open": life.open, "close": life.close, "duration": duration, "peak_bps": life.peak_bps, "peak_t": life.peak_t,
                     "updates": life.updates, "reason": life.reason}  # fmt: skip
            yield same(f"case {number}: life of {want['open']}", {name: found.get(name, "?") for name in want}, dict(want))


def backtest(document: Document, market: Path) -> Iterator[Case]:
    """Orders at the desk, each leg when it arrives."""
    case, tolerance = document["backtest"], document["tolerance_abs"]
    params = case["params"]
    key = {venue: f"{venue}:X-Q" for venue in case["books"]}
    engine = ListedEngine({key[venue]: rows for venue, rows in case["books"].items()}, {})
    desk = Desk(latency_ms=params["latency"], unwind_delay_ms=params["unwind_delay"], balances=params["balances"])
    orders = [_order(number, order, params, key) for number, order in enumerate(case["orders"])]
    last = max([order.t // MS for order in orders] + [int(t) for rows in case["books"].values() for t, *_ in rows])
    until = last + round(max(params["latency"].values()) + 2 * params["unwind_delay"]) + 10
    for frame in frames(*range(until)):
        desk.settle(frame.ts, engine.market.books)
        engine.step(frame)
        for order in orders:
            if order.t == frame.ts:
                desk.submit(order)
    desk.finish(engine.market.books)
    yield same("orders", len(desk.executions), len(case["expected"]["orders"]))
    for execution, want in zip(desk.executions, case["expected"]["orders"], strict=False):
        yield from _executed(execution, want, params["min_profit"], tolerance)
    for venue, assets in case["expected"]["balances"].items():
        for asset, amount in assets.items():
            yield near(f"{asset} left at {venue}", desk.portfolio.balances[venue].get(asset, 0.0), amount, abs_tol=tolerance)


def _order(number: int, order: Mapping[str, Any], params: Mapping[str, Any], key: Mapping[str, str]) -> Order:
    buy, sell = order.get("buy", "A"), order.get("sell", "B")
    return Order(
        id=number, t=round(order["t"] * MS), symbol="X-Q", base="base", quote="quote", buy=key[buy], sell=key[sell], qty=order["qty"],
        limit_buy=order["limit_buy"], limit_sell=order["limit_sell"], fee_buy=params["fee"][buy], fee_sell=params["fee"][sell],
    )  # fmt: skip


def _executed(execution: Execution, want: Mapping[str, Any], least: float, tolerance: float) -> Iterator[Case]:
    name = f"order at {want['t']}"
    for figure in ORDER_FIGURES:
        yield near(f"{name}: {figure}", getattr(execution, figure), want[figure], abs_tol=tolerance)
    yield same(f"{name}: unwound at", execution.unwind_venue, want["unwind_venue"])
    yield same(f"{name}: survived", execution.survived(least), want["label_survived"])


def touch_edges(document: Document, market: Path) -> Iterator[Case]:
    """How often the touches of recorded venues cross before fees, each 100 ms in which all were recorded."""
    quotes = {}
    for venue, name in document["files"].items():
        path = file_of(market, f"{name}_quotes")
        if path is None:
            yield Case(f"{venue}: quotes", "no such recording", "quotes", False)
            return
        rows = rows_of(path)
        quotes[venue] = np.array([(int(row["local_ns"]), float(row["bid"]), float(row["ask"])) for row in rows], dtype=object)
    times = {venue: rows[:, 0].astype(np.int64) for venue, rows in quotes.items()}
    begin, end = max(int(t[0]) for t in times.values()), min(int(t[-1]) for t in times.values())
    grid = np.arange(-(-begin // GRID_NS) * GRID_NS, end + 1, GRID_NS)
    at = {venue: rows[np.searchsorted(times[venue], grid, side="right") - 1] for venue, rows in quotes.items()}
    free = Instrument("", "X-Q", "XQ", "X", "Q", "spot")
    pair = Pair(free, free, (Cost(0.0), Cost(0.0)), Rules())
    for name, want in document["touch_edge"].items():
        _, buy, _, sell = name.split("_")
        edges = np.array([pair.net_touch_bps(float(ask), float(bid)) for ask, bid in zip(at[buy][:, 2], at[sell][:, 1], strict=True)])
        found = {"share_positive_zero_fee": (edges > 0.0).mean(), "share_gt_10bps": (edges > 10.0).mean(), "max_bps": edges.max()}
        for figure, value in found.items():
            yield near(f"{name}: {figure}", float(value), want[figure], rel_tol=1e-6)
