"""Coinbase Advanced Trade spot: whole books, trades and heartbeats on one public socket.

Messages read:
    {"channel":"l2_data","timestamp":"2026-04-07T14:30:00.123456789Z","sequence_num":7,"events":[{"type":"snapshot|update",
      "product_id":"BTC-USD","updates":[{"side":"bid|offer","event_time":"…","price_level":"68900.00","new_quantity":"1.5"},…]}]}
    {"channel":"market_trades",…,"events":[{"type":"update","trades":[{"trade_id":…,"product_id":…,"price":…,"size":…,"side":"BUY","time":…}]}]}
    {"channel":"heartbeats",…,"events":[{"current_time":…,"heartbeat_counter":…}]}                   one a second
    {"channel":"subscriptions",…,"events":[{"subscriptions":{"level2":["BTC-USD"],…}}]}              all that is subscribed now
    {"type":"error","message":"…"}                                                                   without a number
    GET market/products {"products":[{"product_id":"BTC-USD","product_type":"SPOT|FUTURE","price_increment":"0.01","quote_increment":…,
      "base_increment":"0.00000001","base_min_size":…,"quote_min_size":"1","status":"online","trading_disabled":false,…},…]}

Book recipe: 1 what is subscribed as ``level2`` arrives as ``l2_data``; 2 sequence_num counts the messages of the connection, all
channels together: a hole means that any of its books may lack a change: all are told as gaps and subscribed anew; a number seen
before is a duplicate, a smaller one a restart of the numbers, which is a gap, too; 3 a message that could not be read leaves its number
open, so that the next one shows the hole; 4 a snapshot is the whole book, several MB for BTC-USD (ccxt #23597: above 10 MB); 5 new_quantity
is the new size, 0 removes. Levels are objects: each is read and written again. When the price has walked through the levels that are
kept, a new connection is opened beside the old one: its snapshot begins where the market is now; 7 the levels of a snapshot have no times
(1970), and the numbers say nothing about its age: only the time of the message does. One that was made before the heartbeat that it
follows is not used; one that was kept somewhere and sent in a new message cannot be told from a new one.

The venue sends data of BTC-USDC as BTC-USD, as both have one book: it is asked for as BTC-USD and counts for whichever of the two is
watched (the list names both); USDT-USDC and EURC-USDC are markets of their own. Trade side is the maker's (nautilus 2026; elsewhere read
as the taker's: not verified), the taker's is the opposite. The first trades of a subscription ("snapshot") are history. ``ticker`` comes
with trades only, so it is no touch; candles have five minutes: both are left out. Without heartbeats the venue closes quiet subscriptions
after 60 to 90 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from dope.types import BookUpdate, Confirmed, Event, Fee, Fetch, Frame, Gap, Instrument, Limits, Notice, Trade
from dope.venues._written import least, number, utc_ns
from dope.venues.base import LIST, TRADING, Known, Venue

CHANNELS = ("level2", "market_trades")
HEARTBEATS = "heartbeats:"
OWN_USDC = ("USDT", "EURC")  #: bases whose -USDC market is not that of -USD
#: tick and lot of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
MARKETS = {
    "BTC-USD": (0.01, 1e-8), "ETH-USD": (0.01, 1e-8), "SOL-USD": (0.01, 1e-8), "BTC-USDT": (0.01, 1e-8), "ETH-USDT": (0.01, 1e-8),
    "SOL-USDT": (0.01, 1e-8), "BTC-USDC": (0.01, 1e-8), "ETH-USDC": (0.01, 1e-8), "SOL-USDC": (0.01, 1e-8),
    "USDT-USD": (0.00001, 0.01), "USDT-USDC": (0.0001, 0.01),
}  # fmt: skip
MIN_NOTIONAL = 1.0
OLD_NS = 1_000_000_000  #: messages of one connection are not farther out of their order
PRODUCT = re.compile(r"([A-Z0-9]{1,20})-([A-Z0-9]{2,10})")
_NO = msgspec.Raw(b"")


class Push(msgspec.Struct):
    channel: str = ""
    timestamp: str = ""
    sequence_num: int = -1
    events: msgspec.Raw = _NO
    type: str = ""
    message: str = ""


class Level(msgspec.Struct, gc=False):
    side: str
    price_level: str
    new_quantity: str
    event_time: str = ""


class BookEvent(msgspec.Struct):
    type: str
    product_id: str
    updates: list[Level]


class Deal(msgspec.Struct, gc=False):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: str
    time: str


class TradeEvent(msgspec.Struct):
    type: str
    trades: list[Deal]


class State(msgspec.Struct):
    subscriptions: dict[str, list[str]]


class Flags(msgspec.Struct, kw_only=True):
    """What a row of the list says about whether one can trade."""

    status: str
    trading_disabled: bool = False
    is_disabled: bool = False
    cancel_only: bool = False
    post_only: bool = False
    auction_mode: bool = False


class Listing(Flags, kw_only=True):
    """A row of the list of products."""

    product_id: str
    product_type: str = "SPOT"
    price_increment: str | None = None
    quote_increment: str
    base_increment: str
    base_min_size: str
    quote_min_size: str


class Products(msgspec.Struct):
    products: list[msgspec.Raw]


_products = msgspec.json.Decoder(Products)
_NAME = re.compile(r"[A-Z0-9-]+")
_listing = msgspec.json.Decoder(Listing)
_push = msgspec.json.Decoder(Push)
_books = msgspec.json.Decoder(list[BookEvent])
_trades = msgspec.json.Decoder(list[TradeEvent])
_states = msgspec.json.Decoder(list[State])


class Coinbase(Venue):
    ID, LABEL, SHORT = "coinbase", "Coinbase", "CB"
    ENDPOINTS = {"ws": "wss://advanced-trade-ws.coinbase.com", "rest": "https://api.coinbase.com"}
    SOCKETS = (("market", ""),)
    #: per address: 8 connections and 8 messages a second
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=36)
    IDLE_S = 3.0  #: three heartbeats
    MAX_MESSAGE = 32 * 1024 * 1024
    FEES = (Fee("coinbase", "spot", 60.0, 120.0, "quote", "ccxt 4.5.90, below 1,000 USD (hummingbot says 40/60)", "2026-11-01", "low"),)
    TIERS = (
        Fee("coinbase", "spot", 40.0, 60.0, "quote", "ccxt 4.5.90 tiers; hummingbot", "2026-11-01", "low", "from 1000"),
        Fee("coinbase", "spot", 25.0, 40.0, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "from 10000"),
    )  # fmt: skip

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._last: dict[int, int] = {}  # connection → number of its newest message
        self._said: dict[int, str] = {}  # connection → time of its newest heartbeat or confirmation
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
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/api/v3/brokerage/market/products?product_type=SPOT")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_products.decode(body).products, self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        if row.product_type != "SPOT":
            return None
        base, quote = pair(row.product_id)
        tick, lot = number(row.price_increment or row.quote_increment), number(row.base_increment)
        return Instrument(
            self.ID, row.product_id, row.product_id, base, quote, "spot", 1.0, False, tick, lot,
            least(row.base_min_size), least(row.quote_min_size), state(row),
        )  # fmt: skip

    def _owners(self, frame: Frame, product: str, events: list[Event]) -> list[Known]:
        """The watched markets that this product's data belong to."""
        names, accept = [product], self._accept.get(frame.conn)
        if accept is not None and product.endswith("-USD") and product[:-4] not in OWN_USDC:
            names = [name for name in (product, product + "C") if name in accept] or names
        return [known for name in names if (known := self.entitled(frame, name, events)) is not None]

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [*(f"{channel}:{_asked(native)}" for channel in CHANNELS), HEARTBEATS]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """One channel each; where something was refused, one product each, so that it takes nothing else down again."""
        groups: dict[str, list[str]] = {}
        for topic in dict.fromkeys(topics):
            channel = topic.partition(":")[0]
            groups.setdefault(topic if conn in self._refused else channel, []).append(topic)
        for group, asked in groups.items():
            wanted: dict[str, object] = {"type": wish, "channel": group.partition(":")[0]}
            if HEARTBEATS not in asked:
                wanted["product_ids"] = [topic.partition(":")[2] for topic in asked]
            yield msgspec.json.encode(wanted).decode(), asked

    def again(self, known: Known, ts: int) -> None:
        self._renew(known.conn, ts, [known])

    def _renew(self, conn: int, ts: int, lost: Sequence[Known]) -> None:
        topics = list(dict.fromkeys(f"level2:{_asked(known.native)}" for known in lost))
        self.ask(conn, ts, "unsubscribe", topics)
        self.ask(conn, ts, "subscribe", topics)

    def reseed(self, symbol: str, ts: int) -> None:
        self.open_beside(symbol, ts)

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        push = _push.decode(frame.data)
        if push.type == "error":
            words = products_in(push.message)
            named = [topic for topic in self.waiting(frame.conn) if topic.partition(":")[2] in words]
            self.acked(frame, named, events, ok=False, reason=push.message)
            if frame.conn not in self._refused:  # nothing of that request holds, and without a subscription it hangs up in 5 s
                self._refused.add(frame.conn)
                self.ask(frame.conn, frame.ts, "subscribe", self.waiting(frame.conn))
            events.append(Notice(frame.ts, self.ID, "error", push.message[:200]))
            return
        if not push.channel or push.sequence_num < 0:
            events.append(self.fault(frame, "unknown message"))
            return
        if push.sequence_num == self._last.get(frame.conn):
            return  # a duplicate
        self._follow(frame, push.sequence_num, events)
        match push.channel:
            case "l2_data":
                self._on_books(frame, push, events)
            case "market_trades":
                self._on_trades(frame, push, events)
            case "heartbeats":
                self._said[frame.conn] = push.timestamp
                events.append(Confirmed(frame.ts, self.ID, frame.conn))
            case "subscriptions":
                self._said[frame.conn] = push.timestamp
                listed = {f"{channel}:{name}" for state in _states.decode(push.events) for channel, names in state.subscriptions.items()
                          for name in (names if channel + ":" != HEARTBEATS else [""])}  # fmt: skip
                confirmed = [topic for topic in self.waiting(frame.conn) if topic in listed]
                self.acked(frame, confirmed, events)
                self._await(frame, confirmed)
            case _:
                events.append(self.fault(frame, "unknown message"))
        self._last[frame.conn] = push.sequence_num

    def _await(self, frame: Frame, topics: Sequence[str]) -> None:
        """The snapshots of these books are due: heartbeats would hide that they never come."""
        for known in self.known.values():
            if known.conn < 0 and known.native in (self._accept.get(frame.conn) or ()) and f"level2:{_asked(known.native)}" in topics:
                known.conn, known.asked = frame.conn, frame.ts

    def _follow(self, frame: Frame, sequence: int, events: list[Event]) -> None:
        """Whether this message is the next one of its connection; if not, none of its books is known any more."""
        last = self._last.get(frame.conn)
        if last is None or sequence == last + 1:
            return
        self._last[frame.conn] = sequence - 1
        lost = [known for known in self.known.values() if known.conn == frame.conn and known.last is not None]
        for known in lost:
            known.last, known.asked = None, frame.ts
            events.append(Gap(frame.ts, known.key, "sequence" if sequence > last else "reset"))
        self._renew(frame.conn, frame.ts, lost)

    def _on_books(self, frame: Frame, push: Push, events: list[Event]) -> None:
        for change in _books.decode(push.events):
            if change.type not in ("snapshot", "update"):
                raise ValueError("a book that is neither snapshot nor update")
            snapshot, levels = change.type == "snapshot", change.updates
            if snapshot and self._is_old(frame, push):
                events.append(self.fault(frame, f"a snapshot of {push.timestamp}, after {self._said[frame.conn]}"))
                continue  # as if it had not come: it is asked for again
            bids = [(level.price_level, level.new_quantity) for level in levels if level.side == "bid"]
            asks = [(level.price_level, level.new_quantity) for level in levels if level.side == "offer"]
            if len(bids) + len(asks) != len(levels):
                raise ValueError("a level without a side")
            stamp = utc_ns(push.timestamp if snapshot or not levels else levels[-1].event_time)
            texts = msgspec.json.encode(bids), msgspec.json.encode(asks)
            for known in self._owners(frame, change.product_id, events):
                if snapshot and frame.conn >= known.conn:
                    known.conn, known.asked = frame.conn, None
                elif snapshot or known.conn != frame.conn or known.last is None:
                    self.unbegun(known, frame)
                    continue  # while an old connection hands over to a new one, the newer one counts; or before the snapshot
                known.last = push.sequence_num
                events.append(BookUpdate(frame.ts, known.key, stamp, snapshot, push.sequence_num, *texts))

    def _is_old(self, frame: Frame, push: Push) -> bool:
        """Whether this message was made long before one that came before it."""
        before, made = utc_ns(self._said.get(frame.conn, "")), utc_ns(push.timestamp)
        return before - made > OLD_NS and made > 0

    def _on_trades(self, frame: Frame, push: Push, events: list[Event]) -> None:
        for told in _trades.decode(push.events):
            for deal in told.trades if told.type == "update" else ():
                if deal.side not in ("BUY", "SELL"):
                    raise ValueError("a trade without a side")
                side = "sell" if deal.side == "BUY" else "buy"  # the maker's
                price, size = number(deal.price), number(deal.size)
                for known in self._owners(frame, deal.product_id, events):
                    events.append(Trade(frame.ts, known.key, utc_ns(deal.time), price, size, side, deal.trade_id))

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._last.pop(frame.conn, None)
        self._said.pop(frame.conn, None)
        self._refused.discard(frame.conn)
        super().on_closed(frame, events)


def products_in(text: str) -> frozenset[str]:
    """The products that a refusal may mean: whole words, since BTC-USD is the beginning of BTC-USDT."""
    return frozenset(_NAME.findall(text))


def pair(product: str) -> tuple[str, str]:
    """Base and quote of a product. Raises ValueError on what is no name of one."""
    found = PRODUCT.fullmatch(product)
    if found is None:
        raise ValueError(f"not a product: {product}"[:60])
    return found[1], found[2]


def state(row: Flags) -> str:
    """Status of a product; with one that takes limit orders only one can trade."""
    flags = {
        "trading_disabled": row.trading_disabled or row.is_disabled, "cancel_only": row.cancel_only, "post_only": row.post_only,
        "auction_mode": row.auction_mode,
    }  # fmt: skip
    found = next((word for word, on in flags.items() if on), row.status.lower())
    return TRADING if found == "online" else found or "unknown"


def _asked(native: str) -> str:
    """The product to ask for: data of BTC-USDC come under BTC-USD."""
    base, _, quote = native.rpartition("-")
    return f"{base}-USD" if quote == "USDC" and base not in OWN_USDC else native
