"""What the two simulated HTX venues share: packed frames, numbers as Java prints them, requests, pings, and the messages alike in both.

    bbo, trade.detail, kline.1min   {"ch":…,"ts":…,"tick":{…}}
    client {"sub":topic,"id":…}     {"id":…,"status":"ok","subbed":topic,"ts":…}   {"unsub":…} → "unsubbed"
           unknown                  {"id":…,"status":"error","err-code":"bad-request","err-msg":"invalid topic …","ts":…}
    server {"ping":ms} each 5 s     {"pong":ms}; two without an answer end the connection
    GET of the list of instruments   {"status":"ok","data":[…],"ts":…}: each venue's rows in its own file

Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

import gzip
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from dope.sim.dialogue import Client, Close, Rate, Reply, as_json, read_json
from dope.sim.digits import Digits
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Candle, Fill, Market
from dope.sim.venue import Message, Pending, VenueServer

BOOK_STEPS = 10  #: 100 ms
KLINE_STEPS = 100  #: at most each s
DEPTH = 150
PING_S = 5.0
MISSED = 2  #: pings without an answer after which a connection ends


def packed(text: str) -> bytes:
    """As on the wire."""
    return gzip.compress(text.encode(), 1, mtime=0)


def java(n: int, decimals: int) -> str:
    """n / 10**decimals as Java prints a double: ``710.0``, ``0.0089``, ``9.121E-7``, ``1.0E7``."""
    if n == 0:
        return "0.0"
    digits, power = str(n), len(str(n)) - 1 - decimals
    if -4 < power < 7:
        text = Digits(1, decimals, strip=True).text(n)
        return text if "." in text else text + ".0"
    return f"{digits[0]}.{digits[1:].rstrip('0') or '0'}E{power}"


class Stream:
    """The channels of one market that both venues have; a venue's own file adds its book and its touch."""

    def __init__(self, market: Market, phase: int) -> None:
        self.market, self.native = market, market.spec.native
        self.pending = Pending()
        self.last = market.book.seq  #: number of the newest book message
        self.newest: tuple[Fill, int] | None = None  #: the last trade and when it was
        self._phase = phase
        self._touch = market.book.touch()
        self._candle_id = -1

    def price(self, tick: int) -> str:
        """In quote per base."""
        return java(tick * self.market.spec.tick_e6, 6)

    def size(self, lots: int) -> str:
        """In base units or contracts."""
        return java(lots * self.market.spec.lot_e8, 8)

    def base(self, lots: int) -> str:
        """In base units."""
        return java(lots * self.market.spec.lot_e8 * self.market.spec.contract_e8, 16)

    def due(self, steps: int) -> bool:
        """Whether books speak in this step."""
        return (steps + self._phase) % BOOK_STEPS == 0

    def touched(self) -> bool:
        """Whether the best bid or ask is another than in the last step."""
        before, self._touch = self._touch, self.market.book.touch()
        return before != self._touch

    def levels(self, levels: Iterable[tuple[int, int]]) -> str:
        """``[[price,size],…]``."""
        return "[" + ",".join([f"[{self.price(tick)},{self.size(lots)}]" for tick, lots in levels]) + "]"

    def said(self, channel: str, now: int, tick: str) -> bytes:
        """A whole frame of a channel."""
        return packed(f'{{"ch":"market.{self.native}.{channel}","ts":{now},"tick":{tick}}}')

    def deals(self, fills: list[Fill], at: int, now: int) -> bytes:
        """The trades of one step; their ids are longer than any machine number."""
        rows = []
        for fill in fills:
            more = "" if self.market.spec.perpetual else f'"tradeId":{fill.trade_id},'
            more += f'"quantity":{self.base(fill.lots)},"trade_turnover":1.0,' if self.market.spec.perpetual else ""
            what = f'"amount":{self.size(fill.lots)},"price":{self.price(fill.tick)},"direction":"{"buy" if fill.buy else "sell"}"'
            rows.append(f'{{"id":1001825345262557{fill.trade_id:011}0,"ts":{at},{more}{what}}}')
        return self.said("trade.detail", now, f'{{"id":{fills[-1].trade_id},"ts":{at},"data":[{",".join(rows)}]}}')

    def kline(self, candle: Candle, now: int) -> bytes:
        """One minute."""
        names = (("open", candle.open), ("close", candle.close), ("low", candle.low), ("high", candle.high))
        prices = ",".join(f'"{name}":{self.price(tick)}' for name, tick in names)
        sums = f'"amount":{self.base(candle.lots)},"vol":{self.size(candle.lots)},"count":{candle.trades}'
        return self.said("kline.1min", now, f'{{"id":{candle.open_ms // 1000},{prices},{sums}}}')

    def candles(self, steps: int, now: int) -> Iterator[bytes]:
        """The one that ended, and the running one when it changed."""
        if self.market.closed is not None:
            yield self.kline(self.market.closed, now)
        candle = self.market.candle
        if (steps + self._phase) % KLINE_STEPS == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield self.kline(candle, now)


class HtxServer(VenueServer):
    """What both do alike. ``PATHS``: path → ends of the channels that are served there."""

    READS = ((".mbp.", "depth", 0), (".depth.", "depth", 0), (".bbo", "touch", 1), (".trade.", "trades", 0))

    PATHS: Mapping[str, tuple[str, ...]] = {}
    LIST = ""  #: path of the list of instruments
    REQUESTS = Rate(10, 1.0)  #: of REST

    def __init__(self, sample: SampleMarket, venue: str, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, venue, clock=clock)
        self._pinged = clock()
        self._asked: deque[float] = deque()
        self._missed: dict[int, int] = {}  # number of a client → pings without an answer

    def admit(self, path: str, now: float) -> Reply | None:
        return None if path in self.PATHS else Reply(404, "{}")

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if path != self.LIST:
            return Reply(404, "{}")
        if not self.REQUESTS.allows(self._asked, now):
            return Reply(429, '{"status":"error","err-code":"too-many-requests","err-msg":"too many requests"}')
        return Reply(200, f'{{"status":"ok","data":[{",".join(self.listing(m.spec) for m in self.markets.values())}],{self.listed_at()}}}')

    @abstractmethod
    def listing(self, spec: ListingSpec) -> str:
        """A row of the list of instruments."""

    def listed_at(self) -> str:
        """What stands behind the rows."""
        return f'"ts":{self.sample.now_ms}'

    def exists(self, client: Client, topic: str) -> bool:
        """Whether this topic is served on this client's path."""
        parts = topic.split(".", 2)
        return len(parts) == 3 and parts[0] == "market" and parts[1] in self.markets and parts[2] in self.PATHS[client.path]

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        request = read_json(text)
        if not isinstance(request, dict):
            return [self._refused(None, "invalid-parameter", "not a JSON object")]
        if "pong" in request:
            self._missed.pop(client.number, None)
            return []
        for wish in ("sub", "unsub", "req"):
            if isinstance(request.get(wish), str):
                return self.wished(client, wish, request)
        return [self._refused(request.get("id"), "bad-request", "unknown request")]

    def wished(self, client: Client, wish: str, request: dict[str, object]) -> list[Message]:
        """One wish for a topic."""
        topic = str(request[wish])
        if not self.exists(client, topic) or (wish == "req" and not self.requestable(topic)):
            return [self._refused(request.get("id"), "bad-request", f"invalid topic {topic[:80]}")]
        if wish == "req":
            client.topics[f"req {as_json(request.get('id'))} {topic}"] = False
            return []
        if wish == "sub":
            client.topics[topic] = False
        else:
            client.topics.pop(topic, None)
        return [packed(as_json({"id": request.get("id"), "status": "ok", wish + "bed": topic, "ts": self.sample.now_ms}))]

    def requestable(self, topic: str) -> bool:
        """Whether a request for data may be made of this topic."""
        return False

    def _refused(self, number: object, code: str, text: str) -> bytes:
        return packed(as_json({"status": "error", "ts": self.sample.now_ms, "id": number, "err-code": code, "err-msg": text}))

    def beat(self) -> None:
        now = self.clock()
        if self.port.frozen or now - self._pinged < PING_S:
            return
        self._pinged = now
        for client in list(self.port.clients):
            missed = self._missed[client.number] = self._missed.get(client.number, 0) + 1
            if missed > MISSED:
                self._missed.pop(client.number)
                self.port.end(client, Close(1003, "ping timeout"))
            else:
                self.port.send([client], packed(self.ping(client)), data=False, binary=True)

    def ping(self, client: Client) -> str:
        """What this client is pinged with."""
        return f'{{"ping":{self.sample.now_ms}}}'
