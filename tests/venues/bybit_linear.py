"""A session of Bybit linear: depth 50 from its snapshot on, as the venue writes it there (``type`` before ``ts``)."""

from __future__ import annotations

from tests.frames import data, opened

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
