"""Gemini (API v3) on a loopback port: books, touch and trades over the sample market.

    client  connects to /?snapshot=-1   (0 or nothing = no snapshot, N = N levels a side, -1 = all)
    client  {"id":1,"method":"subscribe","params":["btcusd@depth@100ms","btcusd@bookTicker","btcusd@trade"]}   upper case too
    server  {"id":1,"status":200}       {"id":1,"status":400,"error":{"code":-1013,"msg":"…"}}   nothing of a refused request is taken
    client  {"id":2,"method":"ping"}    server  {"id":2,"status":200,"result":{}}
    GET /v1/symbols/details/all   [{"symbol":"BTCUSD","tick_size":1e-8,"quote_increment":0.01,…},…]   at most 120 requests a minute

The first depthUpdate of a subscription is the book, U equal to u; the next ones begin with the number that the last one ended with.
Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Rate, Reply, as_json, read_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Fill, Market
from dope.sim.venue import Message, Pending, VenueServer

LISTINGS = (
    ListingSpec("gemini", "BTC-USD", "btcusd", "BTC", 10_000, 1, lag=12, half_spread=3_500, bias=3_500, pace=5),
    ListingSpec("gemini", "ETH-USD", "ethusd", "ETH", 10_000, 100, lag=12, half_spread=4_500, bias=-3_500, pace=5),
    ListingSpec("gemini", "SOL-USD", "solusd", "SOL", 1_000, 100, lag=13, half_spread=8_000, bias=2_500, pace=6),
    ListingSpec("gemini", "USDT-USD", "usdtusd", "USDT", 10, 100, lag=3, half_spread=4_000, pace=6),
    ListingSpec("gemini", "USDC-USD", "usdcusd", "USDC", 10, 100, lag=2, half_spread=4_000, pace=6),
)
STREAMS = ("depth@100ms", "bookTicker", "trade")
CONNECTS = Rate(300, 300.0)
REST = Rate(120, 60.0)
LEAST = {"BTC": "0.00001", "ETH": "0.001", "SOL": "0.01", "USDT": "0.1", "USDC": "0.1"}  #: least order, base
FLUSH_STEPS = 10  #: a message of changed levels each 100 ms
INVALID = -1013


class Instrument:
    """All streams of one symbol, as texts."""

    def __init__(self, market: Market) -> None:
        spec = market.spec
        self.market, self.native, self.pending = market, spec.native, Pending()
        self.price, self.size = rescaled(6, spec.tick_e6, 7), rescaled(8, spec.lot_e8, 10)
        self.last = market.book.seq  #: number that the next message begins with
        self.touch = market.book.touch()
        self.trade = (self.touch[0], 0)  #: tick and lots of the newest one

    def _side(self, levels: list[tuple[int, int]]) -> str:
        return ",".join([f'["{self.price.text(tick)}","{self.size.text(lots)}"]' for tick, lots in levels])

    def _depth(self, first: int, last: int, sides: tuple[list[tuple[int, int]], list[tuple[int, int]]], ns: int) -> str:
        bids, asks = map(self._side, sides)
        head = f'"e":"depthUpdate","E":{ns},"s":"{self.native}","U":{first},"u":{last}'
        return f'{{{head},"b":[{bids}],"a":[{asks}]}}'

    def snapshot(self, levels: int | None, ns: int) -> str:
        """The book as it stands, all of it or the best levels."""
        book = self.market.book
        return self._depth(book.seq, book.seq, (book.side(BID, levels), book.side(ASK, levels)), ns)

    def update(self, ns: int) -> str:
        """What changed since the last message."""
        first, self.last = self.last, self.pending.last_seq
        return self._depth(first, self.last, self.pending.take(), ns)

    def best(self, ns: int) -> str:
        """Best bid and ask, and the newest trade."""
        bid, bid_lots, ask, ask_lots = self.market.book.touch()
        price, size = self.price.text, self.size.text
        touch = f'"b":"{price(bid)}","B":"{size(bid_lots)}","a":"{price(ask)}","A":"{size(ask_lots)}"'
        trade = f'"c":"{price(self.trade[0])}","C":"{size(self.trade[1])}"'
        return f'{{"u":{self.market.book.seq},"E":{ns},"s":"{self.native}",{touch},{trade}}}'

    def sold(self, fill: Fill, ns: int) -> str:
        """One trade."""
        self.trade = fill.tick, fill.lots
        terms = f'"t":{fill.trade_id},"p":"{self.price.text(fill.tick)}","q":"{self.size.text(fill.lots)}"'
        return f'{{"E":{ns},"s":"{self.native}",{terms},"m":{"false" if fill.buy else "true"}}}'


class Server(VenueServer):
    """Topics of a client are the stream names."""

    READS = (("@depth", "depth", 0), ("@bookticker", "touch", 1), ("@trade", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "gemini", clock=clock)
        self.instruments = {native: Instrument(market) for native, market in self.markets.items()}
        self._connects: deque[float] = deque()
        self._asked: deque[float] = deque()

    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "")

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if not REST.allows(self._asked, now):
            return Reply(429, '{"result":"error","reason":"RateLimit","message":"Requests were made too frequently"}')
        if path != "/v1/symbols/details/all":
            return Reply(404, '{"result":"error","reason":"EndpointNotFound","message":"API entry point not found"}')
        return Reply(200, as_json([details(market.spec) for market in self.markets.values()]))

    def heard(self, client: Client, text: str, now: float) -> list[Message]:
        request = read_json(text)
        if not isinstance(request, dict):
            return [answer(-1, "Malformed request")]
        number, method, params = request.get("id", -1), str(request.get("method")).lower(), request.get("params")
        if method == "ping":
            return [as_json({"id": number, "status": 200, "result": {}})]
        if method not in ("subscribe", "unsubscribe"):
            return [answer(number, "Unknown method")]
        if not isinstance(params, list) or not params:
            return [answer(number, "Invalid params")]
        for topic in params:
            native, _, stream = str(topic).partition("@")
            if native not in self.instruments or stream not in STREAMS:
                return [answer(number, f"Invalid stream {topic}")]
            if method == "unsubscribe" and topic not in client.topics:
                return [answer(number, f"Not subscribed {topic}")]
        for topic in params:
            if method == "unsubscribe":
                client.topics.pop(topic, None)
            else:
                client.topics.setdefault(topic, False)
        return [answer(number)]

    def first(self, topic: str, client: Client) -> list[Message]:
        native, _, stream = topic.partition("@")
        levels = client.query.get("snapshot", "0")
        if not stream.startswith("depth") or levels == "0":
            return []
        return [self.instruments[native].snapshot(None if levels == "-1" else int(levels), self.sample.now_ms * 10**6)]

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, instrument, ns = market.spec.native, self.instruments[market.spec.native], self.sample.now_ms * 10**6
        instrument.pending.add(market)
        for fill in market.fills:
            if (topic := f"{native}@trade") in wanted:
                yield topic, instrument.sold(fill, ns)
        touch = market.book.touch()
        if touch != instrument.touch:
            instrument.touch = touch
            if (topic := f"{native}@bookTicker") in wanted:
                yield topic, instrument.best(ns)
        if instrument.pending and self.sample.steps % FLUSH_STEPS == 0:
            message = instrument.update(ns)
            if (topic := f"{native}@depth@100ms") in wanted and not self.lost(native):
                yield topic, message


def answer(number: object, refusal: str = "") -> str:
    """What is said to a request."""
    if refusal:
        return as_json({"id": number, "status": 400, "error": {"code": INVALID, "msg": refusal}})
    return as_json({"id": number, "status": 200})


def details(spec: ListingSpec) -> dict[str, object]:
    """A row of the list of symbols."""
    base, _, quote = spec.symbol.partition("-")
    names = {"symbol": spec.native.upper(), "base_currency": base, "quote_currency": quote, "min_order_size": LEAST.get(base, "0.00001")}
    kind = {"status": "open", "wrap_enabled": False, "product_type": "spot", "contract_type": "vanilla", "contract_price_currency": quote}
    return {**names, "tick_size": float(spec.lot), "quote_increment": float(spec.tick), **kind}
