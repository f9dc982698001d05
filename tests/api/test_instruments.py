"""The search for markets that could be watched: which come first, at which venues, in which words it says no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.house import House, serving
from tests.api.publisher import MARKETS, listed


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    house.publisher.listed = [
        *(listed(*market) for market in MARKETS), listed("kraken", "BTC-USD", native="XBT/USD", source="table"),
        listed("okx", "ETH-BTC"), listed("okx", "WBTC-BTC", status="suspend"), listed("hyperliquid", "PEPE-USDC-PERP", native="kPEPE"),
        listed("binance_coinm", "BTC-USD-PERP", native="BTCUSD_PERP", inverse=True, contract_value=None),
    ]  # fmt: skip
    house.publisher.publish()


def found(house: House, **asked: Any) -> list[str]:
    return [f"{row['venue']}:{row['symbol']}" for row in house.get("/api/v1/instruments", **asked).json()["rows"]]


def test_any_spelling_finds_the_market_at_every_venue_that_lists_it(house: House) -> None:
    everywhere = ["binance_spot:BTC-USDT", "okx:BTC-USDT"]
    assert found(house, q="BTC/USDT") == everywhere
    assert found(house, q="btc-usdt")[:2] == everywhere
    assert found(house, q="BTCUSDT")[:4] == [*everywhere, "binance_usdm:BTC-USDT-PERP", "okx:BTC-USDT-PERP"]
    assert found(house, q="xbt/usd") == ["kraken:BTC-USD"]
    assert found(house, q="1000PEPEUSDC") == found(house, q="KPEPE/USDC:USDC") == found(house, q="kpepe") == ["hyperliquid:PEPE-USDC-PERP"]
    assert found(house, q="BTC/USD:BTC") == ["binance_coinm:BTC-USD-PERP"]
    assert found(house, q="nothing like it") == found(house, q="日本") == []


def test_a_row_says_all_that_is_known_of_the_market(house: House) -> None:
    answer = house.get("/api/v1/instruments", q="BTCUSD_PERP").json()
    assert answer["rows"] == [{
        "venue": "binance_coinm", "symbol": "BTC-USD-PERP", "native": "BTCUSD_PERP", "ccxt": "BTC/USD:BTC", "base": "BTC", "quote": "USD",
        "kind": "perp", "tick": 0.01, "lot": 0.001, "min_size": 0.0, "min_notional": 5.0, "contract_value": None, "inverse": True,
        "status": "trading", "watched": False, "source": "list",
    }]  # fmt: skip
    assert (answer["q"], answer["meant"], answer["count"], answer["more"]) == ("BTCUSD_PERP", ["BTC-USD-PERP"], 1, False)
    row = house.get("/api/v1/instruments", q="okx:eth-usdt").json()["rows"][0]
    assert (row["venue"], row["watched"], row["source"], row["ccxt"]) == ("okx", True, "list", "ETH/USDT")


def test_without_a_text_what_is_watched_comes_first_and_every_venue_is_named_with_its_counts(house: House) -> None:
    answer = house.get("/api/v1/instruments", limit=len(MARKETS) + 1).json()
    assert [row["watched"] for row in answer["rows"]] == [True] * len(MARKETS) + [False]
    assert answer["more"] is True
    assert {row["venue"]: row["label"] for row in answer["venues"]}["kraken"] == "KRAKEN"
    counts = {row["venue"]: (row["listed"], row["watched"]) for row in answer["venues"]}
    assert counts == {"binance_coinm": (1, 0), "binance_spot": (2, 2), "binance_usdm": (1, 1), "hyperliquid": (1, 0), "kraken": (1, 0),
                      "okx": (5, 3)}  # fmt: skip


def test_one_venue_alone_and_no_more_rows_than_asked_for(house: House) -> None:
    assert found(house, q="btc", venue="okx") == ["okx:BTC-USDT", "okx:BTC-USDT-PERP", "okx:ETH-BTC", "okx:WBTC-BTC"]
    assert found(house, q="btc", limit=1) == ["binance_spot:BTC-USDT"]
    assert house.get("/api/v1/instruments", q="btc", limit=1).json()["more"] is True


def test_what_cannot_be_meant_is_refused_in_words(house: House) -> None:
    answer = house.get("/api/v1/instruments", venue="okxx")
    assert answer.status_code == 404 and "okx" in answer.text
    assert house.get("/api/v1/instruments", q="x" * 81).status_code == 422
    assert house.get("/api/v1/instruments", limit=501).status_code == house.get("/api/v1/instruments", limit=0).status_code == 422
