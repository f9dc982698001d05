"""KuCoin spot (classic API): touch, depth, trades and candles on one socket whose address has to be asked for.

Messages read:
    POST /api/v1/bullet-public → {"code":"200000","data":{"token":"…","instanceServers":[{"endpoint":"wss://…","pingInterval":18000,…}]}}
    {"id":"…","type":"welcome"}   {"id":"1","type":"ack"}   {"id":"1","type":"error","code":404,"data":"…"}   {"id":"…","type":"pong"}
    {"type":"message","topic":"/market/level2:BTC-USDT","subject":"trade.l2update","data":{"changes":{"asks":[["18906","0.00331","14103845"]],
      "bids":[]},"sequenceStart":14103845,"sequenceEnd":14103845,"symbol":"BTC-USDT","time":1663747970273}}
    {…"topic":"/market/ticker:BTC-USDT",…"data":{"sequence":"…","bestAsk":…,"bestAskSize":…,"bestBid":…,"bestBidSize":…,"time":ms}}
    {…"topic":"/market/match:BTC-USDT",…"data":{"side":"buy","price":…,"size":…,"tradeId":…,"time":"ns"}}      side = the taker's
    {…"topic":"/market/candles:BTC-USDT_1min",…"data":{"candles":["s","open","close","high","low","volume","turnover"],"time":ns}}
    GET /api/v1/market/orderbook/level2_100?symbol=… → {"code":"200000","data":{"sequence":"…","time":ms,"bids":[["p","s"],…],"asks":[…]}}
    GET /api/v2/symbols → {"code":"200000","data":[{"symbol":"BTC-USDT","priceIncrement":"0.1","baseIncrement":"0.00000001","baseMinSize":…,
      "minFunds":"0.1"|null,"enableTrading":true,…},…]}

Book recipe: 1 keep the changes from the first one on, then fetch the snapshot; 2 drop what it contains; the next message begins at
its sequence + 1 or before; 3 from then on sequenceStart is the last sequenceEnd + 1, else a message is missing: snapshot anew; 4 a
price of "0" only moves the numbers on, size 0 removes, several changes of a side apply in the order of their own numbers; 5 the open
snapshot has 100 levels a side (all of them need a key) and tells nothing of what lies behind: the ticker says where the market is, and
when it comes near the end of what the snapshot covered a wider one is fetched; when it is beyond, the book is a gap.

The ticker (100 ms) carries the book's own sequence (recorded: equal to the book of the same number in 429 cases of 429), so the newer
of the two is the touch. Subscribing does not wait for "welcome": what
came too early is not confirmed and asked for again (not verified). Client ping below the 18 s that the venue names.
Not verified: what requests weigh (list of instruments 4, snapshot 4, token 10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from dope.types import Bar, BookUpdate, Event, Fee, Fetch, Frame, Instrument, Limits, Notice, Plan, Quote, Trade
from dope.venues._differences import DifferencesVenue
from dope.venues._requests import Requests
from dope.venues._written import least, number, volume
from dope.venues.base import LIST, MS, TRADING, Known

BATCHED = ("/market/level2", "/market/ticker", "/market/match")
CANDLES = "/market/candles"
MINUTE_NS = 60_000_000_000
SNAPSHOT_LEVELS = 100
NEAR_END = 75  #: level of the snapshot from which on a wider one is wanted
GOOD = "200000"
MAX_NS = 1 << 63
#: tick and lot of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
MARKETS = {
    "BTC-USDT": (0.1, 1e-8), "ETH-USDT": (0.01, 1e-7), "SOL-USDT": (0.001, 1e-4), "BTC-USDC": (0.1, 1e-8), "ETH-USDC": (0.01, 1e-7),
    "SOL-USDC": (0.001, 1e-4), "USDC-USDT": (0.0001, 1e-4),
}  # fmt: skip
MIN_NOTIONAL = 0.1
_NATIVE = re.compile(r"([A-Z0-9]{1,20})-([A-Z0-9]{2,10})")
_NO = msgspec.Raw(b"")

Edges = tuple[float, float, float, float]  #: bid from which on a wider snapshot is wanted, last bid known; the same for asks


class Push(msgspec.Struct, gc=False):
    type: str
    topic: str = ""
    data: msgspec.Raw = _NO
    id: str = ""
    code: int | str = 0


class Changes(msgspec.Struct, gc=False):
    asks: msgspec.Raw
    bids: msgspec.Raw


class Difference(msgspec.Struct, gc=False):
    changes: Changes
    sequenceStart: int
    sequenceEnd: int
    time: int = 0


class Ticker(msgspec.Struct, gc=False):
    sequence: str
    bestAsk: str
    bestAskSize: str
    bestBid: str
    bestBidSize: str
    time: int = 0


class Match(msgspec.Struct, gc=False):
    side: str
    price: str
    size: str
    tradeId: str
    time: str


class Candle(msgspec.Struct):
    candles: list[str]
    time: int


class Depth(msgspec.Struct):
    sequence: int | str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    time: int = 0


class Answer(msgspec.Struct):
    code: str
    data: msgspec.Raw = _NO
    msg: str = ""


class Server(msgspec.Struct):
    endpoint: str


class Bullet(msgspec.Struct):
    token: str
    instanceServers: list[Server]


class Listing(msgspec.Struct):
    """A row of the list of markets."""

    symbol: str
    priceIncrement: str
    baseIncrement: str
    baseMinSize: str
    enableTrading: bool
    minFunds: str | None = None


_symbols = msgspec.json.Decoder(list[msgspec.Raw])
_listing = msgspec.json.Decoder(Listing)
_push = msgspec.json.Decoder(Push)
_difference = msgspec.json.Decoder(Difference)
_ticker = msgspec.json.Decoder(Ticker)
_match = msgspec.json.Decoder(Match)
_candle = msgspec.json.Decoder(Candle)
_depth = msgspec.json.Decoder(Depth)
_answer = msgspec.json.Decoder(Answer)
_bullet = msgspec.json.Decoder(Bullet)
_rows = msgspec.json.Decoder(list[tuple[str, str, str]])


class Kucoin(DifferencesVenue):
    ID, LABEL, SHORT = "kucoin", "KuCoin", "KUC"
    ENDPOINTS = {"ws": "wss://ws-api-spot.kucoin.com", "rest": "https://api.kucoin.com"}
    SOCKETS = (("spot", ""),)
    #: 100 client messages in 10 s, 300 topics a connection; REST 2000 units in 30 s
    LIMITS = Limits(connects_per_s=0.5, connects_per_5min=60, messages_per_s=8.0, topics_per_socket=200, rest_weight_per_min=2000)
    PING = (15.0, '{"id":"ping","type":"ping"}')
    FEES = (Fee("kucoin", "spot", 10.0, 10.0, "quote", "ccxt 4.5.90; hummingbot; times the coin's coefficient", "2026-11-01", "medium"),)
    NATIVE_IN = re.compile(r"[?&]symbol=([A-Z0-9]{1,20}-[A-Z0-9]{2,10})(?:&|$)")

    def __init__(self, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> None:
        super().__init__(symbols, endpoints)
        self._edges: dict[str, Edges] = {}  # by native name
        self._requests = Requests()
        self._refused: set[int] = set()  # connections on which something was

    # -- names -------------------------------------------------------------------------------------------------------
    def native(self, symbol: str) -> str | None:
        return symbol if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        found = _NATIVE.fullmatch(native)
        if found is None:
            return None
        tick, lot = MARKETS.get(native, (0.0, 0.0))
        return Instrument(self.ID, native, native, found[1], found[2], "spot", tick=tick, lot=lot, min_notional=MIN_NOTIONAL)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/api/v2/symbols", weight=4)]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(_symbols.decode(_good(body)), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument:
        row = _listing.decode(raw)
        found = _NATIVE.fullmatch(row.symbol)
        if found is None:
            raise ValueError(f"not a market: {row.symbol}"[:60])
        return Instrument(
            self.ID, row.symbol, row.symbol, found[1], found[2], "spot", 1.0, False, number(row.priceIncrement), number(row.baseIncrement),
            least(row.baseMinSize), least(row.minFunds or 0.0), TRADING if row.enableTrading else "disabled",
        )  # fmt: skip

    # -- the address -------------------------------------------------------------------------------------------------
    def bootstrap(self, path: str) -> Fetch | None:
        return Fetch(0, "token", f"{self.endpoints['rest']}/api/v1/bullet-public", method="POST", weight=10)

    def address(self, plan: Plan, body: bytes) -> str:
        bullet = _bullet.decode(_good(body))
        scheme = "wss://" if self.endpoints["rest"].startswith("https://") else "ws://"
        found = next((server.endpoint for server in bullet.instanceServers if server.endpoint.startswith(scheme)), None)
        if found is None or not bullet.token:
            raise ValueError("no server with a safe address")
        return f"{found}?token={bullet.token}&connectId=dope"

    # -- requests ----------------------------------------------------------------------------------------------------
    def topics(self, socket: str, native: str) -> list[str]:
        return [*(f"{channel}:{native}" for channel in BATCHED), f"{CANDLES}:{native}_1min"]

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        """One channel each; where something was refused, and for candles, one market each."""
        groups: dict[str, list[str]] = {}
        for topic in topics:
            channel = topic.partition(":")[0]
            groups.setdefault(topic if channel == CANDLES or conn in self._refused else channel, []).append(topic)
        for group, asked in groups.items():
            names = ",".join(topic.partition(":")[2] for topic in asked)
            wanted = {"id": str(self._requests.new(conn, asked)), "type": wish, "topic": f"{group.partition(':')[0]}:{names}"}
            yield msgspec.json.encode({**wanted, "privateChannel": False, "response": True}).decode(), asked

    # -- frames ------------------------------------------------------------------------------------------------------
    def read(self, frame: Frame, events: list[Event]) -> None:
        push = _push.decode(frame.data)
        if push.type != "message":
            self._on_answer(frame, push, events)
            return
        channel, _, name = push.topic.partition(":")
        known = self.entitled(frame, name.removesuffix("_1min"), events)
        if known is None:
            return
        match channel:
            case "/market/level2":
                self._on_changes(frame, known, _difference.decode(push.data), events)
            case "/market/ticker":
                self._on_ticker(frame, known, _ticker.decode(push.data), events)
            case "/market/match":
                self._on_match(frame, known, _match.decode(push.data), events)
            case "/market/candles":
                self._on_candle(frame, known, _candle.decode(push.data), events)
            case _:
                events.append(self.fault(frame, "unknown message"))

    def _on_changes(self, frame: Frame, known: Known, told: Difference, events: list[Event]) -> None:
        first, last = told.sequenceStart, told.sequenceEnd
        if not 0 <= first <= last:
            raise ValueError("changes without their numbers")
        sides = _levels(bytes(told.changes.bids)), _levels(bytes(told.changes.asks))
        self._books.take(frame, known, (first, last, -1), BookUpdate(frame.ts, known.key, _ns(told.time, MS), False, last, *sides), events)

    def _on_ticker(self, frame: Frame, known: Known, told: Ticker, events: list[Event]) -> None:
        bid, bid_size = (number(told.bestBid), number(told.bestBidSize)) if told.bestBid not in ("", "0") else (0.0, 0.0)
        ask, ask_size = (number(told.bestAsk), number(told.bestAskSize)) if told.bestAsk not in ("", "0") else (0.0, 0.0)
        edges = self._edges.get(known.native)
        if edges is not None and (0.0 < bid < edges[1] or ask > edges[3] > 0.0):
            del self._edges[known.native]
            self.lost(known, frame.ts, events, "snapshot")
        elif edges is not None and (0.0 < bid < edges[0] or ask > edges[2] > 0.0):
            self._books.reseed(known, frame.ts)
        events.append(Quote(frame.ts, known.key, _ns(told.time, MS), int(told.sequence), bid, bid_size, ask, ask_size))

    def _on_match(self, frame: Frame, known: Known, told: Match, events: list[Event]) -> None:
        if told.side not in ("buy", "sell"):
            raise ValueError("a trade without a side")
        price, size = number(told.price), number(told.size)
        events.append(Trade(frame.ts, known.key, _ns(int(told.time)), price, size, told.side, told.tradeId))

    def _on_candle(self, frame: Frame, known: Known, told: Candle, events: list[Event]) -> None:
        begin = _ns(int(told.candles[0]), 1_000_000_000)
        o, c, h, low = (number(text) for text in told.candles[1:5])  # the close stands before the high
        events.append(Bar(frame.ts, known.key, begin, 60, o, h, low, c, volume(told.candles[5]), told.time >= begin + MINUTE_NS))

    def _on_answer(self, frame: Frame, push: Push, events: list[Event]) -> None:
        match push.type:
            case "ack":
                self.acked(frame, self._requests.pop(frame.conn, push.id), events)
            case "error":
                text = f"{push.code} {bytes(push.data).decode(errors='replace')}"[:200]
                self._refused.add(frame.conn)
                topics = self._requests.pop(frame.conn, push.id)
                if len(topics) > 1:  # which of them was it? each is asked for alone
                    self.ask(frame.conn, frame.ts, "subscribe", topics)
                else:
                    self.acked(frame, topics, events, ok=False, reason=text)
                events.append(Notice(frame.ts, self.ID, "error", text))
            case kind if kind not in ("welcome", "pong"):
                events.append(self.fault(frame, "unknown message"))

    def on_closed(self, frame: Frame, events: list[Event]) -> None:
        self._requests.closed(frame.conn)
        self._refused.discard(frame.conn)
        for known in self.known.values():
            if known.conn == frame.conn:
                self._edges.pop(known.native, None)
        super().on_closed(frame, events)

    # -- snapshots ---------------------------------------------------------------------------------------------------
    def snapshot_at(self, native: str) -> tuple[str, int]:
        return f"/api/v1/market/orderbook/level2_{SNAPSHOT_LEVELS}?symbol={native}", 4

    def snapshot(self, frame: Frame, known: Known, body: bytes) -> tuple[int, BookUpdate]:
        depth = _depth.decode(_good(body))
        sequence = int(depth.sequence)
        texts = msgspec.json.encode(depth.bids), msgspec.json.encode(depth.asks)
        self._edges[known.native] = _edges(depth)
        return sequence, BookUpdate(frame.ts, known.key, _ns(depth.time, MS), True, sequence, *texts)


def _good(body: bytes) -> msgspec.Raw:
    """The data of an answer of REST. Raises ValueError with what the venue said instead."""
    answer = _answer.decode(body)
    if answer.code != GOOD:
        raise ValueError(f"{answer.code} {answer.msg}"[:200])
    return answer.data


def _levels(rows: bytes) -> bytes:
    """One side's changes for the kernel: without those that only move the numbers on, in the order of their numbers."""
    if b"],[" not in rows and not rows.startswith(b'[["0"') and rows.count(b'","') in (0, 2):  # without a size its number would be one
        return rows
    told = sorted((int(sequence), price, size) for price, size, sequence in _rows.decode(rows) if price != "0")
    return msgspec.json.encode([(price, size) for _, price, size in told])


def _edges(depth: Depth) -> Edges:
    """How far the snapshot reaches; 0.0 where it holds the whole side."""
    bids, asks = depth.bids, depth.asks
    low = (float(bids[NEAR_END][0]), float(bids[-1][0])) if len(bids) == SNAPSHOT_LEVELS else (0.0, 0.0)
    high = (float(asks[NEAR_END][0]), float(asks[-1][0])) if len(asks) == SNAPSHOT_LEVELS else (0.0, 0.0)
    return *low, *high


def _ns(time: int, unit: int = 1) -> int:
    """A time of the venue as ns. Raises ValueError on what is none."""
    if not 0 <= time * unit < MAX_NS:
        raise ValueError(f"not a time: {time}"[:60])
    return time * unit
