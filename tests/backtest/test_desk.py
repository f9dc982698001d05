"""Orders at the desk: the reference vector, own fills, balances, leg risk."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.backtest.desk import NEVER, Desk, Order
from dope.backtest.fills import NO_FILL, OwnFills
from tests.backtest.books import MS, ListedEngine, frames

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
A, B = "A:X-Q", "B:X-Q"


def sent(
    t_ms: float, *, qty: float = 1.0, limit_buy: float = 100.2, limit_sell: float = 100.0, number: int = 0, fee: float = 0.001
) -> Order:
    return Order(
        id=number, t=round(t_ms * MS), symbol="X-Q", base="base", quote="quote", buy=A, sell=B, qty=qty, limit_buy=limit_buy,
        limit_sell=limit_sell, fee_buy=fee, fee_sell=fee,
    )  # fmt: skip


def carried_out(desk: Desk, engine: ListedEngine, orders: list[Order], until_ms: int = 1000) -> None:
    """Frames each millisecond; an order goes out right after the frame of its time."""
    for frame in frames(*range(until_ms)):
        desk.settle(frame.ts, engine.market.books)
        engine.step(frame)
        for order in orders:
            if order.t == frame.ts:
                desk.submit(order)
    desk.finish(engine.market.books)


def test_the_reference_vector_is_reproduced_exactly():
    path = DATA / "vectors" / "lifecycle_linker_backtest.json"
    if not path.exists():
        pytest.skip("the reference vectors are not beside this repository")
    case = json.loads(path.read_text())["backtest"]
    params = case["params"]
    engine = ListedEngine({f"{v}:X-Q": [(t, bids, asks) for t, bids, asks in rows] for v, rows in case["books"].items()}, {})
    desk = Desk(latency_ms=params["latency"], unwind_delay_ms=params["unwind_delay"], balances=params["balances"])
    orders = [
        sent(o["t"], qty=o["qty"], limit_buy=o["limit_buy"], limit_sell=o["limit_sell"], number=i, fee=params["fee"]["A"])
        for i, o in enumerate(case["orders"])
    ]
    carried_out(desk, engine, orders)
    for execution, want in zip(desk.executions, case["expected"]["orders"], strict=True):
        assert execution.order.t == want["t"] * MS
        assert execution.unwind_venue == want["unwind_venue"]
        assert execution.survived(params["min_profit"]) == want["label_survived"]
        for name in (
            "bought",
            "buy_value",
            "sold",
            "sell_value",
            "hedged",
            "residual",
            "unwound",
            "unwind_value",
            "open_residual",
            "cash_pnl",
        ):
            assert getattr(execution, name) == pytest.approx(want[name], abs=1e-9), name
    for venue, assets in case["expected"]["balances"].items():
        for asset, amount in assets.items():
            assert desk.portfolio.balances[venue][asset] == pytest.approx(amount, abs=1e-9)


GOOD = {A: [(0, [(99.0, 9.0)], [(100.0, 1.0), (100.2, 2.0)])], B: [(0, [(101.0, 2.0)], [(102.0, 9.0)])]}


def test_both_legs_filled_is_a_survivor():
    desk = Desk(latency_ms=10)
    carried_out(desk, ListedEngine(GOOD, {}), [sent(5)])
    (done,) = desk.executions
    assert (done.status, done.residual, done.survived()) == ("both filled", 0.0, True)
    assert done.net == pytest.approx(101 * 0.999 - 100 * 1.001)
    assert done.done_t == 15 * MS
    assert desk.next_due == NEVER


def test_a_fee_in_base_is_taken_off_what_is_bought_and_not_off_the_money():
    deep = {A: [(0, [(99.0, 9.0)], [(100.0, 0.6), (100.2, 2.0)])], B: GOOD[B]}
    desk = Desk(latency_ms=10, balances={"A": {"quote": 1000.0}, "B": {"base": 5.0}})
    order = replace(sent(5, limit_buy=100.2), buy_in_base=True)
    carried_out(desk, ListedEngine(deep, {}), [order])
    (done,) = desk.executions
    assert (done.status, done.bought, done.residual) == ("both filled", pytest.approx(1.0), pytest.approx(0.0))
    paid = 0.6 * 100.0 + (1.0 / 0.999 - 0.6) * 100.2  # so much more is ordered that one remains
    assert done.buy_value == pytest.approx(paid) and done.net == pytest.approx(101 * 0.999 - paid)
    assert desk.portfolio.balances["A"] == {"quote": pytest.approx(1000.0 - paid), "base": pytest.approx(1.0)}
    assert desk.portfolio.balances["B"] == {"base": pytest.approx(4.0), "quote": pytest.approx(101 * 0.999)}


def test_what_was_sold_too_much_is_bought_back_with_the_fee_in_base_where_that_is_the_rule():
    states = {A: [*GOOD[A], (8, [(99.0, 9.0)], [(103.0, 9.0)])], B: GOOD[B]}
    desk = Desk(latency_ms=10, unwind_delay_ms=50)
    carried_out(desk, ListedEngine(states, {}), [replace(sent(5), sell_in_base=True)])
    (done,) = desk.executions
    assert (done.bought, done.sold, done.unwound, done.unwind_venue) == (0.0, 1.0, pytest.approx(1.0), "B")
    assert done.net == pytest.approx(101 * 0.999 - 102 / 0.999)


def test_the_same_level_is_not_filled_twice_until_the_venue_changes_it():
    states = {
        **GOOD,
        A: [(0, [(99.0, 9.0)], [(100.0, 1.0)]), (50, [(99.0, 9.0)], [(100.0, 1.0), (100.1, 1.0)]), (60, [(99.0, 9.0)], [(100.0, 1.5)])],
    }
    desk = Desk(latency_ms=0, unwind_delay_ms=1)
    carried_out(desk, ListedEngine(states, {}), [sent(t, number=i) for i, t in enumerate((1, 2, 55, 65))])
    assert [e.buy_value for e in desk.executions] == [100.0, 0.0, pytest.approx(100.1), 100.0]


def test_one_leg_alone_is_unwound_at_the_market_where_it_is_held():
    states = {A: GOOD[A], B: [(0, [(101.0, 2.0)], [(102.0, 9.0)]), (8, [(100.4, 5.0)], [(102.0, 9.0)])]}
    desk = Desk(latency_ms={"A": 5, "B": 20}, unwind_delay_ms=100)
    carried_out(desk, ListedEngine(states, {}), [sent(0, limit_sell=101.0)])
    (done,) = desk.executions
    assert (done.bought, done.sold, done.unwound, done.unwind_venue, done.status) == (1.0, 0.0, 1.0, "A", "partial")
    assert done.done_t == 120 * MS
    assert done.net == pytest.approx(99 * 0.999 - 100 * 1.001)


def test_what_cannot_be_unwound_stays_open_and_is_marked_to_mid():
    states = {
        A: [(0, [(99.0, 0.25)], [(100.0, 1.0)]), (500, [(97.0, 0.0)], [(99.0, 1.0)])],
        B: [(0, [(101.0, 2.0)], [(102.0, 9.0)]), (8, [(100.0, 5.0)], [(102.0, 9.0)])],
    }
    desk = Desk(latency_ms=20, unwind_delay_ms=100)
    carried_out(desk, ListedEngine(states, {}), [sent(0, limit_sell=101.0)])
    (done,) = desk.executions
    assert done.open_residual == pytest.approx(0.75)
    assert done.mark == 98.0
    assert done.net == pytest.approx(0.25 * 99 * 0.999 - 100 * 1.001 + 0.75 * 98)


def test_a_leg_that_meets_a_dead_book_is_not_filled_and_counted_as_unknown():
    states = {A: GOOD[A], B: [*GOOD[B], (10, None, []), (300, [(98.0, 5.0)], [(102.0, 9.0)])]}
    desk = Desk(latency_ms=20, unwind_delay_ms=10)
    carried_out(desk, ListedEngine(states, {}), [sent(0)])
    assert (desk.executions[0].status, desk.executions[0].unknown, desk.executions[0].sold) == ("partial", True, 0.0)


def test_unwinding_waits_for_a_live_book():
    states = {A: [*GOOD[A], (25, None, []), (70, [(98.0, 5.0)], [(100.0, 1.0)])], B: [(0, [(90.0, 1.0)], [(102.0, 9.0)])]}
    desk = Desk(latency_ms=20, unwind_delay_ms=30)
    carried_out(desk, ListedEngine(states, {}), [sent(0)])
    assert desk.executions[0].unwind_value == 98.0
    assert desk.executions[0].done_t == 80 * MS


def test_balances_bound_what_is_bought_and_sold():
    desk = Desk(latency_ms=0, unwind_delay_ms=10_000, balances={"A": {"quote": 50.05}, "B": {"base": 0.2}})
    carried_out(desk, ListedEngine(GOOD, {}), [sent(0)])
    (done,) = desk.executions
    assert done.bought == pytest.approx(0.5)
    assert done.sold == pytest.approx(0.2)
    assert desk.portfolio.balances["A"]["quote"] == pytest.approx(0.0)
    assert desk.portfolio.balances["B"]["base"] == pytest.approx(0.0)


def test_a_perpetual_may_be_sold_without_holding_it():
    desk = Desk(latency_ms=0, balances={"A": {}, "B": {}})
    order = sent(0)
    margin = Order(**{name: getattr(order, name) for name in Order.__dataclass_fields__} | {"margin": True})
    carried_out(desk, ListedEngine(GOOD, {}), [margin])
    assert desk.executions[0].status == "both filled"


def test_a_venue_without_a_latency_is_an_error_in_words():
    with pytest.raises(ValueError, match="no latency given for venue 'B'; given: A"):
        Desk(latency_ms={"A": 5.0}).submit(sent(0))


LEVELS = st.lists(st.tuples(st.integers(90, 110), st.floats(0.01, 5.0)), min_size=1, max_size=6, unique_by=lambda level: level[0]).map(
    lambda rows: sorted((float(p), q) for p, q in rows)
)


@given(LEVELS, st.lists(st.floats(0.01, 4.0), min_size=1, max_size=6), st.none() | st.floats(90.0, 110.0))
def test_all_orders_together_never_take_more_than_the_book_showed(levels, wishes, limit):
    own = OwnFills()
    fills = [own.fill("ask", levels, qty=qty, limit=limit) for qty in wishes]
    shown = sum(size for price, size in levels if limit is None or price <= limit)
    assert sum(fill.qty for fill in fills) <= min(shown, sum(wishes)) + 1e-9
    at_once = OwnFills().fill("ask", levels, qty=sum(wishes), limit=limit)
    assert sum(fill.qty for fill in fills) == pytest.approx(at_once.qty)
    assert sum(fill.value for fill in fills) == pytest.approx(at_once.value)


def test_nothing_to_take_is_no_fill():
    assert OwnFills().fill("ask", [], qty=1.0) is NO_FILL
    assert OwnFills().fill("bid", [(99.0, 1.0)], qty=1.0, limit=100.0) is NO_FILL
    assert OwnFills().fill("ask", [(99.0, 1.0)], qty=1.0, max_quote=0.0) is NO_FILL
    assert OwnFills().fill("ask", [(99.0, 1.0)], qty=math.inf).qty == 1.0
