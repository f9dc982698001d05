"""Small recordings of each venue in its own wire format, as frames: what a session starts with and how it goes on.

Every ``script`` yields (kind, data) in order; ``play`` stamps them 10 ms apart. The books that follow from them are
known: bid 100.0 … ask 100.5 at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from dope.types import CLOSED, DATA, OPEN, REPLY, TICK, ClosedInfo, Frame, OpenInfo, ReplyInfo

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def opened(plan: str = "market", symbols: tuple[str, ...] | None = None) -> tuple[int, bytes]:
    return OPEN, msgspec.json.encode(OpenInfo(plan, "ws://test", symbols))


def closed(code: int = 1006) -> tuple[int, bytes]:
    return CLOSED, msgspec.json.encode(ClosedInfo(code, "cut"))


def reply(key: str, body: object, status: int = 200) -> tuple[int, bytes]:
    return REPLY, msgspec.json.encode(ReplyInfo(key, status, "http://test")) + b"\n" + json.dumps(body).encode()


def data(message: object) -> tuple[int, bytes]:
    return DATA, json.dumps(message, separators=(",", ":")).encode()


def play(venue: str, script: Iterable[tuple[int, bytes]], *, conn: int = 1, start: int = T0) -> list[Frame]:
    return [
        Frame(start + i * 10 * MS, "" if kind == TICK else venue, 0 if kind == TICK else conn, kind, text)
        for i, (kind, text) in enumerate(script)
    ]


# -- Binance spot ------------------------------------------------------------------------------------------------------
def spot_diff(first: int, last: int, bids: list, asks: list) -> tuple[int, bytes]:  # type: ignore[type-arg]
    return data(
        {
            "stream": "btcusdt@depth@100ms",
            "data": {"e": "depthUpdate", "E": 1700000000000, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks},
        }
    )


def spot_script() -> list[tuple[int, bytes]]:
    return [
        opened(),
        spot_diff(95, 100, [["99.00000000", "0.00000000"]], []),
        spot_diff(101, 105, [["99.90000000", "2.00000000"]], [["100.60000000", "1.00000000"]]),
        reply(
            "depth:BTCUSDT",
            {"lastUpdateId": 103, "bids": [["99.80000000", "1.0"], ["99.50000000", "3.0"]], "asks": [["100.70000000", "2.0"]]},
        ),
        spot_diff(106, 106, [["100.00000000", "1.50000000"]], []),
        spot_diff(107, 110, [], [["100.50000000", "0.75000000"]]),
        spot_diff(111, 112, [["99.50000000", "0.00000000"]], [["100.90000000", "5.00000000"]]),
        spot_diff(113, 115, [["99.70000000", "1.00000000"]], []),
    ]


def spot_quote(seq: int, bid: str, bid_size: str, ask: str, ask_size: str) -> tuple[int, bytes]:
    inner = {"u": seq, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return data({"stream": "btcusdt@bookTicker", "data": inner})


def spot_trade(number: int, price: str, size: str, *, sold: bool) -> tuple[int, bytes]:
    inner = {"e": "trade", "E": 1700000000001, "s": "BTCUSDT", "t": number, "p": price, "q": size, "T": 1700000000000, "m": sold, "M": True}
    return data({"stream": "btcusdt@trade", "data": inner})


# -- Binance USD-M -----------------------------------------------------------------------------------------------------
def usdm_diff(first: int, last: int, before: int, bids: list, asks: list) -> tuple[int, bytes]:  # type: ignore[type-arg]
    inner = {
        "e": "depthUpdate",
        "E": 1700000000000,
        "T": 1700000000000,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "pu": before,
        "b": bids,
        "a": asks,
    }
    return data({"stream": "btcusdt@depth@0ms", "data": inner})


def usdm_script() -> list[tuple[int, bytes]]:
    return [
        opened(),
        usdm_diff(90, 100, 89, [["99.0", "1.000"]], []),
        usdm_diff(104, 110, 100, [["99.9", "2.000"]], [["100.6", "1.000"]]),
        reply(
            "depth:BTCUSDT", {"lastUpdateId": 106, "E": 1, "T": 1, "bids": [["99.8", "1.0"], ["99.5", "3.0"]], "asks": [["100.7", "2.0"]]}
        ),
        usdm_diff(113, 118, 110, [["100.0", "1.500"]], []),
        usdm_diff(119, 125, 118, [], [["100.5", "0.750"]]),
        usdm_diff(130, 131, 125, [["99.5", "0.000"]], [["100.9", "5.000"]]),
        usdm_diff(133, 140, 131, [["99.7", "1.000"]], []),
    ]


def usdm_quote(seq: int, bid: str, bid_size: str, ask: str, ask_size: str) -> tuple[int, bytes]:
    inner = {"e": "bookTicker", "u": seq, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return data({"stream": "btcusdt@bookTicker", "data": {**inner, "T": 1700000000000, "E": 1700000000001}})


def usdm_trade(number: int, price: str, size: str, *, sold: bool) -> tuple[int, bytes]:
    inner = {"e": "aggTrade", "E": 1700000000001, "a": number, "s": "BTCUSDT", "p": price, "q": size, "f": number, "l": number}
    return data({"stream": "btcusdt@aggTrade", "data": {**inner, "T": 1700000000000, "m": sold}})


# -- OKX ---------------------------------------------------------------------------------------------------------------
def okx_book(action: str, seq: int, before: int, bids: list, asks: list, inst: str = "BTC-USDT") -> tuple[int, bytes]:  # type: ignore[type-arg]
    def rows(side: list) -> list:  # type: ignore[type-arg]
        return [[p, s, "0", "1"] for p, s in side]

    row = {"asks": rows(asks), "bids": rows(bids), "ts": "1700000000000", "checksum": 0, "prevSeqId": before, "seqId": seq}
    return data({"arg": {"channel": "books", "instId": inst}, "action": action, "data": [row]})


def okx_quote(seq: int, bid: str, bid_size: str, ask: str, ask_size: str) -> tuple[int, bytes]:
    row = {"asks": [[ask, ask_size, "0", "2"]], "bids": [[bid, bid_size, "0", "1"]], "ts": "1700000000000", "seqId": seq}
    return data({"arg": {"channel": "bbo-tbt", "instId": "BTC-USDT"}, "data": [row]})


def okx_trade(number: int, price: str, size: str, *, sold: bool) -> tuple[int, bytes]:
    side = "sell" if sold else "buy"
    row = {"instId": "BTC-USDT", "tradeId": str(number), "px": price, "sz": size, "side": side, "ts": "1700000000000", "count": "1"}
    return data({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row]})


def okx_script() -> list[tuple[int, bytes]]:
    return [
        opened("public"),
        data({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT"}, "connId": "a4d3ae55"}),
        okx_book("snapshot", 100, -1, [("99.8", "1"), ("99.5", "3")], [("100.6", "1"), ("100.7", "2")]),
        okx_book("update", 105, 100, [("99.9", "2")], []),
        okx_book("update", 105, 105, [], []),
        okx_book("update", 106, 105, [("100", "1.5")], []),
        okx_book("update", 110, 106, [], [("100.5", "0.75")]),
        okx_book("update", 111, 110, [("99.5", "0")], [("100.9", "5")]),
        okx_book("update", 120, 111, [("99.7", "1")], []),
    ]


SCRIPTS = {"binance_spot": spot_script, "binance_usdm": usdm_script, "okx": okx_script}
KEYS = {"binance_spot": "binance_spot:BTC-USDT", "binance_usdm": "binance_usdm:BTC-USDT-PERP", "okx": "okx:BTC-USDT"}
