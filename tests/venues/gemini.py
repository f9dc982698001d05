"""A session of this venue: the whole book, then differences that begin with the number of the one before."""

from __future__ import annotations

from collections.abc import Sequence

from tests.frames import T0, data, opened

KEY = "gemini:BTC-USD"
SYMBOLS = ("BTC-USD",)
FOREIGN = ("ETH-USD",)

Levels = Sequence[tuple[str, str]]


def depth(first: int, last: int, bids: Levels, asks: Levels, symbol: str = "btcusd") -> tuple[int, bytes]:
    return data({"e": "depthUpdate", "E": T0, "s": symbol, "U": first, "u": last, "b": list(bids), "a": list(asks)})


def touch(number: int, bid: str, bid_size: str, ask: str, ask_size: str) -> tuple[int, bytes]:
    return data({"u": number, "E": T0, "s": "btcusd", "b": bid, "B": bid_size, "a": ask, "A": ask_size, "c": "99.95", "C": "1.0"})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("market"),
        data({"id": 1, "status": 200}),
        depth(100, 100, [(low, "1.0000000000"), ("99.50000", "3")], [("100.60000", "1"), (high, "2"), ("101.00000", "0.5")]),
        depth(100, 105, [("99.90000", "2.0000000000")], []),
        depth(105, 118, [("100.00000", "1.5000000000")], []),
        depth(118, 125, [], [("100.50000", "0.7500000000")]),
        depth(125, 131, [("99.50000", "0.0000000000")], [("100.90000", "5.0000000000")]),
        depth(131, 140, [("99.70000", "1.0000000000")], []),
        depth(140, 150, [], [("101.00000", "0.0000000000")]),
    ]
