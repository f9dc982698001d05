"""No opportunity is told of a leg that froze while the others moved on, and a venue's clock that is ahead changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dope.sim.journal import Fault
from dope.sim.world import World
from dope.trial.judge import arbitrage, truth
from dope.trial.stage import MS, Case, Hand, Played
from tests.trial.test_recall import played

BEGIN, FROZEN, OVER = 700, 300, 50  #: steps of 10 ms: until the freeze, of it, and after it
VENUES = ("binance_spot", "okx", "kraken", "coinbase", "binance_usdm")


def moved_by_one_percent() -> Hand:
    """Every price rises by 1 % during the freeze."""
    steps = 0

    def hand(world: World, now_ms: int) -> None:
        nonlocal steps
        if BEGIN <= steps < BEGIN + FROZEN:
            for asset in world.sample.assets.values():
                asset.price += asset.price // (100 * FROZEN) if asset.spec.sigma else 0
        steps += 1

    return hand


def of_frozen(done: Played, venue: str) -> list[tuple[str, str, int]]:
    """Opportunities with a leg at this venue that were opened while it was frozen: (buy, sell, ms since then)."""
    begun = done.ready_ms + BEGIN * 10
    return [
        (told.buy, told.sell, told.opened // MS - begun) for told in done.witness.opportunities
        if venue in (told.buy_venue, told.sell_venue) and begun <= told.opened // MS < begun + FROZEN * 10
    ]  # fmt: skip


def frozen(venue: str, tmp_path: Path) -> Played:
    fault = Fault(kind="freeze", venue=venue, at_s=BEGIN / 100, duration_s=FROZEN / 100)
    return played(Case(3, (BEGIN + FROZEN + OVER) / 100, VENUES, (fault,)), tmp_path, moved_by_one_percent())


def test_a_venue_that_is_frozen_while_the_others_move_by_one_percent_makes_no_opportunity(tmp_path: Path) -> None:
    done = frozen("kraken", tmp_path)
    assert of_frozen(done, "kraken") == []
    assert any("kraken" in entry.venue for entry in done.world.journal.entries), "it was frozen"


@pytest.mark.full
@pytest.mark.parametrize("venue", ["okx", "coinbase", "binance_spot", "binance_usdm"])
def test_no_venue_that_is_frozen_makes_an_opportunity(venue: str, tmp_path: Path) -> None:
    assert of_frozen(frozen(venue, tmp_path), venue) == []


SECONDS, WRONG_S, RIGHT_S = 6.5, 1.5, 3.0  #: of a play in which a clock goes wrong and right again
KNOWN_MS = 1400  #: after which it is known to have been set
LOW = {venue: {"spot": 0.4, "perp": 0.3} for venue in VENUES}


def skewed(tmp_path: Path, *faults: Fault) -> Played:
    return played(Case(7, SECONDS, VENUES[:3], faults), tmp_path, fees=LOW)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The same without a wrong clock."""
    return skewed(tmp_path_factory.mktemp("right"))


def lives(done: Played, without: str = "none", *, of: str = "", after_s: float = 0.0) -> list[tuple[str, str, int]]:
    """(buy, sell, ms) of what was told, at all venues but one, or of one venue from some second on."""
    opened = {
        (told.buy, told.sell, told.opened // MS - done.ready_ms) for told in done.witness.opportunities
        if without not in (told.buy_venue, told.sell_venue) and of in ("", told.buy_venue, told.sell_venue)
    }  # fmt: skip
    return sorted(life for life in opened if life[2] >= after_s * 1000)


def test_a_clock_of_a_venue_that_is_two_seconds_ahead_changes_no_opportunity(right: Played, tmp_path: Path) -> None:
    assert lives(right) and lives(skewed(tmp_path, Fault(kind="clock_skew", venue="okx", params={"s": 2.0}))) == lives(right)


@pytest.mark.parametrize("seconds", [2.0, -2.0, pytest.param(0.3, marks=pytest.mark.full), pytest.param(-0.3, marks=pytest.mark.full)])
def test_a_clock_that_goes_wrong_and_right_again_makes_no_false_opportunity_and_hides_none_for_long(
    seconds: float, right: Played, tmp_path: Path
) -> None:
    """What comes two seconds late by its own stamps may be late: opportunities of that venue are left out until it is known."""
    done = skewed(tmp_path, Fault(kind="clock_skew", venue="okx", at_s=WRONG_S, duration_s=RIGHT_S - WRONG_S, params={"s": seconds}))
    assert arbitrage(done, truth(done)).false == []
    assert lives(done, "okx") == lives(right, "okx") != []
    assert not [state for state in done.witness.states if state.state != "LIVE" and state.ts // MS > done.ready_ms]
    count, last = done.session.engine.market.delays["okx"].steps
    assert (count, abs(last / MS + seconds * 1000) < 100.0) == (2, True), "set, and set right again: seen both times"
    again = RIGHT_S + KNOWN_MS / 1000
    assert lives(done, of="okx", after_s=again) == lives(right, of="okx", after_s=again) != []
