"""Bitfinex spot, API v2: books of 100 levels a side, trades and candles on one public socket.

Messages read (numbers are bare; a message may grow at its end):
    {"event":"info","version":2,"platform":{"status":1}}  0 = maintenance; code 20051 connect anew, 20060/20061 maintenance begins/ends
    {"event":"conf","status":"OK","flags":229376}        each array below then ends with the connection's own number and a time in ms
    {"event":"subscribed","channel":"book","chanId":225206,"symbol":"tBTCUSD","prec":"P0",…}   candles: "key":"trade:1m:tBTCUSD"
    {"event":"unsubscribed","status":"OK","chanId":…}    {"event":"error","code":10300,"msg":…,"channel":…,"symbol":…}
    [chanId,[[price,count,amount],…],seq,ms]             book: snapshot; [chanId,[price,count,amount],seq,ms] one change
    [chanId,"cs",-1118812,seq,ms]                        checksum of the book as it stands
    [chanId,"te",[id,ms,amount,price],seq,ms]            trade, amount < 0 = the taker sold; "tu" says it again later
    [chanId,[ms,open,close,high,low,volume],seq,ms]      candle;  [chanId,"hb",seq,ms] each 15 s, also of channels not yet confirmed
    GET conf/…, GET tickers, the list of instruments: see `_bitfinex_list.py`

Book recipe: 1 ask for numbers, checksums and times before anything else; 2 the first array of a book is its snapshot, also an
empty one; 3 count 0 removes from the side that the sign of the amount names (bids > 0), else the level is set; what falls out
behind 100 levels is told as removed; 4 each array of the connection, whatever it is about, has the number after the last one's;
the same one twice is the same message; after any other all books of the connection are asked for anew; 5 a checksum is that of the
best 25 ranks, bid and ask in turn, asks below zero, numbers as JavaScript writes them, as a signed CRC32.
The ticker is not read: its sizes are sums over 25 levels. Sides stand in signs: levels are turned one by one.
Not verified: the codes of info messages; names of more than three letters on either side of a pair (with a colon).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Bar, BookUpdate, Confirmed, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, OpenInfo, Reconnect, Trade
from dope.venues._bitfinex_list import ABROAD, HOME, PairList, list_requests, parted
from dope.venues._minutes import Minutes
from dope.venues._written import number, volume
from dope.venues.base import ACK_TIMEOUT_NS, MS, UNREADABLE, Known, Venue

SEQ_ALL, OB_CHECKSUM, TIMESTAMP = 65536, 131072, 32768
LEN = 100  #: levels a side
RESTART, MAINTENANCE, MAINTENANCE_OVER = 20051, 20060, 20061
TWICE = 10301  #: an error: subscribed to already, only not confirmed yet
ENDED = ""  #: topic of a channel that was given up
TAGGED = frozenset((b'"te"', b'"tu"', b'"cs"'))  #: what follows such a word belongs to it
#: tick (five digits at the price of late 2026), lot and least order (both base) of the default symbols, as of 2026-11 (general
#: knowledge; the venue's list is the authority)
MARKETS = {
    "tBTCUSD": (1.0, 1e-8, 0.00004), "tETHUSD": (0.1, 1e-8, 0.001), "tSOLUSD": (0.01, 1e-8, 0.02),
    "tBTCUST": (1.0, 1e-8, 0.00004), "tETHUST": (0.1, 1e-8, 0.001), "tSOLUST": (0.01, 1e-8, 0.02),
    "tUSTUSD": (0.00001, 1e-8, 4.0), "tUDCUSD": (0.00001, 1e-8, 4.0), "tETHBTC": (0.000001, 1e-8, 0.001),
}  # fmt: skip


class Platform(msgspec.Struct):
    status: int


class Said(msgspec.Struct):
    event: str
    channel: str = ""
    chanId: int = -1
    symbol: str = ""
    key: str = ""
    prec: str = ""
    status: str = ""
    code: int = 0
    msg: str = ""
    platform: Platform | None = None


_said = msgspec.json.Decoder(Said)
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_rows = msgspec.json.Decoder(list[list[msgspec.Raw]])
_values = msgspec.json.Decoder(list[int | float | None])
_int = msgspec.json.Decoder(int)


class Bitfinex(Venue):
    ID, LABEL, SHORT = "bitfinex", "Bitfinex", "BFX"
    ENDPOINTS = {"ws": "wss://api-pub.bitfinex.com", "rest": "https://api-pub.bitfinex.com"}
    SOCKETS = (("public", "/ws/2"),)
    LIMITS = Limits(connects_per_s=0.3, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=24, rest_weight_per_min=30)
    PING = (30.0, '{"event":"ping","cid":1}')
    IDLE_S = 17.0  # each channel beats each 15 s
    CHECKSUM = "signed25"
    SPARE = 1  # candles
    BARE = ("conf",)
    FEES = (
        Fee("bitfinex", "spot", 10.0, 20.0, "base", "ccxt 4.5.90 (one source says zero since December 2025)", "2026-11-01", "low"),
    )  # fmt: skip
    TIERS = (
        Fee("bitfinex", "spot", 0.0, 0.0, "base", "one source: zero since December 2025", "2026-11-01", "low", "zero"),
    )  # fmt: skip

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._channels: dict[int, dict[int, str]] = {}  # connection → channel → topic
        self._numbers: dict[int, int] = {}  # connection → number of its newest array
        self._minutes = Minutes()
        self._nameless: dict[int, dict[str, int]] = {}  # connection → topic that stands without a known channel → since when
        self._pairs = PairList(self.ID)

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        """The venue's name of a canonical symbol: ``tBTCUSD``, ``tLINK:USD``."""
        parts = [ABROAD.get(part, part) for part in symbol.split("-")]
        if len(parts) != 2 or not all(parts):
            return None
        return "t" + ("" if len(parts[0]) == len(parts[1]) == 3 else ":").join(parts)

    def instrument(self, native: str) -> Instrument | None:
        parts = parted(native)
        if parts is None:
            return None
        base, quote = (HOME.get(name, name) for name in parts)
        tick, lot, least = MARKETS.get(native, (0.0, 0.0, 0.0))
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot", tick=tick, lot=lot, min_size=least)

    def listings(self) -> list[Fetch]:
        return list_requests(self.endpoints["rest"])

    def listed(self, key: str, body: bytes) -> Iterable[Instrument] | None:
        """A pair is known when both are there: which least order it has, and at which price it trades."""
        rows = self._pairs.take(key, body)
        return None if rows is None else self.each(rows, self._pairs.instrument)

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [f"book:{native}", f"trades:{native}", f"candles:trade:1m:{native}"]

    def opened(self, frame: Frame, info: OpenInfo) -> None:
        self.ask(frame.conn, frame.ts, "subscribe", ["conf"])

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        for topic in topics:
            channel, _, name = topic.partition(":")
            if topic == "conf":
                yield _text(event="conf", flags=SEQ_ALL | OB_CHECKSUM | TIMESTAMP), [topic]
            elif wish == "unsubscribe":
                channels = self._channels.get(conn, {})
                for number_ in [n for n, carried in channels.items() if carried == topic]:
                    channels[number_] = ENDED
                    yield _text(event=wish, chanId=number_), [topic]
            elif channel == "candles":
                yield _text(event=wish, channel=channel, key=name), [topic]
            elif channel == "book":
                yield _text(event=wish, channel=channel, symbol=name, prec="P0", freq="F0", len=str(LEN)), [topic]
            else:
                yield _text(event=wish, channel=channel, symbol=name), [topic]

    def again(self, known: Known, ts: int) -> None:
        self.renew(known, ts, f"book:{known.native}")

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._channels.pop(frame.conn, None)
        self._numbers.pop(frame.conn, None)
        self._nameless.pop(frame.conn, None)
        super().on_closed(frame, events)

    def on_tick(self, ts: int, events: list[Event]) -> None:
        """A subscription that stands, but on which channel was never told, cannot be had again on its connection."""
        super().on_tick(ts, events)
        for conn, topics in self._nameless.items():
            late = [topic for topic, told in topics.items() if ts - told > ACK_TIMEOUT_NS]
            if late:
                topics.clear()
                self.actions.append(Reconnect(conn, f"the channel of {late[0]} was never told"))

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        if frame.data[:1] == b"[":
            self._on_array(frame, _parts.decode(frame.data), events)
        else:
            self._on_event(frame, _said.decode(frame.data), events)

    def _on_array(self, frame: Frame, parts: list[msgspec.Raw], events: list[Event]) -> None:
        channel, word = _int.decode(parts[0]), bytes(parts[1])
        tail = parts[3:] if word in TAGGED else parts[2:]
        if not tail:
            raise ValueError("an array without its number")
        seq = _int.decode(tail[0])
        last = self._numbers.get(frame.conn)
        if seq == last:
            return  # the same message once more
        self._numbers[frame.conn] = seq
        topics = self._channels.get(frame.conn, {})
        if last is not None and seq != last + 1:
            self._on_hole(frame, [topic for topic in topics.values() if topic.startswith("book:")], events)
        topic = topics.get(channel)
        if word == b'"hb"':
            events.append(Confirmed(frame.ts, self.ID, frame.conn))
        elif topic is None:
            events.append(self.fault(frame, "unknown channel"))
        elif topic != ENDED:
            stamp = _int.decode(tail[1]) * MS if len(tail) > 1 and bytes(tail[1]).isdigit() else 0
            self._on_channel(frame, topic, word, parts, (seq, stamp), events)

    def _on_hole(self, frame: Frame, topics: Sequence[str], events: list[Event]) -> None:
        """A message of this connection is missing, and nobody knows of which book."""
        for topic in topics:
            known = self.known.get(topic.partition(":")[2])
            if known is not None and known.asked is None and known.conn in (-1, frame.conn):
                known.conn = frame.conn
                self.lost(known, frame.ts, events)

    def _on_channel(
        self, frame: Frame, topic: str, word: bytes, parts: list[msgspec.Raw], mark: tuple[int, int], events: list[Event]
    ) -> None:
        """``mark`` = number and time (ns, 0 = none) of the message."""
        channel, _, name = topic.partition(":")
        known = self.entitled(frame, name.rpartition("1m:")[2] if channel == "candles" else name, events)
        if known is None:
            return
        if channel == "book":
            try:
                self._on_book(frame, known, bytes(parts[2]) if word == b'"cs"' else None, word, mark, events)
            except UNREADABLE:
                if known.conn == frame.conn and known.last is not None:  # its number has passed: nobody will miss the message later
                    self.lost(known, frame.ts, events)
                raise
        elif channel == "trades" and word == b'"te"':
            trade_id, ms, bought, price = _values.decode(parts[2])[:4]
            if not isinstance(trade_id, int) or not isinstance(ms, int) or bought is None or price is None:
                raise ValueError("a trade without its numbers")
            side, size = ("sell", number(-bought)) if bought < 0 else ("buy", number(bought))
            events.append(Trade(frame.ts, known.key, ms * MS, number(price), size, side, str(trade_id)))
        elif channel == "candles" and _opens(word) not in (b"[", b"]"):  # not those from before
            ms, *values = [value for value in _values.decode(parts[1])[:6] if value is not None]
            begin, close, high, low, traded = values
            prices = number(begin), number(high), number(low), number(close)
            self._minutes.take(Bar(frame.ts, known.key, int(ms) * MS, 60, *prices, volume(traded), False), events)

    def _on_book(self, frame: Frame, known: Known, checksum: bytes | None, word: bytes, mark: tuple[int, int], events: list[Event]) -> None:
        seq, stamp = mark
        snapshot = checksum is None and _opens(word) in (b"[", b"]")
        if snapshot:
            if not self.begun(known, frame, seq, events):
                return
        elif known.conn != frame.conn or known.last is None:
            self.unbegun(known, frame)
            return
        known.last = seq
        if checksum is not None:
            events.append(BookUpdate(frame.ts, known.key, stamp, False, seq, b"", b"", _int.decode(checksum)))
            return
        sides = _sides(_rows.decode(word) if snapshot else [_parts.decode(word)])
        events.append(BookUpdate(frame.ts, known.key, stamp, snapshot, seq, *sides))

    def _on_event(self, frame: Frame, said: Said, events: list[Event]) -> None:
        topic = f"{said.channel}:{said.key or said.symbol}"
        match said.event:
            case "subscribed":
                wanted = said.channel != "book" or said.prec == "P0"  # other books are rounded, or of single orders
                self._channels.setdefault(frame.conn, {})[said.chanId] = topic if wanted else ENDED
                self._nameless.get(frame.conn, {}).pop(topic, None)
                self.acked(frame, [topic], events)
            case "unsubscribed":
                self._channels.get(frame.conn, {}).pop(said.chanId, None)
            case "conf":
                self.acked(frame, ["conf"], events, ok=said.status == "OK", reason=said.msg)
            case "info":
                self._on_info(frame, said, events)
            case "error":
                waiting = [topic] if topic in self.waiting(frame.conn) else []
                self.acked(frame, waiting, events, ok=said.code == TWICE, reason=f"{said.code} {said.msg}")
                if said.code == TWICE and topic not in self._channels.get(frame.conn, {}).values():
                    self._nameless.setdefault(frame.conn, {})[topic] = frame.ts
                events.append(Notice(frame.ts, self.ID, "error", f"{said.code} {said.msg} {topic}"[:200]))
            case "pong":
                pass
            case _:
                events.append(self.fault(frame, "unknown message"))

    def _on_info(self, frame: Frame, said: Said, events: list[Event]) -> None:
        if said.code:
            events.append(Notice(frame.ts, self.ID, "shutdown" if said.code == RESTART else "status", f"{said.code} {said.msg}"[:200]))
        if said.code == RESTART:
            self.actions.append(Reconnect(frame.conn, said.msg[:200], planned=True))
        elif said.code in (MAINTENANCE, MAINTENANCE_OVER):
            self.trading(frame, said.code == MAINTENANCE_OVER, events)
        elif said.platform is not None:
            if not said.platform.status:
                events.append(Notice(frame.ts, self.ID, "status", "the venue is in maintenance"))
            self.trading(frame, bool(said.platform.status), events)


def _opens(array: bytes) -> bytes:
    """The first sign inside an array."""
    return array[1:].lstrip()[:1]


def _sides(rows: Sequence[Sequence[msgspec.Raw]]) -> tuple[bytes, bytes]:
    """Rows ``price, count, amount`` → bids and asks as the kernel reads them."""
    sides: tuple[list[bytes], list[bytes]] = [], []
    for row in rows:
        price, count, signed = bytes(row[0]), _int.decode(row[1]), bytes(row[2])
        below = signed[:1] == b"-"
        size = signed[1:] if below else signed
        if count < 0 or not size[:1].isdigit() or (count and not size.strip(b"0.")):
            raise ValueError("a level that is none")
        sides[below].append(b"[%b,%b]" % (price, size if count else b"0"))
    bids, asks = (b"[" + b",".join(side) + b"]" for side in sides)
    return bids, asks


def _text(**fields: object) -> str:
    return msgspec.json.encode(fields).decode()
