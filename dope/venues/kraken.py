"""Kraken spot, API v2: touch, depth, trades and candles on one public socket.

Messages read:
    {"channel":"book","type":"snapshot|update","data":[{"symbol":"BTC/USD","bids":[{"price":62802.5,"qty":0.02987767},…],"asks":[…],
      "checksum":265834348,"timestamp":"2026-08-16T23:37:05.376419Z"}]}          numbers are bare, with the pair's own digits
    {"channel":"ticker","type":…,"data":[{"symbol":…,"bid":…,"bid_qty":…,"ask":…,"ask_qty":…,"timestamp":…}]}   empty market: zeros, 1970
    {"channel":"trade","type":"update","data":[{"symbol":…,"side":"buy","price":…,"qty":…,"trade_id":123,"timestamp":…}]}  side = taker's
    {"channel":"ohlc",…,"data":[{"symbol":…,"open":…,"high":…,"low":…,"close":…,"volume":…,"interval_begin":…,"interval":1}]}
    {"channel":"heartbeat"} each second   {"channel":"status","data":[{"system":"online|maintenance|cancel_only|post_only|limit_only"}]}
    {"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD","depth":25},"success":true,"req_id":1,…}   one for each symbol
    {"method":"subscribe","error":"Subscription depth not supported","success":false,"req_id":1,…}   a refused book still has heartbeats
    GET AssetPairs {"error":[],"result":{"XXBTZUSD":{"wsname":"XBT/USD","aclass_base":"currency","tick_size":"0.1","pair_decimals":1,
      "lot_decimals":8,"ordermin":"0.00005","costmin":"0.5","status":"online|cancel_only|post_only|limit_only|reduce_only"},…}}

Book recipe: 1 the first message of a subscription is a snapshot of as many levels a side as were asked for; 2 quantity 0
removes, any order within a message; 3 after each message all levels behind that depth are forgotten: nobody tells of what falls
out, and what comes back in is told anew; 4 there are no numbers: the checksum of every message, snapshot too, must be that of the
book (CRC32 over the best ten asks, then bids, digits as sent); 5 if it is not, unsubscribe and subscribe again.
A checksum sees ten levels a side: a message lost that only touched the levels behind them is noticed when they come up.
REST still says XBT and XDG for what is BTC and DOGE on the socket. A pair without wsname (dark pool) is not read, nor tokenized assets.
Not verified: what answers a second subscription of the same topic; limits of topics and of messages (none are published).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from dope.types import Bar, BookUpdate, Confirmed, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, Quote, Trade
from dope.venues._minutes import Minutes
from dope.venues._requests import Requests
from dope.venues._written import least, number, step, volume
from dope.venues.base import LIST, TRADING, Known, Venue

DEPTHS = (10, 25, 100, 500, 1000)  #: what may be asked for
TRADABLE = ("online", "limit_only")  #: states of the venue and of a pair in which a market order is carried out
RENAMED = {"XBT": "BTC", "XDG": "DOGE"}  #: names in REST of what the socket calls otherwise
#: tick, lot and least order (both base) of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
MARKETS = {
    "BTC/USD": (0.1, 1e-8, 0.00005), "ETH/USD": (0.01, 1e-8, 0.002), "SOL/USD": (0.01, 1e-8, 0.02),
    "BTC/USDT": (0.1, 1e-8, 0.00005), "ETH/USDT": (0.01, 1e-8, 0.002), "SOL/USDT": (0.01, 1e-8, 0.02),
    "USDT/USD": (0.00001, 1e-8, 5.0), "USDC/USD": (0.0001, 1e-8, 5.0), "USDC/USDT": (0.0001, 1e-8, 5.0),
    "ETH/BTC": (0.00001, 1e-8, 0.002),
}  # fmt: skip
MIN_NOTIONAL = {"USD": 0.5, "USDT": 0.5, "BTC": 0.00002}  #: of those, by quote currency
_NO = msgspec.Raw(b"")

Stamp = Annotated[datetime, msgspec.Meta(tz=True)]


class Envelope(msgspec.Struct, gc=False):
    channel: str = ""
    type: str = ""
    data: msgspec.Raw = _NO
    method: str = ""
    result: msgspec.Raw = _NO
    success: bool = True
    error: str = ""
    symbol: str = ""
    req_id: int = -1


class Answer(msgspec.Struct):
    channel: str = ""
    symbol: str = ""
    depth: int = 0


class BookRow(msgspec.Struct, gc=False):
    symbol: str
    bids: msgspec.Raw
    asks: msgspec.Raw
    checksum: int
    timestamp: Stamp | None = None


class Level(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class TickerRow(msgspec.Struct, gc=False):
    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: Stamp | None = None


class TradeRow(msgspec.Struct, gc=False):
    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: Stamp


class CandleRow(msgspec.Struct, gc=False):
    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    interval_begin: Stamp
    interval: int


class StatusRow(msgspec.Struct):
    system: str


class Listing(msgspec.Struct):
    """A row of the list of pairs."""

    pair_decimals: int
    lot_decimals: int
    status: str = "online"
    wsname: str = ""
    aclass_base: str = "currency"
    tick_size: str = ""
    ordermin: str = "0"
    costmin: str = "0"


class Pairs(msgspec.Struct):
    error: list[str]
    result: dict[str, msgspec.Raw] = {}


_pairs = msgspec.json.Decoder(Pairs)
_listing = msgspec.json.Decoder(Listing)
_envelope = msgspec.json.Decoder(Envelope)
_answer = msgspec.json.Decoder(Answer)
_books = msgspec.json.Decoder(list[BookRow])
_levels = msgspec.json.Decoder(list[Level])
_tickers = msgspec.json.Decoder(list[TickerRow])
_trades = msgspec.json.Decoder(list[TradeRow])
_candles = msgspec.json.Decoder(list[CandleRow])
_status = msgspec.json.Decoder(list[StatusRow])


class Kraken(Venue):
    ID, LABEL, SHORT = "kraken", "Kraken", "KRK"
    ENDPOINTS = {"ws": "wss://ws.kraken.com", "rest": "https://api.kraken.com"}
    SOCKETS = (("public", "/v2"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=200, rest_weight_per_min=60)
    PING = (30.0, '{"method":"ping"}')
    IDLE_S = 3.0  # it beats each second
    CHECKSUM = "digits10"
    INTEGRITY = "checksum"
    DEPTH = 25
    FEES = (
        Fee("kraken", "spot", 25.0, 40.0, "quote", "hummingbot; becomingcryptowhale.com (ccxt 4.5.90 says 16/26)", "2026-11-01", "high"),
    )
    TIERS = (
        Fee("kraken", "spot", 16.0, 26.0, "quote", "ccxt 4.5.90", "2026-11-01", "low", "older table"),
        Fee("kraken", "spot", 20.0, 35.0, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "from 10000"),
        Fee("kraken", "spot", 14.0, 24.0, "quote", "general knowledge of the tiers, not checked", "2026-11-01", "low", "from 50000"),
    )  # fmt: skip

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._requests = Requests()
        self._stamps: dict[str, int] = {}  # native → ns of its newest book message
        self._minutes = Minutes()

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol."""
        return symbol.replace("-", "/") if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        base, _, quote = native.partition("/")
        if not (base.isalnum() and quote.isalnum()):
            return None
        tick, lot, least = MARKETS.get(native, (0.0, 0.0, 0.0))
        value = MIN_NOTIONAL.get(quote, 0.0) if tick else 0.0
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot", 1.0, False, tick, lot, least, value)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/0/public/AssetPairs")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        pairs = _pairs.decode(body)
        if pairs.error:
            raise ValueError(" ".join(pairs.error)[:200])
        return self.each(pairs.result.values(), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        if not row.wsname or row.aclass_base != "currency":
            return None
        base, quote = (RENAMED.get(name, name) for name in row.wsname.split("/"))
        if not (base.isalnum() and quote.isalnum()):
            raise ValueError(f"not a pair: {row.wsname}"[:60])
        tick = number(row.tick_size) if row.tick_size else step(row.pair_decimals)
        return Instrument(
            self.ID, f"{base}-{quote}", f"{base}/{quote}", base, quote, "spot", 1.0, False, tick, step(row.lot_decimals),
            least(row.ordermin), least(row.costmin), TRADING if row.status in TRADABLE else row.status,
        )  # fmt: skip

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"{channel}:{native}" for channel in ("book", "ticker", "trade", "ohlc")]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        channels: dict[str, list[str]] = {}
        for topic in topics:
            channels.setdefault(topic.partition(":")[0], []).append(topic)
        for channel, asked in channels.items():
            number_ = self._requests.new(conn, asked if wish == "subscribe" else [])
            params: dict[str, object] = {"channel": channel, "symbol": [topic.partition(":")[2] for topic in asked]}
            own: dict[str, dict[str, object]] = {
                "book": {"depth": self.DEPTH}, "ticker": {"event_trigger": "bbo"}, "ohlc": {"interval": 1},
            }  # fmt: skip
            params |= own.get(channel, {})
            if wish == "subscribe":
                params["snapshot"] = channel in ("book", "ticker")
            yield msgspec.json.encode({"method": wish, "params": params, "req_id": number_}).decode(), asked

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"book:{known.native}")

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        """Never: these books have no numbers."""
        return None

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._requests.closed(frame.conn)
        super().on_closed(frame, events)

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        push = _envelope.decode(frame.data)
        match push.channel:
            case "book":
                self._on_books(frame, push.type, _books.decode(push.data), events)
            case "heartbeat":
                events.append(Confirmed(frame.ts, self.ID, frame.conn))
            case "ticker":
                for ticker in _tickers.decode(push.data):
                    self._on_ticker(frame, ticker, events)
            case "trade":
                for trade in _trades.decode(push.data):
                    self._on_trade(frame, trade, push.type == "snapshot", events)
            case "ohlc":
                for candle in _candles.decode(push.data):
                    self._on_candle(frame, candle, events)
            case "status":
                for status in _status.decode(push.data):
                    self._on_status(frame, status.system, events)
            case "" if push.method:
                self._on_answer(frame, push, events)
            case _:
                events.append(self.fault(frame, "unknown message"))

    def _on_books(self, frame: Frame, kind: str, rows: list[BookRow], events: list[Event]) -> None:
        for row in rows:
            known = self.entitled(frame, row.symbol, events)
            if known is None:
                continue
            if kind == "snapshot":
                if not self.begun(known, frame, 0, events):
                    continue
            elif kind != "update":
                raise ValueError("a book message that is neither snapshot nor update")
            elif known.conn != frame.conn or known.last is None:
                self.unbegun(known, frame)
                continue
            stamp = _ns(row.timestamp)
            self._stamps[row.symbol] = stamp
            sides = _sides(row.bids), _sides(row.asks)
            events.append(BookUpdate(frame.ts, known.key, stamp, kind == "snapshot", -1, *sides, row.checksum))

    def _on_ticker(self, frame: Frame, row: TickerRow, events: list[Event]) -> None:
        known = self.entitled(frame, row.symbol, events)
        stamp = _ns(row.timestamp)
        if known is None or not (row.bid or row.ask) or stamp < self._stamps.get(row.symbol, 0):
            return  # nothing is on offer, or the book is newer: the two channels race
        bid, bid_size = (number(row.bid), number(row.bid_qty)) if row.bid else (0.0, 0.0)
        ask, ask_size = (number(row.ask), number(row.ask_qty)) if row.ask else (0.0, 0.0)
        events.append(Quote(frame.ts, known.key, stamp, -1, bid, bid_size, ask, ask_size))

    def _on_trade(self, frame: Frame, row: TradeRow, old: bool, events: list[Event]) -> None:
        known = self.entitled(frame, row.symbol, events)
        if known is None or old:
            return  # old: the last trades before the subscription
        if row.side not in ("buy", "sell"):
            raise ValueError("a trade without a side")
        price, size = number(row.price), number(row.qty)
        events.append(Trade(frame.ts, known.key, _ns(row.timestamp), price, size, row.side, str(row.trade_id)))

    def _on_candle(self, frame: Frame, row: CandleRow, events: list[Event]) -> None:
        known = self.entitled(frame, row.symbol, events)
        if known is None or row.interval != 1:
            return
        prices = number(row.open), number(row.high), number(row.low), number(row.close)
        self._minutes.take(Bar(frame.ts, known.key, _ns(row.interval_begin), 60, *prices, volume(row.volume), False), events)

    def _on_status(self, frame: Frame, system: str, events: list[Event]) -> None:
        if system != "online":
            events.append(Notice(frame.ts, self.ID, "status", f"the venue is in state {system}"[:200]))
        self.trading(frame, system in TRADABLE, events)

    def _on_answer(self, frame: Frame, push: Envelope, events: list[Event]) -> None:
        if push.method not in ("subscribe", "unsubscribe"):
            return  # pong
        asked = self._requests.of(frame.conn, push.req_id)
        if push.success:
            result = _answer.decode(push.result or b"{}")
            if push.method == "subscribe":
                self.acked(frame, [f"{result.channel}:{result.symbol}"], events)
                if result.channel == "book" and result.depth in DEPTHS and self._accept.get(frame.conn) is None:
                    self.DEPTH = result.depth  # a recording: somebody else chose the depth
            return
        waiting = self.waiting(frame.conn)
        refused = [topic for topic in asked if topic in waiting and push.symbol in ("", topic.partition(":")[2])]
        self.acked(frame, refused, events, ok=False, reason=push.error)
        events.append(Notice(frame.ts, self.ID, "error", f"{push.error} {push.symbol}".strip()[:200]))


def _sides(levels: msgspec.Raw) -> bytes:
    """``[{"price":1,"qty":2},…]`` → ``[[1,2],…]``, by replacing; where the keys stand in another order, level by level."""
    text = bytes(levels).replace(b'{"price":', b"[").replace(b',"qty":', b",").replace(b"}", b"]")
    if b'"' not in text:
        return text
    return b"[" + b",".join(b"[%b,%b]" % (bytes(level.price), bytes(level.qty)) for level in _levels.decode(levels)) + b"]"


def _ns(stamp: datetime | None) -> int:
    """A time of the venue in ns; 0 = none."""
    return 0 if stamp is None else round(stamp.timestamp() * 1e6) * 1000
