"""A session of this venue: that of USD-M in its own names, with contracts chosen so that the book holds the same base amounts."""

from __future__ import annotations

import json
import re

from dope.types import Instrument
from tests.frames import usdm_script

KEY = "binance_coinm:BTC-USD-PERP"
SYMBOLS = ("BTC-USD-PERP",)
FOREIGN = ("ETH-USD-PERP",)
#: at the touch of the session a contract of 100 USD is 1 BTC at 100.0 and 100/100.5 at the ask
CONTRACTS = {b"1.500": b"1.5", b"0.750": b"0.75375"}


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    def own(text: bytes) -> bytes:
        text = text.replace(b"99.8", low.encode()).replace(b"100.7", high.encode()).replace(b"btcusdt@", b"btcusd_perp@")
        text = re.sub(rb'"s":"BTCUSDT",', b'"s":"BTCUSD_PERP","ps":"BTCUSD",', text).replace(b"depth:BTCUSDT", b"depth:BTCUSD_PERP")
        for base, contracts in CONTRACTS.items():
            text = text.replace(base, contracts)
        return text

    return [(kind, own(text)) for kind, text in usdm_script()]


def row(base: str, term: str, tick: str, face: int, status: str = "TRADING") -> dict[str, object]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    price = {"filterType": "PRICE_FILTER", "maxPrice": "4520958", "minPrice": "1000", "tickSize": tick}
    lots = {"filterType": "LOT_SIZE", "maxQty": "1000000", "minQty": "1", "stepSize": "1"}
    kind = "PERPETUAL" if term == "PERP" else "CURRENT_QUARTER" if term else ""
    named = {"symbol": f"{base}USD_{term}".rstrip("_"), "pair": base + "USD", "contractType": kind, "contractStatus": status}
    return {**named, "contractSize": face, "marginAsset": base, "baseAsset": base, "quoteAsset": "USD", "filters": [price, lots]}


ROWS = [
    row("BTC", "PERP", "0.1", 100), row("BTC", "261225", "0.1", 100), row("ETH", "PERP", "0.01", 10, "PENDING_TRADING"),
    row("BTC", "", "0.1", 100),
]  # fmt: skip
LISTS = {"list": json.dumps({"timezone": "UTC", "symbols": ROWS}, separators=(",", ":")).encode()}
LISTED = (
    Instrument("binance_coinm", "BTC-USD-PERP", "BTCUSD_PERP", "BTC", "USD", "perp", 100.0, True, 0.1, 0.0, 0.0, 100.0),
    Instrument("binance_coinm", "BTC-USD-261225", "BTCUSD_261225", "BTC", "USD", "future", 100.0, True, 0.1, 0.0, 0.0, 100.0),
    Instrument("binance_coinm", "ETH-USD-PERP", "ETHUSD_PERP", "ETH", "USD", "perp", 10.0, True, 0.01, 0.0, 0.0, 10.0, "pending_trading"),
)
