"""Binance on a loopback port, spot, USD-M or COIN-M futures: subscriptions, limits and REST snapshots over the sample market.

    client  {"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}    server  {"result":null,"id":1}
            {"method":"LIST_SUBSCRIPTIONS","id":2}                                    {"result":["btcusdt@depth@100ms"],"id":2}
            not JSON                                                                  {"code":3,"msg":"Invalid JSON: …"}
            anything else                                                             {"code":2,"msg":"Invalid request: …","id":…}

A stream name that does not exist is acknowledged and stays silent. Since 2026 USD-M serves books under /public and
trades, candles and mark prices under /market; the other's streams are refused, and the old undivided paths are gone. COIN-M has
kept the undivided paths, as far as is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import NamedTuple

from dope.sim.binance_text import Symbol, listing
from dope.sim.dialogue import Client, Close, Ping, Rate, Reply, as_json, read_json
from dope.sim.market import SampleMarket
from dope.sim.port import Port
from dope.sim.truth_log import Voice

MAX_STREAMS = 1024
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
CONNECTS = Rate(300, 300.0)
READS = (("@depth", "depth", 0), ("@bookticker", "touch", 1), ("trade", "trades", 0))
FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
FUTURES_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))


class Rules(NamedTuple):
    """What differs between the venues: requests per s, REST weight per minute, path, weight by limit, default limit, protocol pings,
    weight of the list of instruments.

    ``limits`` = the depths that may be asked for, () = any; ``split`` = books under /public and all else under /market.
    """

    messages: Rate
    weight_per_min: int
    depth_path: str
    weights: tuple[tuple[int, int], ...]
    limit: int
    limits: tuple[int, ...]
    ping: Ping
    split: bool
    list_weight: int = 1


RULES = {
    "binance_spot": Rules(
        Rate(5, 1.0), 6000, "/api/v3/depth", ((100, 5), (500, 25), (1000, 50), (5000, 250)), 100, (), Ping(20.0, 60.0), split=False,
        list_weight=20,
    ),
    "binance_usdm": Rules(
        Rate(10, 1.0), 2400, "/fapi/v1/depth", FUTURES_WEIGHTS, 500, FUTURES_LIMITS, Ping(180.0, 600.0), split=True
    ),
    "binance_coinm": Rules(
        Rate(10, 1.0), 2400, "/dapi/v1/depth", FUTURES_WEIGHTS, 500, FUTURES_LIMITS, Ping(180.0, 600.0), split=False
    ),
}  # fmt: skip


def envelope(stream: str, message: str) -> str:
    """The combined-stream form."""
    return f'{{"stream":"{stream}","data":{message}}}'


def usdm_side(stream: str) -> str:
    """Which half of the USD-M hosts carries a stream: "public" or "market"."""
    name = stream.partition("@")[2]
    return "public" if name == "trade" or name.startswith(("depth", "bookTicker")) else "market"


class BinanceTalk:
    """The request language of Binance: answers for one client, its ``topics`` kept up to date. Knows no data."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._connects: deque[float] = deque()

    def admit(self, path: str, now: float) -> Reply | None:
        """Refuses paths that the venue does not have, and too many connections."""
        parts = path.strip("/").split("/")
        if self.rules.split and parts[:1] in (["public"], ["market"]):
            parts = parts[1:]
        elif self.rules.split:
            return Reply(404, '{"code":-5000,"msg":"Path is not valid"}')
        if parts[0] not in ("ws", "stream"):
            return Reply(404, '{"code":-5000,"msg":"Path is not valid"}')
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "{}", (("Retry-After", "300"),))

    def opened(self, client: Client) -> list[str]:
        """Take the subscriptions that the URL names."""
        listed = client.query.get("streams", "") if self.combined(client) else client.path.partition("/ws/")[2]
        for name in listed.split("/"):
            if name and self._refusal(client, [name]) is None:
                client.topics[name] = False
        return []

    @staticmethod
    def combined(client: Client) -> bool:
        """Whether this client gets ``{"stream":…,"data":…}``."""
        return client.path.rstrip("/").endswith("/stream")

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close:
        """One request."""
        if not self.rules.messages.allows(client.heard, now):
            return Close(1008, "Too many requests")
        request = read_json(text)
        if request is None:
            return ['{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}']
        number = request.get("id") if isinstance(request, dict) else None
        if not isinstance(request, dict) or "method" not in request:
            return [self._error("missing field `method` at line 1 column 2", number)]
        method, streams = request["method"], request.get("params", [])
        if method not in METHODS:
            return [self._error(f"unknown variant `{str(method)[:40]}`, expected one of {', '.join(METHODS)}", number)]
        if method == "LIST_SUBSCRIPTIONS":
            return [f'{{"result":{as_json(list(client.topics))},"id":{as_json(number)}}}']
        if not isinstance(streams, list) or not all(isinstance(name, str) for name in streams):
            return [self._error("params must be an array of strings", number)]
        refusal = self._refusal(client, streams) if method == "SUBSCRIBE" else None
        if refusal is not None:
            return [self._error(refusal, number)]
        for name in streams:
            if method == "SUBSCRIBE":
                client.topics[name] = False
            else:
                client.topics.pop(name, None)
        return [f'{{"result":null,"id":{as_json(number)}}}']

    def _refusal(self, client: Client, streams: list[str]) -> str | None:
        if len(client.topics) + len(streams) > MAX_STREAMS:
            return "too many streams"
        for name in streams if self.rules.split else ():
            if not client.path.startswith(f"/{usdm_side(name)}/"):
                return f"stream {name[:60]} is not available on this path"
        return None

    @staticmethod
    def _error(what: str, number: object) -> str:
        return as_json({"code": 2, "msg": f"Invalid request: {what}", "id": number})


class BinanceServer:
    """One of the Binance venues over the sample market."""

    def __init__(self, sample: SampleMarket, venue: str, *, clock: Callable[[], float], ping: Ping | None = None) -> None:
        """``venue`` is one of ``RULES``; ``ping`` other than the venue's own is for tests."""
        self.rules = RULES[venue]
        self._sample = sample
        self._talk = BinanceTalk(self.rules)
        markets = [market for market in sample.markets.values() if market.spec.venue == venue]
        self.symbols = {market.spec.native: Symbol(market, phase=3 * rank) for rank, market in enumerate(markets)}
        self._weight: deque[tuple[float, int]] = deque()
        self.port = Port(venue, self, clock, ping or self.rules.ping)
        self.voice = Voice(READS, {market.spec.native: market.key for market in markets})

    def publish(self) -> None:
        """Send what the market step just made means for the subscribed streams."""
        subscribed: dict[str, list[Client]] = {}
        for client in self.port.clients:
            for topic in client.topics:
                subscribed.setdefault(topic, []).append(client)
        for stream, message in self.messages(subscribed):
            clients, sent = subscribed[stream], self.port.sent
            wrapped = [client for client in clients if self._talk.combined(client)]
            if wrapped:
                self.port.send(wrapped, envelope(stream, message), topic=stream)
            if len(wrapped) < len(clients):
                self.port.send([client for client in clients if client not in wrapped], message, topic=stream)
            self.voice.said(stream, lost=self.port.sent == sent)

    def messages(self, wanted: Container[str]) -> list[tuple[str, str]]:
        """``(stream, message)`` of this step for the wanted streams; to be called once per step."""
        return [message for symbol in self.symbols.values() for message in symbol.step(self._sample, wanted)]

    def drop(self, symbol: str) -> None:
        """Lose the next depth message of a canonical symbol."""
        next(entry for entry in self.symbols.values() if entry.market.spec.symbol == symbol).dropping += 1

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        """See ``BinanceTalk``."""
        return self._talk.admit(path, now)

    def opened(self, client: Client) -> list[str]:
        """See ``BinanceTalk``."""
        return self._talk.opened(client)

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close:
        """See ``BinanceTalk``."""
        return self._talk.heard(client, text, now)

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        """GET depth, the list of instruments, ping and time."""
        if path == self.rules.depth_path:
            return self._depth(query, now)
        root, _, name = path.rpartition("/")
        if root == self.rules.depth_path.rpartition("/")[0] and name == "exchangeInfo":
            return self._weighed(self.rules.list_weight, now, self._list)
        if root == self.rules.depth_path.rpartition("/")[0] and name == "ping":
            return self._weighed(1, now, lambda: "{}")
        if root == self.rules.depth_path.rpartition("/")[0] and name == "time":
            return self._weighed(1, now, lambda: f'{{"serverTime":{self._sample.now_ms}}}')
        return Reply(404, '{"code":-5000,"msg":"Path is not valid"}')

    def _depth(self, query: dict[str, str], now: float) -> Reply:
        if not query.get("symbol"):
            return Reply(400, as_json({"code": -1102, "msg": "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."}))
        symbol = self.symbols.get(query["symbol"])
        if symbol is None:
            return Reply(400, '{"code":-1121,"msg":"Invalid symbol."}')
        text = query.get("limit", str(self.rules.limit))
        limit = int(text) if text.isascii() and text.isdigit() else 0
        if limit == 0 or (self.rules.limits and limit not in self.rules.limits):
            return Reply(400, as_json({"code": -4021 if self.rules.limits else -1130, "msg": f"'{text[:20]}' is not valid depth limit."}))
        weight = next((cost for most, cost in self.rules.weights if limit <= most), self.rules.weights[-1][1])
        return self._weighed(weight, now, lambda: symbol.snapshot(min(limit, 5000), self._sample.now_ms))

    def _list(self) -> str:
        rows = [listing(symbol.market.spec) for symbol in self.symbols.values()]
        return as_json({"timezone": "UTC", "serverTime": self._sample.now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": rows})

    def _weighed(self, weight: int, now: float, answer: Callable[[], str]) -> Reply:
        while self._weight and self._weight[0][0] <= now - 60.0:
            self._weight.popleft()
        used = sum(cost for _, cost in self._weight) + weight
        header = ("x-mbx-used-weight-1m", str(used))
        if used > self.rules.weight_per_min:
            wait = max(1, int(self._weight[0][0] + 61.0 - now))
            return Reply(429, as_json({"code": -1003, "msg": "Too much request weight used."}), (("Retry-After", str(wait)), header))
        self._weight.append((now, weight))
        return Reply(200, answer(), (header,))
