"""What is in the market is found, nothing else is, and it is described as it was: the whole program over loopback, in stepped time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dope.settings import Settings
from dope.trial.finding import Finding
from dope.trial.judge import arbitrage, dislocations, truth
from dope.trial.stage import Case, Hand, Played, play, ready
from dope.trial.stepped import run_stepped
from dope.venues import VENUES

EVERY = tuple(venue.ID for venue in VENUES if venue.BOOKS and venue.ID != "kraken_v1")
SOME = ("binance_spot", "binance_usdm", "okx", "bybit", "kraken", "kucoin", "bitfinex", "gate")
LOW = {venue: {"spot": 0.4, "perp": 0.3} for venue in EVERY}  #: fees in bps: so low that there is much to be found


def played(case: Case, tmp_path: Path, hand: Hand | None = None, **settings: object) -> Played:
    """The case, played to its end."""
    found: list[Played] = []

    async def run() -> None:
        chosen = Settings(_env_file=None, data_dir=tmp_path, model_dir=tmp_path, **settings)  # type: ignore[arg-type]
        found.append(await play(case, chosen, hand))

    ready()
    run_stepped(run())
    return found[0]


def judged(done: Played) -> tuple[Finding, Finding]:
    lives = truth(done)
    return arbitrage(done, lives), dislocations(done, lives)


def assert_right(found: Finding, *, at_least: int) -> None:
    assert not found.false and not found.off and found.due >= at_least, (found.false, found.off, found.due)
    assert found.detected >= 0.99 * found.due, found.missed


def test_every_opportunity_of_eight_venues_is_found_and_told_as_it_was(tmp_path: Path) -> None:
    found, planted = judged(played(Case(7, 8.0, SOME), tmp_path, fees=LOW))
    assert_right(found, at_least=60)
    assert_right(planted, at_least=0)
    assert max(found.latency_ms) == 0, "in the very step in which it was published"


@pytest.mark.full
def test_every_opportunity_of_all_venues_at_their_real_fees_is_found_and_told_as_it_was(tmp_path: Path) -> None:
    found, planted = judged(played(Case(11, 60.0, EVERY), tmp_path))
    assert_right(found, at_least=20)
    assert_right(planted, at_least=3)
