"""HTX's lists of instruments: states that are numbers, a settlement that is no end, and errors under two spellings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dope.sim import htx as spot_server
from dope.sim import htx_linear as swap_server
from dope.sim.market import SampleMarket
from dope.sim.venue import listings
from dope.types import Fault, Instruments
from dope.venues import make
from dope.venues.base import Venue
from tests.contracts.test_instruments import answer
from tests.venues import htx, htx_linear


def read(venue: str, *rows: dict[str, Any]) -> tuple[Venue, int]:
    """The venue that knows these rows, and how many it could not read."""
    machine = make(venue, ())
    told = machine.receive(answer(venue, "list", json.dumps({"status": "ok", "data": rows, "ts": 1}).encode()))
    return machine, sum(event.unread for event in told if isinstance(event, Instruments))


@pytest.mark.parametrize("state", [1, 5, 7])
def test_a_default_symbol_is_not_left_because_its_list_was_read_during_a_settlement(state: int) -> None:
    machine = make("htx_linear", ("BTC-USDT-PERP",))
    rows = [htx_linear.row("BTC-USDT", 0.001, 0.1, state)]
    machine.receive(answer("htx_linear", "list", json.dumps({"status": "ok", "data": rows}).encode()))
    assert {symbol for plan in machine.plan() for symbol in plan.symbols} == {"BTC-USDT-PERP"}


@pytest.mark.parametrize(("state", "word"), [(0, "delisted"), (3, "suspended"), (9, "trade suspended"), (77, "status 77")])
def test_a_contract_that_does_not_trade_says_why_and_is_not_asked_for(state: int, word: str) -> None:
    machine, _ = read("htx_linear", htx_linear.row("BTC-USDT", 0.001, 0.1, state))
    market = machine.market_of("BTC-USDT")
    assert market is not None and market.status == word
    machine.symbols = ("BTC-USDT-PERP",)
    assert not [symbol for plan in machine.plan() for symbol in plan.symbols]


def test_what_the_list_says_of_a_contract_is_what_its_trades_are_counted_in() -> None:
    """The shipped table may be old: after the list a contract of 0.01 BTC is one."""
    machine, _ = read("htx_linear", htx_linear.row("BTC-USDT", 0.01, 0.5))
    market = machine.market_of("BTC-USDT")
    assert market is not None and (market.contract_value, market.lot, market.tick) == (0.01, 0.01, 0.5)


def test_rows_with_impossible_steps_are_left_out_and_missing_limits_are_none() -> None:
    bare = {name: value for name, value in htx.ROWS[0].items() if name not in ("lominoa", "minov")}
    machine, unread = read("htx", {**htx.ROWS[1], "pp": 99}, {**htx.ROWS[2], "ap": -1}, bare)
    assert unread == 2 and [(i.native, i.min_size, i.min_notional) for i in machine.offers().values()] == [("btcusdt", 0.0, 0.0)]
    machine, unread = read("htx_linear", htx_linear.row("ETH-USDT", 0, 0.1), htx_linear.row("SOL-USDT", 1, 0), htx_linear.ROWS[0])
    assert (unread, list(machine.offers())) == (2, ["BTC-USDT"])


@pytest.mark.parametrize(
    ("venue", "error"),
    [("htx", {"err-code": "bad-request", "err-msg": "down"}), ("htx_linear", {"err_code": 1001, "err_msg": "down"})],
)
def test_an_error_is_told_in_the_words_of_the_venue(venue: str, error: dict[str, Any]) -> None:
    (fault,) = make(venue, ()).receive(answer(venue, "list", json.dumps({"status": "error", **error, "ts": 1}).encode()))
    assert isinstance(fault, Fault) and f"{next(iter(error.values()))} down" in fault.reason


@pytest.mark.parametrize(("module", "venue", "times", "window"), [(spot_server, "htx", 10, 1.0), (swap_server, "htx_linear", 240, 3.0)])
def test_the_simulated_list_is_refused_beyond_what_the_venue_allows(module: Any, venue: str, times: int, window: float) -> None:
    server = module.Server(SampleMarket(1, listings((venue,))), clock=lambda: 0.0)
    path = make(venue, ()).listings()[0].url.partition(".com" if venue == "htx_linear" else ".pro")[2]
    assert {server.rest(path, {}, 0.0).status for _ in range(times)} == {200}
    assert (server.rest(path, {}, window / 2).status, server.rest("/else", {}, 0.0).status) == (429, 404)
    assert server.rest(path, {}, window + 0.1).status == 200
