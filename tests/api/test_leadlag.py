"""``/api/v1/leadlag`` and ``/clocks``: what was asked reaches the reading, what it says reaches the client in the shape described."""

from __future__ import annotations

from pathlib import Path

import httpx

from dope.readings.asked import Asked
from dope.readings.clocks import clock_rows
from dope.readings.leadlag import LeadLag
from tests.api.house import serving
from tests.test_leadlag import NS, T0, ask, session_of


def test_a_finding_is_told_with_its_evidence_and_nothing_is_no_error(tmp_path: Path) -> None:
    finding = ask(LeadLag(), session_of(tmp_path, {"okx": 0, "kraken": 40}), clock="exchange")
    with serving() as house:
        empty = httpx.get(f"{house.url}/api/v1/leadlag").json()
        assert (empty["at"], empty["markets"], empty["pairs"], empty["series"], empty["clock"]) == (None, [], [], "quotes", "receipt")
        house.publisher.readings["leadlag"] = finding
        asked = {"symbol": "BTC", "clock": "exchange", "window": 120, "grid": "wide", "series": "trades", "venue": "okx"}
        told = house.get("/api/v1/leadlag", **asked).json()
        assert house.publisher.asked[-1][1] == "BTC"
        assert house.publisher.asked[-1][-1] == {"window_s": 120.0, "series": "trades", "clock": "exchange", "grid": "wide",
                                                     "discovery": False, "venues": ["okx"]}  # fmt: skip
        (row,) = told["pairs"]
        assert (row["leader"], row["state"], row["at"][:4]) == ("okx:BTC-USDT", "leads", "2027")
        assert abs(row["lag_ms"] + 40) <= 5
        assert set(row["clocks"]) == {"receipt", "exchange", "corrected"}
        assert {market["venue"] for market in told["markets"]} == {"okx", "kraken"}
        assert httpx.get(f"{house.url}/api/v1/leadlag", params={"window": 5}).status_code == 422
        assert httpx.get(f"{house.url}/api/v1/leadlag", params={"clock": "sundial"}).status_code == 422


def test_clocks_are_told_with_how_sure_they_are(tmp_path: Path) -> None:
    session = session_of(tmp_path, {"okx": 0, "kraken": 40}, {"okx": 300})
    found = clock_rows(session, Asked("", 0, 0, 0, {}, T0 + 300 * NS, lambda read: read()))
    with serving() as house:
        assert house.get("/api/v1/clocks").json()["venues"] == []
        house.publisher.readings["clocks"] = found
        told = house.get("/api/v1/clocks").json()
        rows = {row["venue"]: row for row in told["venues"]}
        assert set(rows) == {"okx", "kraken"}
        assert rows["okx"]["floor_ms"] < -290 < 3 <= rows["kraken"]["floor_ms"]
        assert rows["okx"]["excess_p50_ms"] >= 0
        assert [row["state"] for row in told["books"]] == ["SYNCING"] * 2
