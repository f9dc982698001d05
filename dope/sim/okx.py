"""OKX on a loopback port: subscriptions, errors, limits and the REST book over the sample market.

    client  {"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}   server  one ack per arg:
            {"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"…"}
            unknown channel or instrument   {"event":"error","code":"60018","msg":"…","connId":"…"}
            anything unreadable             {"event":"error","code":"60012","msg":"…","connId":"…"}
            too many requests in an hour    {"event":"error","code":"60014","msg":"…","connId":"…"}
            ping                            pong
            GET too often                   HTTP 429 {"code":"50011","data":[],"msg":"Too Many Requests"}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from dope.sim.dialogue import Client, Close, Ping, Rate, Reply, as_json, read_json
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.okx_text import KEEPALIVE_MS, Instrument
from dope.sim.port import Port
from dope.sim.truth_log import Voice

#: its spot markets come last
LISTINGS = (
    ListingSpec("okx", "BTC-USDT", "BTC-USDT", "BTC", 100_000, 1, lag=7, half_spread=1_500, bias=3_000),
    ListingSpec("okx", "ETH-USDT", "ETH-USDT", "ETH", 10_000, 100, lag=8, half_spread=2_400, bias=-4_000),
    ListingSpec("okx", "SOL-USDT", "SOL-USDT", "SOL", 10_000, 100, lag=12, half_spread=4_200, bias=5_000),
    ListingSpec("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC", 100_000, 1_000_000, 1_000_000, lag=4, half_spread=600, bias=2_000),
    ListingSpec("okx", "ETH-USDT-PERP", "ETH-USDT-SWAP", "ETH", 10_000, 1_000_000, 10_000_000, lag=5, half_spread=1_200, bias=-2_500),
    ListingSpec("okx", "SOL-USDT-PERP", "SOL-USDT-SWAP", "SOL", 10_000, 1_000_000, lag=9, half_spread=3_800, bias=3_000),
    ListingSpec("okx", "USDC-USDT", "USDC-USDT", "USDC", 100, 10_000, lag=5, half_spread=5_000, pace=6),
    ListingSpec("okx", "ETH-BTC", "ETH-BTC", "ETH", 10, 100, lag=8, half_spread=12_000, pace=3),
)
PATHS = {"/ws/v5/public": "public", "/ws/v5/business": "business"}
CONNECTS = Rate(3, 1.0)
REQUESTS = Rate(480, 3600.0)
#: of REST, per address and path; the list of instruments for each type apart
ASKED = {"/api/v5/market/books": Rate(40, 2.0), "/api/v5/public/instruments": Rate(20, 2.0), "/api/v5/public/time": Rate(10, 2.0)}
KINDS = ("SPOT", "SWAP")
IDLE_S = 30.0  #: a connection on which nothing is said in either direction is closed
BUSINESS = ("candle", "trades-all")
READS = (("books:", "depth", 0), ("bbo-tbt:", "touch", 1), ("trades:", "trades", 0))


class OkxTalk:
    """The request language of OKX. ``topics`` of a client are ``channel:instId``. Knows no data."""

    def __init__(self, exists: Callable[[str, str], bool]) -> None:
        """``exists(channel, instId)`` tells whether the venue has such a topic."""
        self._exists = exists
        self._connects: deque[float] = deque()

    def admit(self, path: str, now: float) -> Reply | None:
        """Refuses unknown paths and a fourth connection within a second."""
        if path not in PATHS:
            return Reply(404, "{}")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "{}")

    def heard(self, client: Client, text: str, now: float) -> list[str]:
        """One request; new topics are in ``client.topics`` afterwards."""
        if text == "ping":
            return ["pong"]
        request = read_json(text)
        known = isinstance(request, dict) and request.get("op") in ("subscribe", "unsubscribe") and isinstance(request.get("args"), list)
        if not isinstance(request, dict) or not known:
            return [self._error(client, "60012", f"Invalid request: {text[:200]}")]
        if not REQUESTS.allows(client.heard, now):
            return [self._error(client, "60014", "Requests too frequent")]
        return [self._one(client, request["op"], entry) for entry in request["args"]]

    def _one(self, client: Client, operation: str, entry: object) -> str:
        channel, native = (entry.get("channel"), entry.get("instId")) if isinstance(entry, dict) else (None, None)
        if not isinstance(channel, str) or not isinstance(native, str):
            return self._error(client, "60012", f"Invalid request: {as_json(entry)[:200]}")
        right_path = channel.startswith(BUSINESS) == (PATHS[client.path] == "business")
        if not right_path or not self._exists(channel, native):
            what = f"Wrong URL or channel:{channel},instId:{native} doesn't exist."
            return self._error(client, "60018", f"{what} Please use the correct URL, channel and parameters referring to API document.")
        if operation == "subscribe":
            client.topics[f"{channel}:{native}"] = False  # a repeated request brings a new snapshot, too
        else:
            client.topics.pop(f"{channel}:{native}", None)
        return as_json({"event": operation, "arg": entry, "connId": connection_id(client)})

    @staticmethod
    def _error(client: Client, code: str, text: str) -> str:
        return as_json({"event": "error", "code": code, "msg": text, "connId": connection_id(client)})


def connection_id(client: Client) -> str:
    """Eight hexadecimal digits that differ from one connection to the next."""
    return f"{(client.number * 2_654_435_761) & 0xFFFFFFFF:08x}"


class OkxServer:
    """OKX over the sample market."""

    def __init__(
        self, sample: SampleMarket, *, clock: Callable[[], float], checksum: bool = False, keepalive_ms: int = KEEPALIVE_MS
    ) -> None:
        """``checksum`` True: real CRC32 values as before 2026, instead of 0."""
        self._sample = sample
        self._clock = clock
        markets = [market for market in sample.markets.values() if market.spec.venue == "okx"]
        self.instruments = {
            market.spec.native: Instrument(market, 3 * rank, real_checksum=checksum, keepalive_ms=keepalive_ms)
            for rank, market in enumerate(markets)
        }
        self._talk = OkxTalk(self._exists)
        self._asked: dict[tuple[str, str], deque[float]] = {}  # path, type of instruments → when
        self.port = Port("okx", self, clock, Ping(None, None))
        self.voice = Voice(READS, {market.spec.native: market.key for market in markets})

    def publish(self) -> None:
        """Send what the market step just made means for the subscribed topics; new book subscribers get their snapshot."""
        subscribed: dict[str, list[Client]] = {}
        for client in self.port.clients:
            for topic, begun in client.topics.items():
                if begun:
                    subscribed.setdefault(topic, []).append(client)
        for topic, message in self.messages(subscribed):
            sent = self.port.sent
            self.port.send(subscribed[topic], message, topic=topic)
            self.voice.said(topic, lost=self.port.sent == sent)
        for client in list(self.port.clients):
            for topic, begun in client.topics.items():
                first = None if begun else self._first(topic)
                if first is not None:
                    client.topics[topic] = True
                    sent = self.port.sent
                    self.port.send([client] if first else [], first, topic=topic)
                    self.voice.said(topic, lost=self.port.sent == sent)
        self._close_idle()

    def messages(self, wanted: Container[str]) -> list[tuple[str, str]]:
        """``(topic, message)`` of this step for the wanted topics; to be called once per step."""
        return [message for instrument in self.instruments.values() for message in instrument.step(self._sample, wanted)]

    def drop(self, symbol: str) -> None:
        """Lose the next book message of a canonical symbol."""
        next(entry for entry in self.instruments.values() if entry.market.spec.symbol == symbol).dropping += 1

    def _exists(self, channel: str, native: str) -> bool:
        instrument = self.instruments.get(native)
        return instrument is not None and (channel == "candle1m" or channel in instrument.channels())

    def _first(self, topic: str) -> str | None:
        """What a new subscription gets at once: "" = nothing, None = not yet (a snapshot waits for its cadence)."""
        channel, _, native = topic.partition(":")
        instrument, now = self.instruments[native], self._sample.now_ms
        match channel:
            case "books":
                return instrument.snapshot(now) if instrument.books_due(self._sample.steps) else None
            case "bbo-tbt":
                return instrument.bbo(now)
            case "mark-price":
                return instrument.mark(now)
            case "funding-rate":
                return instrument.funding(self._sample)
            case "candle1m":
                return instrument.candle(instrument.market.candle, closed=False)
        return ""

    def _close_idle(self) -> None:
        if self.port.frozen or self._sample.steps % 100:
            return
        now = self._clock()
        for client in list(self.port.clients):
            if now - client.last > IDLE_S:
                self.port.end(client, Close(4004, "No data received in 30s"))

    def _list(self, kind: str) -> Reply:
        if kind not in KINDS:
            return Reply(400, '{"code":"51000","data":[],"msg":"Parameter instType error"}')
        specs = [entry.market.spec for entry in self.instruments.values() if entry.market.spec.perpetual == (kind == "SWAP")]
        return Reply(200, as_json({"code": "0", "data": [listing(spec) for spec in specs], "msg": ""}))

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        """See ``OkxTalk``."""
        return self._talk.admit(path, now)

    def opened(self, client: Client) -> list[str]:
        """OKX says nothing before it is asked."""
        return []

    def heard(self, client: Client, text: str, now: float) -> list[str]:
        """See ``OkxTalk``; the data of a new subscription begins with the next step."""
        return self._talk.heard(client, text, now)

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        """GET books, the list of instruments, and time."""
        if path not in ASKED:
            return Reply(404, '{"code":"404","data":{},"msg":"Not Found"}')
        kind = query.get("instType", "") if query.get("instType") in KINDS else ""
        if not ASKED[path].allows(self._asked.setdefault((path, kind), deque()), now):
            return Reply(429, '{"code":"50011","data":[],"msg":"Too Many Requests"}')
        if path == "/api/v5/public/time":
            return Reply(200, f'{{"code":"0","data":[{{"ts":"{self._sample.now_ms}"}}],"msg":""}}')
        if path == "/api/v5/public/instruments":
            return self._list(query.get("instType", ""))
        instrument = self.instruments.get(query.get("instId", ""))
        if instrument is None:
            return Reply(400, '{"code":"51001","data":[],"msg":"Instrument ID does not exist"}')
        size = query.get("sz", "1")
        if not (size.isascii() and size.isdigit() and 1 <= int(size) <= 400):
            return Reply(400, '{"code":"51000","data":[],"msg":"Parameter sz error"}')
        return Reply(200, instrument.rest_book(int(size), self._sample.now_ms))


def listing(spec: ListingSpec) -> dict[str, str]:
    """A row of the list of instruments."""
    base, quote = spec.native.split("-")[:2]
    row = {"instId": spec.native, "tickSz": spec.tick, "lotSz": spec.lot, "minSz": spec.lot, "state": "live"}
    if not spec.perpetual:
        return row | {"instType": "SPOT", "baseCcy": base, "quoteCcy": quote, "ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": ""}
    swap = {"ctVal": spec.contract, "ctMult": "1", "ctValCcy": base, "ctType": "linear"}
    return row | {"instType": "SWAP", "baseCcy": "", "quoteCcy": ""} | swap


Server = OkxServer
