"""A session of this venue, from the sample messages that other tests use too."""

from __future__ import annotations

import json

from dope.types import Instrument
from tests.frames import usdm_script

KEY = "binance_usdm:BTC-USDT-PERP"
SYMBOLS = ("BTC-USDT-PERP",)
FOREIGN = ("ETH-USDT-PERP",)


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [(kind, text.replace(b"99.8", low.encode()).replace(b"100.7", high.encode())) for kind, text in usdm_script()]


def row(name: tuple[str, str], kind: str, tick: str, step: str, notional: str, status: str = "TRADING") -> dict[str, object]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    price = {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": "556.80", "tickSize": tick}
    lots = {"filterType": "LOT_SIZE", "maxQty": "1000", "minQty": step, "stepSize": step}
    rest = {"filterType": "MAX_NUM_ORDERS", "limit": 200}, {"filterType": "MIN_NOTIONAL", "notional": notional}
    native = "".join(name) + ("_261225" if kind == "CURRENT_QUARTER" else "")
    named = {"symbol": native, "pair": "".join(name), "contractType": kind, "status": status, "baseAsset": name[0], "quoteAsset": name[1]}
    return {**named, "marginAsset": name[1], "pricePrecision": 2, "quantityPrecision": 3, "filters": [price, lots, *rest]}


ROWS = [
    row(("BTC", "USDT"), "PERPETUAL", "0.10", "0.001", "100"),
    row(("BTC", "USDT"), "CURRENT_QUARTER", "0.10", "0.001", "100"),
    row(("1000PEPE", "USDT"), "PERPETUAL", "0.0000001", "1", "5"),
    row(("1MBABYDOGE", "USDT"), "PERPETUAL", "0.0000001", "1", "5"),
    row(("TSLA", "USDT"), "TRADIFI_PERPETUAL", "0.01", "0.01", "5"),
    row(("OLD", "USDC"), "PERPETUAL", "0.0001", "1", "5", "SETTLING"),
]
LISTS = {"list": json.dumps({"timezone": "UTC", "assets": [], "symbols": ROWS}, separators=(",", ":")).encode()}
LISTED = (
    Instrument("binance_usdm", "BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", "perp", 1.0, False, 0.1, 0.001, 0.001, 100.0),
    Instrument("binance_usdm", "PEPE-USDT-PERP", "1000PEPEUSDT", "PEPE", "USDT", "perp", 1000.0, False, 1e-10, 1000.0, 1000.0, 5.0),
    Instrument("binance_usdm", "BABYDOGE-USDT-PERP", "1MBABYDOGEUSDT", "BABYDOGE", "USDT", "perp", 1e6, False, 1e-13, 1e6, 1e6, 5.0),
    Instrument("binance_usdm", "TSLA-USDT-PERP", "TSLAUSDT", "TSLA", "USDT", "perp", 1.0, False, 0.01, 0.01, 0.01, 5.0),
    Instrument("binance_usdm", "OLD-USDC-PERP", "OLDUSDC", "OLD", "USDC", "perp", 1.0, False, 0.0001, 1.0, 1.0, 5.0, "settling"),
)
