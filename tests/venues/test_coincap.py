"""CoinCap gives prices for reference: they are shown while they are fresh, and nobody ever trades on them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.engines import build_engine, detector_of
from dope.picture import Picture
from dope.settings import SECRETS, Settings
from dope.sim.coincap import LISTINGS
from dope.sim.market import SampleMarket
from dope.types import DATA, Fault, Frame, Funding, Notice
from dope.venues import make
from tests.frames import MS, T0, closed, data, opened, play
from tests.sim.recipes import hear, open_ws, world

SYMBOLS = ("BTC-USD", "ETH-USD", "BTC-USDT")
KEY = "coincap:BTC-USD"


def session(*messages: Any) -> tuple[Engine, list[Any]]:
    """An engine as the program builds it, with a venue beside it that trades in dollars."""
    run = build_engine(Settings(_env_file=None, symbols=SYMBOLS), ("coincap", "kraken"), {})
    script = [opened("prices", ("BTC-USD", "ETH-USD")), *(data(message) for message in messages)]
    return run, run.step_many(play("coincap", script))


def rows(run: Engine, now: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is shown of the price and of the venue."""
    picture = Picture(run, detector_of(run, Arbitrage), detector_of(run, Spreads), started_ns=T0, alert_pct=0.5)
    (row,) = picture.standing.instruments([run.market.books[KEY]], now, picture.standing.limits_ms())
    return row, picture.venue_rows(now, {})[0]


def test_prices_are_told_for_reference_and_never_become_a_leg() -> None:
    run, out = session({"bitcoin": "67000.1", "ethereum": 3500.25}, {"bitcoin": "67001.5"})
    assert not [e for e in out if isinstance(e, Fault)]
    told = run.market.funding[KEY]
    assert (told.rate, told.mark, told.index) == (None, 67001.5, 67001.5)
    book = run.market.books[KEY]
    assert (book.state, book.touch(), book.reason) == ("SYNCING", (0.0, 0.0, 0.0, 0.0), "a reference price, without a book")
    run.step_many(play("kraken", [opened("public", ("BTC-USD",))], conn=2, start=T0 + 10**9))
    assert "kraken:BTC-USD" in run.market.books
    legs = {key for pair in detector_of(run, Arbitrage).pairs for key in pair}
    assert KEY not in legs and KEY not in detector_of(run, Arbitrage).of


def test_a_price_is_shown_while_it_is_fresh_and_no_book_is_counted() -> None:
    run, _ = session({"bitcoin": "67000.1"})
    fresh, venue = rows(run, T0 + 5 * 10**9)
    stale, _ = rows(run, T0 + 31 * 10**9)
    assert (fresh["mark"], fresh["bid"], stale["mark"]) == (67000.1, None, None)
    assert (venue["books_live"], venue["books_total"]) == (0, 0)


JUNK = [{}, {"bitcoin": "NaN"}, {"bitcoin": -1}, {"bitcoin": ""}, {"monero": "1"}, {"bitcoin": [1]}, ["bitcoin", 1]]


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_no_price_of_a_watched_asset_is_a_fault(junk: Any) -> None:
    run, out = session(junk)
    assert [type(e) for e in out if isinstance(e, Fault)] == [Fault] and KEY not in run.market.funding


def test_an_error_is_told_and_a_connection_that_ends_is_no_gap_of_a_book_that_never_was() -> None:
    run, out = session({"error": "invalid key"})
    assert [e.text for e in out if isinstance(e, Notice)] == ["invalid key"]
    run.step(Frame(T0 + 100 * MS, "coincap", 1, *closed()))
    assert run.market.books[KEY].gaps == 0


def test_the_key_stands_at_the_end_of_the_address_alone() -> None:
    settings = Settings(_env_file=None, keys={"coincap": SecretStr("k3y/+&x")}, endpoints={"coincap": {"ws": "ws://test"}})
    (plan,) = make("coincap", SYMBOLS, settings.places()["coincap"]).plan()
    assert (plan.url, plan.secret) == ("ws://test/prices?assets=bitcoin,ethereum", "&apiKey=k3y%2F%2B%26x")
    assert make("coincap", SYMBOLS).plan()[0].secret == "" and make("coincap", ("BTC-USDT",)).plan() == ()
    assert "k3y/+&x" in settings.secrets and "keys" in SECRETS
    assert "k3y" not in json.dumps(settings.model_dump(mode="json")) + repr(settings)


def test_it_is_not_watched_unless_asked_for() -> None:
    assert "coincap" not in Settings(_env_file=None).venues


def test_the_simulated_venue_says_what_the_sample_market_is_worth_in_the_form_that_is_read() -> None:
    async def run() -> list[dict[str, str]]:
        async with world(venues=("coincap",)) as (made, endpoints):
            async with open_ws(endpoints["coincap"]["ws"] + "/prices?assets=bitcoin,monero&apiKey=x") as ws:
                made.advance(101)
                prices = [await hear(ws)]
                sample: SampleMarket = made.sample
                made.advance(99)
                prices.append(await hear(ws))
                assert float(prices[1]["bitcoin"]) == sample.markets[KEY].asset.price / 1e6
            async with open_ws(endpoints["coincap"]["ws"] + "/prices?assets=monero") as ws:
                assert await hear(ws) == {"error": "no such asset"}
        return prices

    prices = asyncio.run(run())
    assert [list(each) for each in prices] == [["bitcoin"]] * 2 and LISTINGS[0].symbol == "BTC-USD"
    venue = make("coincap", SYMBOLS)
    list(venue.receive(Frame(T0, "coincap", 1, *opened("prices", SYMBOLS))))
    events = [e for each in prices for e in venue.receive(Frame(T0, "coincap", 1, DATA, json.dumps(each).encode()))]
    assert [e.index for e in events if isinstance(e, Funding)] == [float(each["bitcoin"]) for each in prices]
