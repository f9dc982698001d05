"""In a calm market without faults nothing is told: no opportunity, jump or burst, no gap, no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from dope.trial.report import report
from dope.trial.stage import Case
from tests.trial.test_recall import played


def alarmed(seconds: float, venues: tuple[str, ...], tmp_path: Path) -> list[str]:
    """All that was told of a calm market."""
    done = played(Case(11, seconds, venues, scenario="calm"), tmp_path)
    assert len(done.session.engine.market.books) > 10
    told = [f"{each.buy} → {each.sell}" for each in done.witness.opportunities]
    told += map(str, (*done.witness.jumps, *done.witness.bursts, *done.witness.links_of_jumps, *done.witness.triangles))
    found = report(done)
    assert found["ok"] and found["scenario"] == "calm"
    return told + list(found["words"]["false"])


def test_nothing_is_told_of_a_calm_market(tmp_path: Path) -> None:
    assert alarmed(6.0, ("binance_spot", "okx", "kraken"), tmp_path) == []


def test_of_the_usual_market_something_is_told(tmp_path: Path) -> None:
    done = played(Case(11, 15.0, ("binance_spot", "okx", "kraken", "binance_usdm")), tmp_path)
    assert done.witness.opportunities, "the check above would hold for a program that never tells anything"


@pytest.mark.full
def test_nothing_is_told_of_a_calm_market_in_ten_minutes(tmp_path: Path) -> None:
    assert alarmed(600.0, ("binance_spot", "okx", "kraken", "binance_usdm"), tmp_path) == []
