"""Two weeks of March 2023, in which USDC lost its peg: with each currency its own, no minute holds an opportunity across them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from dope.detectors import Arbitrage, Cost, CrossQuote, Rules
from dope.detectors.arbitrage import Opportunity
from tests.detectors.floor import Floor

FILES = sorted((Path(__file__).resolve().parents[3] / "shared" / "data" / "market" / "stablecoin_2023").glob("*.csv.gz"))
pytestmark = pytest.mark.skipif(not FILES, reason="the recording lies beside the project, not in it")
FREE = {(venue, "spot"): Cost(0.0) for venue in "abcd"}
HALF = 1e-6  #: a touch this part around the close
COINS = ("USDC", "USDT")


def minutes(*days: str) -> Iterator[dict[str, float]]:
    with gzip.open(FILES[0], "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not days or row["open_time"][:10] in days:
                yield {quote: float(row[f"{quote}_close"]) for quote in ("USD", *COINS)}


def played(rows: Iterator[dict[str, float]], *, one_currency: bool = False, exchanges: bool = False) -> tuple[int, int]:
    """(minutes, those with an opportunity open in them); fees are nil, so that anything at all would show."""
    arbitrage = Arbitrage(FREE, Rules(min_notional=0.0, debounce=0))
    desk = Floor(arbitrage, cross := CrossQuote(arbitrage))
    count = found = 0
    for row in rows:
        for venue, (quote, close) in zip("abc", row.items(), strict=True):
            desk.touch(f"{venue}:BTC-{'USD' if one_currency else quote}", close * (1 - HALF), close * (1 + HALF))
        if exchanges:
            for coin in COINS:
                rate = row["USD"] / row[coin]
                desk.touch(f"d:{coin}-USD", rate * (1 - 10 * HALF), rate * (1 + 10 * HALF), size=1e9)
        desk.tick()
        count += 1
        found += bool(arbitrage.rows() or cross.rows())
        desk.now += 60_000_000_000
        desk.said.clear()
    return count, found


def test_without_a_market_that_exchanges_them_no_minute_of_the_de_peg_holds_an_opportunity() -> None:
    count, found = played(minutes("2023-03-11"))
    assert (count, found) == (1440, 0)


def test_with_one_at_the_rate_of_the_minute_there_is_none_either() -> None:
    assert played(minutes("2023-03-11"), exchanges=True) == (1440, 0)


def test_the_same_minutes_with_the_three_taken_for_one_currency_are_full_of_false_ones() -> None:
    """So the checks above can fail: this is what they keep out."""
    count, found = played(islice(minutes("2023-03-11"), 0, None, 4), one_currency=True)
    assert count == 360 and found > 0.99 * count


@pytest.mark.full
def test_all_of_the_two_weeks() -> None:
    assert played(minutes()) == (20_160, 0)
    assert played(minutes(), exchanges=True) == (20_160, 0)


def test_no_opportunity_was_told_either() -> None:
    arbitrage = Arbitrage(FREE, Rules(min_notional=0.0))
    desk = Floor(arbitrage, CrossQuote(arbitrage))
    for row in minutes("2023-03-12"):
        for venue, (quote, close) in zip("abc", row.items(), strict=True):
            desk.touch(f"{venue}:BTC-{quote}", close, close * (1 + HALF))
        desk.tick()
        desk.now += 60_000_000_000
    assert not [event for event in desk.said if isinstance(event, Opportunity)]
