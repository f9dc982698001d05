"""What the Gate v4 venues share: message shapes, subscriptions, books; their files hold names, fees and how trades are written.

Messages read ("spot" below is "futures" there; levels, prices and sizes are text; futures count contracts):
    {"channel":"spot.obu","event":"update","time_ms":…,"result":{"t":ms,"full":true,"s":"ob.BTC_USDT.400","u":25847113075,
      "b":[["115765.1","0.337839"],…],"a":[[…]]}}             then without ``full``, with "U" and "u"; "b" or "a" or both may be absent
    {"channel":"spot.book_ticker",…,"result":{"t":ms,"u":…,"s":"BTC_USDT","b":"…","B":size,"a":"…","A":size}}   "" and 0 = no such side
    {"channel":"spot.candlesticks",…,"result":{"t":"s","v":quote volume,"a":base volume,"c","h","l","o","n":"1m_BTC_USDT","w":true}}
                                   futures: rows in a list, "v" counts contracts; "w" (the window is closed) may be absent
    acknowledgement {"channel":…,"event":"subscribe","payload":[…],"result":{"status":"success"}}    pong: channel "spot.pong"
    refusal         the same with "error":{"code":2,"message":"…"}; "Alert sub ob.…" = this connection has the stream already
    {"channel":"futures.system",…,"result":{"type":"upgrade"}} before a restart: connect anew

Book recipe (``obu``): 1 the first message of a subscription is ``full``; 2 each later one has ``U`` == the last ``u`` + 1, also those
that carry no level; the last ``u`` again is a duplicate; 3 anything else: a message is missing: unsubscribe and subscribe again (a
second subscription beside the first is refused); 4 a later ``full`` replaces the book; 5 size 0 removes; a level that falls out
behind the 400th is removed by a message of its own. There is no checksum. ``u`` of a touch counts in the same numbers.
Recordings from before 2025 have ``order_book_update`` (differences ``U`` … ``u``) and REST snapshots with their ``id`` instead: those
follow the recipe of `_depth_sync.py`; futures write their levels as objects there, which are rewritten one by one.
A request of several topics is refused as a whole for one bad name: its topics are then asked for one by one. ``obu`` confirms names
that do not exist and stays silent (their other channels refuse). Not verified: that a ping may always carry the same time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from dope.types import Bar, BookUpdate, Event, Frame, Instrument, Notice, Quote, Reconnect
from dope.venues._differences import DifferencesVenue
from dope.venues._written import amount, number, volume
from dope.venues.base import MS, Known

_NO = msgspec.Raw(b"")
LEVELS = "400"  #: the stream with this many levels, each 100 ms; the touch has a stream of its own
BATCH = 100  #: topics in one request
HAD_ALREADY = "Alert sub"
SECOND = 1_000_000_000


class Levels(msgspec.Struct, gc=False):
    s: str
    u: int = -1
    U: int = -1
    t: int = 0
    full: bool = False
    b: msgspec.Raw = _NO
    a: msgspec.Raw = _NO


class BookPush(msgspec.Struct, gc=False):
    channel: str
    result: Levels


class Refusal(msgspec.Struct):
    code: int = 0
    message: str = ""


class Push(msgspec.Struct):
    """Anything else; ``payload`` and ``error`` are set in answers only."""

    channel: str = ""
    event: str = ""
    result: msgspec.Raw = _NO
    payload: list[str] | None = None
    error: Refusal | None = None


class Best(msgspec.Struct, gc=False):
    s: str
    u: int
    t: int = 0
    b: str = ""
    B: str | float = 0.0
    a: str = ""
    A: str | float = 0.0


class Candle(msgspec.Struct):
    t: int
    n: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's own letter
    c: str
    v: float
    a: float | None = None
    w: bool = False


class Depth(msgspec.Struct):
    """A REST snapshot; ``update`` = when the book last changed, ms or s with decimals."""

    id: int
    asks: msgspec.Raw
    bids: msgspec.Raw


class Level(msgspec.Struct):
    p: str
    s: str | float


class System(msgspec.Struct):
    type: str = ""
    msg: str = ""


RAWS = msgspec.json.Decoder(list[msgspec.Raw])  #: a list of instruments, which has no envelope
_book = msgspec.json.Decoder(BookPush)
_push = msgspec.json.Decoder(Push)
_levels = msgspec.json.Decoder(Levels)
_best = msgspec.json.Decoder(Best)
_candles = msgspec.json.Decoder(list[Candle], strict=False)  # spot writes its numbers as text
_depth = msgspec.json.Decoder(Depth)
_objects = msgspec.json.Decoder(list[Level])
_system = msgspec.json.Decoder(System)


class GateVenue(DifferencesVenue):
    """Everything but hosts, names, trades and fees, which the venue files state."""

    PREFIX = ""  #: first word of every channel
    CHANNELS: tuple[str, ...] = ("book_ticker", "trades")  #: subscribed to by the bare name, beside books and candles
    SNAPSHOT_PATH = ""  #: of REST, up to the native name; for recordings only
    NATIVE_IN = re.compile(r"[?&](?:currency_pair|contract)=([A-Z0-9_]+)")
    DEPTH = int(LEVELS)

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._by_rest: set[str] = set()  # natives whose books are differences on a REST snapshot
        self._now = 0  # s, of the requests that are being written

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"obu:ob.{native}.{LEVELS}", *(f"{channel}:{native}" for channel in self.CHANNELS), f"candlesticks:1m,{native}"]

    def ask(self, conn: int, ts: int, wish: str, topics: Sequence[str]) -> None:
        self._now = ts // SECOND
        super().ask(conn, ts, wish, topics)

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        for channel, same in groupby(topics, key=lambda topic: topic.partition(":")[0]):
            group = list(same)
            size = 1 if channel == "candlesticks" else BATCH  # one candle's payload is its interval and its name
            for at in range(0, len(group), size):
                some = group[at : at + size]
                names = [name for topic in some for name in topic.partition(":")[2].split(",")]
                request = {"time": self._now, "channel": f"{self.PREFIX}.{channel}", "event": wish, "payload": names}
                yield msgspec.json.encode(request).decode(), some

    def again(self, known: Known, ts: int) -> None:
        if known.native in self._by_rest:
            super().again(known, ts)
            return
        self.renew(known, ts, f"obu:ob.{known.native}.{LEVELS}")

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        # which of the two shapes is tried is a matter of speed only: most messages are books
        if b'"s":"ob.' in frame.data:
            book = _book.decode(frame.data)
            if book.channel != f"{self.PREFIX}.obu":
                raise ValueError("a book on another channel")
            self._on_book(frame, book.result, events)
            return
        push = _push.decode(frame.data)
        if push.error is not None or push.event in ("subscribe", "unsubscribe"):
            self._on_answer(frame, push, events)
            return
        prefix, _, channel = push.channel.partition(".")
        if prefix != self.PREFIX or not channel:
            events.append(self.fault(frame, "unknown message"))
        elif channel == "obu":
            self._on_book(frame, _levels.decode(push.result), events)
        elif channel == "order_book_update":
            self._on_difference(frame, _levels.decode(push.result), events)
        elif channel == "book_ticker":
            self._on_best(frame, _best.decode(push.result), events)
        elif channel == "candlesticks":
            self._on_candles(frame, push.result, events)
        elif channel == "system":
            self._on_system(frame, _system.decode(push.result), events)
        elif channel != "pong":
            self.on_channel(frame, channel, push.result, events)

    def on_channel(self, frame: Frame, channel: str, result: msgspec.Raw, events: list[Event]) -> None:
        """A channel that spot and futures write differently; others were not asked for and are not needed."""

    def _on_book(self, frame: Frame, data: Levels, events: list[Event]) -> None:
        native, _, levels = data.s.removeprefix("ob.").rpartition(".")
        known = self.entitled(frame, native, events)
        if known is None:
            return
        if levels != LEVELS:
            raise ValueError("a depth that was not asked for")
        last = known.last if known.conn == frame.conn else None
        if data.full:
            if data.u < 0 or (data.b is _NO and data.a is _NO):
                raise ValueError("a whole book without sides or number")
            known.conn, known.asked = frame.conn, None
        elif not 0 <= data.U <= data.u:
            raise ValueError("a book update without its numbers")
        elif last is None or data.u == last:
            self.unbegun(known, frame)  # or a duplicate
            return
        elif last + 1 != data.U:
            self.lost(known, frame.ts, events)
            return
        known.last = data.u
        events.append(BookUpdate(frame.ts, known.key, data.t * MS, data.full, data.u, bytes(data.b), bytes(data.a)))

    def _on_best(self, frame: Frame, best: Best, events: list[Event]) -> None:
        known = self.entitled(frame, best.s, events)
        if known is None or best.u <= 0:
            return  # a number of 0: nothing is known of this market yet
        bid, bid_size = (number(best.b), amount(best.B)) if best.b else (0.0, 0.0)
        ask, ask_size = (number(best.a), amount(best.A)) if best.a else (0.0, 0.0)
        if not (0.0 <= bid_size < 1e15 and 0.0 <= ask_size < 1e15):
            raise ValueError("size out of range")
        if (bid and not bid_size) or (ask and not ask_size):
            return  # less than one contract, which this channel rounds down to none; the levels say how much
        events.append(Quote(frame.ts, known.key, best.t * MS, best.u, bid, bid_size, ask, ask_size))

    def _on_candles(self, frame: Frame, result: msgspec.Raw, events: list[Event]) -> None:
        for candle in _candles.decode(rows(result)):
            interval, _, native = candle.n.partition("_")
            known = self.entitled(frame, native, events)
            traded = None if known is None else self.volume(known.instrument, candle)
            if known is None or interval != "1m" or traded is None:
                continue
            o, h, low, c = (number(text) for text in (candle.o, candle.h, candle.l, candle.c))
            events.append(Bar(frame.ts, known.key, candle.t * SECOND, 60, o, h, low, c, volume(traded), candle.w))

    def volume(self, instrument: Instrument, candle: Candle) -> float | None:
        """Base units traded in this candle, None where it does not say."""
        return candle.a

    def _on_system(self, frame: Frame, system: System, events: list[Event]) -> None:
        if system.type == "upgrade":
            self.actions.append(Reconnect(frame.conn, "the venue announced an upgrade", planned=True))
            events.append(Notice(frame.ts, self.ID, "shutdown", f"{system.type} {system.msg}"[:200]))

    def _on_answer(self, frame: Frame, push: Push, events: list[Event]) -> None:
        channel, names = push.channel.partition(".")[2], push.payload or []
        named = [",".join(names)] if channel == "candlesticks" and names else names
        topics = [f"{channel}:{name}" for name in named]
        if push.event == "unsubscribe":
            return  # what follows it, a subscription, has its own answer
        text = "" if push.error is None else f"{push.error.code} {push.error.message}"[:200]
        if not text or HAD_ALREADY in text:
            self.acked(frame, topics, events)
            self._await(frame, topics)
        elif len(topics) > 1:
            for topic in topics:
                self.ask(frame.conn, frame.ts, "subscribe", [topic])
        else:
            self.acked(frame, topics, events, ok=False, reason=text)
            events.append(Notice(frame.ts, self.ID, "error", text))

    def _await(self, frame: Frame, topics: Sequence[str]) -> None:
        """The snapshots of these books are due: of markets that it does not have the venue confirms the books, too, and says no more."""
        for native in [topic.split(".")[1] for topic in topics if topic.startswith("obu:ob.")]:
            known = self.known.get(native)
            if known is not None and known.conn < 0:
                known.conn, known.asked = frame.conn, frame.ts

    # -- recordings: differences on a REST snapshot ------------------------------------------------------------------
    def _on_difference(self, frame: Frame, data: Levels, events: list[Event]) -> None:
        known = self.entitled(frame, data.s, events)
        if known is None:
            return
        if not 0 <= data.U <= data.u:
            raise ValueError("a book update without its numbers")
        update = BookUpdate(frame.ts, known.key, data.t * MS, False, data.u, pairs(data.b), pairs(data.a))
        self._by_rest.add(known.native)
        self._books.take(frame, known, (data.U, data.u, -1), update, events)

    def snapshot_at(self, native: str) -> tuple[str, int]:
        return f"{self.SNAPSHOT_PATH}{native}&limit=100&with_id=true", 1

    def snapshot(self, frame: Frame, known: Known, body: bytes) -> tuple[int, BookUpdate]:
        depth = _depth.decode(body)
        return depth.id, BookUpdate(frame.ts, known.key, 0, True, depth.id, pairs(depth.bids), pairs(depth.asks))

    def reseed(self, symbol: str, ts: int) -> None:
        known = self._of(symbol)
        if known is not None and known.native in self._by_rest:
            super().reseed(symbol, ts)


def rows(result: msgspec.Raw) -> bytes:
    """The rows of a result as a JSON list: futures send one, spot sends its only row bare."""
    text = bytes(result)
    return text if text.startswith(b"[") else b"[" + text + b"]"


def pairs(side: msgspec.Raw) -> bytes:
    """Levels as pairs: objects with ``p`` and ``s`` (futures) are rewritten."""
    text = bytes(side)
    if b"{" not in text:
        return text
    return msgspec.json.encode([(level.p, str(level.s)) for level in _objects.decode(text)])
