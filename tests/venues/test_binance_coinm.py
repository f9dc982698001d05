"""What is Binance COIN-M's own: contracts of 100 or 10 USD become base units, and USD is not USDT."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dope.engine import Engine
from dope.types import Bar, Fault, Frame, Funding, Quote, Trade
from dope.venues import make
from dope.venues.binance_coinm import BinanceCoinm
from tests.frames import T0, data, opened, play
from tests.venues.binance_coinm import KEY, SYMBOLS, script

TRADE = {"e": "aggTrade", "E": 1700000000001, "a": 424951141, "s": "BTCUSD_PERP", "p": "50000.0", "q": "25", "f": 4, "l": 5,
         "T": 1700000000000, "m": False}  # fmt: skip


def heard(message: dict[str, Any], symbols: tuple[str, ...] = SYMBOLS) -> list[Any]:
    venue = BinanceCoinm(symbols)
    script = [opened(symbols=symbols), data({"stream": "x", "data": message})]
    return [event for frame in play("binance_coinm", script) for event in venue.receive(frame)]


@pytest.mark.parametrize(("native", "price", "size"), [("BTCUSD_PERP", "50000.0", 0.05), ("ETHUSD_PERP", "2500.00", 0.1)])
def test_a_contract_is_worth_its_dollars_divided_by_the_price(native: str, price: str, size: float) -> None:
    events = heard({**TRADE, "s": native, "p": price}, ("BTC-USD-PERP", "ETH-USD-PERP"))
    (trade,) = [e for e in events if isinstance(e, Trade)]
    assert (trade.size, trade.side) == (pytest.approx(size), "buy")


def test_a_level_shows_base_units_at_its_own_price() -> None:
    run = Engine({"binance_coinm": make("binance_coinm", SYMBOLS)})
    run.step_many(play("binance_coinm", script()))
    assert run.market.books[KEY].levels("ask", 2) == [(100.5, pytest.approx(0.75)), (100.6, pytest.approx(100 / 100.6))]


def test_a_candle_counts_base_units_not_contracts() -> None:
    candle = {"t": 1700000000000, "o": "1", "h": "1", "l": "1", "c": "1", "v": "5000", "q": "10.5", "x": True}
    (bar,) = [e for e in heard({"e": "kline", "E": 1, "s": "BTCUSD_PERP", "k": candle}) if isinstance(e, Bar)]
    assert bar.volume == 10.5


def test_a_mark_price_may_come_without_an_index_and_a_touch_with_the_pair() -> None:
    mark = {"e": "markPriceUpdate", "E": 1, "s": "BTCUSD_PERP", "p": "50001.5", "P": "50000.1", "r": "0.00010000", "T": 5}
    (funding,) = [e for e in heard(mark) if isinstance(e, Funding)]
    assert (funding.rate, funding.mark, funding.index) == (0.0001, 50001.5, None)
    touch = {"e": "bookTicker", "u": 7, "s": "BTCUSD_PERP", "ps": "BTCUSD", "b": "9.5", "B": "52", "a": "9.6", "A": "11", "T": 1, "E": 1}
    assert [e.bid_size for e in heard(touch) if isinstance(e, Quote)] == [52.0]


def test_names_are_of_usd_inverse_and_dated_ones_are_futures() -> None:
    venue = BinanceCoinm(())
    assert venue.native("BTC-USD-PERP") == "BTCUSD_PERP"
    assert [venue.native(s) for s in ("BTC-USDT-PERP", "BTC-USD", "BTC-USDC-PERP")] == [None, None, None]
    perp, dated = venue.instrument("ETHUSD_PERP"), venue.instrument("BTCUSD_261225")
    assert perp is not None and (perp.symbol, perp.kind, perp.contract_value, perp.inverse) == ("ETH-USD-PERP", "perp", 10.0, True)
    assert dated is not None and (dated.symbol, dated.kind, dated.contract_value) == ("BTC-USD-261225", "future", 100.0)
    assert [venue.instrument(name) for name in ("BTCUSDT", "USD_PERP", "BTCUSD_X", "BTCUSD")] == [None] * 4


def test_a_linear_name_is_foreign_here() -> None:
    assert [type(e) for e in heard({**TRADE, "s": "BTCUSDT"}) if isinstance(e, Fault | Trade)] == [Fault]
    venue = BinanceCoinm(SYMBOLS)
    venue.receive(Frame(T0, "binance_coinm", 1, *opened(symbols=SYMBOLS)))
    (action,) = venue.actions
    assert json.loads(action.text)["params"][1] == "btcusd_perp@depth@100ms"  # type: ignore[union-attr]
