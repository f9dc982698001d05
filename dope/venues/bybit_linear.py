"""Bybit V5 linear perpetuals: touch, depth 50, trades, candles, funding and mark over one socket (`_bybit_wire.py`).

Names: ``BTCUSDT`` is quoted in USDT, ``BTCPERP`` in USDC; a dated future has its day behind a dash (``BTCUSDT-25DEC26``,
``BTC-25DEC26`` in USDC). ``1000PEPEUSDT`` and ``SHIB1000USDT`` trade a thousand coins at a time: the base is the coin, sizes count
thousands (``contract_value``), and prices, which are per thousand, are moved by three places (here the levels are rewritten).
Limits: 21 000 characters of topics on one connection, 500 new connections in 5 min; cut after 10 min of silence.
"""

from __future__ import annotations

import re

from dope.types import Fee, Instrument, Limits
from dope.venues._bybit_list import Listing
from dope.venues._bybit_wire import BybitVenue

_NAME = re.compile(r"(?:(10{3,8})(?=[A-Z]))?([A-Z0-9]*?[A-Z][A-Z0-9]*?)(10{3,6})?(USDT|PERP)")
_DATED = re.compile(r"([A-Z0-9]+?)(USDT)?-\d{1,2}[A-Z]{3}\d{2}")
#: tick, lot, minimum notional of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
KNOWN = {
    "BTC-USDT-PERP": (0.1, 0.001, 5.0), "ETH-USDT-PERP": (0.01, 0.01, 5.0), "SOL-USDT-PERP": (0.01, 0.1, 5.0),
    "BTC-USDC-PERP": (0.1, 0.001, 5.0), "ETH-USDC-PERP": (0.01, 0.01, 5.0),
}  # fmt: skip
#: coins that trade by the thousand and more, under the venue's own names (likewise)
BUNDLES = {
    "PEPE": "1000PEPE", "BONK": "1000BONK", "FLOKI": "1000FLOKI", "LUNC": "1000LUNC", "XEC": "1000XEC", "TURBO": "1000TURBO",
    "CAT": "1000CAT", "TOSHI": "1000TOSHI", "BTT": "1000BTT", "SATS": "10000SATS", "LADYS": "10000LADYS", "WEN": "10000WEN",
    "MOG": "1000000MOG", "BABYDOGE": "1000000BABYDOGE", "SHIB": "SHIB1000",
}  # fmt: skip
KINDS = {"LinearPerpetual": "perp", "LinearFutures": "future"}  #: of the list of instruments


class BybitLinear(BybitVenue):
    ID, LABEL, SHORT = "bybit_linear", "Bybit linear", "BYBL"
    ENDPOINTS = {"ws": "wss://stream.bybit.com", "rest": "https://api.bybit.com"}
    CATEGORY = "linear"
    SOCKETS = (("linear", "/v5/public/linear"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=400)
    FEES = (Fee("bybit_linear", "perp", 2.0, 5.5, "quote", "help-centre table VIP 0 (hummingbot differs)", "2026-11-01", "high"),)
    TIERS = (
        Fee("bybit_linear", "perp", 1.8, 4.0, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip1"),
        Fee("bybit_linear", "perp", 1.6, 3.75, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip2"),
    )  # fmt: skip

    def topics(self, socket: str, native: str) -> list[str]:
        topics = super().topics(socket, native)
        return [*topics, f"tickers.{native}"] if topics else []

    def native(self, symbol: str) -> str | None:
        parts = symbol.split("-")
        if len(parts) != 3 or parts[2] != "PERP" or parts[1] not in ("USDT", "USDC"):
            return None
        return BUNDLES.get(parts[0], parts[0]) + ("USDT" if parts[1] == "USDT" else "PERP")

    def instrument(self, native: str) -> Instrument | None:
        dated = _DATED.fullmatch(native)
        if dated is not None:
            return Instrument(self.ID, native, native, dated[1], dated[2] or "USDC", "future")
        found = _NAME.fullmatch(native)
        if found is None:
            return None
        before, base, after, ending = found.groups()
        quote = "USDT" if ending == "USDT" else "USDC"
        symbol, value = f"{base}-{quote}-PERP", float(before or after or 1)
        tick, lot, notional = KNOWN.get(symbol, (0.0, 0.0, 0.0))
        return Instrument(self.ID, symbol, native, base, quote, "perp", value, tick=tick, lot=lot, min_notional=notional)

    def market(self, row: Listing) -> Instrument | None:
        """Names are taken apart by the rule above: the list calls the base of 1000PEPEUSDT "1000PEPE"."""
        kind, found = KINDS.get(row.contractType), self.instrument(row.symbol)
        if kind is None:
            return None
        if found is None or (found.kind, found.quote) != (kind, row.quoteCoin):
            raise ValueError(f"a name of another kind: {row.symbol[:40]}")
        return found
