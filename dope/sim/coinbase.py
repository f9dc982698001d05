"""Coinbase Advanced Trade on a loopback port: one channel per request, numbers per connection, whole books, heartbeats.

    client  {"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}
    server  {"channel":"subscriptions","timestamp":"…","sequence_num":0,"events":[{"subscriptions":{"level2":["BTC-USD"]}}]}
            {"channel":"l2_data",…,"sequence_num":1,"events":[{"type":"snapshot","product_id":"BTC-USD","updates":[…]}]}
            {"type":"error","message":"…"} in words of our own: those of the venue are not known
    GET /api/v3/brokerage/market/products?product_type=SPOT   {"products":[{"product_id":"BTC-USD",…}],"num_products":8}
A -USDC product gives the data of its -USD product, under that name. A client that subscribes to nothing within 5 s is closed.
Limits per address: 8 connections and 8 requests a second, 10 of REST. Stamps have nine digits; those of a snapshot's levels are of 1970.
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
    ListingSpec("coinbase", "BTC-USD", "BTC-USD", "BTC", 10_000, 1, lag=8, half_spread=1_700, bias=-1_500, pace=3),
    ListingSpec("coinbase", "ETH-USD", "ETH-USD", "ETH", 10_000, 1, lag=9, half_spread=2_500, bias=2_500, pace=4),
    ListingSpec("coinbase", "SOL-USD", "SOL-USD", "SOL", 10_000, 1, lag=12, half_spread=5_500, bias=-4_000, pace=5),
    ListingSpec("coinbase", "BTC-USDT", "BTC-USDT", "BTC", 10_000, 1, lag=13, half_spread=4_500, bias=3_500, pace=6),
    ListingSpec("coinbase", "ETH-USDT", "ETH-USDT", "ETH", 10_000, 1, lag=13, half_spread=5_000, bias=-3_000, pace=6),
    ListingSpec("coinbase", "SOL-USDT", "SOL-USDT", "SOL", 10_000, 1, lag=14, half_spread=7_500, bias=3_500, pace=6),
    ListingSpec("coinbase", "USDT-USD", "USDT-USD", "USDT", 10, 1_000_000, lag=2, half_spread=1_000, pace=6),
    ListingSpec("coinbase", "USDT-USDC", "USDT-USDC", "USDT", 100, 1_000_000, lag=3, half_spread=5_000, pace=6),
)
CHANNELS = ("level2", "market_trades", "heartbeats")
BOOK_STEPS = 50 // STEP_MS
TRADE_STEPS = 250 // STEP_MS
BEAT_STEPS = 1_000 // STEP_MS
BACKLOG = 50  #: trades in the snapshot of a new subscription
SILENT_S = 5.0
CONNECTS = Rate(8, 1.0)
REQUESTS = Rate(8, 1.0)
REST = Rate(10, 1.0)
OWN_USDC = ("USDT", "EURC")  #: bases whose -USDC product is no other name of -USD
LONG_AGO = "1970-01-01T00:00:00Z"
LOST = ""  #: the message that takes a number and never arrives


class Server(VenueServer):
    """Coinbase over the sample market. Topics are ``channel:product``; messages of data lack their numbers until they are delivered."""

    READS = (("level2:", "depth", 0), ("market_trades:", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "coinbase", clock=clock)
        self._connects: deque[float] = deque()
        self._requests: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._numbers: dict[int, int] = {}  # client → its next number
        self._beats = 0
        self._pending = {native: Pending() for native in self.markets}
        self._deals: dict[str, list[str]] = {native: [] for native in self.markets}
        self._past: dict[str, deque[str]] = {native: deque(maxlen=BACKLOG) for native in self.markets}

    # -- numbers -------------------------------------------------------------------------------------------------------
    def deliver(self, clients: list[Client], topic: str, message: Message) -> None:
        for client in clients:
            text = self._numbered(client, str(message))
            if message != LOST:
                self.port.send([client], text, topic=topic)

    def _numbered(self, client: Client, message: str) -> str:
        number = self._numbers.get(client.number, 0)
        self._numbers[client.number] = number + 1
        return message.replace('"sequence_num":0,', f'"sequence_num":{number + client.ahead},', 1)

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "")

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if not REQUESTS.allows(self._requests, now):
            return [_error("rate limit exceeded")]
        request = read_json(text)
        wish = request.get("type") if isinstance(request, dict) else None
        if not isinstance(request, dict) or wish not in ("subscribe", "unsubscribe"):
            return [_error("malformed request")]
        channel, products = request.get("channel"), request.get("product_ids", [])
        if channel not in CHANNELS or not isinstance(products, list):
            return [_error(f"channel {str(channel)[:40]} not found")]
        named = [str(name) for name in products] if channel != "heartbeats" else [""]
        served = [name if name in self.markets or not name.endswith("-USDC") else name[:-1] for name in named]
        unknown = [name for name, known in zip(named, served, strict=True) if known and known not in self.markets]
        if unknown or not served:
            return [_error(f"{unknown[0][:40] if unknown else ''} is not a valid product")]
        for name in served:
            if wish == "subscribe":
                client.topics[f"{channel}:{name}"] = False
            else:
                client.topics.pop(f"{channel}:{name}", None)
        return [self._numbered(client, self._message("subscriptions", as_json([{"subscriptions": _state(client)}])))]

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if not REST.allows(self._asked, now):
            return Reply(429, '{"error":"rate_limit_exceeded","message":"Too many requests"}')
        if path != "/api/v3/brokerage/market/products":
            return Reply(404, '{"error":"NOT_FOUND","message":"not found"}')
        spot = query.get("product_type", "SPOT") == "SPOT"
        rows = [row for market in self.markets.values() for row in products(market.spec)] if spot else []
        return Reply(200, as_json({"products": rows, "num_products": len(rows)}))

    def beat(self) -> None:
        """Heartbeats each second; whoever asks for nothing is closed."""
        if self.sample.steps % BEAT_STEPS:
            return
        self._beats += 1
        now = self.clock()
        when = datetime.fromtimestamp(self.sample.now_ms / 1000, UTC)
        told = f'[{{"current_time":"{when:%Y-%m-%d %H:%M:%S}.000000000 +0000 UTC m=+1.5","heartbeat_counter":{self._beats}}}]'
        for client in list(self.port.clients):
            if "heartbeats:" in client.topics:
                self.deliver([client], "heartbeats:", self._message("heartbeats", told))
            elif not client.topics and now - client.last > SILENT_S and not self.port.frozen:
                self.port.end(client, Close(1000, "no subscription"))

    # -- data ----------------------------------------------------------------------------------------------------------
    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        channel, _, native = topic.partition(":")
        if channel == "level2":
            market = self.markets[native]
            sides = (market.book.side(BID), market.book.side(ASK))
            return [self._book("snapshot", market, sides, LONG_AGO)]
        if channel == "market_trades" and self._past[native]:
            return [self._trades("snapshot", self._past[native])]
        return ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, steps = market.spec.native, self.sample.steps
        pending, deals = self._pending[native], self._deals[native]
        pending.add(market)
        deals += [self._deal(market, fill) for fill in market.fills]
        if steps % BOOK_STEPS == 0 and pending:
            sides = pending.take()
            if f"level2:{native}" in wanted:
                lost = self.lost(native)
                yield f"level2:{native}", LOST if lost else self._book("update", market, sides, self._now())
        if steps % TRADE_STEPS == 0 and deals:
            self._past[native].extend(deals)
            if f"market_trades:{native}" in wanted:
                yield f"market_trades:{native}", self._trades("update", deals[::-1])
            self._deals[native] = []

    def _now(self) -> str:
        ms = self.sample.now_ms
        return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}000000Z"

    def _message(self, channel: str, events: str) -> str:
        return f'{{"channel":"{channel}","timestamp":"{self._now()}","sequence_num":0,"events":{events}}}'

    def _book(self, kind: str, market: Market, sides: tuple[list[tuple[int, int]], list[tuple[int, int]]], when: str) -> str:
        price, size = _digits(market)
        rows = [
            f'{{"side":"{name}","event_time":"{when}","price_level":"{price.text(tick)}","new_quantity":"{lots and size.text(lots)}"}}'
            for name, levels in zip(("bid", "offer"), sides, strict=True) for tick, lots in levels
        ]  # fmt: skip
        what = f'"type":"{kind}","product_id":"{market.spec.native}","updates":[{",".join(rows)}]'
        return self._message("l2_data", f"[{{{what}}}]")

    def _deal(self, market: Market, fill: Fill) -> str:
        price, size = _digits(market)
        what = f'"trade_id":"{fill.trade_id}","product_id":"{market.spec.native}","price":"{price.text(fill.tick)}"'
        side = "SELL" if fill.buy else "BUY"  # the maker's
        return f'{{{what},"size":"{size.text(fill.lots)}","side":"{side}","time":"{self._now()}"}}'

    def _trades(self, kind: str, deals: Iterable[str]) -> str:
        return self._message("market_trades", f'[{{"type":"{kind}","trades":[{",".join(deals)}]}}]')


def products(spec: ListingSpec) -> list[dict[str, object]]:
    """The rows of the list about one market: itself, and its -USDC product where that is another name of it."""
    base, _, quote = spec.native.partition("-")
    alias = f"{spec.native}C" if quote == "USD" and base not in OWN_USDC else ""
    numbers = {"price_increment": spec.tick, "quote_increment": spec.tick, "base_increment": spec.lot, "base_min_size": spec.lot}
    flags = dict.fromkeys(("is_disabled", "cancel_only", "limit_only", "post_only", "trading_disabled", "auction_mode"), False)
    common = {"product_type": "SPOT", "base_currency_id": base, **numbers, "quote_min_size": "1", "status": "online", **flags}
    rows = [{"product_id": spec.native, "quote_currency_id": quote, "alias": "", "alias_to": [alias] if alias else [], **common}]
    if alias:
        rows.append({"product_id": alias, "quote_currency_id": "USDC", "alias": spec.native, "alias_to": [], **common})
    return rows


def _error(text: str) -> str:
    return as_json({"type": "error", "message": text})


def _state(client: Client) -> dict[str, list[str]]:
    state: dict[str, list[str]] = {}
    for topic in client.topics:
        channel, _, name = topic.partition(":")
        state.setdefault(channel, []).append(name or channel)
    return state


def _digits(market: Market) -> tuple[Digits, Digits]:
    """How prices and sizes are written: the price with the tick's decimals, the size with eight."""
    decimals = len(str(1_000_000 // market.spec.tick_e6)) - 1
    return rescaled(6, market.spec.tick_e6, decimals), rescaled(8, market.spec.lot_e8, 8)
