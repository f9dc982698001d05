"""The backtest end to end over a small engine: what is attempted, what came of it, where the profit went."""

from __future__ import annotations

import json

import msgspec
import pytest

from dope.backtest.naive import naive
from dope.backtest.report import UPPER_BOUND, report_dict
from dope.backtest.run import run
from dope.detectors.arbitrage import Opportunity
from dope.types import Gap
from tests.backtest.books import MS, ListedEngine, frames, opening
from tests.test_engine import new_engine, tape

A, B = "a:X-Q", "b:X-Q"
DEEP = {A: [(0, [(99.0, 50.0)], [(100.0, 1.0), (100.2, 20.0)])], B: [(0, [(101.0, 2.0), (100.9, 20.0)], [(102.0, 50.0)])]}
EVERY_10_MS = [float(t) for t in range(0, 3000, 10)]


def fading(at_ms: int):
    """The same books, but the bid of b falls below any profit at ``at_ms``."""
    return {A: DEEP[A], B: [*DEEP[B], (at_ms, [(99.5, 20.0)], [(102.0, 50.0)])]}


def test_with_time_enough_both_legs_fill_and_the_promise_is_kept():
    engine = ListedEngine(DEEP, {100: [opening(100, A, B)]})
    report = run(frames(*EVERY_10_MS), engine, order_size=300.0, latency_ms=50)
    result = report.result
    assert (result.attempted, result.both_filled, result.partial, result.missed) == (1, 1, 0, 0)
    assert result.latency_cost == pytest.approx(0.0, abs=1e-9)
    assert result.realised_net == pytest.approx(result.detected_net)
    qty = result.trades[0].order.qty
    assert result.touch_gross == pytest.approx(qty * 1.0)
    assert result.depth_cost == pytest.approx((qty - 1) * 0.2 + max(0.0, qty - 2) * 0.1)
    bought = 100 + (qty - 1) * 100.2
    assert bought * 1.001 == pytest.approx(300.0)
    assert (result.win_rate, result.average_profit) == (1.0, pytest.approx(result.realised_net))


def test_a_fee_in_base_costs_what_the_detector_says_it_does():
    signal = msgspec.structs.replace(opening(100, A, B), buy_in_base=True)
    report = run(frames(*EVERY_10_MS), ListedEngine(DEEP, {100: [signal]}), order_size=300.0, latency_ms=50)
    result = report.result
    order = result.trades[0].order
    kept = 0.999
    paid = 100.0 + (order.qty / kept - 1.0) * 100.2
    assert paid == pytest.approx(300.0), "the order is worth what is paid"
    assert result.detected_net == pytest.approx(2 * 101 * 0.999 + (order.qty - 2) * 100.9 * 0.999 - paid)
    assert result.both_filled == 1 and result.realised_net == pytest.approx(result.detected_net)


def test_too_late_both_legs_are_missed_or_one_is_unwound_and_the_split_says_so():
    engine = ListedEngine(fading(130), {100: [opening(100, A, B)]})
    report = run(frames(*EVERY_10_MS), engine, order_size=300.0, latency_ms={"a": 10.0, "b": 40.0}, unwind_delay_ms=200)
    result = report.result
    assert (result.attempted, result.partial) == (1, 1)
    assert result.detected_net > 0 > result.realised_net
    assert result.touch_gross - result.depth_cost - result.fee_cost == pytest.approx(result.detected_net)
    assert result.detected_net - result.latency_cost == pytest.approx(result.realised_net)
    assert result.trades[0].done_t == 340 * MS
    assert result.max_drawdown == pytest.approx(-result.realised_net)
    assert result.curve == [(340 * MS, result.realised_net)]


def test_a_leg_meets_the_last_book_at_or_before_its_arrival():
    at = {A: DEEP[A], B: [*DEEP[B], (150, [(99.5, 20.0)], [(102.0, 50.0)])]}
    for latency, filled in ((49.0, 1), (49.999, 1), (50.0, 0), (50.001, 0)):
        report = run(frames(*EVERY_10_MS), ListedEngine(at, {100: [opening(100, A, B)]}), order_size=100.0, latency_ms=latency)
        assert report.result.both_filled == filled, latency


def test_the_sensitivity_table_falls_with_latency_and_its_zero_is_an_upper_bound():
    engine = ListedEngine(fading(160), {100: [opening(100, A, B)]})
    report = run(frames(*EVERY_10_MS), engine, order_size=300.0, latency_ms=100)
    assert [row.latency_ms for row in report.sensitivity] == [0.0, 50.0, 100.0, 200.0, 500.0]
    assert [row.both_filled for row in report.sensitivity] == [1, 1, 0, 0, 0]
    assert report.sensitivity[0].label == UPPER_BOUND
    assert report.sensitivity[1].label == "simulated"
    assert report.result.realised_net == report.sensitivity[2].realised_net


def test_only_openings_are_traded_once_each():
    one = opening(100, A, B)
    again = msgspec.structs.replace(one, state="closed", ts=200 * MS)
    engine = ListedEngine(DEEP, {100: [one], 200: [again]})
    report = run(frames(*EVERY_10_MS), engine, order_size=100.0)
    assert (report.opportunities, report.result.attempted, report.naive.trades) == (1, 1, 1)


def test_a_cooldown_keeps_a_pair_from_being_traded_again_so_soon():
    signals = {t: [opening(t, A, B, number=t)] for t in (100, 500, 1200)}
    report = run(frames(*EVERY_10_MS), ListedEngine(DEEP, signals), order_size=50.0, cooldown_s=1.0)
    assert (report.opportunities, report.result.attempted, report.skipped["cooldown"]) == (3, 2, 1)


def test_our_own_fees_decide_what_is_worth_an_order():
    signals = {100: [opening(100, A, B)]}
    report = run(frames(*EVERY_10_MS), ListedEngine(DEEP, signals), order_size=50.0, fees={"a": {"spot": 80.0}, "b": {"spot": 80.0}})
    assert (report.result.attempted, report.skipped["not executable at this size"]) == (0, 1)
    free = run(frames(*EVERY_10_MS), ListedEngine(DEEP, signals), order_size=50.0, fees={"a": {"spot": 0.0}, "b": {"spot": 0.0}})
    assert free.result.fee_cost == 0.0


def test_orders_under_way_when_the_data_end_are_not_judged():
    report = run(frames(0, 50, 100, 110), ListedEngine(DEEP, {100: [opening(100, A, B)]}), order_size=50.0, latency_ms=500)
    assert (report.result.attempted, report.result.unfinished) == (0, 1)
    assert report.result.win_rate is None


def test_holes_in_the_data_are_reported():
    engine = ListedEngine(DEEP, {20: [Gap(ts=20 * MS, key=A, reason="sequence")]})
    report = run(frames(0, 10, 20, 5020, 5030), engine, order_size=50.0)
    assert report.gaps.events == {"sequence": 1}
    assert report.gaps.silences == [(20 * MS, 5020 * MS)]
    assert report.gaps.silent_s == 5.0


def many(n: int = 40):
    signals = {100 + 50 * i: [opening(100 + 50 * i, A, B, number=i)] for i in range(n)}
    rows = []
    for i in range(n):  # every second time the bid falls 20 ms after the opening
        rows += [(90 + 50 * i, [(101.0, 2.0 + i)], [(102.0, 50.0)]), (120 + 50 * i, [(101.0 - i % 2 * 3, 2.5 + i)], [(102.0, 50.0)])]
    asks = [(90 + 50 * i, [(99.0, 50.0)], [(100.0, 3.0 + i)]) for i in range(n)]
    return ListedEngine({A: asks, B: rows}, signals)


def test_the_same_frames_give_the_same_report():
    first, second = (report_dict(run(frames(*EVERY_10_MS), many(), order_size=50.0, latency_ms=30)) for _ in range(2))
    assert first == second
    assert first["result"]["interval"][0] < first["result"]["average_profit"] < first["result"]["interval"][1]


def test_the_report_is_ready_for_json_and_its_numbers_agree():
    data = report_dict(run(frames(*EVERY_10_MS), many(), order_size=50.0, latency_ms=30))
    json.dumps(data, allow_nan=False)
    result = data["result"]
    assert result["attempted"] == result["both_filled"] + result["partial"] + result["missed"] == 40
    assert result["both_filled"] == 20
    assert result["win_rate"] == 0.5
    assert result["curve"][-1][1] == pytest.approx(result["realised_net"])
    assert sum(trade["net"] for trade in result["trades"]) == pytest.approx(result["realised_net"])
    assert data["start"] == 0
    assert data["end"] == 2990
    assert all(isinstance(line, str) for line in data["assumptions"])


def test_a_day_without_frames_or_opportunities_is_an_empty_report():
    data = report_dict(run([], ListedEngine(DEEP, {}), order_size=50.0))
    json.dumps(data, allow_nan=False)
    assert (data["frames"], data["result"]["attempted"], data["result"]["win_rate"], data["result"]["interval"]) == (0, 0, None, None)


def test_the_naive_backtest_is_labelled_an_upper_bound():
    result = naive([(1_000_000, 0.5), (2_000_000, -0.1), (3_000_000, 0.2)], 1000.0)
    assert [t for t, _ in result.curve] == [1, 2, 3] and [round(p, 9) for _, p in result.curve] == [5.0, 4.0, 6.0]
    assert (result.trades, result.win_rate) == (3, pytest.approx(2 / 3))
    assert result.total_return_pct == pytest.approx(0.6)
    assert result.avg_profit_pct == pytest.approx(0.2)
    assert result.profit == pytest.approx(6.0)
    assert result.label.startswith("upper bound")
    assert naive([], 1000.0).win_rate is None


def test_over_the_real_engine_every_opening_is_attempted_and_nothing_it_sees_is_changed():
    recording = tape()
    plain = new_engine()
    openings = [e for frame in recording for e in plain.step(frame) if isinstance(e, Opportunity) and e.state == "open"]
    assert len(openings) >= 2
    engine = new_engine()
    report = run(recording, engine, order_size=100.0, latency_ms={"binance_spot": 20.0, "okx": 35.0}, unwind_delay_ms=100)
    assert engine.digest() == plain.digest()
    assert report.opportunities == report.naive.trades == len(openings)
    attempted = report.result.attempted + report.result.unfinished
    assert attempted + sum(report.skipped.values()) == len(openings)
    at_once = report.sensitivity[0]
    assert at_once.both_filled == at_once.attempted >= 1
    assert at_once.realised_net == pytest.approx(at_once.detected_net)
    json.dumps(report_dict(report), allow_nan=False)


def test_waiting_may_also_gain_so_the_zero_latency_row_bounds_fills_only():
    rising = {A: DEEP[A], B: [*DEEP[B], (120, [(103.0, 20.0)], [(104.0, 50.0)])]}
    report = run(frames(*EVERY_10_MS), ListedEngine(rising, {100: [opening(100, A, B)]}), order_size=100.0, latency_ms=50)
    assert report.result.latency_cost < 0
    assert report.sensitivity[0].both_filled == max(row.both_filled for row in report.sensitivity)
    assert "of fills" in report.sensitivity[0].label
