"""Clocks: a step of ours is told once and marks what was open, delays of any sign have their floor, its drift and how sure it is."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dope.detectors.clocks import DRIFT_MINUTES, Clocks, ClockStep, wander_ms
from dope.detectors.parameters import Tuning
from dope.engine import Engine
from dope.market.delays import MINUTE, DelayFloor
from dope.market.freshness import resolution_ns, simultaneous, spread_ms
from dope.picture import Picture
from dope.readings.asked import Asked
from dope.readings.clocks import clock_rows
from dope.types import LIVE, SET, TICK, Event, Frame, Instrument, Tick
from tests.frames import MS, T0
from tests.test_picture import both, dear, step, watching
from tests.test_session import make, settings

S = 1000 * MS


def ticks(offsets_ms: list[float]) -> list[Frame]:
    return [Frame(T0 + (30 + i) * 10 * MS, "", 0, TICK, b"%d" % int(offset * MS)) for i, offset in enumerate(offsets_ms)]


def told(offsets_ms: list[float], whole: bool) -> list[Event]:
    engine = Engine({}, [Clocks()])
    frames = ticks(offsets_ms)
    return engine.step_many(frames) if whole else [event for frame in frames for event in engine.step(frame)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_step_of_the_system_clock_is_told_once_and_a_slow_correction_is_none(whole: bool) -> None:
    slewed = [0.05 * i for i in range(100)]
    found = told([*slewed, 5.0, -1995.0, -1995.0, -1995.0, -1895.0, -1794.0], whole)
    assert [(type(event), event.step_ms, event.offset_ms) for event in found if isinstance(event, ClockStep)] == [
        (ClockStep, -2000.0, -1995.0), (ClockStep, 101.0, -1794.0),
    ]  # fmt: skip
    assert len(found) == 2
    assert next(event.line(str) for event in found if isinstance(event, ClockStep)) == (
        "The system clock was set backwards; times here go on as before", "-2000 ms", "warn",
    )  # fmt: skip


def test_what_counts_as_a_step_is_a_parameter() -> None:
    clocks = Clocks()
    engine = Engine({}, [clocks, Tuning([clocks])])
    engine.step(Frame(T0, "", 0, SET, b'{"parameters": {"clocks": {"step_ms": 1000}}}'))
    assert engine.step_many(ticks([0.0, 999.0])) == []
    (step,) = engine.step_many(ticks([2000.0]))
    assert isinstance(step, ClockStep)


def test_the_first_tick_is_no_step_whatever_it_says() -> None:
    assert told([3_600_000.0, 3_600_000.0], True) == []


def test_an_opportunity_that_was_open_when_the_clock_was_set_says_so_until_it_is_gone() -> None:
    engine, picture = watching(both())
    step(engine, picture, [Frame(T0 + 95 * MS, "", 0, TICK, b"0"), *dear()])
    before = picture.fast(engine.market.now)["opps"][0]
    assert (before["state"], before["clock_step"], before["comparable"]) == ("open", False, True)
    step(engine, picture, [Frame(T0 + 140 * MS, "", 0, TICK, b"%d" % (300 * MS))])
    (row,) = picture.fast(engine.market.now)["opps"]
    assert (row["state"], row["clock_step"]) == ("open", True)
    assert picture.events[-1]["kind"] == "clock"


def set_by(step_ms: int, *, every_ms: int, messages: int, after: int) -> tuple[Engine, Picture, Clocks, list[ClockStep]]:
    """An open opportunity, and what is told of OKX, whose stamps are ``step_ms`` further from its message number ``after`` on."""
    engine, picture = watching(both())
    clocks = next(each for each in engine.detectors if isinstance(each, Clocks))
    step(engine, picture, [Frame(T0 + 95 * MS, "", 0, TICK, b"0"), *dear()])
    streams, delay = np.zeros((1, 2), dtype=np.int64), engine.market.delays["okx"]
    for i in range(messages):
        ts = T0 + (100 + every_ms * i) * MS
        delay.heard(ts, ts + (step_ms * (i >= after) - 5) * MS, (streams, 0, 0), 1)
    found = [event for event in clocks.on(Tick(T0 + 4 * S, 0), engine.market) if isinstance(event, ClockStep)]
    return engine, picture, clocks, found


def test_a_venues_clock_that_is_set_back_is_told_once_and_marks_its_opportunities() -> None:
    engine, picture, clocks, found = set_by(-2_000, every_ms=50, messages=40, after=10)
    assert [(event.venue, event.step_ms, event.offset_ms) for event in found] == [("okx", -1950.0, 1955.0)]
    assert clocks.on(Tick(T0 + 5 * S, 0), engine.market) == []
    assert found[0].line(str.upper) == ("The clock of OKX was set back; its delays are measured anew", "-1950 ms", "warn")
    picture.note(msgspec.structs.replace(found[0], venue="kraken"))
    assert not picture.fast(engine.market.now)["opps"][0]["clock_step"]
    picture.note(found[0])
    assert picture.fast(engine.market.now)["opps"][0]["clock_step"]


def test_a_venues_clock_that_is_set_forward_is_told_once() -> None:
    engine, _, clocks, found = set_by(300, every_ms=20, messages=140, after=80)
    assert [(event.venue, event.step_ms, event.offset_ms) for event in found] == [("okx", 300.0, -295.0)]
    assert clocks.on(Tick(T0 + 5 * S, 0), engine.market) == []
    assert found[0].line(str.upper) == ("The clock of OKX was set forward; its delays are measured anew", "+300 ms", "warn")


def test_legs_whose_ages_differ_by_more_than_half_a_second_are_not_comparable() -> None:
    assert simultaneous(20.0, 520.0)
    assert simultaneous(520.0, 20.0)
    assert not simultaneous(20.0, 521.0)


@pytest.mark.parametrize("skew_ms", [-500.0, 0.0, 500.0])
def test_the_floor_is_right_to_two_milliseconds_through_skew_jitter_and_bursts_of_delay(skew_ms: float) -> None:
    rand, delay, truth = random.Random(1), DelayFloor(), 3.0
    for i in range(3000):
        late = rand.expovariate(1 / 8.0) + (200.0 if 1000 < i < 1300 else 0.0)
        sent = T0 + i * 50 * MS
        delay.excess(sent + int((truth + late) * MS), sent - int(skew_ms * MS))
    assert delay.floor is not None
    assert delay.floor / MS == pytest.approx(truth + skew_ms, abs=2.0)
    sure = wander_ms(delay)
    assert sure is not None
    assert sure < 2.0
    assert (delay.percentiles() or (0.0, 0.0))[0] == pytest.approx(8.0 * 0.693, rel=0.3)


def test_the_drift_of_a_venues_clock_is_told_after_five_minutes(tmp_path: Path) -> None:
    session = make(settings(tmp_path, record=False))
    market, clocks, rand, off_ms_h = session.engine.market, session.clocks, random.Random(2), 36.0
    market.open_book(Instrument("okx", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot"), T0, "", 5.0)
    book = market.books["okx:BTC-USDT"]
    start = T0 // MINUTE * MINUTE
    for second in range(20 * 60):
        ts = start + second * S
        if not second % 60:
            clocks.on(Tick(ts, 0), market)
            assert (clocks.drift("okx") is None) is (second // 60 < DRIFT_MINUTES)
        stamp = ts - int((-1270.0 + off_ms_h * second / 3600 + rand.expovariate(1.0)) * MS)
        stamp -= stamp % MS
        book.delay.excess(ts, stamp)
        market.slots.ring_t[book.slot, second % 2048, 1] = stamp
    market.slots.ring_n[book.slot] = 20 * 60
    market.now = start + 20 * 60 * S
    answer = clock_rows(session, Asked("", 0, 0, 0, {}, market.now, lambda read: read()))
    (venue,) = answer["venues"]
    assert venue["drift_ms_h"] == pytest.approx(off_ms_h, abs=3.0)
    assert venue["drift_minutes"] == 19
    assert venue["floor_ms"] == pytest.approx(-1270 + 9, abs=2), "negative: our clock is behind, and nothing is thrown away for it"
    assert (venue["resolution_ms"], venue["n"]) == (1.0, 1200)
    assert 1.0 < venue["uncertainty_ms"] < 8.0
    assert answer["trouble"].startswith("Clock skew: our clock is behind those of the venues by 1.3 s")
    assert [(row["key"], row["state"]) for row in answer["books"]] == [("okx:BTC-USDT", "SYNCING")]
    assert clock_rows(session, Asked("ETH-USDT", 0, 0, 0, {}, market.now, lambda read: read()))["books"] == []
    clocks.on(Tick(market.now, 0), market)
    (told_step,) = clocks.on(Tick(market.now, 1500 * MS), market)
    assert isinstance(told_step, ClockStep)
    assert clocks.trouble(market).startswith("Clock skew: the system clock has been set by 1.5 s")
    assert clock_rows(session, Asked("", 0, 0, 0, {}, market.now, lambda read: read()))["steps"][0]["step_ms"] == 1500.0


def test_the_step_of_stamps_is_measured() -> None:
    assert resolution_ns(np.array([3 * S, 7 * S, 0])) == S
    assert resolution_ns(np.array([3_000_000, 3_001_000])) == 1000
    assert resolution_ns(np.array([5, 5, 0])) is None


def test_delays_of_any_sign_have_their_quantiles() -> None:
    found = spread_ms(np.array([5 * MS, 7 * MS, 9 * MS]), np.array([6 * MS, 9 * MS, 0]))
    assert found is not None
    assert (found.min, found.median, found.max) == (-2.0, -1.5, -1.0)
    assert spread_ms(np.array([1]), np.array([0])) is None


def test_each_book_has_its_age_and_its_limit() -> None:
    engine, picture = watching(both())
    rows = picture.standing.ages(engine.market.now)
    assert {row["state"] for row in rows} == {LIVE}
    assert all(row["age_ms"] is not None and row["limit_ms"] >= 250 for row in rows)
