"""HTX spot (formerly Huobi): trades, touch and candles on one socket, incremental books with their snapshots on another.

Every frame is packed with gzip; recordings of the texts are read, too. Messages read:
    {"ch":"market.btcusdt.mbp.150","ts":…,"tick":{"seqNum":…,"prevSeqNum":…,"asks":[[9138.67,0.036178]],"bids":[]}}
    {"id":…,"status":"ok","ts":…,"rep":"market.btcusdt.mbp.150","data":{"seqNum":…,"bids":[[…]],"asks":[[…]]}}
    {"ch":"market.btcusdt.bbo","ts":…,"tick":{"seqId":…,"ask":…,"askSize":…,"bid":…,"bidSize":…,"quoteTime":ms,"symbol":…}}
    {"ch":"market.btcusdt.trade.detail","ts":…,"tick":{"data":[{"id":…,"ts":…,"tradeId":…,"amount":…,"price":…,"direction":"buy"}]}}
    {"ch":"market.btcusdt.kline.1min","ts":…,"tick":{"id":s,"open":…,"close":…,"low":…,"high":…,"amount":base,"vol":quote,…}}
    {"ping":ms} each 5 s, answered by {"pong":ms}   {"id":…,"status":"ok","subbed":…,"ts":…}   {"status":"error","err-code":…,"id":…}
    GET /v1/settings/common/market-symbols  {"status":"ok","data":[{"symbol":"btcusdt","bc":"btc","qc":"usdt","state":"online",
      "pp":2,"ap":6,"lominoa":0.00001,"minov":10,…}],"ts":"…","full":1}   pp, ap = decimals of prices and sizes; lominoa = least size of an
      order with a price; state: online, offline, suspend, pre-online, fuse, …

Book recipe (`_depth_sync.py`): 1 subscribe and buffer; 2 ask for a snapshot on the same socket after the first difference: it is up
to a second old; 3 drop seqNum < its seqNum; 4 the first kept one has prevSeqNum ≤ its seqNum ≤ seqNum, else ask again after a second;
5 then prevSeqNum == previous seqNum; 6 size 0 removes; 7 what falls out behind 150 levels is forgotten. Numbers may have exponents.
The touch comes on the other socket: one whose price is older than the newest book message says nothing new and is left out.
Not verified: that levels which come back into the best 150 are sent again, the limits, and whether seqId compares with seqNum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dope.types import BookUpdate, Event, Fee, Fetch, Frame, Instrument, Limits, Quote, ReplyInfo, Send
from dope.venues._differences import Differences
from dope.venues._htx_wire import Handler, HtxVenue, Message, rows_of
from dope.venues._written import least, number, split_quote, step
from dope.venues.base import LIST, MS, TRADING, Known

QUOTES = ("usdt", "usdc", "usdd", "husd", "eur", "btc", "eth", "ht", "trx")
#: tick and lot (base) of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
SPOTS = {"btcusdt": (0.01, 0.000001), "ethusdt": (0.01, 0.0001), "solusdt": (0.0001, 0.0001), "usdcusdt": (0.0001, 0.0001)}
MIN_NOTIONAL = 10.0  #: of markets against USDT, as of 2026-11 (general knowledge)
BOOK = "mbp.150"
_NO = msgspec.Raw(b"")


class Levels(msgspec.Struct):
    """Of a difference and of a snapshot, which has no ``prevSeqNum``."""

    seqNum: int
    prevSeqNum: int = -1
    bids: msgspec.Raw = _NO
    asks: msgspec.Raw = _NO


class Listing(msgspec.Struct):
    """A row of the list of instruments."""

    symbol: str
    bc: str
    qc: str
    state: str
    pp: int
    ap: int
    lominoa: float = 0.0
    minov: float = 0.0


class Touch(msgspec.Struct):
    bid: float | None = None
    bidSize: float = 0.0
    ask: float | None = None
    askSize: float = 0.0
    quoteTime: int = 0


_listing = msgspec.json.Decoder(Listing, strict=False)
_levels = msgspec.json.Decoder(Levels)
_touch = msgspec.json.Decoder(Touch)


class Htx(HtxVenue):
    ID, LABEL, SHORT = "htx", "HTX", "HTX"
    ENDPOINTS = {"ws": "wss://api.huobi.pro", "rest": "https://api.huobi.pro"}
    SOCKETS = (("market", "/ws"), ("feed", "/feed"))
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=5.0, topics_per_socket=100, rest_weight_per_min=600)
    DEPTH = 150
    FEES = (Fee("htx", "spot", 20.0, 20.0, "base", "ccxt 4.5.90; hummingbot", "2026-11-01", "medium"),)

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._books = Differences(self.ID, self._ask, chained=True)
        self._stamps: dict[str, int] = {}  # native → ms of its newest book message
        self._now = 0

    def handlers(self) -> dict[str, Handler]:
        return {BOOK: self._on_difference, "bbo": self._on_touch}

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        base, _, quote = symbol.lower().partition("-")
        return base + quote if quote in QUOTES else None

    def instrument(self, native: str) -> Instrument | None:
        pair = split_quote(native, QUOTES) if native.islower() else None
        if pair is None:
            return None
        base, quote = pair[0].upper(), pair[1].upper()
        tick, lot = SPOTS.get(native, (0.0, 0.0))
        least = MIN_NOTIONAL if quote == "USDT" else 0.0
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot", tick=tick, lot=lot, min_notional=least)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/v1/settings/common/market-symbols")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(rows_of(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument:
        row = _listing.decode(raw)
        base, quote = row.bc.upper(), row.qc.upper()
        return Instrument(
            self.ID, f"{base}-{quote}", row.symbol, base, quote, "spot", tick=step(row.pp), lot=step(row.ap), min_size=least(row.lominoa),
            min_notional=least(row.minov), status=TRADING if row.state == "online" else row.state.lower(),
        )  # fmt: skip

    def topics(self, socket: str, native: str) -> list[str]:
        channels = (BOOK,) if socket == "feed" else ("bbo", "trade.detail", "kline.1min")
        return [f"market.{native}.{channel}" for channel in channels]

    # -- frames ------------------------------------------------------------------------------------------------------
    def receive(self, frame: Frame) -> Sequence[Event]:
        self._now = frame.ts
        return super().receive(frame)

    def _on_difference(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        levels = _levels.decode(message.tick)
        if not 0 <= levels.prevSeqNum < levels.seqNum:
            raise ValueError("a difference without its numbers")
        self._stamps[known.native] = message.ts
        update = BookUpdate(frame.ts, known.key, message.ts * MS, False, levels.seqNum, bytes(levels.bids), bytes(levels.asks))
        self._books.take(frame, known, (levels.prevSeqNum + 1, levels.seqNum, levels.prevSeqNum), update, events)

    def _on_touch(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        touch = _touch.decode(message.tick)
        if touch.quoteTime < self._stamps.get(known.native, 0):
            return
        bid, bid_size = (number(touch.bid), number(touch.bidSize)) if touch.bid else (0.0, 0.0)
        ask, ask_size = (number(touch.ask), number(touch.askSize)) if touch.ask else (0.0, 0.0)
        events.append(Quote(frame.ts, known.key, touch.quoteTime * MS, -1, bid, bid_size, ask, ask_size))

    # -- snapshots ---------------------------------------------------------------------------------------------------
    def _ask(self, conn: int, native: str, delay_s: float) -> None:
        topic = f"market.{native}.{BOOK}"
        # an answer that never comes is asked for again
        self.known[native].asked = max(self.leaves(conn, self._now), self._now + int(delay_s * 1e9))
        self.actions.append(Send(conn, msgspec.json.encode({"req": topic, "id": f"req {topic}"}).decode(), delay_s=delay_s))

    def replied(self, frame: Frame, message: Message, events: list[Event]) -> None:
        """A snapshot, or that there is none."""
        topic = message.rep or str(message.id).removeprefix("req ")
        native = topic.removeprefix("market.").removesuffix(f".{BOOK}")
        if message.rep and native not in self.known:  # as with differences, the first message may be of a market not yet told of
            self.entitled(frame, native, events)
        known = self.known.get(native)
        if known is None or not topic.endswith(BOOK):
            events.append(self.fault(frame, "an answer that nobody waits for"))
            return
        known.asked = None

        def read() -> tuple[int, BookUpdate]:
            levels = _levels.decode(message.data)
            update = BookUpdate(frame.ts, known.key, message.ts * MS, True, levels.seqNum, bytes(levels.bids), bytes(levels.asks))
            return levels.seqNum, update

        self._books.answer(frame, known, ReplyInfo(topic, 200 if message.rep else 0, ""), read, events)

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        for known in self.known.values():
            if known.conn == frame.conn:
                self._books.closed(known)
                self._stamps.pop(known.native, None)
        super().on_closed(frame, events)

    def again(self, known: Known, ts: int) -> None:
        self._books.again(known)
