"""Spreads in the past over the web: what was recorded of a pair, reckoned as plain Python does it, and what was not, said."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dope.api import past
from dope.tables import GAP, SPREAD, History, gap
from tests.api.house import House, serving
from tests.api.publisher import Publisher

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
BUY, SELL = "okx:BTC-USDT", "kraken:BTC-USDT"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving(Publisher(), reads_per_s=10_000, costly_per_min=60_000) as running:
        yield running


def of(values: dict[int, float], other: dict[int, float] | None = None) -> past.Seconds:
    """Gross by second; the other way round −gross of the same second unless given."""
    back = {second: -v for second, v in values.items()} if other is None else other

    def columns(side: dict[int, float]) -> Any:
        return np.array([T0 + second * NS for second in side], dtype=np.int64), np.array(list(side.values()), dtype=np.float64)

    return past.seconds(columns(values), columns(back))


def test_the_mid_spread_is_that_of_the_geometric_mids_and_unknown_where_one_way_has_no_price() -> None:
    bid_a, ask_a, bid_b, ask_b = 100.0, 100.3, 100.9, 101.1
    there, back = (bid_b / ask_a - 1) * 1e4, (bid_a / ask_b - 1) * 1e4
    found = of({0: there, 1: there}, {0: back})
    assert found.mid[0] == pytest.approx(1e4 * math.log(math.sqrt(bid_b * ask_b) / math.sqrt(bid_a * ask_a)), abs=1e-9)
    assert np.isnan(found.mid[1])


def test_lives_are_runs_of_seconds_at_or_above_the_wall_and_a_hole_ends_one() -> None:
    values = dict.fromkeys(range(100), 0.0) | dict.fromkeys([*range(10, 13), 20, *range(40, 48), *range(95, 100)], 10.0)
    del values[43]  # not recorded
    told = past.lives(of(values), 10.0, T0 + 100 * NS)
    assert (told["n"], told["seconds"], told["longest_s"], told["goes_on"]) == (5, 3 + 1 + 3 + 4 + 5, 5, True)
    assert told["median_s"] == statistics.median([3, 1, 3, 4, 5])
    assert not past.lives(of(values), 10.0, T0 + 500 * NS)["goes_on"], "nobody knows how it went on"
    assert past.lives(of(values), 10.1, T0 + 100 * NS)["n"] == 0


def test_a_convergence_is_a_way_back_to_the_mean_and_none_is_counted_across_a_hole() -> None:
    calm = {second: 0.5 * (-1) ** second for second in range(2000)}
    away = {500: 20.0, 501: 20.0, 900: -20.0, 1300: 20.0}  # each back at its mean a second later
    told = past.convergences(of(calm | away))
    assert (told["n"], told["seconds"]) == (3, 2000) and told["per_day"] == pytest.approx(3 / 2000 * 86_400)
    holed = {second: v for second, v in (calm | away).items() if not 1300 < second < 1300 + past.HOLE_S + 5}
    assert past.convergences(of(holed))["n"] == 2
    assert past.convergences(of(dict(list(calm.items())[:500])))["per_day"] is None, "too little to say of a day"
    assert past.convergences(of({}))["n"] == 0


def test_points_hold_all_seconds_and_what_is_not_known_has_none() -> None:
    values = {second: math.sin(second) for second in range(5000) if not 1000 <= second < 2000}
    width, points = past.points(of(values), T0, T0 + 5000 * NS)
    assert len(points) <= past.MAX_POINTS and width == 9
    for point in points:
        first = point["t"] // 1000 - T0 // NS
        inside = [values[second] for second in range(first, first + width) if second in values]
        assert (point["low"], point["high"], point["gross"]) == (min(inside), max(inside), inside[-1])
    times = {point["t"] // 1000 - T0 // NS for point in points}
    assert not any(first >= 1000 and first + width <= 2000 for first in times)
    bins = past.distribution(of(values).gross)
    assert sum(row["n"] for row in bins) == len(values) and len(bins) == past.BINS


def given(house: House, rows: list[dict[str, Any]], gaps: list[dict[str, Any]]) -> None:
    house.publisher.asked.clear()
    table, told = pa.Table.from_pylist(rows, schema=SPREAD), pa.Table.from_pylist(gaps, schema=GAP)
    house.publisher.histories = {"spread": History(table, T0, T0 + 60 * NS, False, told, (), "live")}


def row(second: int, gross: float, *, buy: str = "okx", sell: str = "kraken") -> dict[str, Any]:
    return {"second": T0 + second * NS, "buy_venue": buy, "sell_venue": sell, "gross_bps": gross}


def test_a_pair_is_told_with_its_holes_and_only_two_markets_of_one_symbol_are_one(house: House) -> None:
    rows = [row(n, 3.0 + n) for n in range(4)] + [row(n, -8.0, buy="kraken", sell="okx") for n in range(4)] + [row(0, 99.0, sell="other")]
    given(house, rows, [gap(T0 + 4 * NS, None, "book", "sequence", venue="okx", symbol="BTC-USDT")])
    told = house.get("/api/v1/pair", buy=BUY, sell=SELL, hours=0.5, end=str(T0 // 10**6)).json()
    assert (told["known_s"], told["seconds"], told["gross"]["n"]) == (4, 60, 4)
    assert told["gross"]["mean"] == 4.5 and told["points"][-1]["gross"] == 6.0
    assert told["gaps"][0]["why"] == "sequence" and told["gaps"][0]["until"] is None
    assert told["lives"] is None and told["wall_bps"] is None, "what nobody watches now has no fees to speak of"
    for asked in ({"buy": BUY, "sell": BUY}, {"buy": BUY, "sell": "kraken:ETH-USDT"}, {"buy": "okx", "sell": SELL}):
        assert house.get("/api/v1/pair", **asked).status_code == 422


def test_matrices_of_a_moment_say_of_which_symbol_nothing_was_recorded(house: House) -> None:
    given(house, [row(0, 3.0)], [])
    told = house.get("/api/v1/matrix", at="2023-11-14T22:13:21.700Z", symbol=["BTC-USDT", "BTC-USDT"]).json()
    assert told["at"].startswith("2023-11-14T22:13:21.0") and len(told["rows"]) == 1
    assert told["rows"][0]["recorded"] and told["rows"][0]["cells"] == [{"buy_venue": "okx", "sell_venue": "kraken", "gross_bps": 3.0}]
    given(house, [], [gap(T0, None, "recording", "nothing was recorded")])
    empty = house.get("/api/v1/matrix", at="2023-11-14T22:13:21Z", symbol="BTC-USDT").json()["rows"][0]
    assert (empty["recorded"], empty["cells"], empty["why"]) == (False, [], "nothing was recorded")
    for at, symbol in (("soon", "BTC-USDT"), ("1970-01-01", "BTC-USDT"), ("2023-11-14", "b t c")):
        assert house.get("/api/v1/matrix", at=at, symbol=symbol).status_code == 422
