"""KuCoin on loopback ports: tokens by POST, a welcome, numbered changes, open snapshots of 100 levels.

    POST /api/v1/bullet-public     {"code":"200000","data":{"token":"…","instanceServers":[{"endpoint":"ws://…/endpoint","pingInterval":18000,…}]}}
    socket  endpoint?token=…&connectId=…     server  {"id":"dope","type":"welcome"}
    client  {"id":"1","type":"subscribe","topic":"/market/level2:BTC-USDT,ETH-USDT","response":true}    server  {"id":"1","type":"ack"}
            {"id":"1","type":"error","code":404|415|429|509,"data":"…"} and nothing of it is subscribed
            {"id":"2","type":"ping"}                                                              {"id":"2","type":"pong"}
    GET /api/v1/market/orderbook/level2_100?symbol=BTC-USDT
    GET /api/v2/symbols            {"code":"200000","data":[{"symbol":"BTC-USDT","priceIncrement":"0.1",…},…]}
A token that was not given is refused after the handshake; who does not ping within the interval and a patience of 10 s is closed.
Limits: 100 client messages in 10 s, 400 topics a connection, 30 connections a minute, a weight of 2000 in 30 s by REST.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import STEP_MS, SampleMarket
from dope.sim.quoting import Candle, Fill, Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("kucoin", "BTC-USDT", "BTC-USDT", "BTC", 100_000, 1, lag=10, half_spread=2_300, bias=-3_500, pace=4),
    ListingSpec("kucoin", "ETH-USDT", "ETH-USDT", "ETH", 10_000, 10, lag=11, half_spread=3_200, bias=3_000, pace=5),
    ListingSpec("kucoin", "SOL-USDT", "SOL-USDT", "SOL", 1_000, 10_000, lag=13, half_spread=5_200, bias=-2_500, pace=6),
    ListingSpec("kucoin", "USDC-USDT", "USDC-USDT", "USDC", 100, 10_000, lag=3, half_spread=5_000, pace=6),
)
CHANNELS = ("/market/level2", "/market/ticker", "/market/match", "/market/candles")
DEPTH = 100
TICKER_STEPS = 100 // STEP_MS
CANDLE_STEPS = 100
EMPTY_EACH = 5  #: messages from one change of price 0 to the next
PING_S, PATIENCE_S = 18.0, 10.0
TOKENS = 1000  #: given and still good
TOPICS = 400
CONNECTS = Rate(30, 60.0)
REQUESTS = Rate(100, 10.0)
WEIGHT = Rate(2_000, 30.0)  #: of REST
TOKEN_WEIGHT = 10
WEIGHTS = {"/api/v2/symbols": 4, f"/api/v1/market/orderbook/level2_{DEPTH}": 4}


class Server(VenueServer):
    """KuCoin over the sample market. Topics are those of the venue, one market each."""

    READS = (("level2:", "depth", 0), ("ticker:", "touch", 1), ("match:", "trades", 0))

    POSTS = True

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "kucoin", clock=clock)
        self._connects: deque[float] = deque()
        self._weight: deque[float] = deque()
        self._tokens: deque[str] = deque(maxlen=TOKENS)
        self._given = 0
        self._sequence = dict.fromkeys(self.markets, 14_000_000)
        self._messages = 0
        self._told: dict[str, int] = {}  # market → trades of its candle when it was last told

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/endpoint":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "")

    def opened(self, client: Client) -> list[Message]:
        if client.query.get("token") not in self._tokens:
            return [_error(client.query.get("connectId", ""), 401, "token is invalid")]
        return [as_json({"id": client.query.get("connectId", ""), "type": "welcome"})]

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if client.query.get("token") not in self._tokens:
            return Close(1008, "token is invalid")
        request = read_json(text)
        number = request.get("id", "") if isinstance(request, dict) else ""
        if not REQUESTS.allows(client.heard, now):
            return [_error(number, 429, "too many requests")]
        kind = request.get("type") if isinstance(request, dict) else None
        if kind == "ping":
            return [as_json({"id": number, "type": "pong"})]
        if not isinstance(request, dict) or kind not in ("subscribe", "unsubscribe"):
            return [_error(number, 415, "type is not supported")]
        channel, _, names = str(request.get("topic", "")).partition(":")
        topics = [f"{channel}:{name}" for name in names.split(",")]
        if channel not in CHANNELS or any(_market(topic) not in self.markets for topic in topics):
            return [_error(number, 404, f"topic {channel}:{names[:100]} is not found")]
        if kind == "subscribe" and len(set(client.topics) | set(topics)) > TOPICS:
            return [_error(number, 509, "exceed max subscription count limitation")]
        for topic in topics:
            if kind == "subscribe":
                client.topics.setdefault(topic, False)
            else:
                client.topics.pop(topic, None)
        return [as_json({"id": number, "type": "ack"})] if request.get("response") else []

    def posted(self, path: str, body: bytes, now: float) -> Reply:
        if path != "/api/v1/bullet-public":
            return Reply(404, '{"code":"404","msg":"Not Found"}')
        if not self._affords(TOKEN_WEIGHT, now):
            return Reply(429, '{"code":"429000","msg":"Too Many Requests"}')
        self._given += 1
        self._tokens.append(f"sample-{self._given}")
        server = {"endpoint": f"{self.port.endpoints['ws']}/endpoint", "encrypt": False, "protocol": "websocket"}
        times = {"pingInterval": int(PING_S * 1000), "pingTimeout": int(PATIENCE_S * 1000)}
        return Reply(200, as_json({"code": "200000", "data": {"token": self._tokens[-1], "instanceServers": [{**server, **times}]}}))

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        weight = WEIGHTS.get(path)
        if weight is None:
            return Reply(404, '{"code":"404","msg":"Not Found"}')
        if not self._affords(weight, now):
            return Reply(429, '{"code":"429000","msg":"Too Many Requests"}')
        if path == "/api/v2/symbols":
            return Reply(200, as_json({"code": "200000", "data": [listing(market.spec) for market in self.markets.values()]}))
        market = self.markets.get(query.get("symbol", ""))
        if market is None:
            return Reply(200, '{"code":"900001","msg":"symbol not exists"}')
        bids, asks = (self._rows(market, market.book.side(side, DEPTH)) for side in (BID, ASK))
        numbers = f'"time":{self.sample.now_ms},"sequence":"{self._sequence[market.spec.native]}"'
        return Reply(200, f'{{"code":"200000","data":{{{numbers},"bids":[{bids}],"asks":[{asks}]}}}}')

    def _affords(self, weight: int, now: float) -> bool:
        """Count a request of this weight; False = it is over the limit."""
        return all(WEIGHT.allows(self._weight, now) for _ in range(weight))

    def beat(self) -> None:
        """Closes whoever does not ping: what it is sent does not count."""
        if self.port.frozen or self.sample.steps % 100:
            return
        now = self.clock()
        for client in list(self.port.clients):
            if client.heard and now - client.heard[-1] > PING_S + PATIENCE_S:
                self.port.end(client, Close(1000, "Bye"))

    # -- data ----------------------------------------------------------------------------------------------------------
    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        """Nothing: the book's snapshot is fetched, the rest comes when it changes."""
        return ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, steps = market.spec.native, self.sample.steps
        if market.book.changes:
            message = self._changes(market)
            if f"/market/level2:{native}" in wanted and not self.lost(native):
                yield f"/market/level2:{native}", message
        if steps % TICKER_STEPS == 0 and f"/market/ticker:{native}" in wanted:
            yield f"/market/ticker:{native}", self._ticker(market)
        if f"/market/match:{native}" in wanted:
            for fill in market.fills:
                yield f"/market/match:{native}", self._match(market, fill)
        candles = f"/market/candles:{native}_1min"
        if candles in wanted:
            if market.closed is not None:
                yield candles, self._candle(market, market.closed)
            if steps % CANDLE_STEPS == 0 and self._told.get(native) != market.candle.last_id:
                self._told[native] = market.candle.last_id
                yield candles, self._candle(market, market.candle)

    def _changes(self, market: Market) -> str:
        """The changes of the step just made; now and then one that moves the numbers on and nothing else."""
        native = market.spec.native
        first = self._sequence[native] + 1
        rows: tuple[list[str], list[str]] = ([], [])
        self._messages += 1
        if self._messages % EMPTY_EACH == 0:
            rows[self._messages % 2].append(f'["0","0","{self._next(native)}"]')
        for side, tick, lots, _ in market.book.changes:
            rows[side].append(self._rows(market, [(tick, lots)])[:-1] + f',"{self._next(native)}"]')
        bids, asks = (",".join(rows[side][::-1]) for side in (BID, ASK))  # not in the order of their numbers
        body = f'"changes":{{"asks":[{asks}],"bids":[{bids}]}},"sequenceEnd":{self._sequence[native]},"sequenceStart":{first}'
        return _message("level2", native, "trade.l2update", f'{body},"symbol":"{native}","time":{self.sample.now_ms}')

    def _next(self, native: str) -> int:
        self._sequence[native] += 1
        return self._sequence[native]

    def _rows(self, market: Market, levels: list[tuple[int, int]]) -> str:
        return ",".join(f'["{_price(market, tick)}","{_size(market, lots)}"]' for tick, lots in levels)

    def _ticker(self, market: Market) -> str:
        bid, bid_lots, ask, ask_lots = market.book.touch()
        asks = f'"bestAsk":"{_price(market, ask)}","bestAskSize":"{_size(market, ask_lots)}"'
        bids = f'"bestBid":"{_price(market, bid)}","bestBidSize":"{_size(market, bid_lots)}"'
        last = f'"price":"{_price(market, market.candle.close)}","sequence":"{self._sequence[market.spec.native]}","size":"1"'
        return _message("ticker", market.spec.native, "trade.ticker", f'{asks},{bids},{last},"time":{self.sample.now_ms}')

    def _match(self, market: Market, fill: Fill) -> str:
        native, side = market.spec.native, "buy" if fill.buy else "sell"
        orders = ",".join(f'"{name}OrderId":"{fill.trade_id * factor:024x}"' for name, factor in (("maker", 40_503), ("taker", 65_599)))
        what = f'{orders},"price":"{_price(market, fill.tick)}","sequence":"{self._sequence[native]}","side":"{side}"'
        rest = f'"size":"{_size(market, fill.lots)}","symbol":"{native}","time":"{self.sample.now_ms}000000"'
        return _message("match", native, "trade.l3match", f'{what},{rest},"tradeId":"{fill.trade_id:024x}","type":"match"')

    def _candle(self, market: Market, candle: Candle) -> str:
        native = market.spec.native
        prices = '","'.join(_price(market, tick) for tick in (candle.open, candle.close, candle.high, candle.low))
        rows = f'"{candle.open_ms // 1000}","{prices}","{_size(market, candle.lots)}","0"'
        body = f'"symbol":"{native}","candles":[{rows}],"time":{self.sample.now_ms}000000'
        return _message("candles", f"{native}_1min", "trade.candles.update", body)


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of the list of markets."""
    base, _, quote = spec.native.partition("-")
    names = {"symbol": spec.native, "name": spec.native, "baseCurrency": base, "quoteCurrency": quote, "feeCurrency": quote}
    least = {"baseMinSize": spec.lot, "quoteMinSize": "0.1", "minFunds": "0.1", "baseMaxSize": "10000000000", "quoteMaxSize": "99999999"}
    steps = {"baseIncrement": spec.lot, "quoteIncrement": "0.000001", "priceIncrement": spec.tick, "priceLimitRate": "0.1"}
    return {**names, **least, **steps, "isMarginEnabled": True, "enableTrading": True, "st": False, "callauctionIsEnabled": False}


def _message(channel: str, name: str, subject: str, body: str) -> str:
    return f'{{"type":"message","topic":"/market/{channel}:{name}","subject":"{subject}","data":{{{body}}}}}'


def _error(number: object, code: int, text: str) -> str:
    return as_json({"id": number, "type": "error", "code": code, "data": text})


def _market(topic: str) -> str:
    """The market of a topic; "" where it is written in another way than its channel wants."""
    channel, _, name = topic.partition(":")
    if channel == "/market/candles":
        return name.removesuffix("_1min") if name.endswith("_1min") else ""
    return name


def _price(market: Market, tick: int) -> str:
    return rescaled(6, market.spec.tick_e6, 6, strip=True).text(tick)


def _size(market: Market, lots: int) -> str:
    return rescaled(8, market.spec.lot_e8, 8, strip=True).text(lots)
