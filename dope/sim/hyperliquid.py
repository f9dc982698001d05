"""Hyperliquid on loopback ports: one subscription per message, whole books each 5 s, the touch with every change.

    client  {"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC"}}
    server  {"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC","nSigFigs":null,…}}}
            {"channel":"error","data":"Already subscribed: {…}"}, "Invalid subscription {…}" or "Error parsing JSON into valid …: …"
    client  {"method":"ping"}   server {"channel":"pong"}
    POST /info {"type":"metaAndAssetCtxs"}   [{"universe":[{"name":"BTC","szDecimals":5,…},…],…},[{"markPx":"91000.0",…},…]]
A client that says nothing for 60 s is closed; per address 10 connections, 30 new ones and 2000 messages a minute, 1000 subscriptions;
REST 1200 a minute, of which this request takes 20.
The words of the refusals are not verified, but for that they quote the request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.digits import Digits, rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import STEP_MS, SampleMarket
from dope.sim.quoting import MINUTE_MS, Candle, Fill, Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("hyperliquid", "BTC-USDC-PERP", "BTC", "BTC", 1_000_000, 1_000, lag=10, half_spread=900, bias=-3_500, pace=3),
    ListingSpec("hyperliquid", "ETH-USDC-PERP", "ETH", "ETH", 100_000, 10_000, lag=11, half_spread=1_800, bias=3_000, pace=4),
    ListingSpec("hyperliquid", "SOL-USDC-PERP", "SOL", "SOL", 10_000, 1_000_000, lag=13, half_spread=4_500, bias=-5_000, pace=5),
)
DEPTH = 20
BOOK_STEPS = 5_000 // STEP_MS
CONTEXT_STEPS = 300
CANDLE_STEPS = 100
BACKLOG = 5  #: trades told again to a new subscriber
SILENCE_S = 60.0
CONNECTS = Rate(30, 60.0)
MESSAGES = Rate(2_000, 60.0)  #: of all connections together
CONNECTIONS = 10  #: at a time; other sources say 100
SUBSCRIPTIONS = 1_000
INFO = Rate(60, 60.0)
CHANNELS = ("l2Book", "bbo", "trades", "candle", "activeAssetCtx")


class Server(VenueServer):
    """Hyperliquid over the sample market. Topics are ``type:coin``."""

    READS = (("l2book:", "depth", 20), ("bbo:", "touch", 1), ("trades:", "trades", 0))

    POSTS = True

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float], depth: int = DEPTH) -> None:
        super().__init__(sample, "hyperliquid", clock=clock)
        self.depth = depth
        self._connects: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._messages: deque[float] = deque()
        self._touches = {native: market.book.touch() for native, market in self.markets.items()}
        self._past: dict[str, deque[str]] = {native: deque(maxlen=BACKLOG) for native in self.markets}
        self._told: dict[str, int] = {}  # coin → trades of its candle when it was last told

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/ws":
            return Reply(404, "")
        crowded = len(self.port.clients) >= CONNECTIONS
        return None if not crowded and CONNECTS.allows(self._connects, now) else Reply(429, "")

    def opened(self, client: Client) -> list[Message]:
        client.heard.append(self.clock())
        return []

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if not MESSAGES.allows(self._messages, now):
            return Close(1008, "too many messages")
        client.heard.clear()
        client.heard.append(now)
        request = read_json(text)
        method = request.get("method") if isinstance(request, dict) else None
        if not isinstance(request, dict) or method not in ("ping", "subscribe", "unsubscribe"):
            return [_error(f"Error parsing JSON into valid websocket request: {text[:200]}")]
        if method == "ping":
            return ['{"channel":"pong"}']
        asked = request.get("subscription")
        wanted = asked if isinstance(asked, dict) else {}
        kind, coin = wanted.get("type"), wanted.get("coin")
        if kind not in CHANNELS or coin not in self.markets or (kind == "candle" and wanted.get("interval") != "1m"):
            return [_error(f"Invalid subscription {as_json(wanted)}")]
        topic = f"{kind}:{coin}"
        if (method == "subscribe") == (topic in client.topics):
            return [_error(f"Already {method}d: {as_json(wanted)}")]
        if method == "unsubscribe":
            del client.topics[topic]
        elif sum(len(other.topics) for other in self.port.clients) >= SUBSCRIPTIONS:
            return [_error(f"Cannot track more than {SUBSCRIPTIONS} total subscriptions: {as_json(wanted)}")]
        else:
            client.topics[topic] = False
        full = {"type": kind, "coin": coin}
        full |= {"nSigFigs": None, "mantissa": None} if kind == "l2Book" else {"interval": "1m"} if kind == "candle" else {}
        return [as_json({"channel": "subscriptionResponse", "data": {"method": method, "subscription": full}})]

    def posted(self, path: str, body: bytes, now: float) -> Reply:
        if path != "/info":
            return Reply(404, "")
        if not INFO.allows(self._asked, now):
            return Reply(429, "null")
        if read_json(body.decode("utf-8", "replace")) != {"type": "metaAndAssetCtxs"}:
            return Reply(422, "Failed to deserialize the JSON body into the target type")
        universe = as_json([listing(market.spec) for market in self.markets.values()])
        contexts = ",".join(_prices(market) for market in self.markets.values())
        return Reply(200, f'[{{"universe":{universe},"marginTables":[],"collateralToken":0}},[{contexts}]]')

    def beat(self) -> None:
        """Closes whoever said nothing for too long: what it is sent does not count."""
        if self.port.frozen or self.sample.steps % 100:
            return
        now = self.clock()
        for client in list(self.port.clients):
            if client.heard and now - client.heard[-1] > SILENCE_S:
                self.port.end(client, Close(1000, "Inactive"))

    # -- data ----------------------------------------------------------------------------------------------------------
    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        kind, _, native = topic.partition(":")
        market, now = self.markets[native], self.sample.now_ms
        match kind:
            case "l2Book":
                return [self._book(market, now)]
            case "bbo":
                return [_bbo(market, now)]
            case "activeAssetCtx":
                return [_context(market)]
            case "candle":
                return [_candle(market, market.candle)]
        return [_trades(self._past[native])] if self._past[native] else ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, steps, now = market.spec.native, self.sample.steps, self.sample.now_ms
        if market.fills:
            rows = [_trade(market, fill, now) for fill in market.fills]
            self._past[native].extend(rows)
            if f"trades:{native}" in wanted:
                yield f"trades:{native}", _trades(rows)
        touch = market.book.touch() if market.book.changes else self._touches[native]
        if touch != self._touches[native]:
            self._touches[native] = touch
            if f"bbo:{native}" in wanted:
                yield f"bbo:{native}", _bbo(market, now)
        if steps % BOOK_STEPS == 0 and f"l2Book:{native}" in wanted and not self.lost(native):
            yield f"l2Book:{native}", self._book(market, now)
        if steps % CONTEXT_STEPS == 0 and f"activeAssetCtx:{native}" in wanted:
            yield f"activeAssetCtx:{native}", _context(market)
        if f"candle:{native}" in wanted:
            if market.closed is not None:
                yield f"candle:{native}", _candle(market, market.closed)
            if steps % CANDLE_STEPS == 0 and self._told.get(native) != market.candle.last_id:
                self._told[native] = market.candle.last_id
                yield f"candle:{native}", _candle(market, market.candle)

    def _book(self, market: Market, now: int) -> str:
        sides = "],[".join(_levels(market, market.book.side(side, self.depth)) for side in (BID, ASK))
        return f'{{"channel":"l2Book","data":{{"coin":"{market.spec.native}","time":{now},"levels":[[{sides}]]}}}}'


def _error(text: str) -> str:
    return as_json({"channel": "error", "data": text})


def _number(digits: Digits, n: int) -> str:
    """Without trailing zeros, but whole numbers with one: 121366.0."""
    text = digits.text(n)
    return text if "." in text else text + ".0"


def _price(market: Market, tick: int) -> str:
    return _number(rescaled(6, market.spec.tick_e6, 6, strip=True), tick)


def _size(market: Market, lots: int) -> str:
    return _number(rescaled(8, market.spec.lot_e8, 8, strip=True), lots)


def _levels(market: Market, levels: list[tuple[int, int]]) -> str:
    return ",".join(f'{{"px":"{_price(market, tick)}","sz":"{_size(market, lots)}","n":{1 + lots % 7}}}' for tick, lots in levels)


def _bbo(market: Market, now: int) -> str:
    bid, bid_lots, ask, ask_lots = market.book.touch()
    sides = _levels(market, [(bid, bid_lots), (ask, ask_lots)])
    return f'{{"channel":"bbo","data":{{"coin":"{market.spec.native}","time":{now},"bbo":[{sides}]}}}}'


def _trade(market: Market, fill: Fill, now: int) -> str:
    ends = [f"0x{fill.trade_id * factor:040x}" for factor in (2_654_435_761, 40_503)]
    what = f'"side":"{"B" if fill.buy else "A"}","px":"{_price(market, fill.tick)}","sz":"{_size(market, fill.lots)}","time":{now}'
    who = f'"hash":"0x{fill.trade_id:064x}","tid":{600_000_000_000_000 + fill.trade_id},"users":["{ends[0]}","{ends[1]}"]'
    return f'{{"coin":"{market.spec.native}",{what},{who}}}'


def _trades(rows: Iterable[str]) -> str:
    return f'{{"channel":"trades","data":[{",".join(rows)}]}}'


def _candle(market: Market, candle: Candle) -> str:
    o, c, h, low = (_price(market, tick) for tick in (candle.open, candle.close, candle.high, candle.low))
    times = f'"t":{candle.open_ms},"T":{candle.open_ms + MINUTE_MS - 1},"s":"{market.spec.native}","i":"1m"'
    rest = f'"o":"{o}","c":"{c}","h":"{h}","l":"{low}","v":"{_size(market, candle.lots)}","n":{candle.trades}'
    return f'{{"channel":"candle","data":{{{times},{rest}}}}}'


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of the list."""
    return {"szDecimals": len(spec.lot.partition(".")[2]), "name": spec.native, "maxLeverage": 40, "marginTableId": 56}


def _context(market: Market) -> str:
    return f'{{"channel":"activeAssetCtx","data":{{"coin":"{market.spec.native}","ctx":{_prices(market)}}}}}'


def _prices(market: Market) -> str:
    asset, line = market.asset, market.line
    micro = rescaled(6, 1, 6, strip=True)
    mark, oracle = (_number(micro, price) for price in (line.mark, line.price))
    funding = rescaled(8, 1, 8, strip=True).text(asset.funding_e8 // 8)  # hourly
    what = f'"funding":"{funding}","openInterest":"18617.4","prevDayPx":"{oracle}","dayNtlVlm":"7665220.55613","premium":"0.00008521"'
    prices = f'"oraclePx":"{oracle}","markPx":"{mark}","midPx":"{mark}","impactPxs":["{mark}","{mark}"]'
    return f"{{{what},{prices}}}"
