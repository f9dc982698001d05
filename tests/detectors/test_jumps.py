"""Jumps: what the definition says, found in the rings, at their own times, whenever they are looked at."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import msgspec
import pytest

from dope.detectors.jumps import PLAIN, JumpParameters, Jumps, jumps_in, plain_jumps
from dope.market.lane import RING
from dope.types import SENTINEL, Setting
from tests.detectors.moving import MS, T0, Moving
from tests.oracle.plain_moves import PlainJumps

QUICK = JumpParameters(
    window_ms=500.0, grid_ms=500.0, halflife_ms=5000.0, warmup=8.0, min_bps=2.0, min_bps_majors=2.0, k_sigma=3.0, max_ms=900.0
)
NAMES = ("t_start", "t_detect", "t_peak", "t_final", "dir", "bps", "z", "threshold")


def walk(seed: int, steps: int = 900) -> list[tuple[int, float]]:
    """(ns, mid): a random walk with some sudden moves and pauses, times after T0."""
    rng, t, value, found = random.Random(seed), 0, math.log(100.0), []
    for _ in range(steps):
        t += rng.choice([1, 3, 20, 80, 200]) * MS + rng.randint(0, 999)
        value += rng.gauss(0, 0.2e-4) + (rng.choice([-1, 1]) * rng.uniform(2e-4, 9e-4) if rng.random() < 0.02 else 0.0)
        found.append((t, math.exp(value)))
    return found


def found(told: list[Any]) -> list[list[float]]:
    return [[getattr(jump, name) - (T0 if name.startswith("t_") else 0) for name in NAMES] for jump in told]


def streamed(prices: list[tuple[int, float]], seed: int) -> tuple[Moving, PlainJumps]:
    """Through the detector, looked at every 10 ms and at no other times, and through the plain definition."""
    jumps, plain, rng = Moving([Jumps(QUICK)]), PlainJumps(QUICK), random.Random(seed)
    due = 10 * MS
    for t, mid in prices:
        while due <= t:
            jumps.tick(due)
            plain.clock(due)
            due += 10 * MS
        jumps.touch(t, mid)
        bid, ask = jumps.market.slots.ring[0, (int(jumps.market.slots.ring_n[0]) - 1) % RING, [0, 2]].tolist()
        plain.price(t, (bid + ask) / 2.0)
        if rng.random() < 0.01:
            jumps.touch(t, mid)  # the same once more is no change
    end = prices[-1][0] + 1
    jumps.leave(end)
    plain.leave(end)
    jumps.tick(due)
    return jumps, plain


@pytest.mark.parametrize("seed", range(4))
def test_the_detector_finds_what_the_definition_says(seed: int) -> None:
    jumps, plain = streamed(walk(seed), seed)
    assert len(plain.found) >= 3
    got = found(jumps.told)
    assert len(got) == len(plain.found)
    for row, want in zip(got, plain.found, strict=True):
        assert row[:5] == [want[name] for name in NAMES[:5]]
        assert row[5:] == pytest.approx([want[name] for name in NAMES[5:]], rel=1e-9)


def test_when_the_rings_are_looked_at_changes_nothing_but_what_only_the_clock_can_tell() -> None:
    """Each tick alone, or all touches first and then the tick that would have ended the last jump."""
    prices = [(i * 100 * MS, 100.0) for i in range(100)] + [(10_000 * MS + i * 20 * MS, 100.0 * (1 + 2e-4 * i)) for i in range(6)]
    prices += [(10_600 * MS + i * MS, 100.1 - i * 1e-6) for i in range(3)]
    told = []
    for each in (True, False):
        jumps = Moving([Jumps(QUICK)])
        for t, mid in prices:
            if each:
                jumps.tick(t - 1)
            jumps.touch(t, mid)
        jumps.tick(20_000 * MS)
        told.append([row[:3] + row[4:] for row in found(jumps.told)])
    assert told[0] == told[1] and len(told[0]) == 1


def calm(jumps: Moving, until_ms: int = 10_000) -> None:
    """Small moves to and fro: warm, and sigma at its floor or so."""
    for i in range(until_ms // 50):
        jumps.touch(i * 50 * MS, 100.0 + (i % 2) * 1e-4)


def test_a_jump_is_told_at_its_end_with_its_full_size_and_the_price_before_it_may_be_old() -> None:
    jumps = Moving([Jumps(QUICK)])
    calm(jumps)
    jumps.touch(10_100 * MS, 100.0)
    for i, mid in enumerate((100.03, 100.05, 100.04)):  # the mid stood for 3 s before: it counts although it is no news
        jumps.touch((13_100 + 10 * i) * MS, mid, stamp=77)
    jumps.tick(13_400 * MS)
    assert jumps.told == []
    jumps.tick(13_420 * MS)
    (jump,) = jumps.told
    assert (jump.t_start - T0, jump.t_detect - T0, jump.t_peak - T0, jump.t_final - T0) == (
        13_100 * MS, 13_100 * MS, 13_110 * MS, 13_420 * MS,
    )  # fmt: skip
    assert jump.bps == pytest.approx(math.log(100.05 / 100.0) * 1e4) and jump.dir == 1 and jump.stamp == 77 and jump.ts == T0 + 13_420 * MS
    assert (jump.key, jump.venue, jump.symbol, jump.base) == ("okx:BTC-USDT", "okx", "BTC-USDT", "BTC")
    text, value, tone = jump.line(str.upper)
    assert (text.startswith("BTC-USDT on OKX jumped up within 10"), value, tone) == (True, "+5.00 bps", "pos")


def test_what_happened_while_the_book_was_not_live_is_no_jump() -> None:
    jumps = Moving([Jumps(QUICK)])
    calm(jumps)
    jumps.leave(10_100 * MS)
    jumps.touch(10_200 * MS, 103.0)
    jumps.tick(11_000 * MS)
    assert jumps.told == []
    jumps.touch(11_100 * MS, 103.2)
    jumps.leave(11_110 * MS)
    jumps.tick(11_120 * MS)
    assert [(jump.t_final - T0, jump.dir) for jump in jumps.told] == [(11_110 * MS, 1)], "an open one ends where the book leaves"


def test_a_side_that_is_empty_for_a_moment_is_no_price() -> None:
    jumps = Moving([Jumps(QUICK)])
    calm(jumps)
    slots = jumps.market.slots
    slots.ring_t[0, int(slots.ring_n[0]) % RING] = T0 + 10_010 * MS, 0
    slots.ring[0, int(slots.ring_n[0]) % RING] = 0.0, 0.0, 101.0, 1.0
    slots.ring_n[0] += 1
    jumps.tick(10_020 * MS)
    jumps.tick(12_000 * MS)
    assert jumps.told == []


def test_touches_that_were_overwritten_are_counted() -> None:
    detector = Jumps(QUICK)
    jumps = Moving([detector])
    for i in range(RING + 7):
        jumps.touch(i * MS, 100.0 + i % 2)
    jumps.tick((RING + 7) * MS)
    assert detector.lost == 7


def test_more_jumps_at_once_than_one_call_has_room_for_are_all_told() -> None:
    jumps = Moving([Jumps(msgspec.structs.replace(PLAIN, settle_ms=10.0))], keys=[f"okx:A{i}-B" for i in range(400)])
    for key in jumps.market.books:
        jumps.touch(0, 100.0, key)
        jumps.touch(10 * MS, 101.0, key)
    jumps.tick(100 * MS)
    assert len({jump.key for jump in jumps.told}) == len(jumps.told) == 400


def test_markets_of_the_self_test_and_reference_prices_are_not_looked_at() -> None:
    for kind in (SENTINEL, "reference"):
        jumps = Moving([Jumps(PLAIN)], kind=kind)
        jumps.touch(0, 100.0)
        jumps.touch(10 * MS, 101.0)
        jumps.tick(900 * MS)
        assert jumps.told == []


def test_majors_have_a_smaller_least_size_and_parameters_change_while_it_runs() -> None:
    jumps = Moving([Jumps(PLAIN)], keys=["okx:BTC-USDT", "okx:XYZ-USDT"])

    def moved(t: int) -> list[str]:
        before = len(jumps.told)
        for key in jumps.market.books:
            jumps.touch(t * MS, 100.0, key)
            jumps.touch((t + 1100) * MS, 100.04, key)
        jumps.tick((t + 4000) * MS)
        return [jump.key for jump in jumps.told[before:]]

    assert moved(0) == ["okx:BTC-USDT"]
    jumps.give(Setting(T0, json.dumps({"parameters": {"jumps": {"min_bps": 3.5, "min_bps_majors": 4.5}}}).encode()))
    assert moved(10_000) == ["okx:XYZ-USDT"]
    jumps.give(Setting(T0, json.dumps({"parameters": {"jumps": {"min_bps": -1}}}).encode()))
    assert "min_bps cannot be -1" in jumps.told[-1].reason
    assert moved(20_000) == ["okx:XYZ-USDT"]


def test_other_cells_begin_with_a_new_warm_up() -> None:
    jumps = Moving([Jumps(QUICK)])
    calm(jumps)
    jumps.tick(9_960 * MS)
    jumps.give(Setting(T0, b'{"parameters": {"jumps": {"grid_ms": 700, "window_ms": 700}}}'))
    jumps.touch(10_000 * MS, 100.05)
    jumps.tick(11_000 * MS)
    assert jumps.told == []


def test_the_plain_form_is_a_window_and_a_threshold() -> None:
    times, mids = [T0 + i * 100 * MS for i in range(40)], [100.0 + (0.05 if i >= 20 else 0.0) + (i % 3) * 1e-4 for i in range(40)]
    (jump,) = plain_jumps(times, mids, window_ms=1000, threshold_bps=4)
    assert (jump["dir"], jump["t_detect"] - T0) == (1, 2000 * MS)
    assert plain_jumps(times, mids, window_ms=1000, threshold_bps=6) == []
    assert jumps_in(times, mids, JumpParameters()) == [], "too few cells to know what is usual"
