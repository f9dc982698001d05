"""What the Binance venues share: the message shapes, the subscriptions, the snapshot sync; their files hold the rest.

One struct reads every message: the letters ``b`` and ``a`` are level lists in one stream, prices in another and
order ids in a third, so they stay undecoded until the kind of message is known.

The list of instruments (GET …/exchangeInfo; one row with what is read of it, futures' and COIN-M's own fields in brackets):
    {"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT",["contractType":"PERPETUAL",]
      ["contractStatus":"TRADING","contractSize":100,] "filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01000000",…},
      {"filterType":"LOT_SIZE","minQty":"0.00001000","stepSize":"0.00001000",…},{"filterType":"NOTIONAL","minNotional":"5.00000000",…}]}]}
    least value: NOTIONAL or MIN_NOTIONAL with "minNotional" on spot, MIN_NOTIONAL with "notional" on USD-M, none on COIN-M
Names of contracts like 1000SHIB or 1MBABYDOGE count bundles of coins (see `_bundles.py`).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

import msgspec

from dope.types import (
    Bar,
    BookUpdate,
    Event,
    Fetch,
    Frame,
    Funding,
    Instrument,
    Notice,
    Quote,
    Reconnect,
    Trade,
)
from dope.venues._bundles import bundle, exponent_of, moved
from dope.venues._differences import DifferencesVenue
from dope.venues._requests import Requests
from dope.venues._written import funding_rate, least, number, volume
from dope.venues.base import LIST, MS, TRADING, Known

_NO = msgspec.Raw(b"")


class Candle(msgspec.Struct):
    t: int
    o: str
    h: str
    l: str  # noqa: E741 - the venue's own letter
    c: str
    v: str
    x: bool
    q: str = ""  #: of inverse contracts: base units; else the turnover


class Message(msgspec.Struct):
    """Every field that any stream uses; see the venue files for which stream sends which."""

    e: str = ""
    E: int = 0
    s: str = ""
    U: int = -1
    u: int = -1
    pu: int = -1
    b: msgspec.Raw = _NO
    a: msgspec.Raw = _NO
    B: msgspec.Raw = _NO
    A: msgspec.Raw = _NO
    T: int = 0
    t: int = -1
    p: str = ""
    q: str = ""
    m: bool = False
    X: str = "MARKET"
    k: Candle | None = None
    r: str = ""
    i: str | int = ""
    data: msgspec.Raw = _NO
    stream: str = ""
    result: msgspec.Raw = _NO
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: msgspec.Raw = _NO


class Depth(msgspec.Struct):
    """A REST snapshot."""

    lastUpdateId: int
    bids: msgspec.Raw
    asks: msgspec.Raw
    E: int = 0


class Filter(msgspec.Struct, gc=False):
    """A rule for orders; of the kinds that are not read only the name is."""

    filterType: str
    tickSize: str = ""
    stepSize: str = ""
    minQty: str = ""
    minNotional: str = ""
    notional: str = ""


class Listing(msgspec.Struct):
    """A row of the list of instruments."""

    symbol: str
    baseAsset: str
    quoteAsset: str
    filters: list[Filter]
    status: str = ""
    contractStatus: str = ""
    contractType: str = ""
    contractSize: float = 0.0


class Listings(msgspec.Struct):
    symbols: list[msgspec.Raw]


_NO_RULE = Filter("")
_listing = msgspec.json.Decoder(Listing)
_listings = msgspec.json.Decoder(Listings)
_message = msgspec.json.Decoder(Message)
_text = msgspec.json.Decoder(str)
_depth = msgspec.json.Decoder(Depth)

Handler = Callable[[Frame, Known, Message], Sequence[Event]]


class BinanceVenue(DifferencesVenue):
    """Everything but hosts, streams and fees, which the venue files state."""

    NATIVE_IN = re.compile(r"symbol=([A-Z0-9_]+)")
    SNAPSHOT_PATH = ""
    SNAPSHOT_LIMIT = 1000
    SNAPSHOT_WEIGHT = 50
    LIST_PATH = ""
    LIST_WEIGHT = 1

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._requests = Requests()
        self._handlers: dict[str, Handler] = {
            "depthUpdate": self._on_depth,
            "bookTicker": self._on_quote,
            "trade": self._on_trade,
            "aggTrade": self._on_trade,
            "kline": self._on_kline,
            "markPriceUpdate": self._on_mark,
        }

    # -- frames ----------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        message = _message.decode(frame.data)
        if message.data is not _NO:
            message = _message.decode(message.data)
        kind = message.e or ("bookTicker" if message.u >= 0 and message.s else "")
        handler = self._handlers.get(kind)
        if handler is None:
            self._on_other(frame, message, events)
            return
        known = self.entitled(frame, message.s, events)
        if known is not None:
            events += handler(frame, known, message)

    def _on_depth(self, frame: Frame, known: Known, m: Message) -> Sequence[Event]:
        if m.U < 0 or m.u < m.U or (self.CHAINED and m.pu < 0):
            raise ValueError("depth update without its numbers")
        exponent = exponent_of(known.instrument)
        update = BookUpdate(frame.ts, known.key, m.E * MS, False, m.u, moved(bytes(m.b), exponent), moved(bytes(m.a), exponent))
        events: list[Event] = []
        self._books.take(frame, known, (m.U, m.u, m.pu), update, events)
        return events

    def _on_quote(self, frame: Frame, known: Known, m: Message) -> Sequence[Event]:
        exponent = exponent_of(known.instrument)
        bid, bid_size = number(_text.decode(m.b) + exponent), number(_text.decode(m.B))
        ask, ask_size = number(_text.decode(m.a) + exponent), number(_text.decode(m.A))
        return (Quote(frame.ts, known.key, (m.T or m.E) * MS, m.u, bid, bid_size, ask, ask_size),)

    def _on_trade(self, frame: Frame, known: Known, m: Message) -> Sequence[Event]:
        if m.X != "MARKET":  # insurance fund, settlement: no trade of the market
            return ()
        trade_id = str(m.t) if m.t >= 0 else "a" + bytes(m.a).decode()
        side = "sell" if m.m else "buy"  # m: the buyer was the maker
        price, size, value = number(m.p + exponent_of(known.instrument)), number(m.q), known.instrument.contract_value
        if value is not None:
            size = size * value / price if known.instrument.inverse else size * value
        return (Trade(frame.ts, known.key, m.T * MS, price, size, side, trade_id),)

    def _on_kline(self, frame: Frame, known: Known, m: Message) -> Sequence[Event]:
        k = m.k
        if k is None:
            raise ValueError("kline without k")
        o, h, low, c = (number(text + exponent_of(known.instrument)) for text in (k.o, k.h, k.l, k.c))
        v = volume(k.q) if known.instrument.inverse else volume(k.v, known.instrument.contract_value or 1.0)
        return (Bar(frame.ts, known.key, k.t * MS, 60, o, h, low, c, v, k.x),)

    def _on_mark(self, frame: Frame, known: Known, m: Message) -> Sequence[Event]:
        rate = funding_rate(m.r) if m.r else None
        exponent = exponent_of(known.instrument)
        index = number(m.i + exponent) if isinstance(m.i, str) and m.i else None
        return (Funding(frame.ts, known.key, m.E * MS, rate, m.T * MS, number(m.p + exponent), index),)

    def _on_other(self, frame: Frame, m: Message, events: list[Event]) -> None:
        if m.e == "serverShutdown" or m.stream == "!serverShutdown":
            self.actions.append(Reconnect(frame.conn, "the venue announced a shutdown", planned=True))
            events.append(Notice(frame.ts, self.ID, "shutdown", "the venue announced a shutdown"))
        elif m.error is not _NO or m.code is not None:
            text = (m.msg or bytes(m.error).decode(errors="replace"))[:200]
            self.acked(frame, self._requests.pop(frame.conn, m.id), events, ok=False, reason=text)
            events.append(Notice(frame.ts, self.ID, "error", text))
        elif m.result is not _NO:
            self.acked(frame, self._requests.pop(frame.conn, m.id), events)
        elif not m.e and not m.stream:  # else a stream that we did not ask for and do not need
            events.append(self.fault(frame, "unknown message"))

    # -- requests ----------------------------------------------------------------------------------------------------
    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        number_ = self._requests.new(conn, topics)
        yield msgspec.json.encode({"method": wish.upper(), "params": topics, "id": number_}).decode(), topics

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._requests.closed(frame.conn)
        super().on_closed(frame, events)

    # -- snapshots ---------------------------------------------------------------------------------------------------
    def snapshot_at(self, native: str) -> tuple[str, int]:
        return f"{self.SNAPSHOT_PATH}?symbol={native}&limit={self.SNAPSHOT_LIMIT}", self.SNAPSHOT_WEIGHT

    def snapshot(self, frame: Frame, known: Known, body: bytes) -> tuple[int, BookUpdate]:
        depth = _depth.decode(body)
        bids, asks = (moved(bytes(side), exponent_of(known.instrument)) for side in (depth.bids, depth.asks))
        return depth.lastUpdateId, BookUpdate(frame.ts, known.key, depth.E * MS, True, depth.lastUpdateId, bids, asks)

    # -- instruments -------------------------------------------------------------------------------------------------
    def verbatim(self, instrument: Instrument) -> bool:
        return not exponent_of(instrument)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, self.endpoints["rest"] + self.LIST_PATH, weight=self.LIST_WEIGHT)]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_listings.decode(body).symbols, self._listing)

    @abstractmethod
    def term(self, row: Listing) -> str | None:
        """What stands behind base and quote in the symbol: "" on spot, "-PERP", the day of a dated future; None = of no kind read here."""

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        term = self.term(row)
        if term is None:
            return None
        rules = {rule.filterType: rule for rule in row.filters}
        price, lots = rules["PRICE_FILTER"], rules["LOT_SIZE"]
        base, value = bundle(row.baseAsset) if term else (row.baseAsset, 1.0)
        inverse = row.contractSize > 0.0
        value = number(row.contractSize) if inverse else value
        unit, worth = 0.0 if inverse else value, rules.get("NOTIONAL") or rules.get("MIN_NOTIONAL") or _NO_RULE
        notional = least(lots.minQty) * value if inverse else least(worth.minNotional or worth.notional or 0.0)
        kind = {"": "spot", "-PERP": "perp"}.get(term, "future")
        usual = Instrument(self.ID, f"{base}-{row.quoteAsset}{term}", row.symbol, base, row.quoteAsset, kind, value, inverse)
        status = row.status or row.contractStatus
        return msgspec.structs.replace(
            usual, tick=number(price.tickSize + exponent_of(usual)), lot=number(lots.stepSize) * unit, min_size=least(lots.minQty) * unit,
            min_notional=notional, status=TRADING if status == "TRADING" else status.lower(),
        )  # fmt: skip
