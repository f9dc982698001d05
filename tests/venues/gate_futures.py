"""A session of Gate futures: as on spot, in contracts of 0.0001 BTC."""

from __future__ import annotations

import json
from typing import Any

from dope.types import Instrument
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


def row(name: str, value: str, tick: str, least: str | int, **more: Any) -> dict[str, Any]:
    """As the venue writes it, cut to the fields that are read and a few that are not."""
    named = {"name": name, "type": "direct", "quanto_multiplier": value, "mark_price": "37985.6", "order_price_round": tick}
    sizes = {"order_size_min": least, "order_size_max": 1000000, "enable_decimal": False, "in_delisting": False, "status": "trading"}
    return {**named, **sizes, "funding_interval": 28800, "contract_type": "", **more}


ROWS = [
    row("BTC_USDT", "0.0001", "0.1", 1),
    row("ETH_USDT", "0.01", "0.01", "0.1", enable_decimal=True),
    row("PEPE_USDT", "10000000", "0.0000000001", "2"),
    row("OLD_USDT", "10", "0.0001", 1, in_delisting=True),
    row("NEW_USDT", "10", "0.0001", 1, status="prelaunch"),
    row("BTC_USD", "0", "0.1", 1, type="inverse"),
]
LISTS = {"list": json.dumps(ROWS, separators=(",", ":")).encode()}
LISTED = (
    Instrument("gate_futures", "BTC-USDT-PERP", "BTC_USDT", "BTC", "USDT", "perp", 0.0001, False, 0.1, 0.0001, 0.0001),
    Instrument("gate_futures", "ETH-USDT-PERP", "ETH_USDT", "ETH", "USDT", "perp", 0.01, False, 0.01, 0.001, 0.001),
    Instrument("gate_futures", "PEPE-USDT-PERP", "PEPE_USDT", "PEPE", "USDT", "perp", 1e7, False, 1e-10, 1e7, 2e7),
    Instrument("gate_futures", "OLD-USDT-PERP", "OLD_USDT", "OLD", "USDT", "perp", 10.0, False, 0.0001, 10.0, 10.0, 0.0, "delisting"),
    Instrument("gate_futures", "NEW-USDT-PERP", "NEW_USDT", "NEW", "USDT", "perp", 10.0, False, 0.0001, 10.0, 10.0, 0.0, "prelaunch"),
)
