"""A cross that is off from the two markets that it goes with: the way round is found in its size within one tick, and no other is."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.market import loops
from dope.sim.exact import FEES, Leg, Life, Rules
from dope.sim.journal import Fault
from dope.sim.rounds import Rounds
from dope.trial.rounds import Ways, rounds, triangles
from dope.trial.stage import Case, Played, Witness
from tests.trial.test_recall import played

TICK_MS = 10
FEES_BPS = 30.0  #: three times 10
SPREADS_BPS = 9.0  #: half of that of each of the three markets, and what quotes linger


def off(venue: str, at_s: float, bps: float) -> Fault:
    return Fault(kind="dislocation", venue=venue, symbol="ETH-BTC", at_s=at_s, duration_s=0.5, params={"bps": bps})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two ways that pay, in both directions, and one that the fees eat."""
    faults = off("okx", 0.3, 80.0), off("binance_spot", 0.6, -75.0), off("okx", 1.4, 25.0)
    symbols = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
    return played(Case(3, 2.2, ("binance_spot", "okx"), faults, "calm"), tmp_path_factory.mktemp("rounds"), symbols=symbols)


@pytest.fixture(scope="module")
def lives(done: Played) -> list[Life]:
    return rounds(done)


def test_planted_ways_round_are_found_within_one_tick_in_their_size_and_no_others(done: Played, lives: list[Life]) -> None:
    found = triangles(done, lives)
    assert not found.missed and not found.false and not found.off, found
    assert found.due >= 2 and found.detected == found.due and found.unsure == 0
    assert max(found.latency_ms) <= TICK_MS
    opened = {Ways(done).named(told): told for told in done.witness.triangles}
    assert set(opened) == {("okx", "USDT→ETH→BTC→USDT"), ("binance_spot", "USDT→BTC→ETH→USDT")}
    for (venue, _), told in opened.items():
        planted = 80.0 if venue == "okx" else 75.0
        assert planted - FEES_BPS - SPREADS_BPS <= told.peak_bps <= planted - FEES_BPS + 3.0, told


def test_what_was_not_told_is_missed_and_what_was_never_true_is_false(done: Played, lives: list[Life]) -> None:
    def heard(told: list[object]) -> Witness:
        witness = Witness()
        witness.triangles = told  # type: ignore[assignment]
        return witness

    nothing = triangles(msgspec.structs.replace(done, witness=heard([])), lives)
    assert nothing.detected == 0 and len(nothing.missed) == nothing.due >= 2
    real = done.witness.triangles
    turned = msgspec.structs.replace(real[0], id=9_999, path=tuple(reversed(real[0].path)))
    (false,) = triangles(msgspec.structs.replace(done, witness=heard([*real, turned])), lives).false
    assert "triangle 9999" in false
    larger = [msgspec.structs.replace(each, start=each.start * 1.001) for each in real]
    assert len(triangles(msgspec.structs.replace(done, witness=heard(larger)), lives).off) >= 2


SIDE = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE, SIDE, st.tuples(*[st.integers(0, 30)] * 3), st.booleans())
def test_the_exact_walk_and_that_of_the_program_agree(
    first: list[tuple[int, int]], second: list[tuple[int, int]], third: list[tuple[int, int]], bps: tuple[int, int, int], in_base: bool
) -> None:
    """Two pieces of code that know nothing of each other; ticks of 0.001, sizes of 0.01."""

    def side(steps: list[tuple[int, int]], start: int, by: int) -> list[tuple[int, int]]:
        out, tick = [], start
        for gap, size in steps:
            tick += gap * by
            out.append((tick, size * 100))
        return out

    books = {"a:B-USD": side(first, 9_900, 10), "a:E-B": side(second, 1_990, 2), "a:E-USD": side(third, 20_600, -20)}
    legs = [
        Leg(key, key[2:], 1_000, 10**14, fee * FEES // 10_000, in_base and key != "a:E-USD") for key, fee in zip(books, bps, strict=True)
    ]
    exact = Rounds(legs, Rules(least=Fraction(0)))
    for key, levels in books.items():
        far = [(levels[0][0] * 10, 1)] if key == "a:E-USD" else [(1, 1)]
        exact.moved(key, *((levels, far) if key == "a:E-USD" else (far, levels)))
        exact.judge(key, 0)
    walked = loops.walk_round([
        loops.Leg(loops.SELL if key == "a:E-USD" else loops.BUY, [(tick / 1000, lots / 100) for tick, lots in levels], fee / 1e4,
                  key != "a:E-USD" and not in_base)
        for (key, levels), fee in zip(books.items(), bps, strict=True)
    ])  # fmt: skip
    (way,) = [way for way in exact.ways if [edge.leg.key for edge in way.edges] == list(books)]
    if way.life is None:
        assert walked.start == pytest.approx(0.0, abs=1e-9)
        return
    figure = way.life.looks[0][1]
    assert (walked.start, walked.profit) == pytest.approx((float(figure.qty), float(figure.net)), rel=1e-9, abs=1e-9)
