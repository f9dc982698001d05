"""Who leads whom, asked of a running session: right on all clocks, whatever the venues' clocks say, kept for a while, bounded in work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dope.detectors.jumps import Jump
from dope.detectors.linker import Linker, _Pair
from dope.detectors.paths import Paths
from dope.engines import detector_of
from dope.market.delays import RING, RING_AT
from dope.market.lane import remember
from dope.readings import leadlag
from dope.readings.asked import Asked
from dope.session import Session
from dope.tables import TABLES
from dope.types import Instrument, Tick
from tests.detectors.pairs import walk
from tests.test_session import make, settings

MS, NS = 1_000_000, 1_000_000_000
T0 = 1_800_000_000 * NS
VENUES = ("okx", "kraken", "bybit")


def session_of(
    folder: Path, lags_ms: dict[str, int], offsets_ms: dict[str, int] | None = None, steps: Sequence[tuple[int, float]] = ()
) -> Session:
    """Five minutes of one price at several venues, later at some; a venue's clock may be off. Every message takes 3 ms or more."""
    session = make(settings(folder, record=False))
    market = session.engine.market
    rand = random.Random(7)
    price = [(t, bps + sum(size for at, size in steps if at <= t)) for t, bps in walk(rand, 20.0)]
    for venue, lag in lags_ms.items():
        market.open_book(Instrument(venue, "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot"), T0, "", 5.0)
        book, off = market.books[f"{venue}:BTC-USDT"], (offsets_ms or {}).get(venue, 0)
        for t, bps in price:
            sent = T0 + (t + lag) * MS
            ts = sent + 3 * MS + int(rand.expovariate(1.0) * MS)
            book.delay.excess(ts, sent + off * MS)
            mid = 100.0 * (1.0 + round((bps + rand.gauss(0, 0.02)) / 0.6) * 0.6e-4)
            slots = market.slots
            remember(book.slot, ts, sent + off * MS, mid - 0.01, 1.0, mid + 0.01, 1.0, slots.rings)
            slots.trade(book.slot, (ts, sent + off * MS), (mid, 1.0, 1.0))
            if slots.ring_n[book.slot] % 1000 == 0:
                slots.settle_trades()
                second(session, ts)
    second(session, T0 + 300 * NS)
    return session


def second(session: Session, ts: int) -> None:
    session.engine.market.slots.settle_trades()
    paths: Paths = detector_of(session.engine, Paths)
    paths._second = 0
    paths.on(Tick(ts, 0), session.engine.market)


def jump(session: Session, venue: str, at_ms: int, direction: int) -> None:
    """A jump was found, and is on record."""
    at = T0 + at_ms * MS
    found = Jump(at, key=f"{venue}:BTC-USDT", venue=venue, symbol="BTC-USDT", base="BTC", t_start=at, t_detect=at, t_peak=at, t_final=at,
                 stamp=0, dir=direction, bps=6.0, z=8.0, threshold=5.0)  # fmt: skip
    session.rows.note(found)


def ask(reading: leadlag.LeadLag, session: Session, now: int = T0 + 300 * NS, **args: Any) -> dict[str, Any]:
    found: dict[str, Any] = reading(session, Asked("BTC", 0, 0, 0, args, now, lambda read: read()))
    return found


def pair(told: dict[str, Any], x: str, y: str) -> dict[str, Any]:
    return next(row for row in told["pairs"] if {row["x"], row["y"]} == {f"{x}:BTC-USDT", f"{y}:BTC-USDT"})


@pytest.mark.parametrize("series", ["quotes", "trades"])
def test_the_leader_is_found_with_its_lag_on_quotes_and_on_trades(tmp_path: Path, series: str) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 40, "bybit": 80})
    told = ask(leadlag.LeadLag(), session, series=series)
    assert [market["key"] for market in told["markets"]] == ["bybit:BTC-USDT", "kraken:BTC-USDT", "okx:BTC-USDT"]
    assert all(market["n"] > 2000 and market["stamped"] for market in told["markets"])
    for x, y, lag in (("okx", "kraken", 40), ("okx", "bybit", 80), ("kraken", "bybit", 40)):
        row = pair(told, x, y)
        assert (row["state"], row["leader"], row["why"]) == ("leads", f"{x}:BTC-USDT", "")
        assert abs(abs(row["lag_ms"]) - lag) <= 5
        assert row["low_ms"] <= row["middle_ms"] <= row["high_ms"]
        assert row["at"] == told["at"]
        assert {clock: said["state"] for clock, said in row["clocks"].items()} == dict.fromkeys(leadlag.CLOCKS, "leads")


def test_a_venues_clock_that_is_off_turns_nobody_round_on_our_clock(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 20}, {"okx": 50})
    row = pair(ask(leadlag.LeadLag(), session), "okx", "kraken")
    assert (row["x"], row["leader"]) == ("kraken:BTC-USDT", "okx:BTC-USDT")
    assert row["lag_ms"] == pytest.approx(-20, abs=5)
    assert row["clocks"]["exchange"]["lag_ms"] == pytest.approx(30, abs=5), "by the stamps alone the other one leads"
    assert row["clocks"]["corrected"]["lag_ms"] == pytest.approx(-20, abs=5), "what their delays tell puts it right"
    by_stamp = pair(ask(leadlag.LeadLag(), session, clock="exchange"), "okx", "kraken")
    assert by_stamp["leader"] == "kraken:BTC-USDT"


def test_what_is_nearer_than_delays_can_tell_is_not_resolved(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 20})
    session.engine.market.delays["kraken"].state[RING_AT : RING_AT + RING] = 40 * MS
    row = pair(ask(leadlag.LeadLag(), session), "okx", "kraken")
    assert (row["state"], row["leader"], row["least_ms"]) == ("not resolved", None, 40.0)


@pytest.mark.parametrize("bound", ["WORK", "PAIRS"])
def test_an_answer_is_kept_for_two_seconds_and_the_work_of_one_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    session, reading, now = session_of(tmp_path, {"okx": 0, "kraken": 40, "bybit": 80}), leadlag.LeadLag(), T0 + 300 * NS
    first = ask(reading, session)
    assert ask(reading, session, now + NS) is first
    assert ask(reading, session, now + NS, series="trades") is not first, "another question"
    monkeypatch.setattr(leadlag, bound, 1)
    seen = []
    for turn in (3, 6, 9):
        told = ask(reading, session, now + turn * NS)
        fresh = [row["x"] + row["y"] for row in told["pairs"] if row["at"] == told["at"]]
        assert len(told["pairs"]) == 3
        assert len(fresh) == 1, "one at a time, the others as they were"
        seen += fresh
    assert len(set(seen)) == 3, "each has its turn"


def test_markets_that_nobody_trades_at_and_unknown_ones_are_none(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0})
    session.engine.market.open_book(Instrument("coincap", "BTC-USD", "BTC", "BTC", "USD", "reference"), T0, "", 5.0)
    told = ask(leadlag.LeadLag(), session)
    assert ([market["venue"] for market in told["markets"]], told["pairs"]) == (["okx"], [])
    nothing = leadlag.LeadLag()(session, Asked("DOGE", 0, 0, 0, {}, T0, lambda read: read()))
    assert (nothing["markets"], nothing["pairs"]) == ([], [])


def test_average_paths_around_jumps_show_who_moved_first(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 300}, steps=[(20_000 * n, 5.0 if n % 2 else -5.0) for n in range(2, 14)])
    for n in range(2, 14):
        jump(session, "okx", 20_000 * n + 5, 1 if n % 2 else -1)
        jump(session, "kraken", 20_000 * n + 305, 1 if n % 2 else -1)
    session.collect()
    told = ask(leadlag.LeadLag(), session)["paths"]
    assert told["jumps"] == 12, "one move at two markets is one"
    paths = {market["key"].partition(":")[0]: dict(zip(told["offsets_ms"], market["bps"], strict=True)) for market in told["markets"]}
    assert paths["okx"][200] == pytest.approx(5.0, abs=1.5)
    assert paths["kraken"][200] == pytest.approx(0.0, abs=1.5)
    assert paths["kraken"][500] == pytest.approx(5.0, abs=1.5)


def test_whether_following_pays_is_told_of_executable_prices_after_the_followers_own_fees(tmp_path: Path) -> None:
    session, now = session_of(tmp_path, {"okx": 0, "kraken": 300}), T0 + 700 * NS
    assert ask(leadlag.LeadLag(), session)["following"]["rows"] == [], "nobody has jumped"
    session.collect()
    best(session, "kraken", [T0 + 400 * NS], [99.99], [100.01])
    mid = {"okx": 100.0, "kraken": 100.0}
    for n in range(25):
        way, at = (1 if n % 2 else -1), 400_000 + 10_000 * (n + 1)
        jump(session, "okx", at, way)
        for venue, late in (("okx", 0), ("kraken", 300)):
            mid[venue] *= 1.0 + way * 80e-4
            best(session, venue, [T0 + (at + late) * MS], [mid[venue] * (1 - 1e-4)], [mid[venue] * (1 + 1e-4)])
    session.collect()
    told = ask(leadlag.LeadLag(), session, now)["following"]
    assert (told["after_ms"], told["hold_ms"]) == (100.0, 2000)
    (row,) = told["rows"]
    fee = session.arbitrage.costs[("kraken", "spot")].fee
    fees = ((1 + fee) / (1 - fee) - 1) * 1e4
    assert (row["leader"], row["follower"], row["n"]) == ("okx:BTC-USDT", "kraken:BTC-USDT", 25)
    assert row["move"]["value"] == pytest.approx(80.0, abs=0.1) and row["spread"] == pytest.approx(2.0, abs=0.05)
    assert row["fees"] == pytest.approx(fees) and row["net"]["value"] == pytest.approx(78.0 - fees, abs=0.2)
    assert row["verdict"] == ("pays" if fees < 77.0 else "no")
    assert ask(leadlag.LeadLag(), session, now, venues=["okx"])["following"]["rows"] == [], "nobody is left to follow"


def best(session: Session, venue: str, at: Sequence[int], bid: Sequence[float], ask_: Sequence[float]) -> None:
    """Best prices, on record."""
    columns = {"ts": at, "symbol": ["BTC-USDT"] * len(at), "venue": [venue] * len(at), "bid": bid, "ask": ask_}
    rows = {name: columns.get(name, [None] * len(at)) for name in TABLES["bbo"].names}
    session.tail.add("bbo", pa.RecordBatch.from_pydict(rows, schema=TABLES["bbo"]))


def test_scores_of_linked_jumps_are_those_of_the_markets_shown(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 40})
    linker: Linker = detector_of(session.engine, Linker)
    keys = ("kraken:BTC-USDT", "okx:BTC-USDT")
    linker._pairs[keys] = linked = _Pair("BTC")
    linked.lags.extend([-41 * MS] * 22 + [None, 0])
    linker._pairs[("kraken:ETH-USDT", "okx:ETH-USDT")] = _Pair("ETH")
    first, second = ask(leadlag.LeadLag(), session)["jumps"]
    assert (first["leader"], first["led"], first["n"], second["leader"], second["led"]) == (keys[0], 0, 22, keys[1], 22)
    assert (second["verdict"], second["lag_ms"], second["simultaneous"], second["unresolved"]) == ("leads", 41.0, 1, 1)
    assert second["p"] < 1e-5


def test_shares_of_the_price_are_told_of_an_hour_only(tmp_path: Path) -> None:
    session, reading = session_of(tmp_path, {"okx": 0, "kraken": 40}), leadlag.LeadLag()
    assert ask(reading, session)["shares"] == []
    (short,) = ask(reading, session, discovery=True)["shares"]
    assert (short["low"], short["why"]) == (None, "0 min of both, needs 60")
    rand, now = np.random.default_rng(5), T0 + 7200 * NS
    at = now - np.arange(36_500, 0, -1) * 100 * MS
    price = np.cumsum(rand.normal(0.0, 1e-5, len(at) + 1))
    for venue, log_price in (("okx", price[1:]), ("kraken", price[:-1])):
        mid = 100.0 * np.exp(log_price + rand.normal(0.0, 1e-6, len(at)))
        best(session, venue, at, mid - 0.01, mid + 0.01)
    (share,) = ask(leadlag.LeadLag(), session, now, discovery=True)["shares"]
    assert (share["x"], share["why"]) == ("kraken:BTC-USDT", "")
    assert share["low"] <= share["high"] < 0.2, "it is made at the other one"
