"""A session of this venue, from the sample messages that other tests use too."""

from __future__ import annotations

from tests.frames import usdm_script

KEY = "binance_usdm:BTC-USDT-PERP"
SYMBOLS = ("BTC-USDT-PERP",)
FOREIGN = ("ETH-USDT-PERP",)


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [(kind, text.replace(b"99.8", low.encode()).replace(b"100.7", high.encode())) for kind, text in usdm_script()]
