"""A coin loses its peg: what is told across two currencies is what the exact truth allows, and nothing in one currency is invented."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dope.detectors.triangles import Triangle, Triangles
from dope.engines import detector_of
from dope.sim.exact import Life
from dope.sim.journal import Fault
from dope.trial.crossing import crossed, crossings
from dope.trial.finding import DUE_MS, NEAR_MS
from dope.trial.judge import arbitrage, truth
from dope.trial.stage import MS, Case, Played, Witness
from tests.trial.test_recall import played

VENUES = ("binance_spot", "okx", "kraken")
FEES = {venue: {"spot": 1.0, "perp": 1.0} for venue in VENUES}
SYMBOLS = ("BTC-USDT", "BTC-USD", "USDT-USD")


def depeg(at_s: float, fall_s: float, bps: float = 200.0) -> Fault:
    return Fault(kind="depeg", at_s=at_s, duration_s=20.0, params={"asset": "USDT", "bps": bps, "fall_s": fall_s, "recover_s": 5.0})


def displaced(at_s: float, bps: float) -> Fault:
    """One market in dollars is off, so that it pays across currencies in both ways."""
    return Fault(kind="dislocation", venue="kraken", symbol="BTC-USD", at_s=at_s, duration_s=0.5, params={"bps": bps})


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two percent within two seconds: slow venues lag behind, so that there is something true to be found as well."""
    faults = depeg(0.5, 2.0), displaced(1.5, -40.0), displaced(2.5, 40.0)
    return played(Case(5, 3.3, VENUES, faults), tmp_path_factory.mktemp("depeg"), fees=FEES, symbols=SYMBOLS)


@pytest.fixture(scope="module")
def lives(fallen: Played) -> list[Life]:
    return crossed(fallen)


def test_across_two_currencies_all_that_is_true_is_told_and_nothing_else(fallen: Played, lives: list[Life]) -> None:
    found = crossings(fallen, lives)
    assert not found.false and not found.missed and not found.off, (found.false, found.missed, found.off)
    assert found.due >= 5 and found.detected == found.due


def test_a_de_peg_of_two_percent_raises_no_false_opportunity_in_one_currency(fallen: Played) -> None:
    found = arbitrage(fallen, truth(fallen))
    assert not found.false and not found.off, (found.false, found.off)


def test_planted_triangles_are_found_and_none_is_invented(fallen: Played, lives: list[Life]) -> None:
    """Where one venue trades all three, buying for dollars and selling for the coin is a way round its markets: one truth for both."""
    triangles: Triangles = detector_of(fallen.session.engine, Triangles)
    told = [*triangles.over, *triangles.rows()]
    assert {each.venue for each in told} == {"kraken"} and len(told) >= 2

    def of(each: Triangle) -> tuple[str, str]:
        bought = [key for key, side in zip(each.markets, each.sides, strict=True) if side == "buy" and "BTC" in key]
        sold = [key for key, side in zip(each.markets, each.sides, strict=True) if side == "sell" and "BTC" in key]
        return bought[0], sold[0]

    here = [life for life in lives if life.buy.startswith("kraken") and life.sell.startswith("kraken")]
    for life in here:
        if life.above_ms >= DUE_MS:
            assert any(of(each) == (life.buy, life.sell) and abs(each.opened // MS - life.start_ms) <= NEAR_MS for each in told), life
    for each in told:
        matching = [life for life in here if of(each) == (life.buy, life.sell)]
        assert any(life.start_ms - NEAR_MS <= each.opened // MS <= (life.end_ms or fallen.end_ms) + NEAR_MS for life in matching), each


def test_what_was_never_true_is_called_false(fallen: Played, lives: list[Life]) -> None:
    real = next(each for each in fallen.witness.opportunities if each.via)
    before = fallen.at_ms[2] * 1_000_000
    never = msgspec.structs.replace(real, id=9_999, opened=before, closed=before + 1)
    witness = Witness()
    witness.opportunities = [*fallen.witness.opportunities, never]
    told = crossings(msgspec.structs.replace(fallen, witness=witness), lives)
    assert len(told.false) == 1 and "9999" in told.false[0]
    nothing = crossings(msgspec.structs.replace(fallen, witness=Witness()), lives)
    assert nothing.detected == 0 and len(nothing.missed) == nothing.due


@pytest.mark.full
def test_the_scenario_at_real_fees(tmp_path: Path) -> None:
    """At what venues take, only what was planted beyond three fees pays; the coin that falls by 3 % does not."""
    done = played(Case(11, 30.0, VENUES, (displaced(12.0, -150.0), displaced(20.0, 150.0)), "de-peg"), tmp_path, symbols=SYMBOLS)
    found = crossings(done, crossed(done))
    assert not found.false and not found.missed and not found.off, (found.false, found.missed, found.off)
    assert found.due >= 2 and found.detected == found.due
    alone = arbitrage(done, truth(done))
    assert not alone.false and not alone.off, (alone.false, alone.off)
