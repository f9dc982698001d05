"""Coinbase Exchange on a loopback port: whole books and their changes of 50 ms, without numbers.

    client  {"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2_batch","matches","heartbeat"]}
    server  {"type":"subscriptions","channels":[{"name":"level2_batch","product_ids":["BTC-USD"]},…]}
            {"type":"error","message":"Failed to subscribe","reason":"NO-USD is not a valid product"}    and nothing of it is subscribed
    GET /products    [{"id":"BTC-USD","quote_increment":"0.01","base_increment":"0.00000001","min_market_funds":"1","status":"online",…},…]
``level2`` and ``full`` need a login. A client that subscribes to nothing within 5 s is closed. 8 connections a second (bursts of 20)
and 100 messages a second per address; by REST ten requests a second (bursts of 15).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.digits import Digits, rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import STEP_MS, SampleMarket
from dope.sim.quoting import Fill, Market
from dope.sim.venue import Message, Pending, VenueServer

LISTINGS = (
    ListingSpec("coinbase_exchange", "BTC-USD", "BTC-USD", "BTC", 10_000, 1, lag=9, half_spread=2_000, bias=1_500, pace=4),
    ListingSpec("coinbase_exchange", "ETH-USD", "ETH-USD", "ETH", 10_000, 1, lag=10, half_spread=2_800, bias=-1_500, pace=5),
    ListingSpec("coinbase_exchange", "SOL-USD", "SOL-USD", "SOL", 10_000, 1, lag=13, half_spread=5_800, bias=2_000, pace=6),
    ListingSpec("coinbase_exchange", "BTC-USDT", "BTC-USDT", "BTC", 10_000, 1, lag=13, half_spread=4_500, bias=-2_500, pace=6),
    ListingSpec("coinbase_exchange", "ETH-USDT", "ETH-USDT", "ETH", 10_000, 1, lag=13, half_spread=5_000, bias=2_500, pace=6),
    ListingSpec("coinbase_exchange", "SOL-USDT", "SOL-USDT", "SOL", 10_000, 1, lag=14, half_spread=7_500, bias=-3_000, pace=6),
    ListingSpec("coinbase_exchange", "USDT-USD", "USDT-USD", "USDT", 10, 1_000_000, lag=3, half_spread=1_000, pace=6),
    ListingSpec("coinbase_exchange", "USDT-USDC", "USDT-USDC", "USDT", 100, 1_000_000, lag=4, half_spread=5_000, pace=6),
)
CHANNELS = ("level2_batch", "matches", "heartbeat", "ticker")
LOGIN = ("level2", "level3", "full", "user")
BOOK_STEPS = 50 // STEP_MS
BEAT_STEPS = 1_000 // STEP_MS
SILENT_S = 5.0
CONNECTS = Rate(20, 2.5)
REQUESTS = Rate(100, 1.0)
ASKED = Rate(15, 1.0)  #: REST: ten a second, bursts of fifteen


class Server(VenueServer):
    """Coinbase Exchange over the sample market. Topics are ``channel:product``."""

    READS = (("level2_batch:", "depth", 0), ("matches:", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "coinbase_exchange", clock=clock)
        self._connects: deque[float] = deque()
        self._messages: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._pending = {native: Pending() for native in self.markets}
        self._sequence = dict.fromkeys(self.markets, 10_000_000)
        self._newest: dict[str, str] = {}

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "")

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if not REQUESTS.allows(self._messages, now):
            return [_error("Too many requests", "")]
        request = read_json(text)
        wish = request.get("type") if isinstance(request, dict) else None
        if not isinstance(request, dict) or wish not in ("subscribe", "unsubscribe"):
            return [_error("Malformed JSON" if request is None else "Type has to be either subscribe or unsubscribe", "")]
        channels, products = request.get("channels"), request.get("product_ids")
        if not isinstance(channels, list) or not channels or not isinstance(products, list):
            return [_error(f"Failed to {wish}", "channels and product_ids are needed")]
        for channel in channels:
            if channel not in CHANNELS:
                reason = "requires authentication" if channel in LOGIN else "is no channel"
                return [_error(f"Failed to {wish}", f"{str(channel)[:40]} {reason}")]
        for product in products:
            if product not in self.markets:
                return [_error(f"Failed to {wish}", f"{str(product)[:40]} is not a valid product")]
        for topic in (f"{channel}:{product}" for channel in channels for product in products):
            if wish == "subscribe":
                client.topics[topic] = False
            else:
                client.topics.pop(topic, None)
        state: dict[str, list[str]] = {}
        for topic in client.topics:
            state.setdefault(topic.partition(":")[0], []).append(topic.partition(":")[2])
        listed = [{"name": name, "product_ids": names} for name, names in state.items()]
        return [as_json({"type": "subscriptions", "channels": listed})]

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if not ASKED.allows(self._asked, now):
            return Reply(429, '{"message":"Public rate limit exceeded"}')
        if path == "/products":
            return Reply(200, as_json([product(market.spec) for market in self.markets.values()]))
        native = path.removeprefix("/products/").removesuffix("/book")
        market = self.markets.get(native)
        if market is None or path != f"/products/{native}/book" or query.get("level") != "1":
            return Reply(404, '{"message":"NotFound"}')
        bid, bid_lots, ask, ask_lots = market.book.touch()
        bids, asks = (_levels(market, [level])[:-1] + ",3]" for level in ((bid, bid_lots), (ask, ask_lots)))
        what = f'"bids":[{bids}],"asks":[{asks}],"sequence":{self._sequence[native]},"auction_mode":false,"auction":null'
        return Reply(200, f'{{{what},"time":"{self._now()}"}}')

    def beat(self) -> None:
        """Heartbeats each second; whoever asks for nothing is closed."""
        if self.sample.steps % BEAT_STEPS:
            return
        now = self.clock()
        for client in list(self.port.clients):
            for topic in client.topics:
                channel, _, native = topic.partition(":")
                if channel == "heartbeat":
                    what = f'"last_trade_id":0,"product_id":"{native}","sequence":{self._sequence[native]},"time":"{self._now()}"'
                    self.deliver([client], topic, f'{{"type":"heartbeat",{what}}}')
            if not client.topics and now - client.last > SILENT_S and not self.port.frozen:
                self.port.end(client, Close(1000, "no subscription"))

    # -- data ----------------------------------------------------------------------------------------------------------
    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        channel, _, native = topic.partition(":")
        if channel == "level2_batch":
            market = self.markets[native]
            asks, bids = (_levels(market, market.book.side(side)) for side in (ASK, BID))
            return [f'{{"type":"snapshot","product_id":"{native}","asks":[{asks}],"bids":[{bids}]}}']
        if channel == "matches" and native in self._newest:
            return [f'{{"type":"last_match",{self._newest[native]}']
        return ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native = market.spec.native
        pending = self._pending[native]
        pending.add(market)
        self._sequence[native] += len(market.book.changes)
        for fill in market.fills:
            self._newest[native] = self._match(market, fill)
            if f"matches:{native}" in wanted:
                yield f"matches:{native}", f'{{"type":"match",{self._newest[native]}'
        if self.sample.steps % BOOK_STEPS == 0 and pending:
            bids, asks = pending.take()
            if f"level2_batch:{native}" in wanted and not self.lost(native):
                rows = ",".join(text for text in (_levels(market, bids, '"buy",'), _levels(market, asks, '"sell",')) if text)
                what = f'"product_id":"{native}","changes":[{rows}],"time":"{self._now()}"'
                yield f"level2_batch:{native}", f'{{"type":"l2update",{what}}}'

    def _now(self) -> str:
        ms = self.sample.now_ms
        return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}000Z"

    def _match(self, market: Market, fill: Fill) -> str:
        native, side = market.spec.native, "sell" if fill.buy else "buy"  # the maker's
        price, size = _digits(market)
        orders = [f'"{name}_order_id":"{fill.trade_id * factor:032x}"' for name, factor in (("maker", 2_654_435_761), ("taker", 40_503))]
        what = f'"trade_id":{fill.trade_id},{",".join(orders)},"side":"{side}","size":"{size.text(fill.lots)}"'
        where = f'"price":"{price.text(fill.tick)}","product_id":"{native}","sequence":{self._sequence[native]}'
        return f'{what},{where},"time":"{self._now()}"}}'


def product(spec: ListingSpec) -> dict[str, object]:
    """A row of the list."""
    base, _, quote = spec.native.partition("-")
    flags = dict.fromkeys(("margin_enabled", "post_only", "limit_only", "cancel_only", "trading_disabled", "auction_mode"), False)
    numbers = {"quote_increment": spec.tick, "base_increment": spec.lot, "min_market_funds": "1"}
    return {"id": spec.native, "base_currency": base, "quote_currency": quote, **numbers, **flags, "status": "online", "status_message": ""}


def _error(message: str, reason: str) -> str:
    return as_json({"type": "error", "message": message, **({"reason": reason} if reason else {})})


def _digits(market: Market) -> tuple[Digits, Digits]:
    tick = market.spec.tick_e6
    return rescaled(6, tick, 5 if tick % 10_000 else 2), rescaled(8, market.spec.lot_e8, 8)


def _levels(market: Market, levels: list[tuple[int, int]], side: str = "") -> str:
    price, size = _digits(market)
    return ",".join([f'[{side}"{price.text(tick)}","{size.text(lots) if lots else "0.00"}"]' for tick, lots in levels])
