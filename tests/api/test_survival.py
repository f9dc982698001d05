"""Survival and the market map over HTTP, from a real session in which one opportunity opened."""

from __future__ import annotations

from typing import Any

import pytest

from dope.readings import READINGS, Asked
from dope.types import TICK
from tests.api.house import serving
from tests.api.market_desk import live
from tests.frames import okx_book

SELL = "okx:BTC-USDT"


def test_what_became_of_an_opening_is_told_per_pair_and_in_total(tmp_path: Any) -> None:
    desk = live(tmp_path)

    def of(kind: str) -> Any:
        def answer(args: dict[str, Any]) -> Any:
            assert desk.session is not None
            return READINGS[kind](desk.session, Asked("", 0, 0, 0, args, desk.session.engine.market.now, lambda read: read()))

        return answer

    desk.publisher.readings |= {kind: of(kind) for kind in ("survival", "market_map")}
    assert desk.session is not None
    with serving(desk.publisher) as house:
        empty = house.get("/api/v1/survival").json()
        assert (empty["total"]["openings"], empty["pairs"], empty["latency_ms"]) == (0, [], 100.0)
        assert house.get("/api/v1/market-map").json()["rows"] == []
        book = desk.session.engine.market.books[SELL]
        gone = [(price, "0") for price in ("100.5", "100.6", "100.7", "100.9")]
        desk.step("", (TICK, b"0"))
        desk.step("okx", okx_book("update", book.seq + 1, book.seq, [("101.4", "1")], [*gone, ("101.5", "1")]), conn=2)
        desk.step("", *[(TICK, b"0")] * 12)
        told = house.get("/api/v1/survival").json()
        (pair,) = told["pairs"]
        assert (pair["symbol"], pair["buy_venue"], pair["sell_venue"]) == ("BTC-USDT", "binance_spot", "okx")
        assert (pair["openings"], pair["open"]) == (1, 1)
        looked = [row for row in pair["fills"] if row["n"]]
        assert [row["ms"] for row in looked] == [0, 10, 20, 50, 100] and all(row["share"] == 1.0 for row in looked)
        assert pair["fills_at_latency"]["ms"] == 100 and pair["fills_at_latency"]["low"] < 0.5
        assert told["since_ms"] and told["total"]["openings"] == 1
        assert house.get("/api/v1/survival", sell_venue="binance_spot").json()["total"]["openings"] == 0
        (row,) = house.get("/api/v1/market-map").json()["rows"]
        assert (row["sell_venue"], row["openings"]) == ("okx", 1)
        assert (row["late_venue"], row["late_share"]) == ("okx", 1.0), "its stamp was much older than those before it"
        assert row["per_hour"] == pytest.approx(60.0), "rates are of at least a minute"
