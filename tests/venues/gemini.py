"""A session of this venue: the whole book, then differences that begin with the number of the one before."""

from __future__ import annotations

from collections.abc import Sequence

from dope.types import Instrument
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


#: cut to the fields that are read and a few that are not, numbers as the venue writes them
LISTS = {
    "list": b"""[
{"symbol":"BTCUSD","base_currency":"BTC","quote_currency":"USD","tick_size":1E-8,"quote_increment":0.01,"min_order_size":"0.00001",
 "status":"open","wrap_enabled":false,"product_type":"spot","contract_type":"vanilla","contract_price_currency":"USD"},
{"symbol":"2ZRLUSD","base_currency":"2Z","quote_currency":"RLUSD","tick_size":0.000001,"quote_increment":0.0001,"min_order_size":"0.1",
 "status":"limit_only","wrap_enabled":false},
{"symbol":"EFILFIL","base_currency":"EFIL","quote_currency":"FIL","tick_size":1E-6,"quote_increment":0.00001,"min_order_size":"0.1",
 "status":"cancel_only","wrap_enabled":true,"product_type":"spot","contract_type":"vanilla","contract_price_currency":"FIL"},
{"symbol":"BTCGUSDPERP","base_currency":"BTC","quote_currency":"GUSD","tick_size":0.0001,"quote_increment":0.5,"min_order_size":"0.0001",
 "status":"open","wrap_enabled":false,"product_type":"swap","contract_type":"linear","contract_price_currency":"GUSD"}]"""
}
LISTED = (
    Instrument("gemini", "BTC-USD", "btcusd", "BTC", "USD", "spot", 1.0, False, 0.01, 1e-8, 0.00001),
    Instrument("gemini", "2Z-RLUSD", "2zrlusd", "2Z", "RLUSD", "spot", 1.0, False, 0.0001, 1e-6, 0.1),
    Instrument("gemini", "EFIL-FIL", "efilfil", "EFIL", "FIL", "spot", 1.0, False, 0.00001, 1e-6, 0.1, status="cancel_only"),
)
