"""Kraken's first WebSocket API, as recorded in 2021: books under a checksum, trades, heartbeats.

Messages read:
    [1360,{"as":[["0.000022900","13355.87450757","1618678123.481570"],…],"bs":[…]},"book-1000","ADA/XBT"]   the whole book
    [992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]   "r" in a level: told again
    [992,{"a":[…]},{"b":[…],"c":"…"},"book-1000","XMR/USD"]   both sides in two parts
    [993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]                   side s | b is the taker's
    {"event":"heartbeat"}   {"event":"subscriptionStatus","status":"subscribed|error","channelName":…,"pair":…,"errorMessage":…}

Book recipe: 1 "as" and "bs" replace the book; 2 size 0 removes; 3 what falls out behind the subscribed depth is forgotten; 4 the CRC32
over the ten best asks and bids (digits as sent) must be "c", else the book is wrong until the next whole one.
"""

from __future__ import annotations

import msgspec

from dope.types import BookUpdate, Confirmed, Event, Frame, Instrument, Notice, Trade
from dope.venues._written import number
from dope.venues.archive._archived import Archived
from dope.venues.base import MS

COINS = {"XBT": "BTC", "XDG": "DOGE"}
DEPTH = 1000
SIDES = {"b": "buy", "s": "sell"}
_NO = msgspec.Raw(b"")


class Part(msgspec.Struct, rename={"asks": "as", "bids": "bs"}):
    asks: msgspec.Raw = _NO
    bids: msgspec.Raw = _NO
    a: msgspec.Raw = _NO
    b: msgspec.Raw = _NO
    c: str = ""


class Word(msgspec.Struct):
    event: str = ""
    status: str = ""
    pair: str = ""
    channelName: str = ""
    errorMessage: str = ""


_rows = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_part = msgspec.json.Decoder(Part)
_word = msgspec.json.Decoder(Word)
_trades = msgspec.json.Decoder(list[list[str]])


class KrakenV1(Archived):
    ID, LABEL, SHORT = "kraken_v1", "Kraken (API v1, recordings)", "KR1"
    CHECKSUM, INTEGRITY, DEPTH = "digits10", "checksum", DEPTH

    def instrument(self, native: str) -> Instrument | None:
        base, _, quote = native.partition("/")
        if not base or not quote:
            return None
        base, quote = COINS.get(base, base), COINS.get(quote, quote)
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot")

    def read(self, frame: Frame, events: list[Event]) -> None:
        if frame.data.startswith(b"{"):
            self._on_word(frame, events)
            return
        rows = _rows.decode(frame.data)
        channel, native = _text.decode(rows[-2]), _text.decode(rows[-1])
        if channel.startswith("book-"):
            self._on_book(frame, native, [_part.decode(row) for row in rows[1:-2]], int(channel[5:]), events)
        elif channel == "trade":
            self._on_trades(frame, native, rows[1], events)
        elif channel not in ("ticker", "spread") and not channel.startswith("ohlc"):
            events.append(self.fault(frame, "unknown message"))

    def _on_word(self, frame: Frame, events: list[Event]) -> None:
        word = _word.decode(frame.data)
        if word.event == "heartbeat":
            events.append(Confirmed(frame.ts, self.ID, frame.conn))
        elif word.event == "subscriptionStatus":
            topic = f"{word.channelName}:{word.pair}"
            self.acked(frame, [topic], events, ok=word.status != "error", reason=word.errorMessage)
        elif word.event == "systemStatus":
            events.append(Notice(frame.ts, self.ID, "status", word.status))
        else:
            events.append(self.fault(frame, "unknown message"))

    def _on_book(self, frame: Frame, native: str, parts: list[Part], depth: int, events: list[Event]) -> None:
        known = self.entitled(frame, native, events)
        if known is None:
            return
        if depth != self.DEPTH:
            raise ValueError(f"a book of {depth} levels; only those of {self.DEPTH} are read")
        whole = any(part.asks is not _NO or part.bids is not _NO for part in parts)
        if whole:
            known.conn, known.last = frame.conn, 0
        elif known.conn != frame.conn or known.last is None:
            return  # a change before its book: the book will contain it
        bids = [part.bids if whole else part.b for part in parts]
        asks = [part.asks if whole else part.a for part in parts]
        sides = [[bytes(side).replace(b',"r"]', b"]") for side in each if side is not _NO] for each in (bids, asks)]
        if not parts or (not sides[0] and not sides[1]) or max(map(len, sides)) > 1:
            raise ValueError("a book without sides, or with one twice")
        checksum = next((int(part.c) for part in parts if part.c), None)
        if checksum is None and not whole:
            raise ValueError("a change without its checksum")
        bid_rows, ask_rows = (side[0] if side else b"" for side in sides)
        events.append(BookUpdate(frame.ts, known.key, 0, whole, 0, bid_rows, ask_rows, checksum))

    def _on_trades(self, frame: Frame, native: str, rows: msgspec.Raw, events: list[Event]) -> None:
        known = self.entitled(frame, native, events)
        if known is None:
            return
        for place, (price, size, stamp, side, *_) in enumerate(_trades.decode(rows)):
            trade_id = f"{frame.ts}/{place}"  # the venue gave none
            ts = round(float(stamp) * 1000) * MS
            events.append(Trade(frame.ts, known.key, ts, number(price), number(size), SIDES[side], trade_id))
