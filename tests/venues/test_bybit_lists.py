"""Bybit's lists of instruments: pages, names of another kind, and what its server says of them."""

from __future__ import annotations

import pytest

from dope.sim.bybit import BybitServer
from dope.sim.market import SampleMarket
from dope.sim.venue import listings
from dope.types import Fault, Instruments
from dope.venues import make
from tests.contracts.test_instruments import answer
from tests.venues import bybit, bybit_linear


def test_a_page_that_is_not_the_last_one_asks_for_the_next_under_a_key_of_its_own() -> None:
    machine = make("bybit_linear", ())
    (first,) = machine.listings()
    machine.receive(answer("bybit_linear", first.key, bybit.listed("linear", bybit_linear.ROWS[:1], "first%3DA%26last%3DB")))
    (second,) = machine.actions
    assert (second.conn, second.key, second.url) == (0, "list 2", f"{first.url}&cursor=first%3DA%26last%3DB")  # type: ignore[union-attr]
    machine.actions.clear()
    (told,) = machine.receive(answer("bybit_linear", "list 2", bybit.listed("linear", bybit_linear.ROWS[1:2])))
    assert isinstance(told, Instruments) and told.count == 1 and not machine.actions
    assert [machine.name_of(symbol) for symbol in ("BTC-USDT-PERP", "BTC-USDC-PERP")] == ["BTCUSDT", "BTCPERP"]
    assert all(native in machine.offers() for native in ("BTCUSDT", "BTCPERP")), "one page does not drop the other"


def test_pages_without_end_are_not_followed_without_end() -> None:
    machine = make("bybit_linear", ())
    for page in range(1, 100):
        machine.receive(answer("bybit_linear", f"list {page}", bybit.listed("linear", bybit_linear.ROWS[:1], "again")))
    assert 0 < len(machine.actions) < 30


def test_a_refused_list_is_a_fault_with_the_words_of_the_venue() -> None:
    body = b'{"retCode":10001,"retMsg":"params error","result":{},"retExtInfo":{},"time":1}'
    (fault,) = make("bybit", ()).receive(answer("bybit", "list", body))
    assert isinstance(fault, Fault) and "10001 params error" in fault.reason


def test_a_name_that_means_another_market_than_its_row_says_is_not_taken() -> None:
    perp, good, dated = (bybit_linear.ROWS[i] for i in (0, 1, 5))
    rows = [{**perp, "quoteCoin": "USDC"}, {**dated, "contractType": "LinearPerpetual"}, {**perp, "symbol": "BTCUSD"}, good]
    machine = make("bybit_linear", ())
    (told,) = machine.receive(answer("bybit_linear", "list", bybit.listed("linear", rows)))
    assert isinstance(told, Instruments) and (told.count, told.unread) == (1, 3)


@pytest.mark.parametrize(("venue", "category"), [("bybit", "spot"), ("bybit_linear", "linear")])
def test_the_simulated_list_keeps_the_limits_of_the_venue(venue: str, category: str) -> None:
    server, path = BybitServer(SampleMarket(1, listings((venue,))), venue, clock=lambda: 0.0), "/v5/market/instruments-info"
    for wrong in ({"category": "option"}, {"category": category, "limit": "1001"}, {"category": category, "limit": "x"}, {}):
        assert '"retCode":10001' in str(server.rest(path, wrong, 0.0).body)
    assert {server.rest(path, {"category": category, "limit": "1000"}, 1.0).status for _ in range(596)} == {200}
    assert server.rest(path, {"category": category}, 1.0).status == 403, "600 requests in 5 s, whatever is asked"
    assert server.rest(path, {"category": category}, 7.0).status == 200
