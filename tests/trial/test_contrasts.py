"""Who moves first is known where everybody's lag is planted: the contrast of the paths says so, in order and in size, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dope.detectors.contrast import Grid, contrast, verdict
from dope.sim.listings import STEP_MS
from dope.sim.venue import module
from dope.trial.claims import Said
from dope.trial.contrasts import CHANCE, NEAR_MS, Contrasts, Waits
from dope.trial.finding import Finding
from dope.trial.judge import reread
from dope.trial.plain_contrast import Plain, plain
from dope.trial.report import report
from dope.trial.seen import Seen
from dope.trial.stage import Case, Played
from tests.trial.test_recall import EVERY, played

LAGS_MS = {"binance_spot": 0, "okx": 0, "bybit": 20, "gate": 80}
MARKETS = {f"{venue}:BTC-USDT": lag for venue, lag in LAGS_MS.items()}
SECONDS = 60.0


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Four venues that differ by nothing but their lags, and act on every step."""
    with pytest.MonkeyPatch.context() as patch:
        for venue, lag in LAGS_MS.items():
            specs = [msgspec.structs.replace(spec, lag=lag // STEP_MS, pace=1) for spec in module(venue).LISTINGS]
            patch.setattr(module(venue), "LISTINGS", tuple(specs))
        symbols = "BTC-USDT", "ETH-USDT", "SOL-USDT"
        yield played(Case(5, SECONDS, tuple(LAGS_MS), scenario="leaders"), tmp_path_factory.mktemp("contrasts"), symbols=symbols)


def contrasts(done: Played) -> Contrasts:
    seen, waits = Seen(), Waits()
    reread(done, seen, waits, over=waits.over)
    return Contrasts(done, seen, waits)


@pytest.fixture(scope="module")
def judged(done: Played) -> Contrasts:
    return contrasts(done)


def told(judged: Contrasts, others: Sequence[Said]) -> Finding:
    """What the judge says when the session said this instead."""
    before = judged.played
    judged.played = msgspec.structs.replace(before, contrasts=list(others))
    try:
        return judged.finding()
    finally:
        judged.played = before


def of(done: Played, one: str, other: str) -> Said:
    return next(said for said in done.contrasts if {said.x, said.y} == {one, other})


def test_planted_lags_of_20_and_80_ms_are_found_with_their_leader_and_of_equal_ones_nobody_leads(done: Played) -> None:
    for (one, lag), (other, more) in combinations(MARKETS.items(), 2):
        said = of(done, one, other)
        if lag == more:
            assert not said.leader
            continue
        assert said.leader == one and any(a - NEAR_MS <= more - lag <= b + NEAR_MS for a, b in said.lags), said
        assert max(abs(a - (more - lag)) for run in said.lags for a in run) <= 2 * NEAR_MS, "nor are lags told far from it"


def test_the_judge_says_so_for_every_asset(judged: Contrasts) -> None:
    found = judged.finding()
    assert not found.missed and not found.false and not found.off, found
    assert found.injected == 15 and found.due == found.detected >= 10


def test_who_was_not_said_to_lead_is_missed_and_a_wrong_order_is_false(done: Played, judged: Contrasts) -> None:
    due = judged.finding().due
    assert len(told(judged, [one._replace(leader="") for one in done.contrasts]).missed) == due
    turned = [one._replace(leader=one.follower, lags=tuple((-b, -a) for a, b in one.lags)) if one.leader else one for one in done.contrasts]
    wrong = told(judged, turned)
    assert len(wrong.false) == sum(bool(one.leader) for one in done.contrasts) and wrong.detected == 0
    assert "ms later" in wrong.false[0]


def test_a_lag_that_differs_by_more_than_two_steps_is_off(done: Played, judged: Contrasts) -> None:
    def later(by_ms: int) -> list[Said]:
        return [one._replace(lags=tuple((a + by_ms, b + by_ms) for a, b in one.lags)) for one in done.contrasts]

    assert not told(judged, later(5)).off
    assert len(told(judged, later(60)).off) == sum(bool(one.leader) for one in done.contrasts)


def test_markets_that_have_nothing_in_common_say_nothing_and_whoever_says_so_is_false(done: Played, judged: Contrasts) -> None:
    strangers = [one for one in done.contrasts if one.x.partition(":")[2] != one.y.partition(":")[2]]
    assert not strangers, "here all share a coin"
    alone = Said("okx:BTC-USDT", "gate:ETH-USDT", "okx:BTC-USDT", 9.0, ((20, 20),))
    assert len(told(judged, [alone]).false) == 1
    assert not told(judged, [alone._replace(leader="")]).false
    nowhere = told(judged, [alone._replace(x="okx:DOGE-USDT")])
    assert not nowhere.false and not nowhere.injected, "what no venue lists was not planted"


def test_what_the_published_paths_hold_by_chance_is_unsure_and_where_that_is_said_often_it_is_false(
    done: Played, judged: Contrasts, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal = of(done, "binance_spot:BTC-USDT", "okx:BTC-USDT")
    chance = equal._replace(leader=equal.y, lags=((300, 320),))
    once = [chance if one is equal else one for one in done.contrasts]
    assert len(told(judged, once).false) == 1, "its path holds no such thing"
    monkeypatch.setattr(judged, "_plain", lambda one, other: Plain(900, 310, 9.0, 300.0, 320.0))
    few = told(judged, [*(one._replace(leader="") for one in done.contrasts), *[equal] * CHANCE, chance])
    assert not few.off and not few.false and few.unsure == 1
    assert len(told(judged, [chance, chance]).false) == 2


def test_in_a_play_that_is_too_short_nobody_leads_and_nothing_is_missed(tmp_path: Path) -> None:
    done = played(Case(5, 3.0, tuple(LAGS_MS), scenario="leaders"), tmp_path, symbols=("BTC-USDT",))
    found = contrasts(done).finding()
    assert (found.injected, found.due, found.detected, found.unsure) == (5, 0, 0, 5), found
    said = report(done)
    rows = {row["kind"]: row for row in said["kinds"]}
    assert rows["leadlag contrast"]["unsure"] == 5 and rows["leadlag"]["injected"] == 0
    assert said["ok"], said["words"]


def test_when_a_market_hears_is_its_lag_its_pace_and_how_long_its_streams_wait(tmp_path: Path) -> None:
    done = played(Case(5, 6.0, ("binance_spot", "kraken"), scenario="leaders"), tmp_path, symbols=("BTC-USDT",))
    judged = contrasts(done)
    specs = {spec.venue: spec for spec in judged._specs.values()}
    fast, slow = judged.hears(specs["binance_spot"]), judged.hears(specs["kraken"])
    assert fast == (specs["binance_spot"].lag * STEP_MS,) * 2, "its touch is told with every step"
    assert slow[0] == specs["kraken"].lag * STEP_MS and slow[1] >= slow[0] + (specs["kraken"].pace - 1) * STEP_MS
    assert judged.apart(specs["binance_spot"].key, specs["kraken"].key) == (slow[0] - fast[1], slow[1] - fast[0])


def test_the_plain_reckoning_and_that_of_the_program_agree_on_what_was_published(judged: Contrasts) -> None:
    (_, x), (_, y) = sorted((key, path) for key, path in judged._paths.items() if key in ("gate:BTC-USDT", "okx:BTC-USDT"))
    found, by_program = plain(x, y), contrast(x, y, Grid(500, 5, 2000))
    assert (found.lag, found.low, found.high) == (by_program.lag, by_program.low, by_program.high)
    assert found.z == pytest.approx(by_program.z, rel=0.02) and found.n == pytest.approx(by_program.n_y, abs=20)
    assert verdict(by_program, 1.0)[0] == "leads" and found.lag < 0
    still = np.arange(3), np.zeros(3)
    assert plain(still, still).z == 0.0


@pytest.mark.full
def test_of_all_venues_everything_that_is_said_is_right(tmp_path: Path) -> None:
    done = played(Case(6, 90.0, EVERY, scenario="leaders"), tmp_path)
    found = contrasts(done).finding()
    assert not found.missed and not found.false and not found.off, found
    assert found.due == found.detected >= 40
