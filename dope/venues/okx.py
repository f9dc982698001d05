"""OKX spot and swap: touch, depth, trades, funding and mark price on the public socket, candles on the business one.

Messages read:
    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot|update","data":[{"asks":[["8476.98","415","0","13"],…],
      "bids":[…],"ts":"1597026383085","checksum":0,"seqId":123456,"prevSeqId":-1}]}
    {"arg":{"channel":"bbo-tbt",…},"data":[{"asks":[[…]],"bids":[[…]],"ts":"…","seqId":…}]}
    {"arg":{"channel":"trades",…},"data":[{"instId":…,"tradeId":…,"px":…,"sz":…,"side":"buy","ts":…,"count":"3"}]}
    funding-rate {"fundingRate":…,"fundingTime":…}   mark-price {"markPx":…,"ts":…}   candle1m rows [ts,o,h,l,c,vol,…,confirm]
    acknowledgement {"event":"subscribe","arg":{…},"connId":…}   error {"event":"error","code":"60018","msg":…}
    {"event":"notice","code":"64008",…} about 30 s before an upgrade: connect anew   text "pong"

Book recipe: 1 the first message is a snapshot (prevSeqId −1); 2 each update's prevSeqId equals the last seqId; equal ids
are a keep-alive; a smaller seqId with the right prevSeqId is a restart of numbers; 3 anything else: a message is missing:
unsubscribe and subscribe again; 4 size 0 removes; 5 a checksum other than 0 is verified: signed CRC32 over the best 25
ranks, bid and ask in turn (the venue has sent 0 since 2026; older recordings carry it and no ids).
Sizes of swaps are contracts. Client ping: text "ping" when nothing came for up to 30 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dope.types import (
    CLOSED,
    DATA,
    OPEN,
    TICK,
    Ack,
    Bar,
    BookUpdate,
    Event,
    Fault,
    Fee,
    Frame,
    Funding,
    Gap,
    Instrument,
    Limits,
    Listed,
    Notice,
    OpenInfo,
    Plan,
    Quote,
    Reconnect,
    Send,
    Trade,
)
from dope.venues.base import Venue, number

ACK_TIMEOUT_NS = 10_000_000_000
MS = 1_000_000
UNNUMBERED = -2  #: prevSeqId of messages from before 2022, which have none
BOOKS = frozenset(("books", "books-l2-tbt", "books50-l2-tbt"))
#: base units per contract, tick and lot (base) of the default swaps, as of 2026-11 (general knowledge)
SWAPS = {"BTC-USDT-SWAP": (0.01, 0.1), "ETH-USDT-SWAP": (0.1, 0.01), "SOL-USDT-SWAP": (1.0, 0.01)}
SPOTS = {"BTC-USDT": (0.1, 0.00000001), "ETH-USDT": (0.01, 0.000001), "SOL-USDT": (0.01, 0.000001)}
_NO = msgspec.Raw(b"")


class Arg(msgspec.Struct, gc=False):
    channel: str = ""
    instId: str = ""


class Row(msgspec.Struct, gc=False):
    """Any other row that is an object: best bid and ask, a trade, a funding rate, a mark price."""

    asks: msgspec.Raw = _NO
    bids: msgspec.Raw = _NO
    ts: str = ""
    seqId: int = -1
    instId: str = ""
    tradeId: str = ""
    px: str = ""
    sz: str = ""
    side: str = ""
    fundingRate: str = ""
    fundingTime: str = ""
    markPx: str = ""


class BookRow(msgspec.Struct, gc=False):
    """Only what a book message needs: most messages are such."""

    asks: msgspec.Raw = _NO
    bids: msgspec.Raw = _NO
    ts: int = 0
    checksum: int = 0
    seqId: int = -1
    prevSeqId: int = UNNUMBERED


class BookPush(msgspec.Struct, gc=False):
    arg: Arg
    data: list[BookRow]
    action: str
    event: str = ""


class Push(msgspec.Struct):
    arg: Arg | None = None
    data: list[Row | list[str]] = []
    action: str = ""
    event: str = ""
    code: str = ""
    msg: str = ""


_push = msgspec.json.Decoder(Push)
_book_push = msgspec.json.Decoder(BookPush, strict=False)  # times come as strings
_pairs = msgspec.json.Decoder(list[list[str]])
_open = msgspec.json.Decoder(OpenInfo)


class _Symbol:
    """What is known of one instrument's book: ``last`` None = no snapshot yet; ``conn`` −1 = nobody carries it."""

    __slots__ = ("asked", "channel", "conn", "instrument", "key", "last", "native")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument, self.key, self.native = instrument, instrument.key, instrument.native
        self.conn, self.channel = -1, "books"
        self.last: int | None = None
        self.asked: int | None = None  # when a new snapshot was asked for


class Okx(Venue):
    ID, LABEL, SHORT = "okx", "OKX", "OKX"
    ENDPOINTS = {"ws": "wss://ws.okx.com:8443", "rest": "https://www.okx.com"}
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=3.0, topics_per_socket=240, rest_weight_per_min=600)
    PING = (15.0, "ping")
    IDLE_S = 5.0
    CHECKSUM = "interleaved25"
    TEMPLATES = (
        (b'{"arg":{"channel":"books","instId":"', "symbol", b'"},"action":"update","data":[{"asks":', "asks", b',"bids":', "bids",
         b',"ts":"', "ms", b'","checksum":0,"prevSeqId":', "prev", b',"seqId":', "seq", b"}]}"),
        (b'{"arg":{"channel":"bbo-tbt","instId":"', "symbol",
         b'"},"data":[{"asks":[[', "ask", b",", "ask size", b',"', "word", b'","', "word",
         b'"]],"bids":[[', "bid", b",", "bid size", b',"', "word", b'","', "word", b'"]],"ts":"', "ms", b'","seqId":', "seq", b"}]}"),
        (b'{"arg":{"channel":"trades","instId":"', "symbol", b'"},"data":[{"instId":"', "word", b'","tradeId":"', "id",
         b'","px":', "price", b',"sz":', "size", b',"side":"', "side", b'","ts":"', "ms", b'","count":"', "number", b'"}]}'),
    )  # fmt: skip
    FEES = (
        Fee("okx", "spot", 8.0, 10.0, "base", "hummingbot; newsgaged.com (ccxt 4.5.90 says 10/15)", "2026-11-01", "high"),
        Fee("okx", "perp", 2.0, 5.0, "quote", "hummingbot; newsgaged.com; traderssecondbrain.com", "2026-11-01", "high"),
    )

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._known: dict[str, _Symbol] = {}
        self._accept: dict[int, frozenset[str] | None] = {}
        self._unacked: dict[int, dict[str, int]] = {}

    # -- names -----------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol."""
        return symbol[:-5] + "-SWAP" if symbol.endswith("-PERP") else symbol if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        parts = native.split("-")
        if len(parts) == 2 and all(parts):
            tick, lot = SPOTS.get(native, (0.0, 0.0))
            return Instrument(self.ID, native, native, parts[0], parts[1], "spot", tick=tick, lot=lot)
        if len(parts) == 3 and parts[2] == "SWAP":
            value, tick = SWAPS.get(native, (None, 0.0))
            inverse = parts[1] == "USD"
            lot = 0.0 if value is None else value / 100
            return Instrument(self.ID, f"{parts[0]}-{parts[1]}-PERP", native, parts[0], parts[1], "perp", value, inverse, tick, lot)
        if len(parts) in (3, 5) and parts[2].isdigit():
            kind = "future" if len(parts) == 3 else "option"
            return Instrument(self.ID, native, native, parts[0], parts[1], kind, None, parts[1] == "USD")
        return None

    def plan(self) -> tuple[Plan, ...]:
        symbols = tuple(s for s in self.symbols if self.native(s) is not None)
        if not symbols:
            return ()
        ws = self.endpoints["ws"]
        return Plan("public", ws + "/ws/v5/public", symbols), Plan("business", ws + "/ws/v5/business", symbols)

    # -- frames ----------------------------------------------------------------------------------------------------
    def receive(self, frame: Frame) -> Sequence[Event]:
        if frame.kind == DATA:
            # books alone have an action; which of the two shapes is tried is a matter of speed only
            return self._on_book(frame) if b'"action"' in frame.data else self._on_data(frame)
        if frame.kind == TICK:
            return self._on_tick(frame)
        if frame.kind == OPEN:
            return self._on_open(frame)
        if frame.kind == CLOSED:
            return self._on_closed(frame)
        return ()

    def _on_book(self, frame: Frame) -> Sequence[Event]:
        events: list[Event] = []
        try:
            push = _book_push.decode(frame.data)
            native = push.arg.instId
            symbol = self._known.get(native)
            if symbol is None or symbol.conn != frame.conn or push.action != "update":
                symbol = self._entitled(frame, native, events)
                if symbol is None or push.arg.channel not in BOOKS:
                    return events
            ts = frame.ts
            self.seen[symbol.key] = self.seen.get(symbol.key, 0) + 1
            snapshot = push.action == "snapshot"
            for row in push.data:
                bids, asks, seq = row.bids, row.asks, row.seqId
                if bids is _NO and asks is _NO:
                    raise ValueError("a book without sides")
                last = symbol.last
                if snapshot:
                    symbol.conn, symbol.channel, symbol.asked = frame.conn, push.arg.channel, None
                elif push.action != "update":
                    raise ValueError("a book without action")
                elif symbol.conn != frame.conn or last is None:
                    continue  # an update before its snapshot: the snapshot will contain it
                elif row.prevSeqId != last and not self._continues(row, last):
                    symbol.last = None
                    self._resubscribe(symbol, frame.ts)
                    events.append(Gap(frame.ts, symbol.key, "sequence"))
                    break
                symbol.last = seq
                events.append(BookUpdate(ts, symbol.key, row.ts * MS, snapshot, seq, bytes(bids), bytes(asks), row.checksum or None))
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
            events.append(Fault(frame.ts, self.ID, "", f"unreadable: {error}"[:200], frame.data[:200]))
        return events

    def _continues(self, row: BookRow, last: int) -> bool:
        """An update without numbers continues a book without numbers only."""
        if row.prevSeqId != UNNUMBERED:
            return False
        if last >= 0:
            raise ValueError("a book update without its numbers")
        return True

    def _entitled(self, frame: Frame, native: str, events: list[Event]) -> _Symbol | None:
        """The instrument, if it is ours and this connection carries it; tells of it when it is seen for the first time."""
        accept = self._accept.get(frame.conn)
        symbol = self._known.get(native)
        if accept is not None and native not in accept:
            symbol = None
        elif symbol is None:
            instrument = self.instrument(native)
            if instrument is not None:
                symbol = self._known[native] = _Symbol(instrument)
                events.append(Listed(frame.ts, instrument))
        if symbol is None:
            events.append(Fault(frame.ts, self.ID, "", "foreign symbol", frame.data[:200]))
        return symbol

    def _on_data(self, frame: Frame) -> Sequence[Event]:
        if frame.data == b"pong":
            return ()
        events: list[Event] = []
        try:
            push = _push.decode(frame.data)
            if push.arg is None or push.event:
                return self._on_event(frame, push)
            symbol = self._entitled(frame, push.arg.instId, events)
            if symbol is None:
                return events
            if push.arg.channel in BOOKS:
                raise ValueError("a book without action")
            self.seen[symbol.key] = self.seen.get(symbol.key, 0) + 1
            for row in push.data:
                events += self._on_row(frame, symbol.instrument, push.arg.channel, row)
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError, IndexError) as error:
            events.append(Fault(frame.ts, self.ID, "", f"unreadable: {error}"[:200], frame.data[:200]))
        return events

    def _on_row(self, frame: Frame, instrument: Instrument, channel: str, row: Row | list[str]) -> list[Event]:
        if isinstance(row, list):
            if not channel.startswith("candle1m"):
                return []
            o, h, low, c = (number(x) for x in row[1:5])
            return [Bar(frame.ts, instrument.key, int(row[0]) * MS, 60, o, h, low, c, float(row[5]), row[-1] == "1")]
        ts = int(row.ts) * MS if row.ts else 0
        if channel == "bbo-tbt":
            return self._on_quote(frame, instrument, row, ts)
        if channel in ("trades", "trades-all"):
            if row.side not in ("buy", "sell"):
                raise ValueError("a trade without a side")
            price = number(row.px)
            size = number(row.sz)
            if instrument.contract_value is not None:
                size = size * instrument.contract_value / (price if instrument.inverse else 1.0)
            return [Trade(frame.ts, instrument.key, ts, price, size, row.side, row.tradeId)]
        if channel == "funding-rate" and row.fundingRate:
            rate = float(row.fundingRate)
            if not -1.0 < rate < 1.0:
                raise ValueError("funding rate out of range")
            return [Funding(frame.ts, instrument.key, ts, rate, int(row.fundingTime) * MS, None)]
        if channel == "mark-price" and row.markPx:
            return [Funding(frame.ts, instrument.key, ts, None, 0, number(row.markPx))]
        return []

    def _on_quote(self, frame: Frame, instrument: Instrument, row: Row, ts: int) -> list[Event]:
        bids, asks = _pairs.decode(row.bids or b"[]"), _pairs.decode(row.asks or b"[]")
        bid, bid_size = (number(bids[0][0]), number(bids[0][1])) if bids else (0.0, 0.0)
        ask, ask_size = (number(asks[0][0]), number(asks[0][1])) if asks else (0.0, 0.0)
        return [Quote(frame.ts, instrument.key, ts, row.seqId, bid, bid_size, ask, ask_size)]

    def _on_event(self, frame: Frame, push: Push) -> Sequence[Event]:
        topic = f"{push.arg.channel}:{push.arg.instId}" if push.arg else ""
        if push.event == "subscribe":
            self._unacked.get(frame.conn, {}).pop(topic, None)
            return [Ack(frame.ts, self.ID, frame.conn, topic, True)]
        if push.event == "unsubscribe":
            return ()
        if push.event == "error":
            waiting = self._unacked.get(frame.conn, {})
            refused = [topic] if topic else [t for t in waiting if t.replace(":", ",instId:") in push.msg or t in push.msg]
            for t in refused:
                self._unacked.get(frame.conn, {}).pop(t, None)
            text = f"{push.code} {push.msg}"[:200]
            return [*(Ack(frame.ts, self.ID, frame.conn, t, False, text) for t in refused), Notice(frame.ts, self.ID, "error", text)]
        if push.event == "notice":
            self.actions.append(Reconnect(frame.conn, push.msg[:200], planned=True))
            return [Notice(frame.ts, self.ID, "shutdown", f"{push.code} {push.msg}"[:200])]
        if push.event:
            return ()
        return [Fault(frame.ts, self.ID, "", "unknown message", frame.data[:200])]

    # -- subscriptions ---------------------------------------------------------------------------------------------
    def _topics(self, plan: str, native: str) -> list[str]:
        if plan == "business":
            return [f"candle1m:{native}"]
        swap = ["funding-rate", "mark-price"] if native.endswith("-SWAP") else []
        return [f"{channel}:{native}" for channel in ("books", "bbo-tbt", "trades", *swap)]

    def _on_open(self, frame: Frame) -> Sequence[Event]:
        info = _open.decode(frame.data)
        if info.symbols is None:
            self._accept[frame.conn] = None
            return ()
        events: list[Event] = []
        natives = [n for s in info.symbols if (n := self.native(s)) is not None]
        self._accept[frame.conn] = frozenset(natives)
        for native in natives:
            instrument = self.instrument(native)
            if native not in self._known and instrument is not None:
                self._known[native] = _Symbol(instrument)
                events.append(Listed(frame.ts, instrument))
        self._send(frame.conn, frame.ts, "subscribe", [t for native in natives for t in self._topics(info.plan, native)])
        return events

    def _send(self, conn: int, ts: int, op: str, topics: list[str]) -> None:
        if not topics:
            return
        args = [{"channel": c, "instId": i} for c, _, i in (t.partition(":") for t in topics)]
        if op == "subscribe":
            self._unacked.setdefault(conn, {}).update(dict.fromkeys(topics, ts))
        self.actions.append(Send(conn, msgspec.json.encode({"op": op, "args": args}).decode(), tuple(topics)))

    def _resubscribe(self, symbol: _Symbol, ts: int) -> None:
        symbol.asked = ts
        topic = f"{symbol.channel}:{symbol.native}"
        self._send(symbol.conn, ts, "unsubscribe", [topic])
        self._send(symbol.conn, ts, "subscribe", [topic])

    def _on_tick(self, frame: Frame) -> Sequence[Event]:
        events: list[Event] = []
        for conn, topics in self._unacked.items():
            late = [t for t, asked in topics.items() if frame.ts - asked > ACK_TIMEOUT_NS]
            if late:
                events += [Ack(frame.ts, self.ID, conn, t, False, "not confirmed within 10 s") for t in late]
                self._send(conn, frame.ts, "subscribe", late)
        for symbol in self._known.values():
            if symbol.asked is not None and frame.ts - symbol.asked > ACK_TIMEOUT_NS:  # confirmed, but the snapshot never came
                self._resubscribe(symbol, frame.ts)
        return events

    def _on_closed(self, frame: Frame) -> Sequence[Event]:
        self._accept.pop(frame.conn, None)
        self._unacked.pop(frame.conn, None)
        events: list[Event] = []
        for symbol in self._known.values():
            if symbol.conn == frame.conn:
                symbol.conn, symbol.last, symbol.asked = -1, None, None
                events.append(Gap(frame.ts, symbol.key, "disconnected"))
        return events

    def resync(self, symbol: str, ts: int) -> Sequence[Event]:
        known = self._known.get(self.native(symbol) or symbol)
        if known is not None and known.conn >= 0 and known.asked is None:
            known.last = None
            self._resubscribe(known, ts)
        return ()

    def chain(self, symbol: str) -> tuple[str, int, int] | None:
        known = self._known.get(self.native(symbol) or symbol)
        if known is None or known.conn < 0 or known.last is None or known.last < 0:
            return None
        return known.native, known.conn, known.last

    def advance(self, symbol: str, last: int) -> None:
        self._known[self.native(symbol) or symbol].last = last

    def reply_key(self, url: str, natives: Sequence[str]) -> str:
        return "unknown"
