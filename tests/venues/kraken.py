"""A session of this venue: a book of checksummed messages, with heartbeats and acknowledgements between them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from dope.types import DATA, Instrument
from tests.frames import data, opened

KEY = "kraken:BTC-USD"
SYMBOLS = ("BTC-USD",)
FOREIGN = ("ETH-USD",)
STAMP = "2023-11-14T22:13:20.000000Z"

Levels = Sequence[tuple[str, str]]


class Side(dict[str, str]):
    """Price text → quantity text."""

    def take(self, levels: Levels) -> None:
        for price, qty in levels:
            if float(qty):
                self[price] = qty
            else:
                self.pop(price, None)


class Told:
    """What was told of a book: writes messages with the checksum that the documentation describes."""

    def __init__(self, symbol: str = "BTC/USD") -> None:
        self.symbol, self.bids, self.asks = symbol, Side(), Side()

    def message(self, kind: str, bids: Levels, asks: Levels, *, lie: int = 0) -> tuple[int, bytes]:
        """Numbers stand bare in it, with their digits."""
        if kind == "snapshot":
            self.bids, self.asks = Side(), Side()
        self.bids.take(bids)
        self.asks.take(asks)
        sides = (",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks))
        text = '{{"channel":"book","type":"{}","data":[{{"symbol":"{}","bids":[{}],"asks":[{}],"checksum":{},"timestamp":"{}"}}]}}'
        return DATA, text.format(kind, self.symbol, *sides, self.checksum() ^ lie, STAMP).encode()

    def checksum(self) -> int:
        best = sorted(self.asks.items(), key=lambda level: float(level[0]))[:10]
        best += sorted(self.bids.items(), key=lambda level: -float(level[0]))[:10]
        return zlib.crc32("".join(text.replace(".", "").lstrip("0") for level in best for text in level).encode())


def acknowledged(channel: str, symbol: str = "BTC/USD", **more: object) -> tuple[int, bytes]:
    result = {"channel": channel, "symbol": symbol, **more}
    return data({"method": "subscribe", "result": result, "success": True, "time_in": STAMP, "time_out": STAMP})


def refused(error: str, number: int, **more: object) -> tuple[int, bytes]:
    return data({"error": error, "method": "subscribe", "success": False, "req_id": number, **more, "time_in": STAMP, "time_out": STAMP})


def status(system: str) -> tuple[int, bytes]:
    row = {"version": "2.0.10", "system": system, "api_version": "v2", "connection_id": 9_007_199_254_740_993}
    return data({"channel": "status", "type": "update", "data": [row]})


def ticker(bid: str, bid_qty: str, ask: str, ask_qty: str, stamp: str = STAMP) -> tuple[int, bytes]:
    touch = f'"bid":{bid},"bid_qty":{bid_qty},"ask":{ask},"ask_qty":{ask_qty}'
    return DATA, f'{{"channel":"ticker","type":"update","data":[{{"symbol":"BTC/USD",{touch},"timestamp":"{stamp}"}}]}}'.encode()


BEAT = data({"channel": "heartbeat"})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    told = Told()
    return [
        opened("public"),
        status("online"),
        acknowledged("book", depth=25, snapshot=True),
        BEAT,  # not later: what was lost before it shows only with the book's next checksum
        told.message(
            "snapshot",
            [(low, "1.00000000"), ("99.5", "3.00000000"), ("98.0", "0.00012700")],
            [("100.6", "1.00000000"), (high, "2.00000000"), ("101.0", "0.50000000")],
        ),
        told.message("update", [("99.9", "2.00000000")], []),
        told.message("update", [("100.0", "1.50000000")], []),
        told.message("update", [], [("100.5", "0.75000000")]),
        told.message("update", [("99.5", "0.00000000")], [("100.9", "5.00000000")]),
        told.message("update", [("99.7", "1.00000000")], []),
        told.message("update", [], [("101.0", "0.00000000"), ("100.9", "4.00000000")]),
    ]


def sent(text: str) -> dict[str, object]:
    """A request of ours, read."""
    found: dict[str, object] = json.loads(text)
    return found


def pair(wsname: str, **more: object) -> dict[str, object]:
    """A row of the list, cut to the fields that are read and a few that are not."""
    base, _, quote = wsname.partition("/")
    names = {"altname": base + quote, "wsname": wsname, "aclass_base": "currency", "base": base, "quote": quote}
    digits = {"pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "tick_size": "0.1"}
    return {**names, **digits, "fees": [[0, 0.4]], "ordermin": "0.00005", "costmin": "0.5", "status": "online", **more}


DARK = pair("XBT/USD", altname="XBTUSD.d", pair_decimals=2, tick_size="0.01")
DARK.pop("wsname")
PAIRS = {
    "XXBTZUSD": pair("XBT/USD"),
    "XXBTZUSD.d": DARK,
    "XETHXXBT": pair("ETH/XBT", pair_decimals=5, tick_size="0.00001", ordermin="0.002", costmin="0.00002"),
    "XDGUSD": pair("XDG/USD", pair_decimals=7, tick_size="0.0000005", lot_decimals=5, ordermin="13", status="limit_only"),
    "OLDEUR": pair("OLD/EUR", pair_decimals=3, lot_decimals=4, tick_size="", ordermin="1", status="cancel_only"),
    "AAPLxUSD": pair("AAPLx/USD", aclass_base="tokenized_asset"),
}
LISTS = {"list": json.dumps({"error": [], "result": PAIRS}).encode()}
LISTED = (
    Instrument("kraken", "BTC-USD", "BTC/USD", "BTC", "USD", "spot", 1.0, False, 0.1, 1e-8, 0.00005, 0.5),
    Instrument("kraken", "ETH-BTC", "ETH/BTC", "ETH", "BTC", "spot", 1.0, False, 0.00001, 1e-8, 0.002, 0.00002),
    Instrument("kraken", "DOGE-USD", "DOGE/USD", "DOGE", "USD", "spot", 1.0, False, 5e-7, 0.00001, 13.0, 0.5),
    Instrument("kraken", "OLD-EUR", "OLD/EUR", "OLD", "EUR", "spot", 1.0, False, 0.001, 0.0001, 1.0, 0.5, "cancel_only"),
)
