"""What is told of depth, of the consolidated book and of bars, over a real session whose sockets stay closed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from dope.api.bars import BarsOut
from dope.api.depth import ConsolidatedOut, DepthOut, HalfLifeOut
from dope.detectors.depth import DepthHistory
from dope.engines import detector_of
from dope.feed.clock import Clock
from dope.market.buckets import bucket_of
from dope.readings import READINGS, Asked
from dope.session import Session
from dope.settings import Settings
from dope.types import TICK, Frame
from tests.frames import MS, T0, closed, okx_book, okx_script, okx_trade, play, spot_script, spot_trade

SECOND = 1000 * MS
SYMBOL = "BTC-USDT"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    two = ("binance_spot", "okx")
    settings = Settings(data_dir=tmp_path, record=False, symbols=(SYMBOL,), venues=two, order_size=200.0, _env_file=None)
    endpoints = {venue: {"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"} for venue in two}
    made = Session(settings, "sim", endpoints, Clock())
    made.engine.step_many(play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2, start=T0 + 100 * MS))
    return made


def ask(session: Session, kind: str, symbol: str = SYMBOL, *, limit: int = 0, start: int = 0, **args: Any) -> dict[str, Any]:
    found = READINGS[kind](session, Asked(symbol, start, 0, limit, args, session.engine.market.now, lambda read: read()))
    answer: dict[str, Any] = orjson.loads(orjson.dumps(found))
    return answer


def run(session: Session, start: int, seconds: float) -> None:
    session.engine.step_many([Frame(start + k * 10 * MS, "", 0, TICK, b"0") for k in range(int(seconds * 100))])


def test_the_consolidated_book_holds_live_books_only_and_sums(session: Session) -> None:
    found = ConsolidatedOut.model_validate(ask(session, "consolidated"))
    assert (found.exchange_count, found.bid, found.ask, found.crossed, found.quote) == (2, 100.0, 100.5, False, "USDT")
    at = {level.price: level for level in (*found.bids, *found.asks)}
    assert at[100.0].size == 3.0 and at[100.0].exchange_count == 2 and at[100.0].venues == {"binance_spot": 1.5, "okx": 1.5}
    assert math.fsum(level.size for level in found.asks) == math.fsum(
        size for book in session.engine.market.books.values() for _, size in book.levels("ask", 100)
    )
    kind, text = closed()
    session.engine.step(Frame(T0 + SECOND, "okx", 2, kind, text))
    alone = ConsolidatedOut.model_validate(ask(session, "consolidated", limit=1))
    assert alone.exchange_count == 1 and alone.bids[0].venues == {"binance_spot": 1.5} and len(alone.bids) == len(alone.asks) == 1
    assert {row.venue: row.used for row in alone.venues} == {"binance_spot": True, "okx": False}


def test_books_that_cross_each_other_are_told_and_an_unknown_symbol_is_empty(session: Session) -> None:
    kind, text = okx_book("update", 130, 120, [("100.8", "1")], [("100.5", "0"), ("100.6", "0"), ("100.7", "0")])
    session.engine.step(Frame(T0 + SECOND, "okx", 2, kind, text))
    assert ask(session, "consolidated")["crossed"]
    nothing = ConsolidatedOut.model_validate(ask(session, "consolidated", "XRP-USD"))
    assert nothing.exchange_count == 0 and nothing.bids == [] and nothing.mid is None
    assert DepthOut.model_validate(ask(session, "depth", "XRP-USD")).heatmap.points == []
    assert BarsOut.model_validate(ask(session, "bars", "XRP-USD")).rows == []


def test_the_heat_map_adds_the_venues_up_second_by_second(session: Session) -> None:
    run(session, T0 + SECOND, 3.0)
    history: DepthHistory = detector_of(session.engine, DepthHistory)
    found = DepthOut.model_validate(ask(session, "depth"))
    heat = found.heatmap
    assert heat.step == history.step(SYMBOL) == 0.01 and heat.every_s == 1 and heat.steps == [0.01, 0.02, 0.05, 0.1]
    assert [point.t for point in heat.points] == [T0 // MS + 1000 * k for k in (1, 2, 3)]
    newest = heat.points[-1]
    assert newest.mid == 100.25 and max(newest.intensity) == 1.0 and heat.peak == 10.0, "5 BTC at 100.9 at both venues"
    assert newest.intensity[bucket_of(100.0, 0.01) - newest.first] == 0.3
    one = DepthOut.model_validate(ask(session, "depth", venue="okx"))
    assert one.heatmap.peak == pytest.approx(5.0, rel=0.004) and len(one.venues) == 2
    wide = DepthOut.model_validate(ask(session, "depth", factor=10))
    assert wide.heatmap.step == pytest.approx(0.1) and wide.buckets.step == pytest.approx(0.1)
    assert [level[:2] for level in wide.buckets.bids[:1]] == [(100.0, 3.0)] and wide.buckets.bids[0][2] == 2


def test_only_points_behind_a_time_are_told_and_a_longer_past_is_coarser(session: Session) -> None:
    for second in range(1, 10):
        run(session, T0 + second * SECOND, 1.0)
        kind, text = okx_book("update", 120, 120, [], [])  # nothing has changed: without a word the book would go stale
        session.engine.step(Frame(session.engine.market.now + MS, "okx", 2, kind, text))
    all_of = ask(session, "depth")["heatmap"]["points"]
    assert len(all_of) == 9
    later = ask(session, "depth", after=all_of[6]["t"])["heatmap"]["points"]
    assert [point["t"] for point in later] == [point["t"] for point in all_of[7:]]
    third = ask(session, "depth", window_s=1800, points=600)["heatmap"]
    assert third["every_s"] == 3 and [point["t"] % 3000 for point in third["points"]] == [0, 0, 0]


def test_an_order_costs_depth_and_fee_at_each_venue(session: Session) -> None:
    rows = {row["venue"]: row for row in ask(session, "depth")["venues"]}
    for venue, row in rows.items():
        fee = session.arbitrage.costs[(venue, "spot")].fee
        qty, mid = 200.0 / 100.25, 100.25
        paid = 0.75 * 100.5 + min(qty - 0.75, 1.0) * 100.6 + max(0.0, qty - 1.75) * 100.7
        assert row["fee_bps"] == fee * 1e4 and row["buy_filled"] == 1.0
        assert row["buy_bps"] == pytest.approx((paid / (qty * mid) - 1.0) * 1e4 + fee * 1e4, abs=0.1), "fee on top, but for its own depth"
        assert row["sell_bps"] > fee * 1e4 and row["bid_depth"] >= 0.0
    much = ask(session, "depth", order=1e6)
    assert much["order_size"] == 1e6
    assert all(row["buy_bps"] is None and 0.0 < row["buy_filled"] < 1.0 for row in much["venues"])


def test_what_is_not_live_has_no_figures(session: Session) -> None:
    kind, text = closed()
    session.engine.step(Frame(T0 + SECOND, "okx", 2, kind, text))
    row = {each["venue"]: each for each in ask(session, "depth")["venues"]}["okx"]
    assert row["state"] == "DOWN" and not row["used"]
    assert [row[name] for name in ("bid", "mid", "bid_depth", "imbalance", "buy_bps", "age_ms")] == [None] * 6


def test_bars_of_one_venue_and_of_all_together_and_dots_of_both_sides(session: Session) -> None:
    run(session, T0 + SECOND, 0.5)
    for k, (venue, conn, told) in enumerate([
        ("binance_spot", 1, spot_trade(1, "100.5", "0.50", sold=False)), ("okx", 2, okx_trade(1, "100.0", "0.25", sold=True)),
        ("okx", 2, okx_trade(2, "100.6", "0.25", sold=False)),
    ]):  # fmt: skip
        session.engine.step(Frame(T0 + 1600 * MS + k * MS, venue, conn, *told))
    run(session, T0 + 1700 * MS, 2.0)
    one = BarsOut.model_validate(ask(session, "bars", venue="okx", interval="1s") | {"rows": []})
    assert one.interval_s == 1
    row = ask(session, "bars", venue="okx", interval="1s")["rows"][0]
    assert (row["open"], row["close"], row["volume"], row["count"], row["closed"]) == (100.0, 100.6, 0.5, 2, True)
    both = ask(session, "bars", interval="1s")["rows"][0]
    assert (both["open"], both["close"], both["volume"], both["exchange_count"], both["low"]) == (100.5, 100.6, 1.0, 2, 100.0)
    assert not ask(session, "bars", interval="1d")["rows"][0]["closed"]
    dots = ask(session, "depth")["trades"]["dots"]
    assert sorted((round(price, 6), size, sign) for _, price, size, sign in dots) == [
        (100.0, 0.25, -1), (round((100.5 * 0.5 + 100.6 * 0.25) / 0.75, 6), 0.75, 1)
    ]  # fmt: skip


def test_a_half_life_is_told_where_a_spread_returns_and_not_where_it_wanders(session: Session) -> None:
    rng, couples = np.random.default_rng(8), session.spreads.pairs
    (pair, *rest), second = couples.number, 10**9
    assert ask(session, "half_lives") == [], "too few samples"

    def sample(at: int, x: float) -> None:
        couples.sample(second + at, np.array([x] + [np.nan] * len(rest)))

    x = 0.0
    for n in range(600):
        x = 2.0 + 0.5 ** (1 / 10) * (x - 2.0) + rng.normal()
        sample(n, x)
    row = HalfLifeOut.model_validate(ask(session, "half_lives")[0])
    assert (row.a, row.b) == pair and row.half_life_s == pytest.approx(10.0, rel=0.5) and row.t is not None and row.t < -2.86
    for n, step in enumerate(np.cumsum(rng.normal(size=600)).tolist()):
        sample(600 + n, step)
    wanders = HalfLifeOut.model_validate(ask(session, "half_lives")[0])
    assert wanders.half_life_s is None and wanders.n == 599 and ask(session, "half_lives", "XRP-USD") == []
    for n, noise in enumerate(rng.normal(size=600).tolist()):
        if not 300 <= n < 400:  # not LIVE, or no second was counted
            sample(2000 + n, noise + (50.0 if n >= 400 else 0.0))
    assert ask(session, "half_lives")[0]["n"] == 299 + 199, "no step leads across the hole"
