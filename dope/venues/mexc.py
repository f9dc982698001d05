"""MEXC spot v3: depth, best bid and ask, trades and candles as protobuf frames; acknowledgements, errors and pongs as JSON text.

Messages read: a wrapper {1 channel, 3 symbol, 5 create time ms, 6 send time ms, one body}, where the body is
    313 depth       {1 asks [{1 price, 2 size}], 2 bids, 3 event, 4 fromVersion, 5 toVersion}   all texts; an empty side is absent
    314 deals       {1 [{1 price, 2 size, 3 side: 1 = the taker bought, 2 = sold, 4 ms, 5 id}]}
    315 bookTicker  {1 bid, 2 its size, 3 ask, 4 its size}; no number, an empty side is absent
    308 kline       {1 "Min1", 2 begin s, 3 open, 4 close, 5 high, 6 low, 7 volume, 8 turnover, 9 end s}
    or none at all: such frames occur and say nothing
    {"id":0,"code":0,"msg":"spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"}   "msg":"PONG"
    {"id":0,"code":0,"msg":"Not Subscribed successfully! [channel].  Reason： Blocked! "}
    GET /api/v3/depth  {"lastUpdateId":…,"bids":[["price","size"],…],"asks":[…]}
    GET /api/v3/exchangeInfo  {"symbols":[{"symbol":"BTCUSDT","status":"1","baseAsset":"BTC","quoteAsset":"USDT","baseAssetPrecision":8,
      "quotePrecision":2,"quoteAssetPrecision":2,"baseSizePrecision":"0.000001","quoteAmountPrecision":"1","permissions":["SPOT"],…},…]}

Book recipe (`_depth_sync.py`): 1 subscribe and buffer; 2 snapshot after the first difference; 3 drop toVersion ≤ lastUpdateId;
4 first kept has fromVersion ≤ lastUpdateId + 1 ≤ toVersion; 5 then fromVersion == previous toVersion + 1; 6 size 0 removes.
Client ping {"method":"PING"}; the venue cuts after 60 s without data, after 30 s without a valid subscription, after 24 h.
In the list precisions are counts of decimals (quoteAssetPrecision that of prices, quotePrecision its old name), but for two:
baseSizePrecision is the least size and quoteAmountPrecision the least value of an order. Status 1 = trades, 2 = paused, 3 = offline;
isSpotTradingAllowed is about orders by API and is not read: it is false of markets that trade.
Not verified: what a trade's side means (1 = bought), how one answer names several channels (read as a list with commas), the
rate of requests that is allowed, what a list of instruments weighs (10), and that a trade always has an id (one without gets its
receive time and place).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from dope.types import Bar, BookUpdate, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, Quote, Trade
from dope.venues import _protobuf as protobuf
from dope.venues._differences import DifferencesVenue
from dope.venues._written import least, number, split_quote, step, volume
from dope.venues.base import LIST, MS, TRADING, Known

QUOTES = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "BTC", "ETH")
#: tick and lot (base) of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
SPOTS = {"BTCUSDT": (0.01, 1e-8), "ETHUSDT": (0.01, 0.00001), "SOLUSDT": (0.01, 0.001), "USDCUSDT": (0.0001, 0.01)}
MIN_NOTIONAL = 1.0  #: of markets against USDT, as of 2026-11 (general knowledge)
STATES = {"1": TRADING, "ENABLED": TRADING, "2": "paused", "3": "offline"}  #: numbers since 2025, words before
CHANNELS = (
    "aggre.depth.v3.api.pb@100ms@{}", "aggre.bookTicker.v3.api.pb@10ms@{}", "aggre.deals.v3.api.pb@10ms@{}", "kline.v3.api.pb@{}@Min1",
)  # fmt: skip
DEPTH, DEALS, TOUCH, KLINE = 313, 314, 315, 308
BODIES = range(301, 317)
REFUSED = "Not Subscribed successfully"
SNAPSHOT_LIMIT = 1000


class Answer(msgspec.Struct):
    id: int = -1
    code: int = 0
    msg: str = ""


class Depth(msgspec.Struct):
    """A REST snapshot."""

    lastUpdateId: int
    bids: msgspec.Raw
    asks: msgspec.Raw


class Listing(msgspec.Struct):
    """A row of the list of symbols."""

    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    baseAssetPrecision: int | str
    quotePrecision: int | str
    quoteAssetPrecision: int | str | None = None
    baseSizePrecision: str = "0"
    quoteAmountPrecision: str = "0"
    permissions: list[str] = []


class ExchangeInfo(msgspec.Struct):
    symbols: list[msgspec.Raw]


_exchange_info = msgspec.json.Decoder(ExchangeInfo)
_listing = msgspec.json.Decoder(Listing)
_answer = msgspec.json.Decoder(Answer)
_depth = msgspec.json.Decoder(Depth)


class Mexc(DifferencesVenue):
    ID, LABEL, SHORT = "mexc", "MEXC", "MEXC"
    ENDPOINTS = {"ws": "wss://wbs-api.mexc.com", "rest": "https://api.mexc.com"}
    SOCKETS = (("market", "/ws"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=4.0, topics_per_socket=30, rest_weight_per_min=1200)
    PING = (20.0, '{"method":"PING"}')
    SPARE = 1  # candles
    FEES = (Fee("mexc", "spot", 0.0, 5.0, "base", "ccxt 4.5.90", "2026-11-01", "medium"),)
    NATIVE_IN = re.compile(r"symbol=([A-Z0-9_]+)")

    # -- names and requests ------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        base, _, quote = symbol.partition("-")
        return base + quote if quote in QUOTES else None

    def instrument(self, native: str) -> Instrument | None:
        pair = split_quote(native, QUOTES)
        if pair is None:
            return None
        tick, lot = SPOTS.get(native, (0.0, 0.0))
        least = MIN_NOTIONAL if pair[1] == "USDT" else 0.0
        return Instrument(self.ID, "-".join(pair), native, *pair, "spot", tick=tick, lot=lot, min_notional=least)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/api/v3/exchangeInfo", weight=10)]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_exchange_info.decode(body).symbols, self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _listing.decode(raw)
        base, quote = row.baseAsset, row.quoteAsset
        if "SPOT" not in row.permissions:
            return None
        if not (base.isalnum() and quote.isalnum() and row.symbol):
            raise ValueError(f"not a symbol: {row.symbol}"[:60])
        decimals = row.quotePrecision if row.quoteAssetPrecision is None else row.quoteAssetPrecision
        return Instrument(
            self.ID, f"{base}-{quote}", row.symbol, base, quote, "spot", 1.0, False, step(int(decimals)), step(int(row.baseAssetPrecision)),
            least(row.baseSizePrecision), least(row.quoteAmountPrecision), STATES.get(row.status, row.status.lower()),
        )  # fmt: skip

    def topics(self, socket: str, native: str) -> list[str]:
        return ["spot@public." + channel.format(native) for channel in CHANNELS]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        method = "SUBSCRIPTION" if wish == "subscribe" else "UNSUBSCRIPTION"
        yield msgspec.json.encode({"method": method, "params": topics}).decode(), topics

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        if frame.data.startswith(b"{"):
            self._on_answer(frame, events)
            return
        native, body, stamp, content = "", 0, 0, b""
        for name, value in protobuf.fields(frame.data):
            if name in BODIES and isinstance(value, bytes):
                body, content = name, value
            elif name == 3 and isinstance(value, bytes):
                native = value.decode()
            elif name == 6 and isinstance(value, int):
                stamp = value
        if not native:
            raise ValueError("a frame without a symbol")
        known = self.entitled(frame, native, events)
        if known is None or body == 0:
            return
        if body == DEPTH:
            self._on_depth(frame, known, content, stamp * MS, events)
        elif body == TOUCH:
            self._on_touch(frame, known, content, stamp * MS, events)
        elif body == DEALS:
            self._on_deals(frame, known, content, events)
        elif body == KLINE:
            self._on_kline(frame, known, content, stamp, events)
        else:
            events.append(self.fault(frame, "unknown message"))

    def _on_depth(self, frame: Frame, known: Known, body: bytes, stamp: int, events: list[Event]) -> None:
        sides, versions, at = {1: b"", 2: b""}, {4: -1, 5: -1}, 0
        while at < len(body):
            side = body[at] >> 3
            if body[at] in (0x0A, 0x12):
                if sides[side]:
                    raise ValueError("a side in two parts")
                sides[side], at = protobuf.levels(body, at)
                continue
            name, value, at = protobuf.field(body, at)
            if name in versions and isinstance(value, bytes):
                versions[name] = int(value)
        first, last = versions[4], versions[5]
        if not 0 <= first <= last:
            raise ValueError("a difference without its versions")
        update = BookUpdate(frame.ts, known.key, stamp, False, last, sides[2], sides[1])
        self._books.take(frame, known, (first, last, -1), update, events)

    def _on_touch(self, frame: Frame, known: Known, body: bytes, stamp: int, events: list[Event]) -> None:
        found = _texts(dict(protobuf.fields(body)))
        bid, bid_size = (number(found[1]), number(found[2])) if found.get(1) else (0.0, 0.0)
        ask, ask_size = (number(found[3]), number(found[4])) if found.get(3) else (0.0, 0.0)
        events.append(Quote(frame.ts, known.key, stamp, -1, bid, bid_size, ask, ask_size))

    def _on_deals(self, frame: Frame, known: Known, body: bytes, events: list[Event]) -> None:
        for place, (name, deal) in enumerate(protobuf.fields(body)):
            if name != 1 or not isinstance(deal, bytes):
                continue
            whole = dict(protobuf.fields(deal))
            texts, side, stamp = _texts(whole), whole.get(3), whole.get(4, 0)
            if side not in (1, 2) or not isinstance(stamp, int):
                raise ValueError("a trade without a side")
            trade_id = texts.get(5) or f"{frame.ts}/{place}"
            taker = "buy" if side == 1 else "sell"
            events.append(Trade(frame.ts, known.key, stamp * MS, number(texts[1]), number(texts[2]), taker, trade_id))

    def _on_kline(self, frame: Frame, known: Known, body: bytes, stamp: int, events: list[Event]) -> None:
        whole = dict(protobuf.fields(body))
        texts = _texts(whole)
        begin, end = whole[2], whole.get(9, 0)
        if texts[1] != "Min1" or not isinstance(begin, int) or not isinstance(end, int):
            raise ValueError("a candle of another length")
        o, c, h, low = (number(texts[i]) for i in (3, 4, 5, 6))
        closed = 0 < end * 1000 <= stamp
        events.append(Bar(frame.ts, known.key, begin * 1000 * MS, 60, o, h, low, c, volume(texts.get(7) or 0), closed))

    def _on_answer(self, frame: Frame, events: list[Event]) -> None:
        answer = _answer.decode(frame.data)
        text = answer.msg[:200]
        if answer.code == 0 and text == "PONG":
            return
        if not text:
            raise ValueError("an answer without words")
        said, refusal, refused = answer.msg.partition(REFUSED)
        waiting = self.waiting(frame.conn)
        good = said.split(",") if answer.code == 0 else []
        self.acked(frame, [topic for topic in waiting if topic in good], events)
        if refusal or answer.code != 0:
            bad = [topic for topic in waiting if topic in (refused or said)]
            self.acked(frame, bad, events, ok=False, reason=text)
            events.append(Notice(frame.ts, self.ID, "error", text))
        elif not any(topic.startswith("spot@") for topic in good):
            events.append(self.fault(frame, "unknown message"))

    # -- snapshots ---------------------------------------------------------------------------------------------------
    def snapshot_at(self, native: str) -> tuple[str, int]:
        return f"/api/v3/depth?symbol={native}&limit={SNAPSHOT_LIMIT}", 1

    def snapshot(self, frame: Frame, known: Known, body: bytes) -> tuple[int, BookUpdate]:
        depth = _depth.decode(body)
        update = BookUpdate(frame.ts, known.key, 0, True, depth.lastUpdateId, bytes(depth.bids), bytes(depth.asks))
        return depth.lastUpdateId, update


def _texts(whole: Mapping[int, int | bytes]) -> dict[int, str]:
    """Of a message's fields those that are texts."""
    return {name: value.decode() for name, value in whole.items() if isinstance(value, bytes)}
