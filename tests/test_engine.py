"""The engine: same frames, same output, however they are grouped; only a right book is LIVE."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors import Arbitrage, Cost, Rules, Spreads, default_detectors
from dope.engine import Engine
from dope.market.market import Market
from dope.types import LAG, TICK, BookState, Event, Frame, Tick, Touch, Trade
from dope.venues import make
from tests.frames import (
    KEYS,
    MS,
    T0,
    closed,
    data,
    okx_book,
    okx_quote,
    okx_script,
    okx_trade,
    play,
    spot_diff,
    spot_quote,
    spot_script,
    spot_trade,
)

COSTS = {("binance_spot", "spot"): Cost(0.001, "base"), ("okx", "spot"): Cost(0.001, "base")}
SYMBOLS = ("BTC-USDT",)


def new_engine() -> Engine:
    venues = {v: make(v, SYMBOLS) for v in ("binance_spot", "okx")}
    return Engine(venues, default_detectors(COSTS, Rules(enter=0.0, leave=-1.0, min_notional=1.0)))


def tape(seed: int = 3, moves: int = 300) -> list[Frame]:
    """Two venues whose prices part and meet again, with ticks; some dislocations are wider than the fees."""
    rng = random.Random(seed)
    frames = play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2)
    t, u, seq, ask, bid = T0 + 200 * MS, 115, 120, 100.5, 100.0
    for i in range(moves):
        t += rng.randint(1, 30) * MS
        if rng.random() < 0.3:
            frames.append(Frame(t, "", 0, TICK, b"0"))
            continue
        shift = 0.0 if (i // 40) % 2 else 1.0
        size = f"{rng.randint(1, 500) / 100:.2f}"
        if rng.random() < 0.5:
            kind, text = spot_diff(u + 1, u + 2, [[f"{bid:.2f}", size]], [[f"{ask:.2f}", size]])
            u += 2
            frames.append(Frame(t, "binance_spot", 1, kind, text))
        else:
            high = f"{bid + shift * 2:.2f}"
            other = f"{bid + (1 - shift) * 2:.2f}"
            asks = (
                [*((p, "0") for p in ("100.50", "100.6", "100.7", "100.9")), (f"{ask + 2:.2f}", size)] if shift else [(f"{ask:.2f}", size)]
            )
            kind, text = okx_book("update", seq + 1, seq, [(high, size), (other, "0")] if high != other else [(high, size)], asks)
            seq += 1
            frames.append(Frame(t, "okx", 2, kind, text))
    return sorted(frames, key=lambda f: f.ts)


def test_the_tape_of_these_tests_opens_and_closes_opportunities() -> None:
    engine = new_engine()
    engine.step_many(tape())
    assert engine.counts["Opportunity"] >= 4


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(0, 5))
def test_any_grouping_of_frames_gives_one_digest(groups: list[int], seed: int) -> None:
    frames = tape(seed, 120)
    one = new_engine()
    told = [e for frame in frames for e in one.step(frame)]
    other, at, got = new_engine(), 0, []
    while at < len(frames):
        size = groups[at % len(groups)]
        got += other.step_many(frames[at : at + size])
        at += size
    assert got == told
    assert other.digest() == one.digest()


def beside(rng: random.Random, seq: int, number: int, drift: float, *, spot: bool) -> list[tuple[int, bytes]]:
    """Quotes and trades that come with a difference: new and overtaken ones, equal and crossed ones, trades told twice."""
    found = []
    while rng.random() < 0.5:
        bid, ask = 99.7 + drift + rng.randint(0, 3) / 10, (100.5 if spot else 101.8) + rng.randint(0, 3) / 10
        if rng.random() < 0.02:
            bid, ask = rng.choice([(ask, bid), (bid / 60, ask / 60), (bid * 1.02, ask * 1.02)])
        sizes = f"{rng.randint(1, 3)}.00", f"{rng.choice([0, 1, 1, 1, 1, 1]) * 2}.50"
        quote = (seq + rng.choice([-3, 0, 1, 1, 2]), f"{bid:.2f}", sizes[0], f"{ask:.2f}", sizes[1])
        trade = (number + rng.choice([-1, 0, 1, 2]), f"{bid:.2f}", f"{rng.randint(0, 90) / 100:.2f}")
        if rng.random() < 0.6:
            found.append(spot_quote(*quote) if spot else okx_quote(*quote))
        else:
            sold = rng.random() < 0.5
            found.append(spot_trade(*trade, sold=sold) if spot else okx_trade(*trade, sold=sold))
    return found


def lane_tape(seed: int, moves: int = 400, pace: int = 3) -> list[Frame]:
    """Long runs of one connection's messages, as a socket delivers them: most fit the fast lane, some must not. ``pace`` = ms at most."""
    rng = random.Random(seed)
    frames = play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2)
    t, u, seq = T0 + 200 * MS, 115, 120
    while len(frames) < moves:
        spot = rng.random() < 0.4
        drift = 0.0 if spot else rng.choice([0.0, 0.0, 1.5])
        for _ in range(rng.randint(1, 40)):
            t += rng.randint(0, pace) * MS
            bid = (f"{99.7 + drift + rng.randint(0, 3) / 10:.2f}", f"{rng.choice([0, 1, 250]) / 100:.2f}")
            ask = (f"{(100.5 if spot else 101.8) + rng.randint(0, 3) / 10:.2f}", f"{rng.choice([0, 3, 90]) / 100:.2f}")
            gone = [("100.5", "0"), ("100.6", "0"), ("100.7", "0"), ("100.9", "0")] if drift else []
            odd = rng.random()
            if spot:
                kind, text = spot_diff(u + 1 + (odd < 0.01), u + 3, [bid], [ask, *gone])
                u += 3
            else:
                kind, text = okx_book("update", seq + 2, seq - (odd < 0.01), [bid], [ask, *gone])
                seq += 2
            if 0.01 < odd < 0.03:
                text = rng.choice(
                    [text[:-9], text.replace(b'"', b"'", 2), text.replace(b",", b", ", 3), b"pong", text.replace(b'"0.0', b'"-1.0')]
                )
            frames.append(Frame(t, "binance_spot" if spot else "okx", 1 if spot else 2, kind, text))
            for kind, text in beside(rng, u if spot else seq, len(frames), drift, spot=spot):
                frames.append(Frame(t, "binance_spot" if spot else "okx", 1 if spot else 2, kind, text))
        if rng.random() < 0.5:
            frames.append(Frame(t, "", 0, TICK, b"0"))
        if rng.random() < 0.2:  # a new snapshot heals what was broken
            kind, text = okx_book("snapshot", seq, -1, [("99.8", "1"), ("99.5", "3")], [("102.6", "1")])
            frames.append(Frame(t, "okx", 2, kind, text))
    return frames


def stamped(frames: list[Frame], seed: int) -> list[Frame]:
    """The same by clocks of venues that go on with the time, and are set back now and then."""
    rng, back, found = random.Random(seed), 0, list[Frame]()
    for frame in frames:
        back += 400 if rng.random() < 0.01 else 0
        stamp = b"%d" % (frame.ts // MS - 5 - rng.randint(0, 3) - back)
        found.append(msgspec.structs.replace(frame, data=frame.data.replace(b"1700000000000", stamp)))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 200), min_size=1, max_size=20), st.sampled_from([0, 3, 15]))
def test_the_fast_lane_has_exactly_the_effect_of_single_steps(seed: int, groups: list[int], pace: int) -> None:
    frames = stamped(lane_tape(seed, pace=pace), seed) if pace else lane_tape(seed)
    one = new_engine()
    told = [e for frame in frames for e in one.step(frame)]
    other, at, got, turn = new_engine(), 0, [], 0
    while at < len(frames):
        got += other.step_many(frames[at : at + groups[turn % len(groups)]])
        at += groups[turn % len(groups)]
        turn += 1
    assert got == told
    assert other.digest() == one.digest()
    for key, book in one.market.books.items():
        twin = other.market.books[key]
        same = (
            "book_updates",
            "seq",
            "own_ts",
            "touch_ts",
            "excess",
            "stamp",
            "conn",
            "state",
            "reason",
            "since",
            "gaps",
            "faults",
            "crossed",
            "quote",
            "quote_ts",
            "stamp",
            "trades",
            "trades_from",
            "volume",
        )
        assert {name: getattr(book, name) for name in same} == {name: getattr(twin, name) for name in same}
        assert book.touch() == twin.touch()
        assert book.flow() == twin.flow()
        assert all(np.array_equal(*parts, equal_nan=True) for parts in zip(book.touches(), twin.touches(), strict=True))
        assert all(np.array_equal(*parts) for parts in zip(book.deals(), twin.deals(), strict=True))
        assert len(book.deals()[0]) <= book.trades
    for venue, delay in one.market.delays.items():
        assert np.array_equal(delay.state, other.market.delays[venue].state)
    assert one.market.conn_ts == other.market.conn_ts and one.frames == other.frames
    assert {name: venue.seen for name, venue in one.venues.items()} == {name: venue.seen for name, venue in other.venues.items()}


def test_most_messages_of_a_long_run_take_the_fast_lane() -> None:
    engine, frames = new_engine(), lane_tape(5)
    engine.step_many(frames)
    assert engine.lane.messages > 60


class TradeCounter:
    """Wants every trade; ``apart`` = a trade alone is enough for it."""

    KINDS = (Trade,)

    def __init__(self, apart: bool) -> None:
        self.TRADES_APART = apart
        self.seen: list[tuple[Trade, float]] = []

    def on(self, event: Event, market: Market) -> tuple[Event, ...]:
        assert isinstance(event, Trade)
        self.seen.append((event, 0.0 if self.TRADES_APART else market.books[event.key].touch()[0]))
        return ()


def calm_tape() -> list[Frame]:
    """Quotes, trades and differences of one connection with nothing odd among them."""
    frames = play("binance_spot", spot_script())
    for i in range(40):
        kinds = (
            spot_diff(116 + 3 * i, 118 + 3 * i, [["99.90", f"{i + 1}"]], []),
            spot_quote(119 + 3 * i, "100.00", f"{i + 1}.5", "100.50", "1.00"),
            spot_trade(i, "100.00", "0.5", sold=i % 2 == 0),
        )
        frames += [Frame(T0 + (200 + i) * MS, "binance_spot", 1, *message) for message in kinds]
    return frames


@pytest.mark.parametrize("apart", [True, False])
def test_a_detector_gets_every_trade_in_order_and_with_the_books_of_that_moment_if_it_looks_at_them(apart: bool) -> None:
    seen = []
    for many in (False, True):
        counter = TradeCounter(apart)
        engine = Engine({"binance_spot": make("binance_spot", SYMBOLS)}, [counter])
        if many:
            engine.step_many(calm_tape())
        else:
            for frame in calm_tape():
                engine.step(frame)
        seen.append(counter.seen)
        taken = 120 if apart else 80
        assert not many or abs(engine.lane.messages - taken) <= 5
    assert seen[0] == seen[1] and len(seen[0]) == 40


def test_one_changed_byte_changes_the_digest() -> None:
    frames = tape()
    whole, other = new_engine(), new_engine()
    whole.step_many(frames)
    last = frames[-1]
    other.step_many([*frames[:-1], Frame(last.ts, last.venue, last.conn, last.kind, last.data.replace(b"100.", b"101.", 1))])
    assert whole.digest() != other.digest()


def test_the_digest_does_not_depend_on_the_hash_seed() -> None:
    code = "from tests.test_engine import new_engine, tape\ne = new_engine()\ne.step_many(tape())\nprint(e.digest())"
    found = set()
    for seed in ("0", "1", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_silence_makes_a_book_stale_and_data_on_its_connection_revives_it() -> None:
    engine = new_engine()
    engine.step_many(play("okx", okx_script(), conn=2))
    late = T0 + 20 * 10**9
    out = engine.step(Frame(late, "", 0, TICK, b"0"))
    assert [e.state for e in out if isinstance(e, BookState)] == ["STALE"]
    kind, text = okx_book("update", 130, 120, [("99.6", "1")], [])
    out = engine.step(Frame(late + MS, "okx", 2, kind, text))
    assert [e.state for e in out if isinstance(e, BookState)] == ["LIVE"]


def test_while_our_clock_ticks_on_a_silent_book_is_stale_at_its_limit() -> None:
    engine = new_engine()
    frames = play("okx", okx_script(), conn=2)
    engine.step_many(frames)
    limit = round(engine.venues["okx"].IDLE_S * 10**9)
    stale = []
    for t in range(frames[-1].ts, frames[-1].ts + limit + 10**9, 10 * MS):
        stale += [e for e in engine.step(Frame(t, "", 0, TICK, b"0")) if isinstance(e, BookState) and e.state == "STALE"]
    assert [change.key for change in stale] == [KEYS["okx"]]
    assert abs(stale[0].ts - frames[-1].ts - limit) <= 200 * MS


def test_a_late_loop_takes_every_book_out_of_live() -> None:
    engine = new_engine()
    engine.step_many(play("okx", okx_script(), conn=2))
    engine.step(Frame(T0 + 10**9, "", 0, LAG, b"0.3"))
    assert engine.market.books[KEYS["okx"]].state == "LIVE"
    engine.step(Frame(T0 + 2 * 10**9, "", 0, LAG, b"1.7"))
    assert engine.market.books[KEYS["okx"]].state == "STALE"


def test_a_crossed_book_is_not_live_and_asked_for_anew_after_a_second() -> None:
    engine = new_engine()
    engine.step_many(play("okx", okx_script(), conn=2))
    kind, text = okx_book("update", 130, 120, [("101", "1")], [])
    engine.step(Frame(T0 + 10**9, "okx", 2, kind, text))
    book = engine.market.books[KEYS["okx"]]
    assert (book.state, book.crossed) == ("CROSSED", 1)
    engine.drain()
    engine.step(Frame(T0 + 3 * 10**9, "", 0, TICK, b"0"))
    assert engine.drain()


def test_a_disconnect_closes_open_lives_as_stale() -> None:
    engine = new_engine()
    frames = tape()
    arbitrage = next(d for d in engine.detectors if isinstance(d, Arbitrage))
    now = 0
    for frame in itertools.takewhile(lambda _: not arbitrage.rows(), frames):
        engine.step(frame)
        now = frame.ts
    assert arbitrage.rows()
    out = engine.step(Frame(now + MS, "okx", 2, *closed()))
    ended = [e for e in out if type(e).__name__ == "Opportunity"]
    assert [e.state for e in ended] == ["stale"]  # type: ignore[attr-defined]
    assert not arbitrage.rows()


def test_frames_of_an_unknown_venue_are_faults() -> None:
    engine = new_engine()
    engine.step(Frame(T0, "nowhere", 1, *data({"a": 1})))
    assert engine.faults == {"nowhere": 1}


def test_detectors_ignore_kinds_they_do_not_know_and_can_be_pickled() -> None:
    engine = new_engine()
    engine.step_many(tape(moves=60))
    for detector in engine.detectors:
        assert list(detector.on(Touch(T0, "nobody:X-Y", 1.0, 1.0, 2.0, 1.0), engine.market)) == []
        copy = pickle.loads(pickle.dumps(detector))
        assert type(copy) is type(detector)
        assert list(detector.on(Tick(T0 + 10**12, 0), engine.market)) == list(copy.on(Tick(T0 + 10**12, 0), engine.market))


def test_spread_statistics_are_of_live_books_only() -> None:
    engine = new_engine()
    engine.step_many(tape())
    spreads = next(d for d in engine.detectors if isinstance(d, Spreads))
    told = {(row.a, row.b): row for row in spreads.pairs.told()}
    assert told[("binance_spot:BTC-USDT", "okx:BTC-USDT")].n >= 3
    engine.step(Frame(T0 + 60 * 10**9, "", 0, TICK, b"0"))
    engine.step(Frame(T0 + 61 * 10**9, "", 0, TICK, b"0"))
    assert spreads.pairs.current("binance_spot:BTC-USDT", "okx:BTC-USDT") is None


def test_time_that_no_frame_covers_is_not_live_time() -> None:
    engine = new_engine()
    engine.step_many(play("okx", okx_script(), conn=2))
    later = T0 + 3600 * 10**9
    kind, text = okx_book("update", 130, 120, [("99.6", "1")], [])
    engine.step(Frame(later, "okx", 2, kind, text))
    book = engine.market.books[KEYS["okx"]]
    assert book.state == "LIVE"
    assert 4.0 < book.live_seconds(later) < 6.0
