"""A session of this venue: packed frames, every third one as the text that recordings hold; the snapshot comes on the same socket."""

from __future__ import annotations

import gzip
import json
from typing import Any

from dope.types import Instrument
from tests.frames import DATA, data, opened

KEY = "htx:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)
AT = 1_700_000_000_000  #: ms
BOOK = "market.btcusdt.mbp.150"


def packed(message: Any) -> tuple[int, bytes]:
    return DATA, gzip.compress(data(message)[1], mtime=0)


def said(channel: str, tick: Any, at: int = AT, native: str = "btcusdt") -> dict[str, Any]:
    return {"ch": f"market.{native}.{channel}", "ts": at, "tick": tick}


def diff(before: int, last: int, bids: list[list[float]], asks: list[list[float]], at: int = AT) -> dict[str, Any]:
    return said("mbp.150", {"seqNum": last, "prevSeqNum": before, "asks": asks, "bids": bids}, at)


def snapshot(last: int, bids: list[list[float]], asks: list[list[float]]) -> dict[str, Any]:
    book = {"seqNum": last, "bids": bids, "asks": asks}
    return {"id": f"req {BOOK}", "status": "ok", "ts": AT, "rep": BOOK, "data": book}


def alternating(*messages: Any) -> list[tuple[int, bytes]]:
    return [data(message) if i % 3 == 2 else packed(message) for i, message in enumerate(messages)]


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("feed"),
        *alternating(
            {"id": BOOK, "status": "ok", "subbed": BOOK, "ts": AT},
            diff(95, 100, [[99.0, 0.0]], []),
            diff(100, 105, [[99.9, 2.0]], [[100.6, 1.0]]),
            snapshot(105, [[99.9, 2.0], [float(low), 1.0], [99.5, 3.0]], [[100.6, 1.0], [float(high), 2.0]]),
            diff(105, 106, [[100.0, 1.5]], []),
            diff(106, 110, [], [[100.5, 0.75]]),
            diff(110, 112, [[99.5, 0.0]], [[100.9, 5.0]]),
            diff(112, 115, [[99.7, 1.0]], []),
        ),
    ]


def row(base: str, quote: str, decimals: tuple[int, int], least: tuple[float, float], state: str = "online") -> dict[str, Any]:
    """As the venue writes it, cut to the fields that are read and a few that are not; decimals of (price, size)."""
    named = {"symbol": base + quote, "state": state, "bc": base, "qc": quote, "pp": decimals[0], "ap": decimals[1], "sp": "main", "vp": 8}
    limits = {"minoa": least[0], "maxoa": 199.0515, "minov": least[1], "lominoa": least[0], "lomaxoa": 199.0515, "blmlt": 1.1}
    return {**named, **limits, "at": "enabled", "tags": "activities"}


ROWS = [
    row("btc", "usdt", (2, 6), (0.00001, 10)),
    row("new", "usdd", (8, 0), (1, 0.5), "pre-online"),
    row("old", "xyz", (4, 2), (0.01, 1), "offline"),
]
LISTS = {"list": json.dumps({"status": "ok", "data": ROWS, "ts": "1641880897191", "full": 1}, separators=(",", ":")).encode()}
LISTED = (
    Instrument("htx", "BTC-USDT", "btcusdt", "BTC", "USDT", "spot", 1.0, False, 0.01, 1e-6, 1e-5, 10.0),
    Instrument("htx", "NEW-USDD", "newusdd", "NEW", "USDD", "spot", 1.0, False, 1e-8, 1.0, 1.0, 0.5, "pre-online"),
    Instrument("htx", "OLD-XYZ", "oldxyz", "OLD", "XYZ", "spot", 1.0, False, 0.0001, 0.01, 0.01, 1.0, "offline"),
)
