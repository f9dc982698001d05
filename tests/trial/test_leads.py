"""Who leads is known where everybody's lag is known: what is said of it is right, in order and in size, and nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from dope.sim.listings import STEP_MS
from dope.trial.claims import Lead
from dope.trial.finding import Finding
from dope.trial.judge import reread
from dope.trial.leads import NEAR_MS, Leading, hears_ms, leads
from dope.trial.moves import Moves
from dope.trial.seen import Seen
from dope.trial.stage import Case, Played
from tests.trial.test_recall import played

VENUES = ("binance_spot", "okx", "bybit", "gate")
SECONDS = 138.0  #: half a minute until jumps are known, and twenty of them
PAIRS = 5  #: of the six of these markets: of two the jumps fall into one step too often
SOON_MS = 4_000  #: a jump is told when it is over and no earlier one can come; asked is once a second


@pytest.fixture(scope="module")
def leading(tmp_path_factory: pytest.TempPathFactory) -> Leading:
    done = played(Case(5, SECONDS, VENUES, scenario="jumps"), tmp_path_factory.mktemp("leads"), symbols=("BTC-USDT",))
    seen = Seen()
    reread(done, seen)
    return Leading(done, Moves(done, seen))


def said(leading: Leading, others: Mapping[tuple[str, str], Lead]) -> Finding:
    """What the judge says when the session said this instead."""
    before = leading.played
    leading.played = msgspec.structs.replace(before, leads=dict(others))
    try:
        return leading.finding()
    finally:
        leading.played = before


def turned(played: Played) -> dict[tuple[str, str], Lead]:
    return {(b, a): lead for (a, b), lead in played.leads.items()}


def test_of_every_two_markets_the_leader_is_told_with_its_lag_soon_after_it_can_be_known(leading: Leading) -> None:
    found = leading.finding()
    assert not found.missed and not found.false and not found.off, found
    assert found.injected == found.due == found.detected == PAIRS and found.unsure == 0
    assert max(found.latency_ms) <= SOON_MS
    for (leader, follower), lead in leading.played.leads.items():
        behind = hears_ms(leading._specs[follower]) - hears_ms(leading._specs[leader])
        assert lead.score.lag_ms is not None and 0 < lead.score.lag_ms <= behind + 100 + NEAR_MS, "and what their streams wait besides"
        assert behind > 0


def test_who_was_not_said_to_lead_is_missed_and_a_wrong_order_is_false(leading: Leading) -> None:
    assert len(said(leading, {}).missed) == PAIRS
    wrong = said(leading, turned(leading.played))
    assert len(wrong.missed) == len(wrong.false) == PAIRS and "it was first in 0" in wrong.false[0]


def test_a_lag_that_differs_by_more_than_a_step_and_a_little_is_off(leading: Leading) -> None:
    def later(by_ms: float) -> dict[tuple[str, str], Lead]:
        return {
            order: msgspec.structs.replace(lead, score=msgspec.structs.replace(lead.score, lag_ms=(lead.score.lag_ms or 0.0) + by_ms))
            for order, lead in leading.played.leads.items()
        }

    assert len(said(leading, later(2.0 * NEAR_MS)).off) == PAIRS
    assert not said(leading, later(STEP_MS / 4)).off


def test_where_few_jumps_are_known_the_market_itself_says_who_hears_first(leading: Leading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "together", {})
    assert said(leading, leading.played.leads).false == []
    assert len(said(leading, turned(leading.played)).false) == PAIRS
    (spec, *_) = leading._specs.values()
    monkeypatch.setattr(leading, "_specs", {key: msgspec.structs.replace(spec, symbol=each.symbol) for key, each in leading._specs.items()})
    assert len(said(leading, leading.played.leads).false) == PAIRS, "with equal lags nobody leads"


def test_in_a_play_that_is_too_short_nobody_leads_and_nothing_was_planted(tmp_path: Path) -> None:
    done = played(Case(5, 2.0, VENUES[:2], scenario="jumps"), tmp_path, symbols=("BTC-USDT",))
    seen = Seen()
    reread(done, seen)
    found = Leading(done, Moves(done, seen)).finding()
    assert (found.injected, found.due, found.detected, found.false) == (0, 0, 0, []) and done.leads == {}


@pytest.mark.parametrize(("ahead", "n", "right"), [(19, 19, False), (20, 20, True), (16, 20, False), (17, 20, True), (3, 20, False)])
def test_the_rule_is_twenty_jumps_and_one_percent_of_chance(ahead: int, n: int, right: bool) -> None:
    assert leads(ahead, n) is right


def test_the_rule_is_that_of_the_program() -> None:
    from dope.detectors.linker import score

    for n in range(60):
        for ahead in range(n + 1):
            told = score("BTC", "a", "b", [1] * ahead + [-1] * (n - ahead))
            assert (told.verdict == "leads") is leads(ahead, n), (ahead, n)
