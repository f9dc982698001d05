"""What the HTX venues share: packed frames, requests and answers, the venue's ping, trades, candles; their files hold the rest."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

import msgspec

from dope.types import Bar, Event, Frame, Notice, Send, Trade
from dope.venues._written import number, volume
from dope.venues.base import MS, Known, Venue

MAX_UNPACKED = 4 * 1024 * 1024  #: bytes of one message
GZIP = b"\x1f\x8b"
PING_BELOW = 100  #: bytes of a packed ping; data are longer
BOTH = 31  #: window bits: a gzip header, any window
_NO = msgspec.Raw(b"")


class Message(msgspec.Struct, rename={"err_code": "err-code", "err_msg": "err-msg"}):
    """Every field that any message uses at its outermost."""

    ch: str = ""
    ts: int = 0
    tick: msgspec.Raw = _NO
    ping: int = 0
    id: int | str | None = None
    status: str = ""
    subbed: str = ""
    unsubbed: str = ""
    rep: str = ""
    data: msgspec.Raw = _NO
    op: str = ""
    topic: str = ""
    update: bool = False  #: of recordings made by others: a difference where the venue sends whole books
    err_code: int | str = 0
    err_msg: str = ""


class Deal(msgspec.Struct):
    """``id`` may exceed any machine number; ``quantity`` (base units) comes with contracts only."""

    price: float
    amount: float
    ts: int
    direction: str
    id: msgspec.Raw = _NO
    tradeId: int | None = None
    quantity: float | None = None


class Deals(msgspec.Struct):
    data: list[Deal]


class Candle(msgspec.Struct):
    """``amount`` is in base units everywhere; of marks the prices are texts."""

    id: int
    open: float | str
    close: float | str
    low: float | str
    high: float | str
    amount: float | str = 0.0


class Rows(msgspec.Struct, rename={"code": "err-code", "text": "err-msg"}):
    """An answer of REST with a list of instruments, or why there is none: swaps write the names of that with an underline."""

    status: str
    data: list[msgspec.Raw] = []
    code: str = ""
    text: str = ""
    err_code: int | str = ""
    err_msg: str = ""


_rows = msgspec.json.Decoder(Rows)
_message = msgspec.json.Decoder(Message, strict=False)  # times of notifications may come as texts
_deals = msgspec.json.Decoder(Deals)
_candle = msgspec.json.Decoder(Candle)

Handler = Callable[[Frame, Known, Message, list[Event]], None]


def unpacked(data: bytes) -> bytes:
    """The text of a gzip frame, whole and not above ``MAX_UNPACKED``; text stays as it is. Raises ValueError."""
    if not data.startswith(GZIP):
        return data
    unpacker = zlib.decompressobj(BOTH)
    try:
        text = unpacker.decompress(data, MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"a damaged gzip frame: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("a gzip frame that is cut, too long or followed by something")
    return text


def rows_of(body: bytes) -> list[msgspec.Raw]:
    """The rows of a list of instruments. Raises ValueError."""
    answer = _rows.decode(body)
    if answer.status != "ok":
        raise ValueError(f"{answer.code or answer.err_code} {answer.text or answer.err_msg}"[:200])
    return answer.data


class HtxVenue(Venue):
    """Everything but hosts, names, books and fees."""

    IDLE_S = 6.5

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._since: dict[int, dict[str, int]] = {}  # connection → channel → ms of its acknowledgement
        self._handlers: dict[str, Handler] = {"trade.detail": self._on_deals, "kline.1min": self._on_candle, **self.handlers()}

    @abstractmethod
    def handlers(self) -> dict[str, Handler]:
        """Further channels, by what follows the market in their name."""

    def replied(self, frame: Frame, message: Message, events: list[Event]) -> None:
        """The answer to a request for data, good or bad."""
        events.append(self.fault(frame, "unknown message"))

    def notified(self, frame: Frame, message: Message, events: list[Event]) -> None:
        """A message of the notification socket (with ``op``)."""
        events.append(self.fault(frame, "unknown message"))

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        for topic in topics:  # an answer names its topic only when it is good: the request's id is the topic
            yield self.request(wish[:-6], topic), (topic,)  # subscribe → sub, unsubscribe → unsub

    def request(self, wish: str, topic: str) -> str:
        """``wish`` is "sub" or "unsub"."""
        return msgspec.json.encode({wish: topic, "id": topic}).decode()

    def is_beat(self, data: bytes) -> bool:
        """The venue pings each 5 s, whether it has data or not."""
        if len(data) >= PING_BELOW:
            return False
        try:
            return b"ping" in unpacked(data)
        except ValueError:
            return False

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        message = _message.decode(unpacked(frame.data))
        if message.ch:
            parts = message.ch.split(".", 2)
            handler = self._handlers.get(parts[-1]) if len(parts) == 3 else None
            if handler is None or message.tick is _NO:
                events.append(self.fault(frame, "unknown message"))
                return
            known = self.entitled(frame, parts[1], events)
            if known is not None:
                handler(frame, known, message, events)
        elif message.ping:
            self.actions.append(Send(frame.conn, f'{{"pong":{message.ping}}}', urgent=True))
        elif message.op:
            self.notified(frame, message, events)
        else:
            self._on_answer(frame, message, events)

    def _on_answer(self, frame: Frame, message: Message, events: list[Event]) -> None:
        if message.subbed and message.status == "ok":
            self._since.setdefault(frame.conn, {})[message.subbed] = message.ts
            self.acked(frame, [message.subbed], events)
        elif message.rep:
            self.replied(frame, message, events)
        elif message.status == "error":
            text = f"{message.err_code} {message.err_msg}"[:200]
            events.append(Notice(frame.ts, self.ID, "error", text))
            if message.id in self.waiting(frame.conn):
                self.acked(frame, [str(message.id)], events, ok=False, reason=text)
            else:
                self.replied(frame, message, events)
        elif not message.unsubbed:
            events.append(self.fault(frame, "unknown message"))

    def _on_deals(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        """The first message, before or after the acknowledgement, repeats the last trade before it: history, not news."""
        if message.ch in self.subscriptions.unacked.get(frame.conn, ()):
            return
        since = self._since.get(frame.conn, {}).get(message.ch, 0)
        value = known.instrument.contract_value
        for deal in _deals.decode(message.tick).data:
            if deal.ts < since or deal.direction == "":  # contracts that change hands without a taker
                continue
            if deal.direction not in ("buy", "sell"):
                raise ValueError("a trade without a side")
            price, size = number(deal.price), number(deal.amount)
            if known.instrument.kind != "spot" and value is not None:
                size *= value / price if known.instrument.inverse else value
                if deal.quantity is not None and abs(deal.quantity - size) > 1e-6 * size:
                    raise ValueError(f"{deal.amount:g} contracts are {deal.quantity:g} base units, not {size:g}")
            trade_id = bytes(deal.id).decode().strip('"') if deal.tradeId is None else str(deal.tradeId)
            events.append(Trade(frame.ts, known.key, deal.ts * MS, price, size, deal.direction, trade_id))

    def _on_candle(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        candle = _candle.decode(message.tick)
        o, h, low, c = (number(x) for x in (candle.open, candle.high, candle.low, candle.close))
        closed = message.ts >= (candle.id + 60) * 1000
        events.append(Bar(frame.ts, known.key, candle.id * 1000 * MS, 60, o, h, low, c, volume(candle.amount), closed))

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._since.pop(frame.conn, None)
        super().on_closed(frame, events)
