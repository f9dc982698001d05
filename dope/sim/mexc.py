"""MEXC spot v3 on a loopback port: requests and answers as JSON text, market data as protobuf frames over the sample market.

    client  {"method":"SUBSCRIPTION","params":["spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"]}   {"method":"PING"}
    server  {"id":0,"code":0,"msg":"spot@public.…@BTCUSDT"}    several with commas between them       {"id":0,"code":0,"msg":"PONG"}
            unknown, retired or beyond the 30th: {"id":0,"code":0,"msg":"Not Subscribed successfully! [spot@…].  Reason： Blocked! "}
    frames  {1 channel, 3 symbol, 6 send time ms, 313 depth | 314 deals | 315 bookTicker | 308 kline}, see below
            a hundred messages in a second end the connection; by REST 500 requests in 10 s for each path, a list counts as ten
    REST    /api/v3/depth  {"lastUpdateId":…,"bids":[["price","size"],…],"asks":[…],"timestamp":…}
            /api/v3/exchangeInfo  {"symbols":[{"symbol":"BTCUSDT","status":"1","baseAssetPrecision":8,"quoteAssetPrecision":2,…},…]}

Written from the venue's documentation; the reader in ``dope.venues`` is another code path on purpose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.protobuf import message, packed, tagged
from dope.sim.quoting import MINUTE_MS, Candle, Fill, Market
from dope.sim.venue import Message, Pending, VenueServer

LISTINGS = (
    ListingSpec("mexc", "BTC-USDT", "BTCUSDT", "BTC", 10_000, 1, lag=9, half_spread=1_700, bias=-2_500, pace=3),
    ListingSpec("mexc", "ETH-USDT", "ETHUSDT", "ETH", 10_000, 1_000, lag=10, half_spread=2_600, bias=3_000, pace=4),
    ListingSpec("mexc", "SOL-USDT", "SOLUSDT", "SOL", 10_000, 100_000, lag=13, half_spread=4_600, bias=-4_000, pace=5),
    ListingSpec("mexc", "USDC-USDT", "USDCUSDT", "USDC", 100, 1_000_000, lag=6, half_spread=5_000, pace=6),
)
PATH = "/ws"
MAX_TOPICS = 30
MESSAGES = Rate(100, 1.0)  #: of one connection
ASKED = Rate(500, 10.0)  #: weight of REST, for each path apart
WEIGHTS = {"/api/v3/depth": 1, "/api/v3/exchangeInfo": 10, "/api/v3/time": 1}
UNSUBSCRIBED_S, SILENT_S = 30.0, 60.0  #: a connection without a subscription, or on which nothing is said, is closed
SLOW_STEPS = 10  #: 100 ms
KLINE_STEPS = 100  #: at most each s
LOOK_STEPS = 100  #: how often idle connections are looked for
START = "spot@public."
SPEEDS = {"10ms": 1, "100ms": SLOW_STEPS}


class Symbol:
    """All channels of one market."""

    def __init__(self, market: Market, phase: int) -> None:
        spec = market.spec
        self.market, self.native = market, spec.native
        self.price = rescaled(6, spec.tick_e6, 6, strip=True).text
        self.size = rescaled(8, spec.lot_e8, 8, strip=True).text
        self.quote = rescaled(14, spec.tick_e6 * spec.lot_e8, 14, strip=True).text
        self.pending = {speed: Pending() for speed in SPEEDS}
        self._phase = phase
        self._touch = market.book.touch()
        self._candle_id = -1

    def topics(self) -> set[str]:
        """Every channel that there is."""
        names = [f"aggre.{kind}.v3.api.pb@{speed}@{self.native}" for kind in ("depth", "deals", "bookTicker") for speed in SPEEDS]
        return {START + name for name in (*names, f"kline.v3.api.pb@{self.native}@Min1")}

    def due(self, speed: str, steps: int) -> bool:
        """Whether a channel of this speed speaks in this step."""
        return (steps + self._phase) % SPEEDS[speed] == 0

    def wrapped(self, topic: str, body: int, content: bytes, now: int) -> bytes:
        """A whole frame. A body without any field is sent as an empty one."""
        head = tagged(1, topic) + tagged(3, self.native) + tagged(6, now)
        return head + packed(body, content)

    def depth(self, speed: str, topic: str, now: int) -> bytes:
        """What changed since the last message of this speed; forgotten afterwards."""
        pending = self.pending[speed]
        first, last = pending.first_seq, pending.last_seq
        bids, asks = pending.take()
        sides = [b"".join(tagged(side, self._level(*level)) for level in levels) for side, levels in ((1, asks), (2, bids))]
        rest = tagged(3, topic.rpartition("@")[0]) + tagged(4, str(first)) + tagged(5, str(last))
        return self.wrapped(topic, 313, sides[0] + sides[1] + rest, now)

    def touch(self, topic: str, now: int) -> bytes:
        """Best bid and ask."""
        bid, bid_lots, ask, ask_lots = self.market.book.touch()
        content = message(self.price(bid), self.size(bid_lots), self.price(ask), self.size(ask_lots))
        return self.wrapped(topic, 315, content, now)

    def deals(self, fills: list[Fill], topic: str, now: int) -> bytes:
        """The trades of one step."""
        rows = [message(self.price(f.tick), self.size(f.lots), 1 if f.buy else 2, now, f"{f.trade_id}X0") for f in fills]
        return self.wrapped(topic, 314, b"".join(tagged(1, row) for row in rows) + tagged(2, topic.rpartition("@")[0]), now)

    def kline(self, candle: Candle, topic: str, now: int) -> bytes:
        """One minute."""
        prices = [self.price(tick) for tick in (candle.open, candle.close, candle.high, candle.low)]
        begin = candle.open_ms // 1000
        sums = self.size(candle.lots), self.quote(candle.quote)
        return self.wrapped(topic, 308, message("Min1", begin, *prices, *sums, begin + MINUTE_MS // 1000), now)

    def candles(self, steps: int, topic: str, now: int) -> Iterator[bytes]:
        """The one that ended, and the running one when it changed."""
        if self.market.closed is not None:
            yield self.kline(self.market.closed, topic, now)
        candle = self.market.candle
        if (steps + self._phase) % KLINE_STEPS == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield self.kline(candle, topic, now)

    def touched(self) -> bool:
        """Whether the best bid or ask is another than in the last step."""
        before, self._touch = self._touch, self.market.book.touch()
        return before != self._touch

    def _level(self, tick: int, lots: int) -> bytes:
        return message(self.price(tick), self.size(lots))


class Server(VenueServer):
    """MEXC over the sample market."""

    READS = ((".depth.", "depth", 0), (".bookticker.", "touch", 1), (".deals.", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "mexc", clock=clock)
        self.symbols = {native: Symbol(market, 3 * rank) for rank, (native, market) in enumerate(self.markets.items())}
        self._asked = {path: deque[float]() for path in WEIGHTS}
        self._topics = {topic for symbol in self.symbols.values() for topic in symbol.topics()}

    def admit(self, path: str, now: float) -> Reply | None:
        return None if path == PATH else Reply(404, "{}")

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if not MESSAGES.allows(client.heard, now):
            return Close(1008, "too many messages")
        request = read_json(text)
        method = request.get("method") if isinstance(request, dict) else None
        if method == "PING":
            return [_answer("PONG")]
        topics = request.get("params") if isinstance(request, dict) else None
        if method not in ("SUBSCRIPTION", "UNSUBSCRIPTION") or not isinstance(topics, list) or not all(isinstance(t, str) for t in topics):
            return [_answer("no subscription success")]
        if method == "UNSUBSCRIPTION":
            for topic in topics:
                client.topics.pop(topic, None)
            return [_answer(",".join(topics))]
        good: list[str] = []
        for topic in topics:
            if topic in self._topics and len(client.topics) < MAX_TOPICS:
                client.topics[topic] = False
                good.append(topic)
        bad = [topic for topic in topics if topic not in good]
        answers: list[Message] = [_answer(",".join(good))] if good else []
        return answers + ([_answer(f"Not Subscribed successfully! [{','.join(bad)}].  Reason： Blocked! ")] if bad else [])

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        symbol, steps, now = self.symbols[market.spec.native], self.sample.steps, self.sample.now_ms
        names = {kind: f"{START}aggre.{kind}.v3.api.pb@" for kind in ("depth", "deals", "bookTicker")}
        touched = bool(market.book.changes) and symbol.touched()
        for speed, pending in symbol.pending.items():
            end = f"{speed}@{symbol.native}"
            if market.fills and names["deals"] + end in wanted:
                yield names["deals"] + end, symbol.deals(market.fills, names["deals"] + end, now)
            if touched and names["bookTicker"] + end in wanted:
                yield names["bookTicker"] + end, symbol.touch(names["bookTicker"] + end, now)
            if market.book.changes:
                pending.add(market)
            if pending and symbol.due(speed, steps):
                frame = symbol.depth(speed, names["depth"] + end, now)
                if names["depth"] + end in wanted and not self.lost(symbol.native):
                    yield names["depth"] + end, frame
        topic = f"{START}kline.v3.api.pb@{symbol.native}@Min1"
        if topic in wanted:
            for frame in symbol.candles(steps, topic, now):
                yield topic, frame

    def beat(self) -> None:
        if self.port.frozen or self.sample.steps % LOOK_STEPS:
            return
        now = self.clock()
        for client in list(self.port.clients):
            if now - client.last > (SILENT_S if client.topics else UNSUBSCRIBED_S):
                self.port.end(client, Close(1000, ""))

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if path not in WEIGHTS:
            return Reply(404, "{}")
        if not all(ASKED.allows(self._asked[path], now) for _ in range(WEIGHTS[path])):
            return Reply(429, '{"code":429,"msg":"Too Many Requests"}', (("Retry-After", "10"),))
        if path == "/api/v3/time":
            return Reply(200, f'{{"serverTime":{self.sample.now_ms}}}')
        if path == "/api/v3/exchangeInfo":
            head = {"timezone": "CST", "serverTime": self.sample.now_ms, "rateLimits": [], "exchangeFilters": []}
            return Reply(200, as_json({**head, "symbols": [listing(market.spec) for market in self.markets.values()]}))
        symbol = self.symbols.get(query.get("symbol", ""))
        if symbol is None:
            return Reply(400, '{"msg":"Invalid symbol.","code":-1121}')
        limit = query.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 5000):
            return Reply(400, '{"msg":"limit is not legal","code":700004}')
        book = symbol.market.book
        bids, asks = ([[symbol.price(t), symbol.size(n)] for t, n in book.side(side, int(limit))] for side in (BID, ASK))
        return Reply(200, as_json({"lastUpdateId": book.seq, "bids": bids, "asks": asks, "timestamp": self.sample.now_ms}))


def _answer(text: str) -> str:
    return as_json({"id": 0, "code": 0, "msg": text})


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of the list of symbols."""
    base, _, quote = spec.symbol.partition("-")
    lots, ticks = (len(number.partition(".")[2]) for number in (spec.lot, spec.tick))
    names = {"symbol": spec.native, "status": "1", "baseAsset": base, "quoteAsset": quote, "fullName": base, "permissions": ["SPOT"]}
    digits = {"baseAssetPrecision": lots, "quotePrecision": ticks, "quoteAssetPrecision": ticks, "baseCommissionPrecision": lots}
    least = {"baseSizePrecision": spec.lot, "quoteAmountPrecision": "1.000000000000000000", "maxQuoteAmount": "4000000"}
    return {**names, **digits, **least, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": [], "st": False}
