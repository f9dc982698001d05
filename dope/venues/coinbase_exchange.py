"""Coinbase Exchange spot: whole books and trades on the public socket, without numbers.

Messages read:
    {"type":"snapshot","product_id":"BTC-USD","asks":[["14.8024","12.77"],…],"bids":[…]}
    {"type":"l2update","product_id":"BTC-USD","changes":[["buy","0.7826","0.0"],…],"time":"2021-04-17T16:43:41.992990Z"}
    {"type":"match","trade_id":216544,"side":"buy","size":"0.97","price":"4.978","product_id":…,"sequence":…,"time":…}
    {"type":"subscriptions","channels":[{"name":"level2_batch","product_ids":["BTC-USD"]}]}       all that is subscribed now
    {"type":"error","message":"…","reason":"…"}   last_match, ticker, heartbeat: not needed
    GET /products [{"id":"BTC-USD","quote_increment":"0.01","base_increment":"0.00000001","min_market_funds":"1","status":"online",
      "trading_disabled":false,"cancel_only":false,"post_only":false,"auction_mode":false,…},…]                no least size since 2022

Book recipe: 1 ``level2_batch`` (changes of 50 ms; ``level2`` needs a login) begins with the whole book; 2 each change sets the size of a
price on the buy or the sell side, 0 removes; 3 nothing numbers them: a lost change cannot be seen here, only a book's own messages prove
it current, and silence makes it STALE; each minute REST is asked twice for the touch (GET /products/BTC-USD/book?level=1 →
{"bids":[["295.96","4.39",2]],"asks":[…],"sequence":…}): what differs both times while ours stood still makes the book a gap. Levels of a
snapshot pass as they are; changes carry their side and are sorted out one by one. A level with a minus in its size ("0.-10000" was seen)
is none: it is left out and told. Times of the year 1 are no times.

``match.side`` is the maker's: the taker's is the opposite (recorded: a "sell" trades at the ask). ``last_match`` is the last trade told
again. ``ticker`` comes with trades only, so it is no touch; heartbeats are not asked for: they would keep a connection that tells no books.
When the price has walked through the levels that are kept, a new connection beside the old one brings a snapshot from where it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import BookUpdate, Checked, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, ReplyInfo, Trade
from dope.venues._written import least, number, utc_ns
from dope.venues.base import LIST, UNREADABLE, Known, Venue
from dope.venues.coinbase import MARKETS, MIN_NOTIONAL, PRODUCT, Flags, pair, products_in, state

CHANNELS = ("level2_batch", "matches")
LISTED_AS = {"level2": "level2_batch"}  #: both give the same messages; under which name it is confirmed is not verified
KNOWN = 0  #: of a book whose snapshot is in: there are no numbers
IGNORED = ("last_match", "ticker", "heartbeat", "status")
_NO = msgspec.Raw(b"")


class Channel(msgspec.Struct):
    name: str
    product_ids: list[str] = []


class Message(msgspec.Struct, gc=False):
    type: str
    product_id: str = ""
    changes: list[tuple[str, str, str]] = []
    bids: msgspec.Raw = _NO
    asks: msgspec.Raw = _NO
    time: str = ""
    side: str = ""
    size: str = ""
    price: str = ""
    trade_id: int = -1
    channels: list[Channel] = []
    message: str = ""
    reason: str = ""


class Best(msgspec.Struct):
    bids: list[tuple[str, str, int]]
    asks: list[tuple[str, str, int]]


class Listing(Flags, kw_only=True):
    """A row of the list of products."""

    id: str
    quote_increment: str
    base_increment: str
    min_market_funds: str


_products = msgspec.json.Decoder(list[msgspec.Raw])
_listing = msgspec.json.Decoder(Listing)
_best = msgspec.json.Decoder(Best)
_message = msgspec.json.Decoder(Message)
_levels = msgspec.json.Decoder(list[tuple[str, str]])


class CoinbaseExchange(Venue):
    ID, LABEL, SHORT = "coinbase_exchange", "Coinbase Exchange", "CBX"
    ENDPOINTS = {"ws": "wss://ws-feed.exchange.coinbase.com", "rest": "https://api.exchange.coinbase.com"}
    SOCKETS = (("feed", ""),)
    #: per address: 8 connections a second (bursts of 20); per connection 100 messages a second
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=20.0, topics_per_socket=40)
    IDLE_S = 10.0
    MAX_MESSAGE = 32 * 1024 * 1024
    NUMBERED = False
    INTEGRITY = ""
    FEES = (Fee("coinbase_exchange", "spot", 40.0, 60.0, "quote", "ccxt 4.5.90", "2026-11-01", "medium"),)

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._refused: set[int] = set()  # connections on which something was

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        return symbol if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        found = PRODUCT.fullmatch(native)
        if found is None:
            return None
        tick, lot = MARKETS.get(native, (0.0, 0.0))
        return Instrument(self.ID, native, native, found[1], found[2], "spot", tick=tick, lot=lot, min_notional=MIN_NOTIONAL)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/products", weight=10)]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_products.decode(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument:
        row = _listing.decode(raw)
        base, quote = pair(row.id)
        return Instrument(
            self.ID, row.id, row.id, base, quote, "spot", 1.0, False, number(row.quote_increment), number(row.base_increment),
            0.0, least(row.min_market_funds), state(row),
        )  # fmt: skip

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"{channel}:{native}" for channel in CHANNELS]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """One channel each; where something was refused, one product each, so that it takes nothing else down again."""
        groups: dict[str, list[str]] = {}
        for topic in topics:
            groups.setdefault(topic if conn in self._refused else topic.partition(":")[0], []).append(topic)
        for group, asked in groups.items():
            products = [topic.partition(":")[2] for topic in asked]
            wanted = {"type": wish, "product_ids": products, "channels": [group.partition(":")[0]]}
            yield msgspec.json.encode(wanted).decode(), asked

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"level2_batch:{known.native}")

    def check(self, known: Known) -> Fetch | None:
        url = f"{self.endpoints['rest']}/products/{known.native}/book?level=1"
        return Fetch(known.conn, f"check:{known.native}", url, weight=10)

    def answered(self, frame: Frame, info: ReplyInfo, body: bytes, events: list[Event]) -> None:
        kind, _, native = info.key.partition(":")
        known = self.known.get(native)
        if kind != "check" or known is None or known.conn != frame.conn:
            return
        if info.status != 200:
            raise ValueError(f"status {info.status}" if info.status else "no answer")
        best = _best.decode(body)
        bids, asks = (tuple((number(row[0]), number(row[1])) for row in side) for side in (best.bids, best.asks))
        events.append(Checked(frame.ts, known.key, bids, asks))

    def reseed(self, symbol: str, ts: int) -> None:
        self.open_beside(symbol, ts)

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        try:
            self._read(frame, events)
        except UNREADABLE:
            if b'"l2update"' in frame.data:
                self._missed(frame, events)
            raise

    def _missed(self, frame: Frame, events: list[Event]) -> None:
        """Changes that could not be read: no number will show that they are missing, so their book is asked for anew at once."""
        books = [known for known in self.known.values() if known.conn == frame.conn and known.last is not None]
        named = [known for known in books if f'"{known.native}"'.encode() in frame.data]
        for known in named or books:
            self.lost(known, frame.ts, events)

    def _read(self, frame: Frame, events: list[Event]) -> None:
        message = _message.decode(frame.data)
        match message.type:
            case "l2update" | "snapshot" | "match":
                known = self.entitled(frame, message.product_id, events)
                if known is not None:
                    {"l2update": self._on_changes, "snapshot": self._on_snapshot, "match": self._on_match}[message.type](
                        frame, known, message, events
                    )
            case "subscriptions":
                named = ((LISTED_AS.get(channel.name, channel.name), channel.product_ids) for channel in message.channels)
                listed = {f"{name}:{product}" for name, products in named for product in products}
                self.acked(frame, [topic for topic in self.waiting(frame.conn) if topic in listed], events)
            case "error":
                text = f"{message.message} {message.reason}".strip()
                words = products_in(text)
                refused = [topic for topic in self.waiting(frame.conn) if topic.partition(":")[2] in words]
                self.acked(frame, refused, events, ok=False, reason=text)
                if frame.conn not in self._refused:  # nothing of that request holds, and without a subscription it hangs up in 5 s
                    self._refused.add(frame.conn)
                    self.ask(frame.conn, frame.ts, "subscribe", self.waiting(frame.conn))
                events.append(Notice(frame.ts, self.ID, "error", text[:200]))
            case kind if kind not in IGNORED:
                events.append(self.fault(frame, "unknown message"))

    def _on_snapshot(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        if message.bids is _NO or message.asks is _NO:
            raise ValueError("a book without sides")
        if frame.conn < known.conn:
            return  # while an old connection hands over to a new one, the newer one counts
        sides = [self._sound(frame, known, bytes(side), events) for side in (message.bids, message.asks)]
        known.conn, known.last, known.asked = frame.conn, KNOWN, None
        events.append(BookUpdate(frame.ts, known.key, 0, True, -1, sides[0], sides[1]))

    def _sound(self, frame: Frame, known: Known, levels: bytes, events: list[Event]) -> bytes:
        """The levels without those whose size is none."""
        if b"-" not in levels:
            return levels
        rows = _levels.decode(levels)
        events += [self.fault(frame, f"size {size} at {price}", known.key) for price, size in rows if "-" in size]
        return msgspec.json.encode([row for row in rows if "-" not in row[1]])

    def _on_changes(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        if known.conn != frame.conn or known.last is None:
            self.unbegun(known, frame)
            return
        bids = [(price, size) for side, price, size in message.changes if side == "buy"]
        asks = [(price, size) for side, price, size in message.changes if side == "sell"]
        if not message.changes or len(bids) + len(asks) != len(message.changes):
            raise ValueError("changes without a side")
        texts = msgspec.json.encode(bids), msgspec.json.encode(asks)
        events.append(BookUpdate(frame.ts, known.key, utc_ns(message.time), False, -1, *texts))

    def _on_match(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        if message.side not in ("buy", "sell") or message.trade_id < 0:
            raise ValueError("a trade without side or id")
        side = "sell" if message.side == "buy" else "buy"  # the maker's
        price, size = number(message.price), number(message.size)
        events.append(Trade(frame.ts, known.key, utc_ns(message.time), price, size, side, str(message.trade_id)))

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._refused.discard(frame.conn)
        super().on_closed(frame, events)
