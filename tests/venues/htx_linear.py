"""A session of this venue: packed frames, every third one as text; sizes are contracts of 0.001 BTC."""

from __future__ import annotations

import json
from typing import Any

from dope.types import Instrument
from tests.frames import opened
from tests.venues.htx import AT, alternating, said

KEY = "htx_linear:BTC-USDT-PERP"
SYMBOLS = ("BTC-USDT-PERP",)
FOREIGN = ("ETH-USDT-PERP",)
CHANNEL = "depth.size_150.high_freq"
BOOK = f"market.BTC-USDT.{CHANNEL}"


def book(event: str, version: int, bids: list[list[float]], asks: list[list[float]], at: int = AT) -> dict[str, Any]:
    tick = {"asks": asks, "bids": bids, "ch": BOOK, "event": event, "id": 8, "mrid": 8, "ts": at, "version": version}
    return said(CHANNEL, tick, at, "BTC-USDT")


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("market"),
        *alternating(
            {"id": BOOK, "subbed": BOOK, "ts": AT, "status": "ok"},
            book("snapshot", 100, [[float(low), 1000], [99.5, 3000]], [[100.6, 1000], [float(high), 2000]]),
            book("update", 101, [[99.9, 2000]], []),
            book("update", 102, [[100, 1500]], []),
            book("update", 103, [], [[100.5, 750]]),
            book("update", 104, [[99.5, 0]], [[100.9, 5000]]),
            book("update", 105, [[99.7, 1e3]], []),
        ),
    ]


def row(code: str, size: float, tick: float, status: int = 1) -> dict[str, Any]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    kind = "swap" if code.count("-") == 1 else "futures"
    named = {"symbol": code.partition("-")[0], "contract_code": code, "contract_size": size, "price_tick": tick, "delivery_time": ""}
    return {**named, "create_date": "20201021", "contract_status": status, "support_margin_mode": "all", "business_type": kind}


ROWS = [
    row("BTC-USDT", 0.001, 0.1),
    row("PEPE-USDT", 1000000.0, 1e-11),
    row("ETH-USDT", 0.01, 0.01, 5),
    row("OLD-USDT", 10, 0.0001, 3),
    row("BTC-USDT-261225", 0.001, 0.1),
    row("BTC-HUSD", 0.001, 0.1),
]
LISTS = {"list": json.dumps({"status": "ok", "data": ROWS, "ts": 1641880897191}, separators=(",", ":")).encode()}
LISTED = (
    Instrument("htx_linear", "BTC-USDT-PERP", "BTC-USDT", "BTC", "USDT", "perp", 0.001, False, 0.1, 0.001, 0.001),
    Instrument("htx_linear", "PEPE-USDT-PERP", "PEPE-USDT", "PEPE", "USDT", "perp", 1e6, False, 1e-11, 1e6, 1e6),
    Instrument("htx_linear", "ETH-USDT-PERP", "ETH-USDT", "ETH", "USDT", "perp", 0.01, False, 0.01, 0.01, 0.01),
    Instrument("htx_linear", "OLD-USDT-PERP", "OLD-USDT", "OLD", "USDT", "perp", 10.0, False, 0.0001, 10.0, 10.0, 0.0, "suspended"),
    Instrument("htx_linear", "BTC-USDT-261225", "BTC-USDT-261225", "BTC", "USDT", "future", 0.001, False, 0.1, 0.001, 0.001),
)
