"""A session of this venue: protobuf frames written by hand, field by field, the way the venue's schema says."""

from __future__ import annotations

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
