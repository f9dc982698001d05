"""A session of Gate spot: books of 400 levels from the whole one on, one message without levels among them."""

from __future__ import annotations

from typing import Any

from tests.frames import data, opened

KEY = "gate:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)
Side = list[tuple[str, str]]


def book(first: int, last: int, bids: Side, asks: Side, *, full: bool = False, stream: str = "ob.BTC_USDT.400") -> tuple[int, bytes]:
    """A whole book has only its last number; sides without changes are absent."""
    whole, number = ({"full": True}, {}) if full else ({}, {"U": first})
    head: dict[str, Any] = {"t": 1700000000000, **whole, "s": stream, **number, "u": last}
    sides = {name: side for name, side in (("b", bids), ("a", asks)) if side}
    return data({"channel": "spot.obu", "result": {**head, **sides}, "time_ms": 1700000000003, "event": "update"})


def update(channel: str, result: object) -> tuple[int, bytes]:
    return data({"time": 1700000000, "time_ms": 1700000000003, "channel": channel, "event": "update", "result": result})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    answer = {"channel": "spot.obu", "event": "subscribe", "payload": ["ob.BTC_USDT.400"], "result": {"status": "success"}}
    return [
        opened("spot"),
        data({"time": 1700000000, "time_ms": 1700000000001, "conn_id": "06a3", "trace_id": "1dc9", **answer}),
        book(0, 100, [(low, "1"), ("99.5", "3")], [("100.6", "1"), (high, "2")], full=True),
        book(101, 104, [("99.9", "2")], []),
        book(105, 105, [], []),
        book(106, 107, [("100", "1.5")], []),
        book(108, 110, [], [("100.5", "0.75")]),
        book(111, 111, [("99.5", "0")], [("100.9", "5")]),
        book(112, 120, [("99.7", "1")], []),
    ]
