"""Binance's lists of instruments, and the coins in them that trade by the thousand: prices per coin wherever they are told."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from dope.engine import Engine
from dope.sim.binance import BinanceServer
from dope.sim.market import SampleMarket
from dope.sim.venue import listings
from dope.types import Bar, Fault, Frame, Funding, Instrument, Instruments, Quote, Trade
from dope.venues import make
from tests.contracts.test_instruments import answer
from tests.frames import MS, T0, data, opened, play, usdm_diff, usdm_quote, usdm_script, usdm_trade
from tests.venues import sample

PEPE = ("PEPE-USDT-PERP",)
KEY = "binance_usdm:PEPE-USDT-PERP"
VENUES = ("binance_spot", "binance_usdm", "binance_coinm")


def tape(native: str) -> list[Frame]:
    """A session with touches and differences, all to the letter of the fast lane's templates."""
    frames = play("binance_usdm", usdm_script())
    for i in range(40):
        said = (
            usdm_diff(141 + 3 * i, 141 + 3 * i, 140 + 3 * i - (2 if i else 0), [["99.90", f"{i + 1}"]], []),
            usdm_quote(142 + 3 * i, "100.00", f"{i + 1}.5", "100.50", "1.00"),
            usdm_trade(i, "100.00", "0.5", sold=i % 2 == 0),
        )
        frames += [Frame(T0 + (200 + i) * MS, "binance_usdm", 1, kind, text.replace(b"@0ms", b"@100ms")) for kind, text in said]
    lower = native.lower().encode()
    return [
        Frame(f.ts, f.venue, f.conn, f.kind, f.data.replace(b"BTCUSDT", native.encode()).replace(b"btcusdt", lower)) for f in frames
    ]


def run(native: str, symbols: tuple[str, ...]) -> Engine:
    made = Engine({"binance_usdm": make("binance_usdm", symbols)})
    made.step_many(tape(native))
    assert not made.faults
    return made


def test_a_bundle_is_read_as_its_coin_and_never_by_the_fast_lane() -> None:
    plain, bundled = run("BTCUSDT", ("BTC-USDT-PERP",)), run("1000PEPEUSDT", PEPE)
    assert plain.lane.messages > 100 and bundled.lane.messages == 0
    one, other = plain.market.books["binance_usdm:BTC-USDT-PERP"], bundled.market.books[KEY]
    assert other.state == one.state == "LIVE" and (other.instrument.base, other.instrument.contract_value) == ("PEPE", 1000.0)
    bid, bid_size, ask, ask_size = one.touch()
    assert other.touch() == pytest.approx((bid / 1000, bid_size * 1000, ask / 1000, ask_size * 1000), rel=1e-12)
    for side in ("bid", "ask"):
        levels = [(price / 1000, size * 1000) for price, size in one.levels(side, 9)]
        assert other.levels(side, 9) == [pytest.approx(level, rel=1e-12) for level in levels] and len(levels) > 1
    assert other.volume == pytest.approx(one.volume * 1000)


def heard(message: dict[str, Any]) -> list[Any]:
    venue = make("binance_usdm", PEPE)
    script = [opened(symbols=PEPE), data({"stream": "x", "data": {**message, "s": "1000PEPEUSDT"}})]
    return [event for frame in play("binance_usdm", script) for event in venue.receive(frame)]


def test_touches_trades_candles_and_marks_of_a_bundle_are_prices_of_one_coin() -> None:
    touch = {"e": "bookTicker", "u": 7, "b": "0.0089120", "B": "52", "a": "0.0089130", "A": "11", "T": 1, "E": 1}
    (quote,) = [e for e in heard(touch) if isinstance(e, Quote)]
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (0.000008912, 52.0, 0.000008913, 11.0)
    deal = {"e": "aggTrade", "E": 1, "a": 4, "p": "0.0089130", "q": "25", "T": 1, "m": False}
    (trade,) = [e for e in heard(deal) if isinstance(e, Trade)]
    assert (trade.price, trade.size) == (0.000008913, 25_000.0)
    candle = {"t": 0, "o": "0.001", "h": "0.004", "l": "0.001", "c": "0.002", "v": "50", "q": "1", "x": True}
    (bar,) = [e for e in heard({"e": "kline", "E": 1, "k": candle}) if isinstance(e, Bar)]
    assert (bar.open, bar.high, bar.close, bar.volume) == (1e-6, 4e-6, 2e-6, 50_000.0)
    marks = {"e": "markPriceUpdate", "E": 1, "p": "0.008", "i": "0.007", "r": "0.0001", "T": 5}
    (mark,) = [e for e in heard(marks) if isinstance(e, Funding)]
    assert (mark.mark, mark.index, mark.rate) == (8e-6, 7e-6, 0.0001)


@pytest.mark.parametrize(
    ("native", "symbol", "value"),
    [("1000SHIBUSDT", "SHIB-USDT-PERP", 1000.0), ("1MBABYDOGEUSDT", "BABYDOGE-USDT-PERP", 1e6), ("1000000MOGUSDT", "MOG-USDT-PERP", 1e6),
     ("1INCHUSDT", "1INCH-USDT-PERP", 1.0), ("1MINUSDT", "1MIN-USDT-PERP", 1.0), ("BTCUSDC", "BTC-USDC-PERP", 1.0)],
)  # fmt: skip
def test_names_of_bundles_go_there_and_back(native: str, symbol: str, value: float) -> None:
    venue = make("binance_usdm", ())
    instrument = venue.instrument(native)
    assert instrument is not None and (instrument.symbol, instrument.contract_value) == (symbol, value)
    assert venue.native(symbol) == native


@pytest.mark.parametrize("venue", VENUES)
def test_the_list_is_asked_for_at_its_published_weight(venue: str) -> None:
    (fetch,) = make(venue, ()).listings()
    assert (fetch.conn, fetch.weight) == (0, 20 if venue == "binance_spot" else 1)
    assert ("showPermissionSets=false" in fetch.url) == (venue == "binance_spot"), "most of spot's bytes would be permissions"


@pytest.mark.parametrize(("venue", "times"), [("binance_spot", 300), ("binance_usdm", 2400), ("binance_coinm", 2400)])
def test_the_simulated_list_weighs_what_the_published_one_does_and_is_refused_beyond_the_budget(venue: str, times: int) -> None:
    server = BinanceServer(SampleMarket(1, listings((venue,))), venue, clock=lambda: 0.0)
    path = urlsplit(make(venue, ()).listings()[0].url).path
    assert {server.rest(path, {}, 0.001 * i).status for i in range(times)} == {200}
    assert server.rest(path, {}, 30.0).status == 429
    assert server.rest(path, {}, 63.0).status == 200


def read(venue: str, rows: list[dict[str, Any]]) -> tuple[list[Instrument], Instruments | Fault]:
    machine = make(venue, ())
    (told,) = machine.receive(answer(venue, "list", json.dumps({"symbols": rows}).encode()))
    assert isinstance(told, Instruments | Fault)
    return list(machine.offers().values()), told


def test_a_row_without_a_tick_is_left_out_and_one_without_a_least_value_has_none() -> None:
    good, other = (dict(row) for row in sample("binance_spot").ROWS[:2])
    good["filters"] = [rule for rule in good["filters"] if "NOTIONAL" not in rule["filterType"]]
    other["filters"] = [rule for rule in other["filters"] if rule["filterType"] != "PRICE_FILTER"]
    found, told = read("binance_spot", [other, good])
    assert [(i.native, i.min_notional) for i in found] == [("BTCUSDT", 0.0)]
    assert isinstance(told, Instruments) and told.unread == 1


def test_a_market_that_comes_back_under_the_name_of_an_old_one_is_the_one_that_trades() -> None:
    old = {**sample("binance_usdm").ROWS[2], "symbol": "0PEPEUSDT", "status": "SETTLING"}
    machine = make("binance_usdm", ())
    machine.receive(answer("binance_usdm", "list", json.dumps({"symbols": [old, sample("binance_usdm").ROWS[2]]}).encode()))
    assert machine.name_of(PEPE[0]) == "1000PEPEUSDT"
