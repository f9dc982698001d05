"""A session of Bybit spot: depth 50 from its snapshot on, as the venue writes it there (``ts`` before ``type``)."""

from __future__ import annotations

import json
from typing import Any

from dope.types import Instrument
from tests.frames import data, opened

KEY = "bybit:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)
Side = list[tuple[str, str]]


def book(kind: str, u: int, bids: Side, asks: Side, *, depth: int = 50, seq: int | None = None) -> tuple[int, bytes]:
    native = "BTCUSDT"
    levels = {"s": native, "b": bids, "a": asks, "u": u, "seq": 70_000 + 3 * u if seq is None else seq}
    topic = f"orderbook.{depth}.{native}"
    return data({"topic": topic, "ts": 1700000000002, "type": kind, "data": levels, "cts": 1700000000000})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("spot"),
        data({"success": True, "ret_msg": "subscribe", "conn_id": "7f1a", "req_id": "1", "op": "subscribe"}),
        book("snapshot", 100, [(low, "1"), ("99.50", "3")], [("100.60", "1"), (high, "2")]),
        book("delta", 101, [("99.90", "2")], []),
        book("delta", 102, [("100.00", "1.5")], []),
        book("delta", 103, [], [("100.50", "0.750000")]),
        book("delta", 104, [("99.50", "0")], [("100.90", "5")]),
        book("delta", 105, [("99.70", "1")], []),
    ]


def listed(category: str, rows: list[dict[str, Any]], cursor: str = "") -> bytes:
    """A page of the list; spot has no cursor."""
    result = {"category": category, "list": rows, **({"nextPageCursor": cursor} if category != "spot" else {})}
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}, separators=(",", ":")).encode()


def row(base: str, quote: str, lot: str, least: str, tick: str, status: str = "Trading") -> dict[str, Any]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    lots = {"basePrecision": lot, "quotePrecision": "0.0000001", "minOrderQty": least, "maxOrderQty": "83", "minOrderAmt": "5"}
    named = {"symbol": base + quote, "baseCoin": base, "quoteCoin": quote, "innovation": "0", "status": status, "marginTrading": "none"}
    return {**named, "lotSizeFilter": lots, "priceFilter": {"tickSize": tick}, "riskParameters": {"priceLimitRatioX": "0.01"}}


ROWS = [
    row("BTC", "USDT", "0.000001", "0.000011", "0.01"),
    row("SOL", "USD1", "0.001", "0.002", "0.01"),
    row("OLD", "XYZ", "0.1", "1", "0.0001", "PreLaunch"),
]
LISTS = {"list": listed("spot", ROWS)}
LISTED = (
    Instrument("bybit", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot", 1.0, False, 0.01, 1e-6, 0.000011, 5.0),
    Instrument("bybit", "SOL-USD1", "SOLUSD1", "SOL", "USD1", "spot", 1.0, False, 0.01, 0.001, 0.002, 5.0),
    Instrument("bybit", "OLD-XYZ", "OLDXYZ", "OLD", "XYZ", "spot", 1.0, False, 0.0001, 0.1, 1.0, 5.0, "prelaunch"),
)
