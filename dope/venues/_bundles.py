"""Coins that trade by the thousand or more (1000PEPE, 1MBABYDOGE): the coin's own name, and prices moved to one coin.

Such a market has the coin as its base and the size of the bundle as its contract value: sizes stay as they are sent.
"""

from __future__ import annotations

import re

from dope.types import Instrument

_NAME = re.compile(r"(1M(?=BABYDOGE)|10{3,8}(?=[A-Z]))?(.+)")
_PRICE = re.compile(rb'\[\s*"([^"]*)"')


def bundle(name: str) -> tuple[str, float]:
    """``1000PEPE`` → (``PEPE``, 1000.0); ``BTC``, ``1INCH`` → themselves and 1.0."""
    found = _NAME.fullmatch(name)
    many, coin = found.groups() if found is not None else ("", name)
    return coin, {"": 1.0, "1M": 1e6}.get(many or "") or float(many)


def exponent_of(instrument: Instrument) -> str:
    """What makes a price per bundle one per coin: "e-3" where a thousand trade at a time, "" where single coins do."""
    value = instrument.contract_value or 1.0
    return "" if value == 1.0 or instrument.inverse else f"e-{len(str(int(value))) - 1}"


def moved(levels: bytes, exponent: str) -> bytes:
    """Levels (pairs of texts) with prices per coin."""
    return _PRICE.sub(rb'["\1%b"' % exponent.encode(), levels) if exponent else levels
