"""Gate v4 on a loopback port: what trades on spot, and what spot and futures do alike over the sample market.

    client  {"time":…,"channel":"spot.obu","event":"subscribe","payload":["ob.BTC_USDT.400"]}      server, one answer per request:
            {"time","time_ms","conn_id","trace_id","channel","event","payload","result":{"status":"success"}}
            an unknown pair (the whole request is refused), a stream had already, an unknown channel:
            the same with "error":{"code":2,"message":"…"},"result":{"status":"fail"}; no JSON: code 1
            ``obu`` with a name or depth that does not exist is confirmed and stays silent
            {"time":…,"channel":"spot.ping"}    {"time","time_ms","conn_id","channel":"spot.pong","event":"","result":null}
    GET /api/v4/spot/currency_pairs, /api/v4/futures/usdt/contracts    the list of instruments, see ``listing`` in `gate_text.py`

A client that neither subscribes nor speaks is cut after 30 s, without a close frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from dope.sim.dialogue import Client, Rate, Reply, as_json, read_json
from dope.sim.gate_text import Symbol, listing
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("gate", "BTC-USDT", "BTC_USDT", "BTC", 100_000, 100, lag=9, half_spread=1_700, bias=2_200, pace=5),
    ListingSpec("gate", "ETH-USDT", "ETH_USDT", "ETH", 10_000, 10_000, lag=10, half_spread=2_600, bias=-2_800, pace=5),
    ListingSpec("gate", "SOL-USDT", "SOL_USDT", "SOL", 10_000, 100_000, lag=12, half_spread=4_600, bias=3_100, pace=6),
    ListingSpec("gate", "USDC-USDT", "USDC_USDT", "USDC", 100, 1_000_000, lag=8, half_spread=5_500, pace=6),
)
SILENT_S = 30.0  #: a client without any topic that has said nothing for so long is cut
CHANNELS = {"gate": ("book_ticker", "trades"), "gate_futures": ("book_ticker", "trades", "tickers")}
LISTS = {"gate": "/api/v4/spot/currency_pairs", "gate_futures": "/api/v4/futures/usdt/contracts"}
REQUESTS = Rate(200, 10.0)  #: of each REST path
PATHS = {"gate": "/ws/v4/", "gate_futures": "/v4/ws/usdt"}


class GateServer(VenueServer):
    """One market of Gate."""

    def __init__(self, sample: SampleMarket, venue: str, *, clock: Callable[[], float]) -> None:
        """``venue`` is "gate" or "gate_futures", whose touch is told in whole contracts."""
        self.READS = (("obu:", "depth", 0), ("book_ticker:", "touch", int(venue == "gate")), ("trades:", "trades", 0))
        super().__init__(sample, venue, clock=clock)
        self.path, self.bare = PATHS[venue], CHANNELS[venue]
        self.prefix = "futures" if venue == "gate_futures" else "spot"
        self.symbols = {native: Symbol(market) for native, market in self.markets.items()}
        self.of_topic = {topic: symbol for symbol in self.symbols.values() for topic in symbol.topics()}
        self._spoke: dict[Client, float] = {}
        self._list, self._asked = LISTS[venue], deque[float]()

    def admit(self, path: str, now: float) -> Reply | None:
        return None if path == self.path else Reply(404, "{}")

    def opened(self, client: Client) -> list[Message]:
        self._spoke[client] = self.clock()
        return []

    def heard(self, client: Client, text: str, now: float) -> list[Message]:
        self._spoke[client] = now
        request = read_json(text)
        if not isinstance(request, dict):
            return [self._answer(client, {}, code=1, message="request message need json scheme")]
        channel, event, payload = request.get("channel"), request.get("event"), request.get("payload", [])
        if channel == f"{self.prefix}.ping":
            about = {"time": self.sample.now_ms // 1000, "time_ms": self.sample.now_ms, "conn_id": _number(client)}
            return [as_json({**about, "channel": f"{self.prefix}.pong", "event": "", "result": None})]
        prefix, _, kind = str(channel).partition(".")
        if prefix != self.prefix or kind not in ("obu", "candlesticks", *self.bare):
            return [self._answer(client, request, code=2, message=f"Unknown channel {channel}")]
        if event not in ("subscribe", "unsubscribe") or not isinstance(payload, list) or not all(isinstance(n, str) for n in payload):
            return [self._answer(client, request, code=2, message="invalid argument")]
        topics = [f"{kind}:{name}" for name in ([",".join(payload)] if kind == "candlesticks" else payload)]
        refusal = self._refusal(client, kind, topics) if event == "subscribe" else ""
        if refusal:
            return [self._answer(client, request, code=2, message=refusal)]
        for topic in topics:
            if event == "unsubscribe":
                client.topics.pop(topic, None)
            elif topic in self.of_topic:
                client.topics.setdefault(topic, False)
        return [self._answer(client, request)]

    def _refusal(self, client: Client, kind: str, topics: list[str]) -> str:
        for topic in topics:
            name = topic.partition(":")[2]
            if kind == "obu" and topic in client.topics:
                return f"Alert sub {name}"
            if kind != "obu" and topic not in self.of_topic:
                return f"unknown currency pair: {name.rpartition(',')[2]}"
        return ""

    def _answer(self, client: Client, request: dict[str, object], *, code: int = 0, message: str = "") -> str:
        now = self.sample.now_ms
        about = {"time": now // 1000, "time_ms": now, "conn_id": _number(client), "trace_id": f"{client.number:032x}"}
        names = {name: request.get(name, [] if name == "payload" else "") for name in ("channel", "event", "payload")}
        error = {"error": {"code": code, "message": message}} if code else {}
        return as_json({**about, **names, **error, "result": {"status": "fail" if code else "success"}})

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if path != self._list:
            return Reply(404, '{"label":"NOT_FOUND","message":"Not Found"}')
        if not REQUESTS.allows(self._asked, now):
            return Reply(429, '{"label":"TOO_MANY_REQUESTS","message":"Request Rate limit Exceeded"}')
        return Reply(200, as_json([listing(market.spec) for market in self.markets.values()]))

    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        return self.of_topic[topic].first(topic, self.sample)

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native = market.spec.native
        for topic, message in self.symbols[native].step(self.sample, wanted):
            if not topic.startswith("obu:") or not self.lost(native):
                yield topic, message

    def beat(self) -> None:
        if self.port.frozen or self.sample.steps % 100:
            return
        now = self.clock()
        self._spoke = {client: at for client, at in self._spoke.items() if client in self.port.clients}
        for client, at in self._spoke.items():
            if not client.topics and now - at > SILENT_S:
                client.ws.transport.abort()


def _number(client: Client) -> str:
    """Sixteen hexadecimal digits that differ from one connection to the next."""
    return f"{client.number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}"


Server = partial(GateServer, venue="gate")
