"""A session of this venue: a numbered connection that carries a book, with checksums and heartbeats between its changes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from dope.types import DATA, Instrument
from tests.frames import T0, data, opened

KEY = "bitfinex:BTC-USD"
SYMBOLS = ("BTC-USD",)
FOREIGN = ("ETH-USD",)
CHANNEL = 225206
MS = T0 // 10**6

Row = tuple[str, int, str]  #: price, count, amount


class Told:
    """What was said on a connection: numbers each array, and writes the checksum that the documentation describes."""

    def __init__(self, channel: int = CHANNEL) -> None:
        self.channel, self.seq = channel, 0
        self.sides: tuple[dict[str, str], dict[str, str]] = {}, {}

    def array(self, payload: str) -> tuple[int, bytes]:
        self.seq += 1
        return DATA, f"[{self.channel},{payload},{self.seq},{MS}]".encode()

    def snapshot(self, rows: Sequence[Row]) -> tuple[int, bytes]:
        self.sides = {}, {}
        return self.array("[" + ",".join(self._take(row) for row in rows) + "]")

    def change(self, *row: str | int) -> tuple[int, bytes]:
        price, count, amount = row
        return self.array(self._take((str(price), int(count), str(amount))))

    def _take(self, row: Row) -> str:
        price, count, amount = row
        side = self.sides[amount.startswith("-")]
        if count:
            side[price] = amount
        else:
            side.pop(price, None)
        return f"[{price},{count},{amount}]"

    def checksum(self, *, lie: int = 0) -> tuple[int, bytes]:
        bids, asks = (sorted(side.items(), key=lambda level: float(level[0]), reverse=not n) for n, side in enumerate(self.sides))
        ranks = [side[rank] for rank in range(25) for side in (bids, asks) if rank < len(side)]
        value = zlib.crc32(":".join(text for level in ranks for text in level).encode()) ^ lie
        return self.array(f'"cs",{value - 2**32 if value >= 2**31 else value}')


def info(**more: object) -> tuple[int, bytes]:
    return data({"event": "info", **more})


def subscribed(channel: str = "book", number: int = CHANNEL, symbol: str = "tBTCUSD") -> tuple[int, bytes]:
    more = {"prec": "P0", "freq": "F0", "len": "100"} if channel == "book" else {}
    return data({"event": "subscribed", "channel": channel, "chanId": number, "symbol": symbol, **more, "pair": symbol[1:]})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    told = Told()
    return [
        opened("public"),
        info(version=2, serverId="083bd8d4", platform={"status": 1}),
        data({"event": "conf", "status": "OK", "flags": 229376}),
        subscribed(),
        told.snapshot([(low, 1, "1"), ("99.5", 2, "3"), ("98", 1, "1.27e-7"), ("100.6", 1, "-1"), (high, 3, "-2"), ("101", 1, "-0.5")]),
        told.change("99.9", 1, "2"),
        told.change("100", 1, "1.5"),
        told.checksum(),
        told.change("100.5", 1, "-0.75"),
        told.change("99.5", 0, "1"),
        told.change("100.9", 2, "-5"),
        told.array('"hb"'),
        told.change("99.7", 1, "1"),
        told.checksum(),
        told.change("101", 0, "-1"),
    ]


def pair(name: str, least: object) -> list[object]:
    """A row of the list of pairs."""
    return [name, [None, None, None, least, "5000.0", None, None, None, None, None, None, None]]


def priced(name: str, last: float | None) -> list[object]:
    """A row of all tickers; those of funding begin with f and are longer."""
    return [name, last, 1.5, last, 2.5, -120, -0.0013, last, 512.25, last, last]


PAIRS = [pair("BTCUSD", "0.00004"), pair("LINK:UST", "0.2"), pair("LTCBTC", None), pair("TESTBTC:TESTUSD", "0.00004")]
NAMES = [["UST", "USDt"], ["UDC", "USDC"], ["DSH", "DASH"], ["LES", "LEO-EOS"]]
TICKERS = [priced("tBTCUSD", 91234), priced("tLINK:UST", 9.99996), priced("tLTCBTC", 0.00091234), priced("tTESTBTC:TESTUSD", 91000)]
FUNDING = ["fUSD", 0.0003, 0.0003, 30, 15000000.5, 0.0002, 2, 1000.25, 0, 0, 0.0002, 2000, 0.0003, 0.0001, None, None, 150000]
LISTS = {"list pairs": json.dumps([PAIRS, NAMES]).encode(), "list prices": json.dumps([*TICKERS, FUNDING]).encode()}
LISTED = (
    Instrument("bitfinex", "BTC-USD", "tBTCUSD", "BTC", "USD", "spot", 1.0, False, 1.0, 1e-8, 0.00004),
    Instrument("bitfinex", "LINK-USDT", "tLINK:UST", "LINK", "USDT", "spot", 1.0, False, 0.001, 1e-8, 0.2),
    Instrument("bitfinex", "LTC-BTC", "tLTCBTC", "LTC", "BTC", "spot", 1.0, False, 1e-8, 1e-8, 0.0),
)
