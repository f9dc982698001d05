"""Basis, triangles and conversions, asked of a session and over REST: what is known is told in plain fields, nothing is no error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from dope.readings import READINGS
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import BookUpdate, Event, Funding, Instrument, Listed, Tick
from tests.api.house import serving
from tests.test_session import make, settings

MS, NS = 1_000_000, 1_000_000_000
HOUR = 3600 * NS
T0 = 1_800_000_000 * NS - 1_800_000_000 * NS % (24 * HOUR)


class Running:
    """A session whose books are set by hand, at its own clock."""

    def __init__(self, folder: Path) -> None:
        self.session: Session = make(settings(folder, record=False))
        self.now, self.seq = T0, 0
        self.shown: dict[str, tuple[float, float]] = {}

    def touch(self, key: str, bid: float, ask: float) -> None:
        venue, _, symbol = key.partition(":")
        base, quote, *more = symbol.split("-")
        market = self.session.engine.market
        found: list[Event] = []
        if key not in market.books:
            instrument = Instrument(venue, symbol, symbol, base, quote, "perp" if more else "spot")
            market.open_book(instrument, self.now, "", 1000.0)
            found.append(Listed(self.now, instrument))
        self.seq += 1
        self.shown[key] = bid, ask
        sides = [json.dumps([[f"{price:.8f}", "100"]]).encode() for price in (bid, ask)]
        found += market.apply(BookUpdate(self.now, key, 0, True, self.seq, *sides), 1)
        for event in found:
            self.session.engine.detect(event, [])

    def confirm(self) -> None:
        """All books speak once more."""
        for key, touch in self.shown.items():
            self.touch(key, *touch)

    def tick(self, s: float) -> None:
        self.now += round(s * NS)
        self.session.engine.market.now = self.now
        self.session.engine.detect(Tick(self.now, 0), [])

    def ask(self, kind: str, symbol: str = "", **args: Any) -> Any:
        return READINGS[kind](self.session, Asked(symbol, 0, 0, 0, args, self.now, lambda read: read()))


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """A quarter of an hour of three spot markets of a triangle, two perpetuals, and a coin against the dollar."""
    run = Running(tmp_path)
    for k in range(90):
        run.touch("okx:BTC-USDT", 59_999.0, 60_001.0)
        run.touch("okx:ETH-BTC", 0.04999, 0.05)
        run.touch("okx:ETH-USDT", 2999.0, 3000.0)
        run.touch("kraken:BTC-USD", 58_700.0, 58_702.0)
        run.touch("kraken:USDT-USD", 0.9780, 0.9784)
        run.touch("okx:BTC-USDT-PERP", 59_969.0 + (k == 89) * 60.0, 59_971.0 + (k == 89) * 60.0)
        run.touch("binance_usdm:BTC-USDT-PERP", 60_059.0, 60_061.0)
        run.session.engine.market.funding["binance_usdm:BTC-USDT-PERP"] = Funding(
            run.now, "binance_usdm:BTC-USDT-PERP", 0, 0.0003, T0 + 8 * HOUR, None
        )
        run.tick(10.0)
    run.confirm()
    return run


def test_bases_rank_by_their_deviation_and_tell_both_sides_in_plain_fields(running: Running) -> None:
    rows = running.ask("basis", "BTC")
    pairs = [(row["a"].partition(":")[0], row["b"].partition(":")[0], row["kind"]) for row in rows]
    assert set(pairs) == {("okx", "okx", "spot-perp"), ("okx", "binance_usdm", "spot-perp"), ("okx", "binance_usdm", "perp-perp")}
    away = [abs(row["deviation_bps"]) for row in rows]
    assert away == sorted(away, reverse=True) and away[-1] == pytest.approx(0.0, abs=1e-9)
    row = rows[-1]
    assert row["b"] == "binance_usdm:BTC-USDT-PERP" and row["basis_bps"] == pytest.approx(10.0)
    assert (row["funding_a"], row["funding_b"]["rate_bps"], row["funding_b"]["interval_h"]) == (None, pytest.approx(3.0), 8.0)
    assert row["funding_b"]["annual_pct"] == pytest.approx(32.85) and row["funding_b"]["next"] == (T0 + 8 * HOUR) // MS
    long = row["long_a"]
    assert long["settlements_b"] == 3 and long["funding_bps"] == pytest.approx(9.0)
    assert long["net_bps"] == pytest.approx(long["funding_bps"] + long["convergence_bps"] - long["fees_bps"])
    assert running.ask("basis", "BTC", hold_h=48.0)[-1]["long_a"]["settlements_b"] == 6
    assert running.ask("basis", "DOGE") == []


def test_triangles_and_conversions_tell_what_is_nearest_and_why_it_is_none(running: Running) -> None:
    told = running.ask("triangles")
    assert told["ways"] == 2 and not told["rows"] and told["nearest"][0]["net_bps"] < 0.0
    running.touch("okx:ETH-USDT", 3100.0, 3101.0)
    running.tick(0.01)
    told = running.ask("triangles", "ETH")
    assert [(row["path"], row["state"]) for row in told["rows"]] == [(["USDT", "BTC", "ETH", "USDT"], "open")] and told["opened"] == 1
    assert told["rows"][0]["opened"] == running.now // MS and told["nearest"][0]["open"]
    said = running.ask("conversions", "BTC")
    (exchange,) = said["exchanges"]
    assert exchange["market"] == "kraken:USDT-USD" and exchange["off"] and exchange["off_bps"] == pytest.approx(-218.0)
    assert {(row["buy"], row["sell"]) for row in said["pairs"]} == {
        ("okx:BTC-USDT", "kraken:BTC-USD"), ("kraken:BTC-USD", "okx:BTC-USDT"),
    }  # fmt: skip
    assert all(row["via"] == "kraken:USDT-USD" and abs(row["net_bps"]) < 100.0 < abs(row["naive_bps"]) for row in said["pairs"])
    assert running.ask("conversions", "BTC", comparable=True)["pairs"] == said["pairs"]
    assert running.ask("conversions", "BTC", comparable=False)["pairs"] == [], "all can be compared"


def test_the_routes_tell_the_same_and_nothing_is_no_error(running: Running) -> None:
    with serving() as house:
        assert httpx.get(f"{house.url}/api/v1/basis").json() == {"rows": []}
        assert httpx.get(f"{house.url}/api/v1/triangles").json() == {"ways": 0, "opened": 0, "rows": [], "nearest": []}
        assert httpx.get(f"{house.url}/api/v1/conversions").json() == {"exchanges": [], "implied": [], "pairs": []}
        running.touch("okx:ETH-USDT", 3100.0, 3101.0)
        running.tick(0.01)
        for kind in ("basis", "triangles", "conversions"):
            house.publisher.readings[kind] = running.ask(kind)
        rows = house.get("/api/v1/basis", symbol="BTC", hold=12).json()["rows"]
        assert house.publisher.asked[-1][1] == "BTC" and house.publisher.asked[-1][-1] == {"hold_h": 12.0}
        assert len(rows) == 3 and rows[-1]["funding_b"]["next"].startswith("2027-01-15T08:00")
        assert house.get("/api/v1/triangles").json()["rows"][0]["state"] == "open"
        assert house.get("/api/v1/conversions").json()["exchanges"][0]["off"]
        assert httpx.get(f"{house.url}/api/v1/basis", params={"hold": 0}).status_code == 422
