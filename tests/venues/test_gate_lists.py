"""Gate's lists of instruments: decimals that are counts, limits that may be missing, contracts that trade in fractions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dope.sim.gate import LISTS, GateServer
from dope.sim.market import SampleMarket
from dope.sim.venue import listings
from dope.types import Instrument, Instruments
from dope.venues import make
from tests.contracts.test_instruments import answer
from tests.venues import gate, gate_futures


def read(venue: str, *rows: dict[str, Any]) -> tuple[list[Instrument], int]:
    """What the list says, and how many rows could not be read."""
    machine = make(venue, ())
    told = machine.receive(answer(venue, "list", json.dumps(rows).encode()))
    return list(machine.offers().values()), sum(event.unread for event in told if isinstance(event, Instruments))


def test_a_count_of_decimals_that_cannot_be_one_and_a_limit_below_zero_are_left_out() -> None:
    good = gate.ROWS[0]
    wrong = [{**gate.ROWS[2], "precision": 400}, {**gate.ROWS[2], "amount_precision": -1}, {**gate.ROWS[2], "min_base_amount": "-1"}]
    found, unread = read("gate", good, *wrong)
    assert ([i.native for i in found], unread) == (["BTC_USDT"], 3)


@pytest.mark.parametrize(
    ("least", "fractions", "lot", "smallest"),
    [(1, False, 0.01, 0.01), ("5", False, 0.01, 0.05), ("0.1", True, 0.001, 0.001), (0, True, 0.0, 0.0), (2.5, True, 0.025, 0.025)],
)
def test_a_contract_trades_whole_or_in_steps_of_its_least_size(least: Any, fractions: bool, lot: float, smallest: float) -> None:
    (found,), unread = read("gate_futures", gate_futures.row("ETH_USDT", "0.01", "0.01", least, enable_decimal=fractions))
    assert unread == 0 and (found.lot, found.min_size) == (pytest.approx(lot), pytest.approx(smallest))


def test_a_contract_of_unknown_worth_or_name_is_left_out_and_older_rows_without_a_state_trade() -> None:
    old = gate_futures.row("SOL_USDT", "1", "0.01", 1)
    del old["status"], old["enable_decimal"]
    worthless, nameless = gate_futures.row("X_USDT", "0", "0.01", 1), gate_futures.row("USDT", "1", "0.01", 1)
    found, unread = read("gate_futures", worthless, nameless, old)
    assert ([(i.native, i.status) for i in found], unread) == ([("SOL_USDT", "trading")], 2)


def test_a_million_coins_a_contract_is_a_size_and_no_price() -> None:
    """A contract of 1e7 PEPE is priced per coin: nothing is moved."""
    machine = make("gate_futures", ("PEPE-USDT-PERP",))
    machine.receive(answer("gate_futures", "list", json.dumps(gate_futures.ROWS).encode()))
    market = machine.market_of("PEPE_USDT")
    assert market is not None and (market.base, market.contract_value, market.tick) == ("PEPE", 1e7, 1e-10)


@pytest.mark.parametrize("venue", ["gate", "gate_futures"])
def test_the_simulated_list_is_refused_beyond_200_requests_in_10_s(venue: str) -> None:
    server, path = GateServer(SampleMarket(1, listings((venue,))), venue, clock=lambda: 0.0), LISTS[venue]
    assert {server.rest(path, {}, 0.01 * i).status for i in range(200)} == {200}
    assert (server.rest(path, {}, 3.0).status, server.rest("/api/v4/spot/time", {}, 3.0).status) == (429, 404)
    assert server.rest(path, {}, 12.0).status == 200
