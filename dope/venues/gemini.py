"""Gemini spot, API v3 (2026): whole books, touch and trades on one public socket.

Messages read (``E`` is in ns; a trade has no ``e``):
    {"e":"depthUpdate","E":1783981139947514400,"s":"btcusd","U":1764549594389289,"u":1764549594389676,"b":[["62145.38","0.5"]],"a":[]}
    {"u":1764549594389752,"E":…,"s":"btcusd","b":"62145.38","B":"958.69","a":"62145.50","A":"38.39","c":…,"C":…}   nothing on offer: no b, a
    {"E":…,"s":"btcusd","t":2840141014190422,"p":"62145.38","q":"0.0162522200","m":true}    m = the buyer was the maker: the taker sold
    {"id":1,"status":200}    {"id":1,"status":400,"error":{"code":-1013,"msg":…}}
    GET /v1/symbols/details/all [{"symbol":"BTCUSD","base_currency":"BTC","quote_currency":"USD","quote_increment":0.01,"tick_size":1E-8,
      "min_order_size":"0.00001","status":"open|closed|cancel_only|post_only|limit_only","product_type":"spot|swap",…},…]

Book recipe: 1 connect with snapshot=-1 and subscribe: the first depthUpdate of a symbol, ``U`` == ``u``, is its whole book; 2 drop
what has ``u`` ≤ the last one; 3 else ``U`` ≤ last, because those seen begin with the number of the one before; ``U`` = last + 1, as the
rule of the documentation allows, is a lost number until it has come more than three times and none that shares; 4 size 0 removes;
5 anything else: a message is missing: unsubscribe and subscribe again, and if no snapshot comes in ten seconds connect anew; until
the unsubscribing is answered all that comes is of the old subscription; 6 a book that runs out of what is kept of it is brought by a
second connection.
In the list ``tick_size`` is the step of sizes and ``quote_increment`` that of prices, and its names are in upper case; base and quote are
what it says: 2ZRLUSD trades 2Z against RLUSD.
Not verified: that a repeated subscription brings a snapshot (hence the reconnect); that ``u`` of the touch compares with that of the
book; how often there are heartbeats; the limits of topics and of messages. Perpetuals and prediction contracts are not read; there
are no candles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import BookUpdate, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, Quote, Reconnect, Trade
from dope.venues._written import least, number, split_quote
from dope.venues.base import LIST, TRADING, Known, Venue

QUOTES = ("RLUSD", "GUSD", "USDT", "USDC", "USD", "EUR", "GBP", "SGD", "BTC", "ETH")
STREAMS = ("depth@100ms", "bookTicker", "trade")
TRADABLE = ("open", "limit_only")  #: states of a symbol in which one can trade at once
OK = 200
REQUESTS_KEPT = 1000  #: requests that may still be answered
LOSSES = 3  #: books that seem to have lost one number, before it is believed that messages do not share their ends
#: tick, lot and least order (both base) of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
MARKETS = {
    "btcusd": (0.01, 1e-8, 0.00001), "ethusd": (0.01, 1e-6, 0.001), "solusd": (0.001, 1e-6, 0.01),
    "usdcusd": (0.00001, 1e-6, 0.1), "usdtusd": (0.00001, 1e-6, 0.1),
}  # fmt: skip
_NO = msgspec.Raw(b"")


class Push(msgspec.Struct, gc=False):
    """Any message: the fields of all kinds."""

    s: str = ""
    e: str = ""
    E: int = 0
    first: int = msgspec.field(default=-1, name="U")
    u: int = -1
    b: msgspec.Raw = _NO
    a: msgspec.Raw = _NO
    B: str = ""
    A: str = ""
    t: int = -1
    p: str = ""
    q: str = ""
    m: bool | None = None
    id: int | str | None = None
    status: int = 0
    error: msgspec.Raw = _NO


class Listing(msgspec.Struct):
    """A row of the list of symbols."""

    symbol: str
    base_currency: str
    quote_currency: str
    quote_increment: float | str
    tick_size: float | str
    min_order_size: float | str
    status: str
    product_type: str = "spot"


PONG = b'{"id":0,'  #: what the answer to our ping begins with
_symbols = msgspec.json.Decoder(list[msgspec.Raw])
_listing = msgspec.json.Decoder(Listing)
_push = msgspec.json.Decoder(Push)
_text = msgspec.json.Decoder(str)


class Gemini(Venue):
    ID, LABEL, SHORT = "gemini", "Gemini", "GEM"
    ENDPOINTS = {"ws": "wss://ws.gemini.com", "rest": "https://api.gemini.com"}
    SOCKETS = (("market", "/?snapshot=-1"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=150, rest_weight_per_min=60)
    PING = (20.0, '{"id":0,"method":"ping"}')  # other requests have other numbers
    IDLE_S = 10.0
    FEES = (
        Fee("gemini", "spot", 20.0, 40.0, "quote", "hummingbot (a page of October 2026 says 1.20 % for takers)", "2026-11-01", "low"),
    )  # fmt: skip

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._requests: dict[int, tuple[int, str, tuple[str, ...]]] = {}  # id → connection, wish, topics
        self._ids = 0
        self._leaving: set[str] = set()  # natives whose unsubscribing is not answered yet
        self._tried: set[str] = set()  # natives subscribed anew since their last snapshot
        self._heard: set[tuple[int, str]] = set()  # (connection, native) of which the first message has come
        self._begun: set[str] = set()  # natives with nothing but a snapshot so far
        self._apart = 0  # differences that began right behind the last number, before any was seen that began with it

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol."""
        base, _, quote = symbol.partition("-")
        return f"{base}{quote}".lower() if base.isalnum() and quote in QUOTES else None

    def instrument(self, native: str) -> Instrument | None:
        parts = split_quote(native.upper(), QUOTES) if native == native.lower() and native.isalnum() else None
        if parts is None:
            return None
        tick, lot, least = MARKETS.get(native, (0.0, 0.0, 0.0))
        base, quote = parts
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot", tick=tick, lot=lot, min_size=least)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/v1/symbols/details/all")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_symbols.decode(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        if row.product_type != "spot":
            return None
        base, quote, native = row.base_currency.upper(), row.quote_currency.upper(), row.symbol.lower()
        if not (base.isalnum() and quote.isalnum() and native.isalnum()):
            raise ValueError(f"not a symbol: {row.symbol}"[:60])
        return Instrument(
            self.ID, f"{base}-{quote}", native, base, quote, "spot", 1.0, False, number(row.quote_increment), number(row.tick_size),
            least(row.min_order_size), status=TRADING if row.status in TRADABLE else row.status.lower(),
        )  # fmt: skip

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"{native}@{stream}" for stream in STREAMS]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """One for each market: what is wrong with one is no other's refusal."""
        markets: dict[str, list[str]] = {}
        for topic in topics:
            markets.setdefault(topic.partition("@")[0], []).append(topic)
        for asked in markets.values():
            self._ids += 1
            self._requests[self._ids] = conn, wish, tuple(asked)
            if len(self._requests) > REQUESTS_KEPT:
                del self._requests[next(iter(self._requests))]
            yield msgspec.json.encode({"id": self._ids, "method": wish, "params": asked}).decode(), asked

    def again(self, known: Known, ts: int) -> None:
        if known.native in self._tried:
            self.actions.append(Reconnect(known.conn, f"no new snapshot of {known.native}"))
            return
        self._tried.add(known.native)
        self._leaving.add(known.native)
        self._heard.discard((known.conn, known.native))
        self.renew(known, ts, f"{known.native}@{STREAMS[0]}")

    def reseed(self, symbol: str, ts: int) -> None:
        self.open_beside(symbol, ts)

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._requests = {key: request for key, request in self._requests.items() if request[0] != frame.conn}
        self._heard = {heard for heard in self._heard if heard[0] != frame.conn}
        self._leaving -= {native for native, known in self.known.items() if known.conn == frame.conn}
        super().on_closed(frame, events)

    # -- frames ------------------------------------------------------------------------------------------------------
    def is_beat(self, data: bytes) -> bool:
        """The answer to our ping has its number, and no word that would tell it from others."""
        return data.startswith(PONG)

    def read(self, frame: Frame, events: list[Event]) -> None:
        push = _push.decode(frame.data)
        if push.status or push.error:
            self._on_answer(frame, push, events)
        elif push.e == "depthUpdate":
            self._on_depth(frame, push, events)
        elif not push.s or push.e:
            events.append(self.fault(frame, "unknown message"))
        elif push.t >= 0:
            self._on_trade(frame, push, events)
        elif push.u >= 0:
            self._on_touch(frame, push, events)
        else:
            events.append(self.fault(frame, "unknown message"))

    def _on_depth(self, frame: Frame, push: Push, events: list[Event]) -> None:
        known = self.entitled(frame, push.s, events)
        if known is None or known.native in self._leaving:
            return
        if push.first < 0 or push.u < push.first or push.b is _NO or push.a is _NO:
            raise ValueError("a difference without its numbers or sides")
        snapshot = (frame.conn, push.s) not in self._heard
        if snapshot:
            self._heard.add((frame.conn, push.s))
            if push.first != push.u:  # no snapshot: it has to be asked for
                known.conn, known.asked = frame.conn, known.asked or frame.ts
                return
            self._tried.discard(push.s)
            self._begun.add(push.s)
            if not self.begun(known, frame, push.u, events):
                return
        elif known.conn != frame.conn or known.last is None or not self._continues(known, known.last, push, frame, events):
            return
        known.last = push.u
        events.append(BookUpdate(frame.ts, known.key, push.E, snapshot, push.u, bytes(push.b), bytes(push.a)))

    def _continues(self, known: Known, last: int, push: Push, frame: Frame, events: list[Event]) -> bool:
        """Whether this difference goes on from number ``last``; if one is missing, the book is lost."""
        if push.u <= last:
            return False  # the book contains it
        if push.first == last + 1 and self._apart >= 0:
            self._apart += 1
        if push.first > last + (self._apart > LOSSES):
            self.lost(known, frame.ts, events)
            return False
        if push.s in self._begun:
            self._begun.discard(push.s)  # the first one may begin anywhere within the snapshot
        elif push.first == last:
            self._apart = -1
        return True

    def _on_touch(self, frame: Frame, push: Push, events: list[Event]) -> None:
        known = self.entitled(frame, push.s, events)
        if known is None:
            return
        bid, bid_size = (number(_text.decode(push.b)), number(push.B)) if push.b else (0.0, 0.0)
        ask, ask_size = (number(_text.decode(push.a)), number(push.A)) if push.a else (0.0, 0.0)
        events.append(Quote(frame.ts, known.key, push.E, push.u, bid, bid_size, ask, ask_size))

    def _on_trade(self, frame: Frame, push: Push, events: list[Event]) -> None:
        known = self.entitled(frame, push.s, events)
        if known is None:
            return
        if push.m is None:
            raise ValueError("a trade without a side")
        side = "sell" if push.m else "buy"
        events.append(Trade(frame.ts, known.key, push.E, number(push.p), number(push.q), side, str(push.t)))

    def _on_answer(self, frame: Frame, push: Push, events: list[Event]) -> None:
        name = str(push.id)
        request = int(name) if name.isdigit() else -1
        conn, wish, topics = self._requests.get(request, (-1, "", ()))
        if wish == "unsubscribe" and conn == frame.conn:
            self._leaving.difference_update(topic.partition("@")[0] for topic in topics)
        reason = "" if push.status == OK else f"{push.status} {bytes(push.error).decode(errors='replace')}"[:200]
        if wish == "subscribe" and conn == frame.conn:
            waiting = self.waiting(conn)
            self.acked(frame, [topic for topic in topics if topic in waiting], events, ok=not reason, reason=reason)
        if reason:
            events.append(Notice(frame.ts, self.ID, "error", reason))
