"""A session of this venue: an acknowledgement, the touch, then whole books."""

from __future__ import annotations

import json

from dope.types import Instrument
from tests.frames import data, opened

KEY = "hyperliquid:BTC-USDC-PERP"
SYMBOLS = ("BTC-USDC-PERP",)
FOREIGN = ("ETH-USDC-PERP",)


def response(kind: str, coin: str = "BTC", method: str = "subscribe") -> tuple[int, bytes]:
    return data({"channel": "subscriptionResponse", "data": {"method": method, "subscription": {"type": kind, "coin": coin}}})


def level(price: str, size: str) -> dict[str, object]:
    return {"px": price, "sz": size, "n": 3}


def book(time: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]], coin: str = "BTC") -> tuple[int, bytes]:
    levels = [[level(*bid) for bid in bids], [level(*ask) for ask in asks]]
    return data({"channel": "l2Book", "data": {"coin": coin, "time": time, "levels": levels}})


def bbo(time: int, bid: tuple[str, str] | None, ask: tuple[str, str] | None) -> tuple[int, bytes]:
    sides = [level(*side) if side else None for side in (bid, ask)]
    return data({"channel": "bbo", "data": {"coin": "BTC", "time": time, "bbo": sides}})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    t = 1_700_000_000_000
    bids, asks = [(low, "1.0"), ("99.5", "3.0")], [(high, "2.0")]
    return [
        opened(),
        response("l2Book"),
        bbo(t, (low, "1.0"), (high, "2.0")),
        book(t, bids, asks),
        book(t + 1, [("99.9", "2.0"), *bids], asks),
        book(t + 2, [("100.0", "1.0"), *bids], asks),
        book(t + 3, [("100.0", "1.5"), *bids], [("100.6", "1.0"), *asks]),
        book(t + 4, [("100.0", "1.5"), *bids], [("100.5", "0.75"), *asks]),
        book(t + 5, [("100.0", "1.5"), *bids, ("99.0", "4.0")], [("100.5", "0.75"), *asks]),
        book(t + 6, [("100.0", "1.5"), *bids, ("99.1", "1.0")], [("100.5", "0.75"), *asks, ("101.0", "9.0")]),
    ]


def market(name: str, decimals: int, **more: object) -> dict[str, object]:
    """A row of the list."""
    return {"szDecimals": decimals, "name": name, "maxLeverage": 40, "marginTableId": 56, **more}


UNIVERSE = (
    (market("BTC", 5), "121366.0"),
    (market("kPEPE", 0), "0.0123456"),
    (market("SOL", 2), "99.9996"),
    (market("GOLD", 0), "999996.0"),
    (market("CHEAP", 1), "0.0123456"),
    (market("OLD", 1, isDelisted=True, onlyIsolated=True), None),
    (market("xyz:NVDA", 3), "180.5"),
)
META = {"universe": [row for row, _ in UNIVERSE], "marginTables": [[56, {"description": "", "marginTiers": []}]], "collateralToken": 0}
LISTS = {"list": json.dumps([META, [{"funding": "0.0000125", "markPx": price, "oraclePx": price} for _, price in UNIVERSE]]).encode()}
LISTED = (
    Instrument("hyperliquid", "BTC-USDC-PERP", "BTC", "BTC", "USDC", "perp", 1.0, False, 1.0, 0.00001, 0.0, 10.0),
    Instrument("hyperliquid", "PEPE-USDC-PERP", "kPEPE", "PEPE", "USDC", "perp", 1000.0, False, 1e-9, 1000.0, 0.0, 10.0),
    Instrument("hyperliquid", "SOL-USDC-PERP", "SOL", "SOL", "USDC", "perp", 1.0, False, 0.01, 0.01, 0.0, 10.0),
    Instrument("hyperliquid", "GOLD-USDC-PERP", "GOLD", "GOLD", "USDC", "perp", 1.0, False, 1.0, 1.0, 0.0, 10.0),
    Instrument("hyperliquid", "CHEAP-USDC-PERP", "CHEAP", "CHEAP", "USDC", "perp", 1.0, False, 0.00001, 0.1, 0.0, 10.0),
    Instrument("hyperliquid", "OLD-USDC-PERP", "OLD", "OLD", "USDC", "perp", 1.0, False, 0.00001, 0.1, 0.0, 10.0, "delisted"),
)
