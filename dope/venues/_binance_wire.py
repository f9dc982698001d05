"""What the Binance venues share: the message shapes, the subscriptions, the snapshot sync; their files hold the rest.

One struct reads every message: the letters ``b`` and ``a`` are level lists in one stream, prices in another and
order ids in a third, so they stay undecoded until the kind of message is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from dope.types import (
    CLOSED,
    DATA,
    OPEN,
    REPLY,
    TICK,
    Ack,
    Bar,
    BookUpdate,
    Event,
    Fault,
    Fetch,
    Frame,
    Funding,
    Gap,
    Instrument,
    Listed,
    Notice,
    OpenInfo,
    Quote,
    Reconnect,
    ReplyInfo,
    Send,
    Trade,
)
from dope.venues._depth_sync import DepthSync
from dope.venues.base import Venue, number

ACK_TIMEOUT_NS = 10_000_000_000
MS = 1_000_000
_NO = msgspec.Raw(b"")
_SYMBOL = re.compile(r"symbol=([A-Z0-9_]+)")


class Candle(msgspec.Struct):
    t: int
    o: str
    h: str
    l: str  # noqa: E741 - the venue's own letter
    c: str
    v: str
    x: bool


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


_message = msgspec.json.Decoder(Message)
_text = msgspec.json.Decoder(str)
_depth = msgspec.json.Decoder(Depth)
_open = msgspec.json.Decoder(OpenInfo)
_reply = msgspec.json.Decoder(ReplyInfo)

Handler = Callable[[Frame, Instrument, Message], Sequence[Event]]


class BinanceVenue(Venue):
    """Everything but hosts, streams and fees, which the two venue files state."""

    CHAINED = False  #: differences carry ``pu``
    SNAPSHOT_PATH = ""
    SNAPSHOT_LIMIT = 1000
    SNAPSHOT_WEIGHT = 50

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._natives: dict[str, Instrument] = {}
        self._accept: dict[int, frozenset[str] | None] = {}  # connection → natives, None = any
        self._conn_of: dict[str, int] = {}  # native → connection that carries its depth
        self._sync: dict[str, DepthSync] = {}
        self._unacked: dict[int, dict[str, tuple[int, tuple[str, ...]]]] = {}
        self._ids = 0
        self._handlers: dict[str, Handler] = {
            "depthUpdate": self._on_depth,
            "bookTicker": self._on_quote,
            "trade": self._on_trade,
            "aggTrade": self._on_trade,
            "kline": self._on_kline,
            "markPriceUpdate": self._on_mark,
        }

    # -- what the venue files say ----------------------------------------------------------------------------------
    def streams(self, plan: str, native: str) -> list[str]:
        """Stream names of one market on the connection ``plan``."""
        raise NotImplementedError

    # -- frames ----------------------------------------------------------------------------------------------------
    def receive(self, frame: Frame) -> Sequence[Event]:
        if frame.kind == DATA:
            return self._on_data(frame)
        if frame.kind == TICK:
            return self._on_tick(frame)
        if frame.kind == OPEN:
            return self._on_open(frame)
        if frame.kind == REPLY:
            return self._on_reply(frame)
        if frame.kind == CLOSED:
            return self._on_closed(frame)
        return ()

    def _on_data(self, frame: Frame) -> Sequence[Event]:
        listed: list[Event] = []
        try:
            message = _message.decode(frame.data)
            if message.data is not _NO:
                message = _message.decode(message.data)
            kind = message.e or ("bookTicker" if message.u >= 0 and message.s else "")
            handler = self._handlers.get(kind)
            if handler is None:
                return self._on_other(frame, message)
            instrument = self._natives.get(message.s) or self._list(message.s)
            if instrument is None:
                return [Fault(frame.ts, self.ID, "", "foreign symbol", frame.data[:200])]
            accept = self._accept.get(frame.conn)
            if accept is not None and message.s not in accept:
                return [Fault(frame.ts, self.ID, "", "foreign symbol", frame.data[:200])]
            self.seen[instrument.key] = self.seen.get(instrument.key, 0) + 1
            if message.s not in self._sync:
                listed = self._first_seen(frame, instrument)
                return [*listed, *handler(frame, instrument, message)]
            return handler(frame, instrument, message)
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
            return [*listed, Fault(frame.ts, self.ID, "", f"unreadable: {error}"[:200], frame.data[:200])]

    def _list(self, native: str) -> Instrument | None:
        instrument = self.instrument(native)
        if instrument is not None:
            self._natives[native] = instrument
        return instrument

    def _first_seen(self, frame: Frame, instrument: Instrument) -> list[Event]:
        self._sync[instrument.native] = DepthSync(instrument.key, chained=self.CHAINED)
        return [Listed(frame.ts, instrument)]

    def _on_depth(self, frame: Frame, instrument: Instrument, m: Message) -> Sequence[Event]:
        if m.U < 0 or m.u < m.U or (self.CHAINED and m.pu < 0):
            raise ValueError("depth update without its numbers")
        update = BookUpdate(frame.ts, instrument.key, m.E * MS, False, m.u, bytes(m.b), bytes(m.a))
        sync = self._sync[instrument.native]
        moved = frame.conn > self._conn_of.get(instrument.native, -1)
        if moved:  # while an old connection hands over to a new one, both carry the same chain: the newer one counts
            self._conn_of[instrument.native] = frame.conn
        was_awaiting = sync.awaiting
        events, ask = sync.diff((m.U, m.u, m.pu, update))
        if ask or (moved and was_awaiting):
            self._fetch(frame.conn, instrument.native, 0.0)
        return events

    def _on_quote(self, frame: Frame, instrument: Instrument, m: Message) -> Sequence[Event]:
        bid, bid_size = number(_text.decode(m.b)), number(_text.decode(m.B))
        ask, ask_size = number(_text.decode(m.a)), number(_text.decode(m.A))
        return (Quote(frame.ts, instrument.key, (m.T or m.E) * MS, m.u, bid, bid_size, ask, ask_size),)

    def _on_trade(self, frame: Frame, instrument: Instrument, m: Message) -> Sequence[Event]:
        if m.X != "MARKET":  # insurance fund, settlement: no trade of the market
            return ()
        trade_id = str(m.t) if m.t >= 0 else "a" + bytes(m.a).decode()
        side = "sell" if m.m else "buy"  # m: the buyer was the maker
        return (Trade(frame.ts, instrument.key, m.T * MS, number(m.p), number(m.q), side, trade_id),)

    def _on_kline(self, frame: Frame, instrument: Instrument, m: Message) -> Sequence[Event]:
        k = m.k
        if k is None:
            raise ValueError("kline without k")
        o, h, low, c, v = number(k.o), number(k.h), number(k.l), number(k.c), float(k.v)
        if not 0.0 <= v < 1e15:
            raise ValueError("volume out of range")
        return (Bar(frame.ts, instrument.key, k.t * MS, 60, o, h, low, c, v, k.x),)

    def _on_mark(self, frame: Frame, instrument: Instrument, m: Message) -> Sequence[Event]:
        rate = float(m.r) if m.r else None
        if rate is not None and not -1.0 < rate < 1.0:
            raise ValueError("funding rate out of range")
        index = number(m.i) if isinstance(m.i, str) and m.i else None
        return (Funding(frame.ts, instrument.key, m.E * MS, rate, m.T * MS, number(m.p), index),)

    def _on_other(self, frame: Frame, m: Message) -> Sequence[Event]:
        if m.e == "serverShutdown" or m.stream == "!serverShutdown":
            self.actions.append(Reconnect(frame.conn, "the venue announced a shutdown", planned=True))
            return [Notice(frame.ts, self.ID, "shutdown", "the venue announced a shutdown")]
        if m.error is not _NO or m.code is not None:
            text = m.msg or bytes(m.error).decode(errors="replace")[:200]
            return [*self._acked(frame, m.id, False, text), Notice(frame.ts, self.ID, "error", text[:200])]
        if m.result is not _NO:
            return self._acked(frame, m.id, True, "")
        if m.e or m.stream:
            return ()  # a stream that we did not ask for and do not need
        return [Fault(frame.ts, self.ID, "", "unknown message", frame.data[:200])]

    # -- subscriptions ---------------------------------------------------------------------------------------------
    def _on_open(self, frame: Frame) -> Sequence[Event]:
        info = _open.decode(frame.data)
        if info.symbols is None:
            self._accept[frame.conn] = None
            return ()
        natives = [n for s in info.symbols if (n := self.native(s)) is not None]
        self._accept[frame.conn] = frozenset(natives)
        events: list[Event] = []
        for native in natives:
            instrument = self._list(native)
            if instrument is not None and native not in self._sync:
                events += self._first_seen(frame, instrument)
        topics = tuple(t for native in natives for t in self.streams(info.plan, native))
        self._subscribe(frame, topics)
        return events

    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol, None when it is of a kind that this venue does not trade."""
        raise NotImplementedError

    def _subscribe(self, frame: Frame, topics: tuple[str, ...]) -> None:
        if not topics:
            return
        self._ids += 1
        text = msgspec.json.encode({"method": "SUBSCRIBE", "params": topics, "id": self._ids}).decode()
        self._unacked.setdefault(frame.conn, {})[str(self._ids)] = (frame.ts, topics)
        self.actions.append(Send(frame.conn, text, topics))

    def _acked(self, frame: Frame, request: int | str | None, ok: bool, reason: str) -> list[Event]:
        _, topics = self._unacked.get(frame.conn, {}).pop(str(request), (0, ()))
        return [Ack(frame.ts, self.ID, frame.conn, topic, ok, reason[:200]) for topic in topics]

    def _on_tick(self, frame: Frame) -> Sequence[Event]:
        events: list[Event] = []
        for conn, requests in self._unacked.items():
            for request, (asked, topics) in list(requests.items()):
                if frame.ts - asked > ACK_TIMEOUT_NS:
                    del requests[request]
                    events += [Ack(frame.ts, self.ID, conn, topic, False, "not confirmed within 10 s") for topic in topics]
                    self._subscribe(Frame(frame.ts, self.ID, conn, TICK, b""), topics)
        return events

    def _on_closed(self, frame: Frame) -> Sequence[Event]:
        self._accept.pop(frame.conn, None)
        self._unacked.pop(frame.conn, None)
        events: list[Event] = []
        for native, conn in list(self._conn_of.items()):
            if conn == frame.conn:
                del self._conn_of[native]
                self._sync[native].reset()
                events.append(Gap(frame.ts, self._sync[native].key, "disconnected"))
        return events

    # -- snapshots -------------------------------------------------------------------------------------------------
    def _fetch(self, conn: int, native: str, delay_s: float) -> None:
        url = f"{self.endpoints['rest']}{self.SNAPSHOT_PATH}?symbol={native}&limit={self.SNAPSHOT_LIMIT}"
        self.actions.append(Fetch(conn, f"depth:{native}", url, weight=self.SNAPSHOT_WEIGHT, delay_s=delay_s))

    def _on_reply(self, frame: Frame) -> Sequence[Event]:
        head, _, body = frame.data.partition(b"\n")
        try:
            info = _reply.decode(head)
        except (msgspec.DecodeError, ValueError) as error:
            return [Fault(frame.ts, self.ID, "", f"unreadable reply: {error}"[:200], head[:200])]
        kind, _, native = info.key.partition(":")
        sync = self._sync.get(native)
        if kind != "depth":
            return ()
        if sync is None:
            return [Fault(frame.ts, self.ID, "", "a snapshot that nobody waits for", head[:200])]
        if frame.conn != self._conn_of.get(native):
            return ()  # the connection that asked is gone: its snapshot must not meet the new one's differences
        events: list[Event] = []
        delay: float | None
        try:
            if info.status != 200:
                raise ValueError(f"status {info.status}" if info.status else "no answer")
            depth = _depth.decode(body)
            update = BookUpdate(frame.ts, sync.key, depth.E * MS, True, depth.lastUpdateId, bytes(depth.bids), bytes(depth.asks))
            events, delay = sync.snapshot(depth.lastUpdateId, update)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            _, delay = sync.missed()
            events = [Fault(frame.ts, self.ID, sync.key, f"snapshot failed: {error}"[:200], body[:200])]
            delay = None if delay is None else max(delay, info.retry_after_s)
        if delay is not None:
            self._fetch(frame.conn, native, delay)
        return events

    def resync(self, symbol: str, ts: int) -> Sequence[Event]:
        native = self.native(symbol)
        sync = self._sync.get(native or "")
        if native is None or sync is None or native not in self._conn_of:
            return ()
        sync.reset()
        sync.awaiting = True
        self._fetch(self._conn_of[native], native, 1.0)
        return ()

    def reseed(self, symbol: str, ts: int) -> None:
        native = self.native(symbol)
        sync = self._sync.get(native or "")
        if native is not None and sync is not None and native in self._conn_of and sync.wants_reseed(ts):
            self._fetch(self._conn_of[native], native, 0.0)

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        native = self.native(symbol)
        sync = self._sync.get(native or "")
        if native is None or sync is None or native not in self._conn_of or not sync.synced or sync.first or sync.shadow is not None:
            return None
        return native, self._conn_of[native], sync.last

    def advance(self, symbol: str, last: int) -> None:
        sync = self._sync[self.native(symbol) or ""]
        sync.last, sync.old = last, 0

    def reply_key(self, url: str, natives: Sequence[str]) -> str:
        found = _SYMBOL.search(url)
        if found:
            return f"depth:{found[1]}"
        return f"depth:{natives[0]}" if len(natives) == 1 else "unknown"
