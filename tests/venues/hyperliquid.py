"""A session of this venue: an acknowledgement, the touch, then whole books."""

from __future__ import annotations

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
