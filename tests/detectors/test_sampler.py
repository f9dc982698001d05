"""The sampler: features are what the books say, ten milliseconds apart, of what somebody wants, and nothing while nobody does."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from dope.detectors.sampler import WAITING, FeatureEvent, Sampler
from dope.engine import Engine
from dope.types import TICK, Frame
from dope.venues import make
from tests.frames import KEYS, MS, T0, closed, okx_book, okx_script, play, spot_script

SPOT, OKX = KEYS["binance_spot"], KEYS["okx"]
SYMBOL = "BTC-USDT"


def watched(sampler: Sampler) -> Engine:
    engine = Engine({venue: make(venue, (SYMBOL,)) for venue in ("binance_spot", "okx")}, [sampler])
    engine.step_many(play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2, start=T0 + 100 * MS))
    return engine


def tick(ts: int) -> Frame:
    return Frame(ts, "", 0, TICK, b"0")


def moving(seed: int, moves: int = 60) -> list[Frame]:
    """The touch of one book changes in price and size; a Tick each 10 ms."""
    rng, frames, seq = random.Random(seed), [], 120
    for k in range(moves):
        at = T0 + 1000 * MS + k * 10 * MS
        kind, text = okx_book("update", seq + 1, seq, [("100", rng.choice(["0", "1.5", "2.5"])), ("99.9", rng.choice(["2", "3"]))], [])
        seq += 1
        frames += [Frame(at, "okx", 2, kind, text), tick(at + MS)]
    return frames


def test_while_nobody_wants_anything_nothing_is_sampled() -> None:
    sampler = Sampler()
    watched(sampler).step_many(moving(1))
    assert sampler.number == 0 and sampler.after(-1) == [] and sampler.after(0) == []


def test_features_are_what_the_books_say() -> None:
    sampler = Sampler(windows_bps=(20, 100))
    engine = watched(sampler)
    sampler.want([SYMBOL], engine.market.now)
    frames, seen = moving(2), 0
    mids: dict[str, float] = {}
    flows: dict[str, float] = {}
    for frame in frames:
        engine.step(frame)
        for event in sampler.after(seen):
            seen = event.number
            assert event.keys == (SPOT, OKX) and event.ts == frame.ts
            for key in event.keys:
                book, found = engine.market.books[key], event.of(key)
                bid, bid_size, ask, ask_size = book.touch()
                mid = (bid + ask) / 2
                want = {"bid": bid, "ask": ask, "mid": mid, "spread_bps": (ask - bid) / mid * 1e4,
                        "flow": book.flow() - flows.get(key, book.flow()),
                        "weighted_mid": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
                        "imbalance": book.imbalance()}  # fmt: skip
                for bps, (bids, asks, _) in book.depth((20, 100)).items():
                    want |= {f"bid_depth_{bps}": bids, f"ask_depth_{bps}": asks}
                    want |= {f"imbalance_{bps}": (bids - asks) / (bids + asks) if bids + asks else math.nan}
                want["delta_bps"] = (mid / mids[key] - 1) * 1e4 if key in mids else math.nan
                mids[key], flows[key] = mid, book.flow()
                assert found == pytest.approx(want, nan_ok=True)
    assert seen == 60 and any(mids)


def test_samples_are_ten_milliseconds_apart_and_numbered() -> None:
    sampler = Sampler()
    engine = watched(sampler)
    sampler.want([SYMBOL], engine.market.now)
    engine.step_many([tick(T0 + 1000 * MS + k * 2 * MS) for k in range(100)])
    events = sampler.after(0)
    assert [event.number for event in events] == list(range(1, 21)) and sampler.after(18) == events[18:]
    assert {int(b.ts - a.ts) for a, b in itertools.pairwise(events)} == {10 * MS}


def test_what_nobody_has_wanted_for_two_seconds_is_sampled_no_more() -> None:
    sampler = Sampler()
    engine = watched(sampler)
    sampler.want([SYMBOL], T0 + 1000 * MS)
    engine.step_many([tick(T0 + 1000 * MS + k * 10 * MS) for k in range(500)])
    assert 200 <= sampler.number <= 202
    sampler.want(["ETH-USDT"], T0 + 6000 * MS)
    engine.step_many([tick(T0 + 6000 * MS + k * 10 * MS) for k in range(10)])
    assert sampler.number <= 202, "no book of that symbol"


def test_a_book_that_is_not_live_has_no_features_and_no_delta_when_it_is_back() -> None:
    sampler = Sampler()
    engine = watched(sampler)
    sampler.want([SYMBOL], T0 + 1000 * MS)
    engine.step(tick(T0 + 1000 * MS))
    kind, text = closed()
    engine.step(Frame(T0 + 1001 * MS, "okx", 2, kind, text))
    engine.step(tick(T0 + 1010 * MS))
    engine.step_many(play("okx", okx_script(), conn=3, start=T0 + 1011 * MS)[:3])
    engine.step(tick(T0 + 1050 * MS))
    okx = [event.of(OKX) for event in sampler.after(0)]
    assert not math.isnan(okx[0]["mid"]) and all(math.isnan(value) for value in okx[1].values())
    assert math.isnan(okx[2]["delta_bps"]) and okx[2]["mid"] > 0 and okx[2]["flow"] == 0.0
    assert not math.isnan(sampler.after(0)[1].of(SPOT)["mid"])


def test_waiting_samples_are_bounded_and_equal_however_frames_are_grouped() -> None:
    found = []
    for at_once in (False, True):
        sampler = Sampler()
        engine = watched(sampler)
        sampler.want([SYMBOL], T0 + 1000 * MS)
        frames = moving(3, 120)
        if at_once:
            engine.step_many(frames)
        else:
            for frame in frames:
                engine.step(frame)
        found.append(sampler.after(0))
    assert len(found[0]) == len(found[1]) == 120
    for one, other in zip(*found, strict=True):
        assert (one.ts, one.keys) == (other.ts, other.keys) and np.array_equal(one.values, other.values, equal_nan=True)
    sampler._events.extend([FeatureEvent(1, n, (), (), np.zeros((0, 0))) for n in range(2 * WAITING)])
    assert len(sampler._events) == WAITING
