"""Gemini's market data API v2, as recorded in 2021: books and trades without any number.

Messages read:
    {"type":"l2_updates","symbol":"BTCGBP","changes":[["buy","24084.23","0"],["sell","24117.80","0.91"]],"trades":[…],"auction_events":[]}
    {"type":"trade","symbol":…,"event_id":…,"timestamp":ms,"price":"302.53","quantity":"0.992143","side":"buy"}
    {"type":"heartbeat","timestamp":ms}

Book recipe: 1 the first l2_updates of a symbol on a connection is its whole book, and the trades in it are history; 2 each further one
changes it, "buy" is a bid; 3 quantity 0 removes. Nothing tells whether a message is missing: the books are shown as unproved.
"""

from __future__ import annotations

import re

import msgspec

from dope.types import BookUpdate, Event, Frame, Instrument, Trade
from dope.venues._written import number, split_quote
from dope.venues.archive._archived import Archived
from dope.venues.base import MS

QUOTES = ("USDT", "USD", "GBP", "EUR", "SGD", "BTC", "ETH", "LTC", "BCH", "FIL", "DAI", "GUSD")
TAKERS = ("buy", "sell")  #: other sides are of blocks and auctions, which take nothing from the book
_SIDES = {side: re.compile(rb'\["%b",("[^"]*","[^"]*")\]' % side.encode()) for side in TAKERS}
_NO = msgspec.Raw(b"")


class Message(msgspec.Struct):
    type: str
    symbol: str = ""
    changes: msgspec.Raw = _NO
    event_id: int = 0
    timestamp: int = 0
    price: str = ""
    quantity: str = ""
    side: str = ""


_message = msgspec.json.Decoder(Message)


class GeminiV2(Archived):
    ID, LABEL, SHORT = "gemini_v2", "Gemini (API v2, recordings)", "GM2"
    NUMBERED, INTEGRITY = False, ""

    def instrument(self, native: str) -> Instrument | None:
        pair = split_quote(native, QUOTES)
        return None if pair is None else Instrument(self.ID, "-".join(pair), native, *pair, "spot")

    def read(self, frame: Frame, events: list[Event]) -> None:
        message = _message.decode(frame.data)
        if message.type == "heartbeat":
            return
        if message.type not in ("l2_updates", "trade"):
            events.append(self.fault(frame, "unknown message"))
            return
        known = self.entitled(frame, message.symbol, events)
        if known is None:
            return
        if message.type == "l2_updates":
            whole = known.conn != frame.conn
            bids, asks = _split(bytes(message.changes))
            known.conn = frame.conn
            events.append(BookUpdate(frame.ts, known.key, 0, whole, 0, bids, asks))
        elif message.side in TAKERS:
            price, size = number(message.price), number(message.quantity)
            events.append(Trade(frame.ts, known.key, message.timestamp * MS, price, size, message.side, str(message.event_id)))


def _split(changes: bytes) -> tuple[bytes, bytes]:
    """Bids and asks as the book reads them. Raises ValueError where a change is neither."""
    found = [_SIDES[side].findall(changes) for side in TAKERS]
    if not changes or sum(map(len, found)) != changes.count(b"[") - 1:
        raise ValueError("changes of another form")
    bids, asks = (b"[[" + b"],[".join(levels) + b"]]" if levels else b"" for levels in found)
    return bids, asks
