"""The history of depth: a row a second of each LIVE book, none of any other, in bounded memory, on one grid per symbol."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dope.detectors.depth import KEPT, DepthHistory, DepthParameters, Ring
from dope.engine import Engine
from dope.market.buckets import WIDE, bucket_of, price_buckets
from dope.types import DATA, TICK, Frame
from dope.venues import make
from tests.frames import KEYS, MS, T0, closed, okx_script, play, spot_quote, spot_script

SECOND = 1000 * MS
SPOT, OKX = KEYS["binance_spot"], KEYS["okx"]


def ticks(start: int, seconds: float) -> list[Frame]:
    return [Frame(start + k * 10 * MS, "", 0, TICK, b"0") for k in range(int(seconds * 100))]


def watched(history: DepthHistory) -> Engine:
    engine = Engine({venue: make(venue, ("BTC-USDT",)) for venue in ("binance_spot", "okx")}, [history])
    engine.step_many(play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2, start=T0 + 100 * MS))
    return engine


def test_a_second_has_one_row_of_each_live_book_at_one_instant() -> None:
    history = DepthHistory(DepthParameters(bucket_bps=10.0))
    engine = watched(history)
    engine.step_many(ticks(T0 + SECOND, 3.0))
    rows = [history.rows(key) for key in (SPOT, OKX)]
    assert history.step("BTC-USDT") == 0.1
    for key, row in zip((SPOT, OKX), rows, strict=True):
        assert row is not None and len(row.t) == 3 and row.t.tolist() == sorted(set(row.t.tolist()))
        book = engine.market.books[key]
        found = price_buckets(book.levels("bid", 100), book.levels("ask", 100), 0.1)
        for side, buckets in enumerate(found):
            for at, size in buckets.items():
                assert row.sizes[-1, side, abs(at - row.first[-1, side])] == pytest.approx(size, rel=0.004)
            assert row.sizes[-1, side].sum() == pytest.approx(sum(buckets.values()), rel=0.004)
    assert rows[0] is not None and rows[1] is not None and rows[0].t.tolist() == rows[1].t.tolist()


def test_levels_that_a_newer_quote_says_are_gone_are_not_in_it() -> None:
    history = DepthHistory(DepthParameters(bucket_bps=10.0))
    engine = watched(history)
    engine.step(Frame(T0 + SECOND - MS, "binance_spot", 1, DATA, spot_quote(200, "99.8", "0.25", "100.5", "3")[1]))
    engine.step_many(ticks(T0 + SECOND, 1.0))
    row = history.rows(SPOT)
    assert row is not None and row.first[-1].tolist() == [bucket_of(99.8, 0.1), bucket_of(100.5, 0.1)]
    assert row.sizes[-1, 0, 0] == 0.25 and row.sizes[-1, 1, 0] == 3.0


def test_a_book_that_is_not_live_has_no_row() -> None:
    history = DepthHistory()
    engine = watched(history)
    engine.step_many(ticks(T0 + SECOND, 1.0))
    kind, text = closed()
    engine.step(Frame(T0 + 2 * SECOND - MS, "okx", 2, kind, text))
    engine.step_many(ticks(T0 + 2 * SECOND, 2.0))
    spot, okx = history.rows(SPOT), history.rows(OKX)
    assert spot is not None and okx is not None and (len(spot.t), len(okx.t)) == (3, 1)


def test_memory_is_bounded_and_the_newest_rows_stay() -> None:
    start, ring = T0 + SECOND, Ring()
    for k in range(KEPT + 7):
        ring.add(start + k * SECOND, 100.0 + k, (k, k + 1), np.ones((2, WIDE)))
    rows = ring.rows(0, 1)
    assert len(rows.t) == KEPT and rows.mid[-1] == 100.0 + KEPT + 6 and rows.mid[0] == 107.0
    assert len(ring.rows(start + (KEPT - 3) * SECOND, 1).t) == 10
    third = ring.rows(0, 3)
    assert len(third.t) == KEPT // 3 and set(third.t // SECOND % 3) == {0}


def test_other_buckets_begin_a_new_history() -> None:
    history = DepthHistory()
    engine = watched(history)
    engine.step_many(ticks(T0 + SECOND, 2.0))
    assert history.step("BTC-USDT") == 0.01
    history.parameters = DepthParameters(bucket_bps=100.0 / 2)
    engine.step_many(ticks(T0 + 3 * SECOND, 1.0))
    rows = history.rows(SPOT)
    assert history.step("BTC-USDT") == 0.5 and rows is not None and len(rows.t) == 1


def test_it_says_the_same_however_the_frames_are_grouped_and_after_pickling() -> None:
    one, other = DepthHistory(), DepthHistory()
    first, second = watched(one), watched(other)
    frames = ticks(T0 + SECOND, 2.5)
    for frame in frames:
        first.step(frame)
    second.step_many(frames)
    again: DepthHistory = pickle.loads(pickle.dumps(other))
    for key in (SPOT, OKX):
        parts = one.rows(key), again.rows(key)
        assert parts[0] is not None and parts[1] is not None
        assert all(np.array_equal(a, b) for a, b in zip(*parts, strict=True))
