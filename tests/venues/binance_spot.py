"""A session of this venue, from the sample messages that other tests use too."""

from __future__ import annotations

import json

from dope.types import Instrument
from tests.frames import spot_script

KEY = "binance_spot:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [(kind, text.replace(b"99.8", low.encode()).replace(b"100.7", high.encode())) for kind, text in spot_script()]


def row(name: tuple[str, str], tick: str, step: str, least: str, value: dict[str, str], status: str = "TRADING") -> dict[str, object]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    price = {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick}
    lots = {"filterType": "LOT_SIZE", "minQty": least, "maxQty": "9000.00000000", "stepSize": step}
    rest = {"filterType": "ICEBERG_PARTS", "limit": 10}, {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "stepSize": "0.00000000"}
    named = {"symbol": "".join(name), "status": status, "baseAsset": name[0], "baseAssetPrecision": 8, "quoteAsset": name[1]}
    return {**named, "filters": [price, lots, *rest, value], "permissions": [], "permissionSets": []}


ROWS = [
    row(("BTC", "USDT"), "0.01000000", "0.00001000", "0.00001000", {"filterType": "NOTIONAL", "minNotional": "5.00000000"}),
    row(("1000SATS", "FDUSD"), "0.00000010", "1.00000000", "2.00000000", {"filterType": "NOTIONAL", "minNotional": "5.00000000"}),
    row(("OLD", "BTC"), "0.00000001", "0.10000000", "0.20000000", {"filterType": "MIN_NOTIONAL", "minNotional": "0.00010000"}, "BREAK"),
]
LISTS = {"list": json.dumps({"timezone": "UTC", "serverTime": 1, "rateLimits": [], "symbols": ROWS}, separators=(",", ":")).encode()}
LISTED = (
    Instrument("binance_spot", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot", 1.0, False, 0.01, 1e-5, 1e-5, 5.0),
    Instrument("binance_spot", "1000SATS-FDUSD", "1000SATSFDUSD", "1000SATS", "FDUSD", "spot", 1.0, False, 1e-7, 1.0, 2.0, 5.0),
    Instrument("binance_spot", "OLD-BTC", "OLDBTC", "OLD", "BTC", "spot", 1.0, False, 1e-8, 0.1, 0.2, 0.0001, "break"),
)
