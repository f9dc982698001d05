"""A session of Gate spot: books of 400 levels from the whole one on, one message without levels among them."""

from __future__ import annotations

import json
from typing import Any

from dope.types import Instrument
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


def row(pair: tuple[str, str], decimals: tuple[int, int], least: tuple[str | None, str | None], status: str = "tradable") -> dict[str, Any]:
    """As the venue writes it, cut to the fields that are read and a few that are not; decimals of (price, size)."""
    named = {"id": "_".join(pair), "base": pair[0], "base_name": pair[0].title(), "quote": pair[1], "quote_name": pair[1], "fee": "0.2"}
    limits = {"min_base_amount": least[0], "min_quote_amount": least[1], "max_base_amount": None, "max_quote_amount": "5000000"}
    rest = {"sell_start": 1516378650, "buy_start": 1516378650, "delisting_time": 0, "type": "normal", "st_tag": False}
    return {**named, **limits, "amount_precision": decimals[1], "precision": decimals[0], "trade_status": status, **rest}


ROWS = [
    row(("BTC", "USDT"), (1, 6), ("0.00001", "3")),
    row(("COIN", "TRY"), (0, 0), (None, None)),
    row(("OLD", "ETH"), (10, 3), ("0.001", "0.0012"), "untradable"),
    row(("NEW", "USDT"), (5, 2), ("1", "3"), "sellable"),
]
del ROWS[1]["min_quote_amount"]
LISTS = {"list": json.dumps(ROWS, separators=(",", ":")).encode()}
LISTED = (
    Instrument("gate", "BTC-USDT", "BTC_USDT", "BTC", "USDT", "spot", 1.0, False, 0.1, 1e-6, 1e-5, 3.0),
    Instrument("gate", "COIN-TRY", "COIN_TRY", "COIN", "TRY", "spot", 1.0, False, 1.0, 1.0, 0.0, 0.0),
    Instrument("gate", "OLD-ETH", "OLD_ETH", "OLD", "ETH", "spot", 1.0, False, 1e-10, 0.001, 0.001, 0.0012, "untradable"),
    Instrument("gate", "NEW-USDT", "NEW_USDT", "NEW", "USDT", "spot", 1.0, False, 1e-5, 0.01, 1.0, 3.0, "sellable"),
)
