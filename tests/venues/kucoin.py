"""A session of this venue: changes with numbers of their own, among them some of price 0, and a REST snapshot."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dope.types import Instrument
from tests.frames import data, opened, reply

KEY = "kucoin:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)

Rows = Sequence[tuple[str, str, str]]


def message(channel: str, body: object, name: str = "BTC-USDT") -> tuple[int, bytes]:
    return data({"type": "message", "topic": f"{channel}:{name}", "subject": "trade", "data": body})


def changes(first: int, last: int, bids: Rows, asks: Rows, name: str = "BTC-USDT") -> tuple[int, bytes]:
    body = {"changes": {"asks": asks, "bids": bids}, "sequenceEnd": last, "sequenceStart": first, "symbol": name, "time": 1700000000000}
    return message("/market/level2", body, name)


def snapshot(sequence: int, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], name: str = "BTC-USDT") -> tuple[int, bytes]:
    book = {"time": 1700000000000, "sequence": str(sequence), "bids": bids, "asks": asks}
    return reply(f"depth:{name}", {"code": "200000", "data": book})


def ticker(sequence: int, bid: str, ask: str) -> tuple[int, bytes]:
    body = {"bestAsk": ask, "bestAskSize": "2", "bestBid": bid, "bestBidSize": "3", "price": bid, "sequence": str(sequence), "size": "1"}
    return message("/market/ticker", {**body, "time": 1700000000000})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("spot"),
        data({"id": "hQvf8jkno", "type": "welcome"}),
        changes(99, 100, [("99.2", "5", "99"), ("0", "0", "100")], []),
        changes(101, 105, [("99.9", "2", "103")], [("100.6", "1", "105"), ("0", "0", "104")]),
        snapshot(102, [(low, "1"), ("99.5", "3")], [(high, "2")]),
        changes(106, 106, [("100", "1.5", "106")], []),
        changes(107, 107, [], [("0", "0", "107")]),
        changes(108, 109, [], [("100.5", "0.75", "109"), ("100.5", "9", "108")]),
        changes(110, 112, [("99.5", "0", "110")], [("100.9", "5", "112")]),
        changes(113, 113, [("99.7", "1", "113")], []),
    ]


def market(symbol: str, tick: str, lot: str, least: str, **more: object) -> dict[str, object]:
    """A row of the list; all of them are spot."""
    base, _, quote = symbol.partition("-")
    names = {"symbol": symbol, "name": symbol, "baseCurrency": base, "quoteCurrency": quote, "feeCurrency": quote, "market": "USDS"}
    sizes = {"baseMinSize": least, "quoteMinSize": "0.2", "baseMaxSize": "10000", "baseIncrement": lot, "quoteIncrement": "0.000001"}
    return {**names, **sizes, "priceIncrement": tick, "minFunds": "0.1", "isMarginEnabled": True, "enableTrading": True, **more}


LISTS = {
    "list": json.dumps(
        {
            "code": "200000",
            "data": [
                market("BTC-USDT", "0.1", "0.00000001", "0.00001"),
                market("PEPE-KCS", "0.0000000001", "1", "100", minFunds=None, name="PEPE2-KCS"),
                market("OLD-BTC", "0.0000001", "0.01", "1", minFunds="0.000001", enableTrading=False),
            ],
        }
    ).encode()
}
LISTED = (
    Instrument("kucoin", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot", 1.0, False, 0.1, 1e-8, 0.00001, 0.1),
    Instrument("kucoin", "PEPE-KCS", "PEPE-KCS", "PEPE", "KCS", "spot", 1.0, False, 1e-10, 1.0, 100.0, 0.0),
    Instrument("kucoin", "OLD-BTC", "OLD-BTC", "OLD", "BTC", "spot", 1.0, False, 1e-7, 0.01, 1.0, 1e-6, "disabled"),
)
