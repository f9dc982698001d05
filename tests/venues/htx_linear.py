"""A session of this venue: packed frames, every third one as text; sizes are contracts of 0.001 BTC."""

from __future__ import annotations

from typing import Any

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
