"""What detectors find does not depend on how frames are grouped: those that look at the rings, too."""

from __future__ import annotations

import json
import random

import pytest

from dope.detectors import Rules, default_detectors
from dope.engine import Engine
from dope.types import SET, TICK, Event, Frame
from dope.venues import make
from tests.frames import T0
from tests.test_engine import COSTS, SYMBOLS, lane_tape

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
