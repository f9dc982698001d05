"""A session of Bybit linear: depth 50 from its snapshot on, as the venue writes it there (``type`` before ``ts``)."""

from __future__ import annotations

from typing import Any

from dope.types import Instrument
from tests.frames import data, opened
from tests.venues.bybit import listed

KEY = "bybit_linear:BTC-USDT-PERP"
SYMBOLS = ("BTC-USDT-PERP",)
FOREIGN = ("ETH-USDT-PERP",)
Side = list[tuple[str, str]]


def book(kind: str, u: int, bids: Side, asks: Side, *, depth: int = 50, seq: int | None = None) -> tuple[int, bytes]:
    native = "BTCUSDT"
    levels = {"s": native, "b": bids, "a": asks, "u": u, "seq": 70_000 + 3 * u if seq is None else seq}
    topic = f"orderbook.{depth}.{native}"
    return data({"topic": topic, "type": kind, "ts": 1700000000002, "data": levels, "cts": 1700000000000})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("linear"),
        data({"success": True, "ret_msg": "", "conn_id": "7f1a", "req_id": "1", "op": "subscribe"}),
        book("snapshot", 100, [(low, "1.000"), ("99.50", "3.000")], [("100.60", "1.000"), (high, "2.000")]),
        book("delta", 101, [("99.90", "2.000")], []),
        book("delta", 102, [("100.00", "1.500")], []),
        book("delta", 103, [], [("100.50", "0.750")]),
        book("delta", 104, [("99.50", "0")], [("100.90", "5.000")]),
        book("delta", 105, [("99.70", "1.000")], []),
    ]


def row(names: tuple[str, str, str], kind: str, tick: str, step: str, status: str = "Trading") -> dict[str, Any]:
    """(symbol, base, quote) and the rest as the venue writes it, cut to the fields that are read and a few that are not."""
    lots = {"maxOrderQty": "1190.000", "minOrderQty": step, "qtyStep": step, "maxMktOrderQty": "500.000", "minNotionalValue": "5"}
    named = {"symbol": names[0], "contractType": kind, "status": status, "baseCoin": names[1], "quoteCoin": names[2], "deliveryTime": "0"}
    prices = {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": tick}
    return {**named, "priceScale": "2", "priceFilter": prices, "lotSizeFilter": lots, "fundingInterval": 480, "settleCoin": names[2]}


ROWS = [
    row(("BTCUSDT", "BTC", "USDT"), "LinearPerpetual", "0.10", "0.001"),
    row(("BTCPERP", "BTC", "USDC"), "LinearPerpetual", "0.10", "0.001"),
    row(("1000PEPEUSDT", "1000PEPE", "USDT"), "LinearPerpetual", "0.0000001", "100"),
    row(("SHIB1000USDT", "SHIB1000", "USDT"), "LinearPerpetual", "0.000001", "10", "Settling"),
    row(("10000000AIDOGEUSDT", "10000000AIDOGE", "USDT"), "LinearPerpetual", "0.000001", "1"),
    row(("BTCUSDT-25DEC26", "BTC", "USDT"), "LinearFutures", "0.50", "0.001"),
    row(("BTCUSD", "BTC", "USD"), "InversePerpetual", "0.50", "1"),
]
LISTS = {"list": listed("linear", ROWS)}
LISTED = (
    Instrument("bybit_linear", "BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", "perp", 1.0, False, 0.1, 0.001, 0.001, 5.0),
    Instrument("bybit_linear", "BTC-USDC-PERP", "BTCPERP", "BTC", "USDC", "perp", 1.0, False, 0.1, 0.001, 0.001, 5.0),
    Instrument("bybit_linear", "PEPE-USDT-PERP", "1000PEPEUSDT", "PEPE", "USDT", "perp", 1000.0, False, 1e-10, 1e5, 1e5, 5.0),
    Instrument("bybit_linear", "SHIB-USDT-PERP", "SHIB1000USDT", "SHIB", "USDT", "perp", 1000.0, False, 1e-9, 1e4, 1e4, 5.0, "settling"),
    Instrument("bybit_linear", "AIDOGE-USDT-PERP", "10000000AIDOGEUSDT", "AIDOGE", "USDT", "perp", 1e7, False, 1e-13, 1e7, 1e7, 5.0),
    Instrument("bybit_linear", "BTCUSDT-25DEC26", "BTCUSDT-25DEC26", "BTC", "USDT", "future", 1.0, False, 0.5, 0.001, 0.001, 5.0),
)
