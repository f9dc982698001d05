"""CoinCap v3: one averaged price per asset in USD, for reference only: no book, no touch, no fee, never a leg of anything.

Messages read: {"bitcoin":"67000.1","ethereum":"3500.25"} by asset id, whatever has changed; {"error":"…"}. There is no number, no
checksum and no time of the venue's own. What is subscribed to stands in the address, and so does the key, which is dialled and
never written down (``Plan.secret``). Without a key (``DOPE_KEYS``) the venue answers with an HTTP error: that is shown.

Recipe: 1 each id is an instrument of kind "reference" against USD, without a contract value; 2 its price is told as an index price.
Not verified, for lack of any sample: the host and the form of the stream (v2 had it so until 2025-03-31), the ids beyond
bitcoin and ethereum, and what a message costs of the monthly credits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

import msgspec

from dope.types import Event, Frame, Funding, Instrument, Limits, Notice, Plan
from dope.venues._written import number
from dope.venues.base import Known, Venue

#: asset id → coin, general knowledge as of 2026-11
ASSETS = {
    "bitcoin": "BTC", "ethereum": "ETH", "solana": "SOL", "tether": "USDT", "usd-coin": "USDC", "xrp": "XRP", "dogecoin": "DOGE",
    "cardano": "ADA", "litecoin": "LTC", "chainlink": "LINK", "binance-coin": "BNB",
}  # fmt: skip
IDS = {f"{coin}-USD": asset for asset, coin in ASSETS.items()}

_prices = msgspec.json.Decoder(dict[str, str | float])


class Coincap(Venue):
    ID, LABEL, SHORT = "coincap", "CoinCap (reference)", "CC"
    ENDPOINTS = {"ws": "wss://wss.coincap.io", "rest": "https://rest.coincap.io"}
    SOCKETS = (("prices", "/prices"),)
    LIMITS = Limits(connects_per_s=0.1, connects_per_5min=10, messages_per_s=1.0, topics_per_socket=100, rest_weight_per_min=10)
    BOOKS = False
    NUMBERED = False
    INTEGRITY = ""
    IDLE_S = 30.0

    # -- names and connections -----------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        return IDS.get(symbol)

    def instrument(self, native: str) -> Instrument | None:
        coin = ASSETS.get(native)
        return None if coin is None else Instrument(self.ID, f"{coin}-USD", native, coin, "USD", "reference", None)

    def topics(self, socket: str, native: str) -> Sequence[str]:
        return ()

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        return ()

    def plan(self) -> tuple[Plan, ...]:
        """One connection, if any of the symbols is known; its address subscribes."""
        symbols = tuple(symbol for symbol in self.symbols if symbol in IDS)
        if not symbols:
            return ()
        url = f"{self.endpoints['ws']}/prices?assets={','.join(IDS[symbol] for symbol in symbols)}"
        key = self.endpoints.get("key", "")
        return (Plan("prices", url, symbols, secret=f"&apiKey={quote(key, safe='')}" if key else ""),)

    def again(self, known: Known, ts: int) -> None:
        """There is no book to be asked for."""

    # -- frames --------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        prices = _prices.decode(frame.data)
        if not prices:
            raise ValueError("no price")
        if "error" in prices:
            events.append(Notice(frame.ts, self.ID, "error", str(prices["error"])[:200]))
            return
        for native, text in prices.items():
            price = number(text)
            known = self.entitled(frame, native, events)
            if known is not None:
                events.append(Funding(frame.ts, known.key, 0, None, 0, price, price))
