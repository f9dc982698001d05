"""Bybit V5 spot: touch, depth 50, trades and 1-minute candles over one socket; the messages stand in `_bybit_messages.py`.

Limits: at most 10 topics in one request, 21 000 characters of topics on one connection, 500 new connections in 5 min;
a client that is silent for 10 min is cut. The spot ticker has neither bid nor ask: it is not used.
"""

from __future__ import annotations

from dope.types import Fee, Instrument, Limits
from dope.venues._bybit_list import Listing
from dope.venues._bybit_wire import BybitVenue
from dope.venues._written import split_quote

QUOTES = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "TRY", "PLN", "DAI", "MNT", "BTC", "ETH", "SOL")
#: tick, lot, minimum notional of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
KNOWN = {
    "BTC-USDT": (0.01, 0.000001, 5.0), "ETH-USDT": (0.01, 0.00001, 5.0), "SOL-USDT": (0.01, 0.001, 5.0),
    "BTC-USDC": (0.01, 0.000001, 5.0), "ETH-USDC": (0.01, 0.00001, 5.0), "USDC-USDT": (0.0001, 0.01, 5.0),
}  # fmt: skip


class Bybit(BybitVenue):
    ID, LABEL, SHORT = "bybit", "Bybit", "BYB"
    ENDPOINTS = {"ws": "wss://stream.bybit.com", "rest": "https://api.bybit.com"}
    CATEGORY = "spot"
    SOCKETS = (("spot", "/v5/public/spot"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=400)
    FEES = (Fee("bybit", "spot", 10.0, 10.0, "base", "help-centre table VIP 0 (ccxt differs)", "2026-11-01", "high"),)
    TIERS = (
        Fee("bybit", "spot", 6.75, 8.0, "base", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip1"),
        Fee("bybit", "spot", 6.5, 7.75, "base", "general knowledge of the tiers, not checked", "2026-11-01", "low", "vip2"),
    )  # fmt: skip

    def native(self, symbol: str) -> str | None:
        base, _, quote = symbol.partition("-")
        return base + quote if base and quote in QUOTES else None

    def instrument(self, native: str) -> Instrument | None:
        parts = split_quote(native, QUOTES)
        if parts is None:
            return None
        symbol = "-".join(parts)
        tick, lot, notional = KNOWN.get(symbol, (0.0, 0.0, 0.0))
        return Instrument(self.ID, symbol, native, *parts, "spot", tick=tick, lot=lot, min_notional=notional)

    def market(self, row: Listing) -> Instrument:
        base, quote = row.baseCoin, row.quoteCoin
        return Instrument(self.ID, f"{base}-{quote}", row.symbol, base, quote, "spot")
