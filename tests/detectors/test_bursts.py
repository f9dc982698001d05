"""Volume bursts: what the definition says, on both sides, whenever the rings are looked at."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from dope.detectors.bursts import BurstParameters, Bursts, BurstSeries
from dope.market.lane import TRADE_RING
from dope.types import DOWN, GAP, LIVE, BookState, Setting
from tests.detectors.moving import MS, T0, Moving
from tests.oracle.plain_moves import plain_bursts

QUICK = BurstParameters(halflife_buckets=200.0, warmup=100.0)
Trades = list[tuple[int, float, int]]


def flow(seed: int, end_ms: int = 40_000, bursts: bool = True) -> Trades:
    """Quiet trading on both sides, clustered a little, and two bursts."""
    rng, t, found = random.Random(seed), 0.0, []
    while (t := t + rng.expovariate(1 / 90)) < end_ms:
        found.append((int(t * MS), rng.lognormvariate(-3, 1), rng.choice([-1, 1])))
    for start, sign in ((15_000, 1), (30_000, -1)) if bursts else ():
        found += [((start + 4 * i) * MS, rng.lognormvariate(-2, 1), sign) for i in range(60)]
    return sorted(found)


def through(trades: Trades, p: BurstParameters, every_ms: int = 10, until_ms: int = 41_000) -> list[Any]:
    bursts, due = Moving([Bursts(p)]), 0
    for t, size, sign in trades:
        while due <= t:
            bursts.tick(due)
            due += every_ms * MS
        bursts.trade(t, size, "buy" if sign > 0 else "sell")
    while due <= until_ms * MS:
        bursts.tick(due)
        due += every_ms * MS
    return bursts.told


def rows(told: list[Any]) -> list[list[Any]]:
    return [[one.side, one.start - T0, one.end - T0, one.buckets] for one in told]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("p", [QUICK, msgspec.structs.replace(QUICK, span=1.0, z=3.0, min_trades=1.0)])
def test_the_detector_finds_what_the_definition_says(seed: int, p: BurstParameters) -> None:
    trades = flow(seed)
    want = plain_bursts([(T0 + t, size, sign) for t, size, sign in trades], p, T0 + 41_000 * MS)
    told = sorted(through(trades, p), key=lambda one: (one.start, one.side))
    assert len(want) >= 2
    assert rows(told) == [[one["side"], one["start"] - T0, one["end"] - T0, one["buckets"]] for one in want]
    assert [one.peak_z for one in told] == pytest.approx([one["peak_z"] for one in want], rel=1e-9)


def test_how_often_the_clock_ticks_changes_nothing() -> None:
    assert len(set(map(str, (rows(through(flow(4), QUICK, every)) for every in (10, 70, 900))))) == 1


def test_both_planted_bursts_and_nothing_else_is_found_and_a_burst_knows_its_volume() -> None:
    told = through(flow(1), QUICK)
    assert [one.side for one in told] == ["buy", "sell"]
    assert [0 <= one.start - T0 - planted * MS <= 250 * MS for one, planted in zip(told, (15_000, 30_000), strict=True)] == [True, True]
    volume = sum(size for t, size, sign in flow(1) if sign > 0 and 14_050 * MS <= t < 16_500 * MS)
    assert 0.8 * volume < told[0].volume <= volume
    text, value, tone = told[0].line(str.upper)
    assert text.startswith("Buying burst of BTC-USDT on OKX") and value.endswith(" BTC") and tone == "pos"
    assert through(flow(1, bursts=False), QUICK) == []


def test_buckets_are_not_empty_but_unknown_while_the_feed_is_down() -> None:
    bursts = Moving([Bursts(QUICK)])
    for i in range(200):
        bursts.trade(i * 50 * MS, 1.0)
    bursts.tick(10_000 * MS)
    bursts.give(BookState(T0 + 10_000 * MS, "okx:BTC-USDT", DOWN, LIVE, "cut", T0))
    bursts.tick(70_000 * MS)
    bursts.give(BookState(T0 + 70_000 * MS, "okx:BTC-USDT", LIVE, DOWN, "", T0))
    for i in range(200):
        bursts.trade((70_000 + i * 50) * MS, 1.0)
    bursts.tick(85_000 * MS)
    assert bursts.told == [], "had the pause counted as calm, the same trading would be a burst now"


def test_a_book_that_is_wrong_says_nothing_against_its_trades() -> None:
    bursts = Moving([Bursts(QUICK)])
    for t, size, sign in flow(1):
        bursts.trade(t, size, "buy" if sign > 0 else "sell")
        if t // MS == 15_100:
            bursts.give(BookState(T0 + t, "okx:BTC-USDT", GAP, LIVE, "sequence", T0))
    bursts.tick(41_000 * MS)
    assert len(bursts.told) == 2


def test_an_open_burst_ends_when_its_feed_does() -> None:
    bursts = Moving([Bursts(QUICK)])
    for t, size, sign in flow(1):
        if t < 15_200 * MS:
            bursts.trade(t, size, "buy" if sign > 0 else "sell")
    bursts.tick(15_200 * MS)
    assert bursts.told == []
    bursts.give(BookState(T0 + 15_200 * MS, "okx:BTC-USDT", DOWN, LIVE, "cut", T0))
    bursts.tick(15_210 * MS)
    assert [one.side for one in bursts.told] == ["buy"]


def test_trades_that_were_overwritten_are_counted() -> None:
    detector = Bursts(QUICK)
    bursts = Moving([detector])
    for i in range(TRADE_RING + 9):
        bursts.trade(i, 1.0)
    bursts.tick(MS)
    assert detector.lost == 9


def test_parameters_change_while_it_runs_and_other_buckets_begin_anew() -> None:
    bursts = Moving([Bursts(QUICK)])
    bursts.give(Setting(T0, json.dumps({"parameters": {"bursts": {"z": 50}}}).encode()))
    for t, size, sign in flow(1):
        bursts.trade(t, size, "buy" if sign > 0 else "sell")
    bursts.tick(41_000 * MS)
    assert bursts.told == []
    series = BurstSeries(QUICK)
    series.trade(T0, 1.0, 1.0)
    series.close(T0 + 1000 * MS)
    assert series.closed == 20
