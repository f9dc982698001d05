"""What detectors find does not depend on how frames are grouped: those that look at the rings, too."""

from __future__ import annotations

import json
import random

import pytest

from dope.detectors import Rules, default_detectors
from dope.detectors.arbitrage import Opportunity
from dope.engine import Engine
from dope.types import SET, TICK, Event, Frame
from dope.venues import make
from tests.frames import T0, okx_book, opened, play
from tests.test_engine import COSTS, SYMBOLS, lane_tape, stamped

MS = 1_000_000
#: so lively that ten seconds are enough
LIVELY = {
    "jumps": {"k_sigma": 0, "warmup": 0, "min_bps": 2, "min_bps_majors": 2, "settle_ms": 30, "window_ms": 200},
    "bursts": {"warmup": 5, "z": 1, "span": 2, "min_trades": 1, "halflife_buckets": 20},
    "whales": {"notional": 80, "pause_s": 0.1},
    "linker": {"ratio": 0.01},
}


def frames(seed: int) -> list[Frame]:
    """A tape of two venues under these parameters, with a clock that leaves runs of messages between its ticks."""
    given = lane_tape(seed, 900)
    ticks = [Frame(t, "", 0, TICK, b"0") for t in range(T0, given[-1].ts + 3000 * MS, 50 * MS)]
    rules = Frame(T0 - 1, "", 0, SET, json.dumps({"parameters": LIVELY}).encode())
    return [rules, *sorted([frame for frame in given if frame.kind != TICK] + ticks, key=lambda frame: frame.ts)]


def run(given: list[Frame], seed: int | None) -> tuple[list[Event], Engine]:
    """Step by step, or in groups of any size."""
    engine = Engine({v: make(v, SYMBOLS) for v in ("binance_spot", "okx")}, default_detectors(COSTS, Rules(min_notional=1.0)))
    if seed is None:
        return [event for frame in given for event in engine.step(frame)], engine
    rng, at, told = random.Random(seed), 0, list[Event]()
    while at < len(given):
        size = rng.choice([1, 5, 80, 300])
        told += engine.step_many(given[at : at + size])
        at += size
    return told, engine


@pytest.mark.parametrize("seed", [1, 2])
def test_signals_are_the_same_however_frames_are_grouped(seed: int) -> None:
    given = frames(seed)
    told, one = run(given, None)
    got, other = run(given, seed)
    assert got == told and other.digest() == one.digest()
    assert other.lane.messages > 20
    assert all(one.counts.get(name, 0) >= 2 for name in ("Jump", "Burst", "Whale", "JumpLink")), one.counts


COINS = {"BTC-USDT": 100.0, "BTC-USDC": 100.0, "USDC-USDT": 1.0}  #: markets of a way round, and their prices


def in_two_currencies(seed: int, moves: int = 900) -> list[Frame]:
    """A venue that trades one coin for two others and these for each other: now and then the prices part for a while."""
    rng, seq, off = random.Random(seed), dict.fromkeys(COINS, 1), dict.fromkeys(COINS, 1.0)
    script = [opened("public")]

    def sides(name: str) -> list[list[tuple[str, str]]]:
        price, size = COINS[name] * off[name], f"{rng.randint(1, 900) / 100:.2f}"
        return [[(f"{price * (1.0 + sign * 1e-4 * (1 + k)):.6f}", size) for k in range(3)] for sign in (-1, 1)]

    told = {name: sides(name) for name in COINS}
    script += [okx_book("snapshot", 1, -1, *told[name], inst=name) for name in COINS]
    for _ in range(moves):
        name = rng.choice(list(COINS))
        if rng.random() < 0.05:
            off[name] = rng.choice((1.0, 1.0, 1.008, 0.992))
        gone = [[(price, "0") for price, _ in side] for side in told[name]]
        told[name] = new = sides(name)
        script.append(okx_book("update", seq[name] + 1, seq[name], *(a + b for a, b in zip(gone, new, strict=True)), inst=name))
        seq[name] += 1
    given = stamped(play("okx", script, conn=2), seed)
    return sorted([*given, *(Frame(t, "", 0, TICK, b"0") for t in range(T0 + 5 * MS, given[-1].ts, 30 * MS))], key=lambda frame: frame.ts)


def two_currencies(given: list[Frame], sizes: random.Random | None) -> tuple[list[Event], Engine]:
    """The same as ``run``, over these three markets."""
    engine, at, told = Engine({"okx": make("okx", tuple(COINS))}, default_detectors(COSTS, Rules(min_notional=1.0))), 0, list[Event]()
    while at < len(given):
        size = 1 if sizes is None else sizes.choice([2, 7, 60, 250])
        told += engine.step(given[at]) if sizes is None else engine.step_many(given[at : at + size])
        at += size
    return told, engine


@pytest.mark.parametrize("seed", [3, 4])
def test_opportunities_through_a_third_market_are_the_same_however_frames_are_grouped(seed: int) -> None:
    given = in_two_currencies(seed)
    told, one = two_currencies(given, None)
    got, other = two_currencies(given, random.Random(seed))
    assert got == told and other.digest() == one.digest()
    across = [event for event in told if isinstance(event, Opportunity) and event.via]
    assert len(across) >= 4 and one.counts.get("Triangle", 0) >= 4, one.counts
