"""Bybit V5 on a loopback port: what trades on spot, and what spot and linear do alike over the sample market.

    client  {"req_id":"1","op":"subscribe","args":["orderbook.50.BTCUSDT"]}   server  {"success":true,"ret_msg":"subscribe","conn_id",
            "req_id","op"} (linear: ret_msg "")
            a topic that does not exist, is had already, an eleventh on spot  {"success":false,"ret_msg":"…","conn_id","req_id","op"}
            {"op":"ping"}                                     {"success":true,"ret_msg":"pong","conn_id","req_id","op":"ping"}
    GET /v5/market/orderbook?category=&symbol=&limit=    see `bybit_text.py`; an unknown symbol: HTTP 200 and retCode 10001
    GET /v5/market/instruments-info?category=            the list of instruments, on one page

What one bad topic does to the others of its request is not documented: here nothing of such a request is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from dope.sim.bybit_text import Symbol, listing
from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("bybit", "BTC-USDT", "BTCUSDT", "BTC", 10_000, 100, lag=5, half_spread=1_100, bias=-1_500, pace=3),
    ListingSpec("bybit", "ETH-USDT", "ETHUSDT", "ETH", 10_000, 1_000, lag=6, half_spread=2_000, bias=2_000, pace=3),
    ListingSpec("bybit", "SOL-USDT", "SOLUSDT", "SOL", 10_000, 100_000, lag=8, half_spread=4_000, bias=-2_500, pace=4),
    ListingSpec("bybit", "USDC-USDT", "USDCUSDT", "USDC", 100, 1_000_000, lag=4, half_spread=5_000, pace=6),
)
CONNECTS = Rate(500, 300.0)
REQUESTS = Rate(600, 5.0)  #: of REST
MAX_REST = 200  #: levels of one REST book
MAX_ROWS = 1000  #: of one page of the list of instruments
MAX_ARGS = 10  #: topics in one request; spot only
MAX_CHARS = 21_000  #: of the topics of one connection
SILENT_S = 600.0  #: a client that has said nothing for so long is cut


class BybitServer(VenueServer):
    """One category of Bybit."""

    READS = (("orderbook.50.", "depth", 50), ("orderbook.1.", "touch", 1), ("publictrade.", "trades", 0))

    def __init__(self, sample: SampleMarket, venue: str, *, clock: Callable[[], float]) -> None:
        """``venue`` is "bybit" or "bybit_linear"."""
        super().__init__(sample, venue, clock=clock)
        self.linear = venue == "bybit_linear"
        self.symbols = {native: Symbol(market) for native, market in self.markets.items()}
        self._connects: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._spoke: dict[Client, float] = {}

    def admit(self, path: str, now: float) -> Reply | None:
        if path != f"/v5/public/{'linear' if self.linear else 'spot'}":
            return Reply(404, "{}")
        return None if CONNECTS.allows(self._connects, now) else Reply(403, "{}")

    def opened(self, client: Client) -> list[Message]:
        self._spoke[client] = self.clock()
        return []

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        self._spoke[client] = now
        request = read_json(text)
        if not isinstance(request, dict):
            return [_answer(client, {}, "error:Invalid JSON")]
        operation, args = request.get("op"), request.get("args", [])
        if operation == "ping":
            return [_answer(client, request, "pong", ok=True)]
        if operation not in ("subscribe", "unsubscribe") or not isinstance(args, list) or not all(isinstance(t, str) for t in args):
            return [_answer(client, request, "error:handler not found")]
        refusal = self._refusal(client, args) if operation == "subscribe" else ""
        if refusal:
            return [_answer(client, request, refusal)]
        for topic in args:
            if operation == "subscribe":
                client.topics[topic] = False
            else:
                client.topics.pop(topic, None)
        return [_answer(client, request, "" if self.linear else operation, ok=True)]

    def _refusal(self, client: Client, args: list[str]) -> str:
        if not self.linear and len(args) > MAX_ARGS:
            return "args size >10"
        if sum(map(len, (*client.topics, *args))) > MAX_CHARS:
            return "args length exceeds 21000"
        for topic in args:
            if topic in client.topics:
                return f"error:already subscribed,topic:{topic}"
            channel, _, native = topic.rpartition(".")
            if native not in self.symbols or channel not in self.symbols[native].channels():
                return f"Invalid topic: {topic}"
        return ""

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if path not in ("/v5/market/orderbook", "/v5/market/instruments-info"):
            return Reply(404, "{}")
        if not REQUESTS.allows(self._asked, now):
            return Reply(403, "{}")
        if path.endswith("instruments-info"):
            return self._list(query)
        symbol, text = self.symbols.get(query.get("symbol", "")), query.get("limit", "25")
        limit = int(text) if text.isascii() and text.isdigit() else 0
        if query.get("category") != self._category() or symbol is None or not 1 <= limit <= MAX_REST:
            return self._params_error()
        return Reply(200, symbol.rest(limit, self.sample.now_ms))

    def _category(self) -> str:
        return "linear" if self.linear else "spot"

    def _params_error(self) -> Reply:
        return Reply(200, f'{{"retCode":10001,"retMsg":"params error","result":{{}},"retExtInfo":{{}},"time":{self.sample.now_ms}}}')

    def _list(self, query: dict[str, str]) -> Reply:
        text = query.get("limit", "500")
        if query.get("category") != self._category() or not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_ROWS):
            return self._params_error()
        page = {"nextPageCursor": ""} if self.linear else {}
        result = {"category": self._category(), "list": [listing(market.spec) for market in self.markets.values()], **page}
        return Reply(200, as_json({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.sample.now_ms}))

    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        channel, _, native = topic.rpartition(".")
        return self.symbols[native].first(channel, self.sample)

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native = market.spec.native
        for topic, message in self.symbols[native].step(self.sample, wanted):
            if not topic.startswith("orderbook.50.") or not self.lost(native):
                yield topic, message

    def beat(self) -> None:
        if self.port.frozen or self.sample.steps % 100:
            return
        now = self.clock()
        self._spoke = {client: at for client, at in self._spoke.items() if client in self.port.clients}
        for client, at in self._spoke.items():
            if now - at > SILENT_S:
                self.port.end(client, Close(1000, "inactive"))


def _answer(client: Client, request: dict[str, object], text: str, *, ok: bool = False) -> str:
    names = {"conn_id": f"cb{client.number:06d}-sim", "req_id": request.get("req_id", ""), "op": request.get("op", "")}
    return as_json({"success": ok, "ret_msg": text, **names})


Server = partial(BybitServer, venue="bybit")
