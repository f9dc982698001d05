"""A session of this venue: that of USD-M in its own names, with contracts chosen so that the book holds the same base amounts."""

from __future__ import annotations

import re

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
