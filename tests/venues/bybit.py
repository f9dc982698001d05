"""A session of Bybit spot: depth 50 from its snapshot on, as the venue writes it there (``ts`` before ``type``)."""

from __future__ import annotations

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
