"""What Bitfinex lists, of two answers: its pairs with their least orders, and their prices, without which no step is known.

    GET conf/pub:info:pair,pub:map:currency:sym  [[["BTCUSD",[null,null,null,"0.00004","2000.0",…]],…],[["UST","USDt"],["DSH","DASH"],…]]
      the fourth is the least order        GET tickers?symbols=ALL  [["tBTCUSD",bid,size,ask,size,change,relative,last,…],["fUSD",…],…]

The list names what trades, and nothing else: there is no status. Prices have five significant digits: ``tick`` is the step at the last
price of when the list was read. Perpetuals have a list of their own; TEST… is paper.
"""

from __future__ import annotations

import msgspec

from dope.types import Fetch, Instrument
from dope.venues._written import decimals, least, number
from dope.venues.base import LIST, UNREADABLE

ABROAD = {"USDT": "UST", "USDC": "UDC"}  #: currencies that have another name here
HOME = {theirs: ours for ours, theirs in ABROAD.items()}
PAIRS, PRICES = f"{LIST} pairs", f"{LIST} prices"
DIGITS, LOT = 5, 1e-8  #: significant digits of a price, step of a size
LEAST, LAST = 3, 7  #: places of the least order in a pair's row, of the last price in a ticker
PAPER = "TEST"

_conf = msgspec.json.Decoder(tuple[list[msgspec.Raw], list[tuple[str, str]]])
_pair = msgspec.json.Decoder(tuple[str, list[msgspec.Raw]])
_tickers = msgspec.json.Decoder(list[msgspec.Raw])
_ticker = msgspec.json.Decoder(list[str | int | float | None])
_least = msgspec.json.Decoder(str | int | float | None)


def list_requests(rest: str) -> list[Fetch]:
    """Both requests, at this REST host."""
    place = f"{rest}/v2/"
    return [Fetch(0, PAIRS, place + "conf/pub:info:pair,pub:map:currency:sym"), Fetch(0, PRICES, place + "tickers?symbols=ALL")]


class PairList:
    """What was read of both answers."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._pairs: list[msgspec.Raw] = []  # until and after prices are there
        self._called: dict[str, str] = {}  # its names of currencies → everybody's
        self._last: dict[str, float] = {}  # native name → last price

    def take(self, key: str, body: bytes) -> list[msgspec.Raw] | None:
        """Rows for ``instrument``, None until both answers are there. Raises one of ``UNREADABLE``."""
        if key == PAIRS:
            self._pairs, names = _conf.decode(body)
            self._called = {theirs: ours.upper() for theirs, ours in names if ours.isalnum()}
        else:
            self._last = dict(price for raw in _tickers.decode(body) if (price := _price(raw)) is not None)
        if not (self._pairs if key == PAIRS else self._last):
            raise ValueError("an empty list")
        return self._pairs if self._pairs and self._last else None

    def instrument(self, raw: msgspec.Raw) -> Instrument | None:
        """The market of a row; None = paper. Raises one of ``UNREADABLE``."""
        name, fields = _pair.decode(raw)
        native = f"t{name}"
        parts = parted(native)
        if parts is None:
            raise ValueError(f"not a pair: {name}"[:60])
        if name.startswith(PAPER):
            return None
        base, quote = (HOME.get(part) or self._called.get(part, part) for part in parts)
        tick, size = float(f"1e{-decimals(self._last[native], DIGITS)}"), least(_least.decode(fields[LEAST]) or 0.0)
        return Instrument(self._venue, f"{base}-{quote}", native, base, quote, "spot", 1.0, False, tick, LOT, size)


def parted(native: str) -> tuple[str, str] | None:
    """The venue's own names of base and quote; None where this is no spot pair."""
    name = native[1:]
    base, _, quote = name.partition(":") if ":" in name else (name[:3], "", name[3:])
    fits = ":" in name or len(name) == 6
    if native[:1] != "t" or not fits or not (base.isalnum() and quote.isalnum()) or quote.endswith("F0"):
        return None  # F0: perpetuals are not read
    return base, quote


def _price(raw: msgspec.Raw) -> tuple[str, float] | None:
    """Name and last price of a ticker; None where there is none: a pair without is one that cannot be read."""
    try:
        row = _ticker.decode(raw)
        return str(row[0]), number(row[LAST] or 0.0)
    except UNREADABLE:
        return None
