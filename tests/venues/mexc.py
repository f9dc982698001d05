"""A session of this venue: protobuf frames written by hand, field by field, the way the venue's schema says."""

from __future__ import annotations

import json

from dope.types import Instrument
from tests.frames import DATA, data, opened, reply

KEY = "mexc:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)
AT = 1_700_000_000_000  #: ms


def number(n: int) -> bytes:
    return bytes([n & 0x7F | 0x80]) + number(n >> 7) if n > 0x7F else bytes([n])


def part(field: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return number(field << 3) + number(value)
    raw = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(raw)) + raw


def frame(channel: str, field: int, body: bytes, symbol: str = "BTCUSDT", at: int = AT) -> tuple[int, bytes]:
    return DATA, part(1, f"spot@public.{channel}@{symbol}") + part(3, symbol) + part(6, at) + part(field, body)


def level(price: str, size: str) -> bytes:
    return part(1, price) + part(2, size)


def depth(first: int, last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]], at: int = AT) -> tuple[int, bytes]:
    sides = [part(1, level(*row)) for row in asks] + [part(2, level(*row)) for row in bids]
    event = part(3, "spot@public.aggre.depth.v3.api.pb@100ms")
    return frame("aggre.depth.v3.api.pb@100ms", 313, b"".join(sides) + event + part(4, str(first)) + part(5, str(last)), at=at)


def deal(price: str, size: str, side: int, trade_id: str = "698165549569396736X0") -> bytes:
    return part(1, level(price, size) + part(3, side) + part(4, AT + 1) + (part(5, trade_id) if trade_id else b""))


def deals(*rows: bytes) -> tuple[int, bytes]:
    return frame("aggre.deals.v3.api.pb@10ms", 314, b"".join(rows) + part(2, "spot@public.aggre.deals.v3.api.pb@10ms"))


def touch(*texts: str) -> tuple[int, bytes]:
    body = b"".join(part(i, text) for i, text in enumerate(texts, 1) if text)
    return frame("aggre.bookTicker.v3.api.pb@10ms", 315, body)


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened(),
        data({"id": 0, "code": 0, "msg": "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"}),
        depth(95, 100, [("99", "0")], []),
        depth(101, 105, [("99.9", "2")], [("100.6", "1")]),
        reply("depth:BTCUSDT", {"lastUpdateId": 103, "bids": [[low, "1"], ["99.5", "3"]], "asks": [[high, "2"]], "timestamp": AT}),
        depth(106, 106, [("100", "1.5")], []),
        depth(107, 110, [], [("100.5", "0.75")]),
        depth(111, 112, [("99.5", "0")], [("100.9", "5")]),
        depth(113, 115, [("99.7", "1")], []),
    ]


def listing(base: str, quote: str, lots: int | str, ticks: int | str, **more: object) -> dict[str, object]:
    """A row of the list, cut to the fields that are read and a few that are not."""
    digits = {"baseAssetPrecision": lots, "quotePrecision": ticks, "quoteAssetPrecision": ticks, "baseCommissionPrecision": 8}
    least = {"quoteAmountPrecision": "1.000000000000000000", "baseSizePrecision": "0.000002", "maxQuoteAmount": "4000000"}
    names = {"symbol": base + quote, "status": "1", "baseAsset": base, "quoteAsset": quote, "permissions": ["SPOT"]}
    return {**names, **digits, **least, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": [], **more}


SHORT = listing("ETH", "BTC", 4, 6, quoteAmountPrecision="0.0001", baseSizePrecision="0")
SHORT.pop("quoteAssetPrecision")
LISTS = {
    "list": json.dumps(
        {
            "timezone": "CST",
            "symbols": [
                listing("BTC", "USDT", 8, 2, isSpotTradingAllowed=False),
                listing("PEPE", "USDT", "0", "9", quotePrecision="4", baseSizePrecision="0"),
                SHORT,
                listing("OLD", "USDC", 2, 4, status="2"),
                listing("BTC3L", "USDT", 2, 4, permissions=[]),
            ],
        }
    ).encode()
}
LISTED = (
    Instrument("mexc", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot", 1.0, False, 0.01, 1e-8, 2e-6, 1.0),
    Instrument("mexc", "PEPE-USDT", "PEPEUSDT", "PEPE", "USDT", "spot", 1.0, False, 1e-9, 1.0, 0.0, 1.0),
    Instrument("mexc", "ETH-BTC", "ETHBTC", "ETH", "BTC", "spot", 1.0, False, 1e-6, 0.0001, 0.0, 0.0001),
    Instrument("mexc", "OLD-USDC", "OLDUSDC", "OLD", "USDC", "spot", 1.0, False, 0.0001, 0.01, 2e-6, 1.0, "paused"),
)
