"""Bitfinex (API v2) on a loopback port: numbered and checksummed books, trades and candles over the sample market.

    server  {"event":"info","version":2,"serverId":"…","platform":{"status":1}}   at once
    client  {"event":"conf","flags":229376}              server  {"event":"conf","status":"OK","flags":229376}
            65536 = arrays end with the connection's own number, 131072 = checksums, 32768 = then a time in ms
    client  {"event":"subscribe","channel":"book","symbol":"tBTCUSD","prec":"P0","freq":"F0","len":"100"}   trades, ticker: "symbol"
            {"event":"subscribe","channel":"candles","key":"trade:1m:tBTCUSD"}
    server  {"event":"subscribed","channel","chanId",…}   {"event":"error","code":10300,"msg",…}   at most 25 channels of a connection
    client  {"event":"unsubscribe","chanId"}             server  {"event":"unsubscribed","status":"OK","chanId"}
    client  {"event":"ping","cid"}                       server  {"event":"pong","ts","cid"}
    GET /v2/conf/pub:info:pair,pub:map:currency:sym   [[["BTCUSD",[null,null,null,"0.00004","2000.0",…]],…],[["UST","USDt"],…]]
    GET /v2/tickers?symbols=ALL                       [["tBTCUSD",bid,size,ask,size,…,last,…],…]     together at most 90 a minute

A book tells one level per array, and of what falls out behind its length that it is gone. Heartbeats of each channel come each 15 s.
Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from weakref import WeakKeyDictionary

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Rate, Reply, as_json, read_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Candle, Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("bitfinex", "BTC-USD", "tBTCUSD", "BTC", 1_000_000, 1, lag=10, half_spread=2_500, bias=2_500, pace=4),
    ListingSpec("bitfinex", "ETH-USD", "tETHUSD", "ETH", 100_000, 1, lag=10, half_spread=3_500, bias=-2_500, pace=5),
    ListingSpec("bitfinex", "SOL-USD", "tSOLUSD", "SOL", 10_000, 1, lag=12, half_spread=6_000, bias=3_500, pace=6),
    ListingSpec("bitfinex", "BTC-USDT", "tBTCUST", "BTC", 1_000_000, 1, lag=11, half_spread=3_500, bias=-4_000, pace=6),
    ListingSpec("bitfinex", "ETH-USDT", "tETHUST", "ETH", 100_000, 1, lag=12, half_spread=4_500, bias=3_000, pace=6),
    ListingSpec("bitfinex", "SOL-USDT", "tSOLUST", "SOL", 10_000, 1, lag=13, half_spread=7_500, bias=-3_500, pace=6),
    ListingSpec("bitfinex", "USDC-USD", "tUDCUSD", "USDC", 10, 1, lag=3, half_spread=2_500, pace=6),
    ListingSpec("bitfinex", "USDT-USD", "tUSTUSD", "USDT", 10, 1, lag=2, half_spread=2_000, pace=6),
    ListingSpec("bitfinex", "ETH-BTC", "tETHBTC", "ETH", 1, 1, lag=11, half_spread=20_000, pace=6),
)
SEQ_ALL, OB_CHECKSUM, TIMESTAMP = 65536, 131072, 32768
REST = Rate(90, 60.0)
LEAST = {"BTC": "0.00004", "ETH": "0.001", "SOL": "0.02", "USDT": "4.0", "USDC": "4.0"}  #: least order, base
NAMES = {"UST": "USDt", "UDC": "USDC"}
LENGTHS = ("1", "25", "100", "250")
MAX_CHANNELS = 25
CONNECTS = Rate(20, 60.0)
CHECK_STEPS = 100  #: a checksum each s in which a book changed
BEAT_STEPS = 1500  #: each 15 s
CHECKSUM_LEVELS = 25
LOST = ""  #: stands for a message that takes its number and goes nowhere

Top = tuple[dict[int, int], dict[int, int]]  #: per side: tick → lots


class Session:
    """What one client asked for: ``channels`` = topic → number; ``seq`` = arrays so far."""

    def __init__(self) -> None:
        self.flags = self.seq = 0
        self.channels: dict[str, int] = {}


class Instrument:
    """All channels of one pair, as texts: what stands behind the channel's number."""

    def __init__(self, market: Market) -> None:
        spec = market.spec
        self.market, self.native = market, spec.native
        self.price = rescaled(6, spec.tick_e6, 6, strip=True)
        self.size = rescaled(8, spec.lot_e8, 8, strip=True)
        self.tops: dict[int, Top] = {}  #: by length, as of the last message
        self.changed = False  #: since the last checksum
        self.told = -1  #: id of the last trade that a candle counted

    def amount(self, lots: int, side: int) -> str:
        """Signed, as JavaScript writes it."""
        text = self.size.text(lots)
        if text.startswith("0.000000"):
            text = repr(float(text)).replace("e-0", "e-")
        return f"-{text}" if side == ASK else text

    def top(self, length: int) -> Top:
        """What a subscriber of this length should hold now."""
        bids, asks = (dict(self.market.book.side(side, length)) for side in (BID, ASK))
        return bids, asks

    def level(self, tick: int, lots: int, side: int) -> str:
        """One row; lots 0 = gone. How many orders stand there is made up."""
        if lots == 0:
            return f"[{self.price.text(tick)},0,{-1 if side == ASK else 1}]"
        return f"[{self.price.text(tick)},{1 + lots % 3},{self.amount(lots, side)}]"

    def snapshot(self, length: int) -> str:
        """The first array of a book."""
        self.tops[length] = top = self.top(length)
        return "[" + ",".join(self.level(tick, lots, side) for side in (BID, ASK) for tick, lots in top[side].items()) + "]"

    def updates(self, length: int) -> Iterator[str]:
        """One row for each level that changed, came in or fell out since the last message."""
        old, new = self.tops.get(length), self.top(length)
        self.tops[length] = new
        if old is None:
            return
        for side in (BID, ASK):  # what goes goes first on both sides, so that the book never crosses on its way
            yield from (self.level(tick, 0, side) for tick in old[side] if tick not in new[side])
        for side in (BID, ASK):
            yield from (self.level(tick, lots, side) for tick, lots in new[side].items() if old[side].get(tick) != lots)

    def checksum(self) -> str:
        """Signed CRC32 over the best 25 ranks: price and amount of the bid, then of the ask."""
        sides = [self.market.book.side(side, CHECKSUM_LEVELS) for side in (BID, ASK)]
        parts: list[str] = []
        for rank in range(CHECKSUM_LEVELS):
            for side, levels in zip((BID, ASK), sides, strict=True):
                if rank < len(levels):
                    parts += [self.price.text(levels[rank][0]), self.amount(levels[rank][1], side)]
        value = zlib.crc32(":".join(parts).encode())
        return f'"cs",{value - (1 << 32) if value >> 31 else value}'

    def ticker(self) -> str:
        """A row of all tickers: the touch, four numbers of the day, the last price, and its neighbours."""
        bid, bid_lots, ask, ask_lots = self.market.book.touch()
        sides = f"{self.price.text(bid)},{self.size.text(bid_lots)},{self.price.text(ask)},{self.size.text(ask_lots)}"
        last = self.price.text(bid)
        return f'["{self.native}",{sides},0,0,{last},100,{last},{last}]'

    def candle(self, candle: Candle) -> str:
        """One minute so far: close before high."""
        prices = (candle.open, candle.close, candle.high, candle.low)
        return f"[{candle.open_ms},{','.join(map(self.price.text, prices))},{self.amount(candle.lots, BID)}]"


class Server(VenueServer):
    """Topics of a client are ``book:symbol:length``, ``trades:symbol``, ``candles:trade:1m:symbol``."""

    READS = (("book:", "depth", 0), ("trades:", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "bitfinex", clock=clock)
        self.instruments = {native: Instrument(market) for native, market in self.markets.items()}
        self._sessions: WeakKeyDictionary[Client, Session] = WeakKeyDictionary()
        self._connects: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._channel = 200_000

    def admit(self, path: str, now: float) -> Reply | None:
        if path != "/ws/2":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, '["error",11010,"ratelimit: error"]')

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if not REST.allows(self._asked, now):
            return Reply(429, '["error",11010,"ratelimit: error"]')
        if path == "/v2/conf/pub:info:pair,pub:map:currency:sym":
            rows = [[spec.native[1:], [None] * 3 + [LEAST[spec.asset], "2000.0"] + [None] * 7] for spec in self._specs()]
            return Reply(200, as_json([rows, [[theirs, ours] for theirs, ours in NAMES.items()]]))
        if path == "/v2/tickers" and query.get("symbols") == "ALL":
            return Reply(200, f"[{','.join(instrument.ticker() for instrument in self.instruments.values())}]")
        return Reply(404, '["error",10020,"path: invalid"]')

    def _specs(self) -> list[ListingSpec]:
        return [market.spec for market in self.markets.values()]

    def opened(self, client: Client) -> list[Message]:
        self._sessions[client] = Session()
        return [as_json({"event": "info", "version": 2, "serverId": f"sim-{client.number}", "platform": {"status": 1}})]

    def heard(self, client: Client, text: str, now: float) -> list[Message]:
        request, session = read_json(text), self._sessions[client]
        if not isinstance(request, dict):
            return [error(10000, "json: invalid", {})]
        match request.get("event"):
            case "conf":
                session.flags = request["flags"] if isinstance(request.get("flags"), int) else 0
                return [as_json({"event": "conf", "status": "OK", "flags": session.flags})]
            case "ping":
                return [as_json({"event": "pong", "ts": self.sample.now_ms, "cid": request.get("cid")})]
            case "subscribe":
                return [self._subscribe(client, session, request)]
            case "unsubscribe":
                topic = next((topic for topic, channel in session.channels.items() if channel == request.get("chanId")), None)
                if topic is None:
                    return [error(10401, "unsubscribe: not subscribed", {"chanId": request.get("chanId")})]
                client.topics.pop(topic, None)
                return [as_json({"event": "unsubscribed", "status": "OK", "chanId": session.channels.pop(topic)})]
        return [error(10000, "event: invalid", request)]

    def _subscribe(self, client: Client, session: Session, request: dict[str, object]) -> str:
        channel, key = request.get("channel"), str(request.get("key", ""))
        symbol = key.removeprefix("trade:1m:") if channel == "candles" else str(request.get("symbol"))
        length = str(request.get("len", "25"))
        asked: dict[str, object] = {name: request[name] for name in ("channel", "symbol", "key", "prec", "freq", "len") if name in request}
        if channel not in ("book", "trades", "candles"):
            return error(10302, "channel: unknown", asked)
        if symbol not in self.instruments or (channel == "candles" and key != f"trade:1m:{symbol}"):
            return error(10300, "key: invalid" if channel == "candles" else "symbol: invalid", asked)
        if channel == "book" and (length not in LENGTHS or request.get("prec", "P0") != "P0" or request.get("freq", "F0") != "F0"):
            return error(10300, "subscribe: invalid", asked)
        topic = {"book": f"book:{symbol}:{length}", "candles": f"candles:{key}"}.get(str(channel), f"trades:{symbol}")
        if topic in session.channels:
            return error(10301, "subscribe: dup", asked)
        if len(session.channels) >= MAX_CHANNELS:
            return error(10305, "subscribe: limit", asked)
        self._channel += 1
        client.topics[topic], session.channels[topic] = False, self._channel
        filled = {"prec": "P0", "freq": "F0", "len": length} if channel == "book" else {}
        named = {"key": key} if channel == "candles" else {"symbol": symbol, **filled, "pair": symbol[1:]}
        return as_json({"event": "subscribed", "channel": channel, "chanId": self._channel, **named})

    def first(self, topic: str, client: Client) -> list[Message]:
        channel, _, rest = topic.partition(":")
        if channel == "book":
            native, _, length = rest.rpartition(":")
            return [self.instruments[native].snapshot(int(length))]
        if channel == "candles":
            instrument = self.instruments[rest.removeprefix("trade:1m:")]
            return [f"[{instrument.candle(instrument.market.candle)}]"]
        return ["[]"]

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, instrument = market.spec.native, self.instruments[market.spec.native]
        instrument.changed = instrument.changed or bool(market.book.changes)
        check = instrument.changed and self.sample.steps % CHECK_STEPS == 0
        for length in LENGTHS:
            if (topic := f"book:{native}:{length}") in wanted:
                for row in instrument.updates(int(length)) if market.book.changes else ():
                    yield topic, LOST if self.lost(native) else row
                if check and int(length) >= CHECKSUM_LEVELS:
                    yield topic, instrument.checksum()
        instrument.changed = instrument.changed and not check
        for fill in market.fills if f"trades:{native}" in wanted else ():
            row = f"[{fill.trade_id},{self.sample.now_ms},{instrument.amount(fill.lots, BID if fill.buy else ASK)},"
            for word in ("te", "tu"):
                yield f"trades:{native}", f'"{word}",{row}{instrument.price.text(fill.tick)}]'
        if (topic := f"candles:trade:1m:{native}") in wanted:
            for candle, due in ((market.closed, True), (market.candle, check)):
                if candle is not None and due and candle.last_id > instrument.told:
                    instrument.told = candle.last_id
                    yield topic, instrument.candle(candle)

    def deliver(self, clients: list[Client], topic: str, message: Message) -> None:
        """Each client hears it on a channel of its own, under its own number."""
        for client in clients:
            session = self._sessions[client]
            if isinstance(message, bytes) or (message.startswith('"cs"') and not session.flags & OB_CHECKSUM):
                continue
            session.seq += 1
            tail = f",{session.seq + client.ahead}" if session.flags & SEQ_ALL else ""
            tail += f",{self.sample.now_ms}" if session.flags & TIMESTAMP else ""
            if message != LOST:
                self.port.send([client], f"[{session.channels[topic]},{message}{tail}]", topic=topic)

    def beat(self) -> None:
        """A heartbeat of each channel each 15 s."""
        if self.sample.steps % BEAT_STEPS == 0:
            for client in list(self.port.clients):
                for topic in list(client.topics):
                    self.deliver([client], topic, '"hb"')


def error(code: int, text: str, asked: Mapping[str, object]) -> str:
    """A refusal with what it refuses."""
    return as_json({**asked, "event": "error", "msg": text, "code": code})
