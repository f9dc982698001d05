"""A session of Gate futures: as on spot, in contracts of 0.0001 BTC."""

from __future__ import annotations

from tests.frames import opened
from tests.venues import gate

KEY = "gate_futures:BTC-USDT-PERP"
SYMBOLS = ("BTC-USDT-PERP",)
FOREIGN = ("ETH-USDT-PERP",)
#: base amounts of the session on spot → contracts
CONTRACTS = {b"1.5": b"15000", b"0.75": b"7500", b"1": b"10000", b"2": b"20000", b"3": b"30000", b"5": b"50000"}


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    def own(text: bytes) -> bytes:
        text = text.replace(b'"spot.obu"', b'"futures.obu"')
        for base, contracts in CONTRACTS.items():
            text = text.replace(b',"%b"]' % base, b',"%b"]' % contracts)
        return text

    return [opened("usdt"), *((kind, own(text)) for kind, text in gate.script(low, high)[1:])]
