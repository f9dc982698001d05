"""Kraken (API v2) on a loopback port: books with checksums, tickers, trades and candles over the sample market.

    server  {"channel":"status","type":"update","data":[{"version","system":"online","api_version":"v2","connection_id"}]}   at once
    client  {"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":25,"snapshot":true},"req_id":1}
    server  one answer per symbol:
            {"method":"subscribe","result":{"channel","depth","snapshot","symbol"},"success":true,"time_in","time_out"}
            {"error":"Currency pair not supported …","method":"subscribe","success":false,"symbol","time_in","time_out"}   and likewise
            "Subscription depth not supported", "Already subscribed", "Subscription not found"
    client  {"method":"ping"}       server  {"method":"pong","req_id","time_in","time_out"}
    each second  {"channel":"heartbeat"} to whoever has subscribed to anything
    GET /0/public/AssetPairs   {"error":[],"result":{"XXBTZUSD":{"wsname":"XBT/USD","tick_size":"0.1","lot_decimals":8,…},…}}
            more than 15 requests in 15 s  {"error":["EGeneral:Too many requests"]}

A book message names the levels that changed within the depth asked for, or that came into it; what falls out is not told.
Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Rate, Reply, as_json, read_json
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Candle, Fill, Market
from dope.sim.venue import Message, VenueServer

LISTINGS = (
    ListingSpec("kraken", "BTC-USD", "BTC/USD", "BTC", 100_000, 1, lag=9, half_spread=2_200, bias=-2_000, pace=4),
    ListingSpec("kraken", "ETH-USD", "ETH/USD", "ETH", 10_000, 1, lag=9, half_spread=3_000, bias=3_000, pace=4),
    ListingSpec("kraken", "SOL-USD", "SOL/USD", "SOL", 10_000, 1, lag=11, half_spread=5_000, bias=-3_000, pace=5),
    ListingSpec("kraken", "BTC-USDT", "BTC/USDT", "BTC", 100_000, 1, lag=10, half_spread=3_500, bias=4_000, pace=6),
    ListingSpec("kraken", "ETH-USDT", "ETH/USDT", "ETH", 10_000, 1, lag=11, half_spread=4_500, bias=-2_000, pace=6),
    ListingSpec("kraken", "USDT-USD", "USDT/USD", "USDT", 10, 1, lag=2, half_spread=1_000, pace=6),
    ListingSpec("kraken", "SOL-USDT", "SOL/USDT", "SOL", 10_000, 1, lag=13, half_spread=6_500, bias=2_500, pace=6),
    ListingSpec("kraken", "USDC-USDT", "USDC/USDT", "USDC", 100, 1, lag=3, half_spread=5_000, pace=6),
    ListingSpec("kraken", "USDC-USD", "USDC/USD", "USDC", 100, 1, lag=2, half_spread=5_000, pace=6),
    ListingSpec("kraken", "ETH-BTC", "ETH/BTC", "ETH", 10, 1, lag=10, half_spread=12_000, pace=6),
)
DEPTHS = (10, 25, 100, 500, 1000)
CHANNELS = ("book", "ticker", "trade", "ohlc")
CONNECTS = Rate(150, 600.0)
REST = Rate(15, 15.0)
LEGACY = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD"}  #: what REST calls old currencies where both of a pair are such
COST = {"BTC": "0.00002"}  #: least value of an order in quote currency, where it is another than 0.5
LEAST = {"BTC": "0.00005", "ETH": "0.002", "SOL": "0.02", "USDT": "5", "USDC": "5"}  #: least order, base
BEAT_STEPS = 100  #: each s
CHECKSUM_LEVELS = 10
SIZE_DIGITS = 8

Top = tuple[dict[int, int], dict[int, int]]  #: per side: tick → lots of the levels that the depth holds


class Instrument:
    """All channels of one pair, as texts."""

    def __init__(self, market: Market) -> None:
        spec = market.spec
        self.market, self.native = market, spec.native
        places = 6 - (len(str(spec.tick_e6)) - len(str(spec.tick_e6).rstrip("0")))
        self.price, self.size = rescaled(6, spec.tick_e6, places), rescaled(8, spec.lot_e8, SIZE_DIGITS)
        self.tops: dict[int, Top] = {}  #: by depth, as of the last message
        self.touch = market.book.touch()
        self.told = -1  #: id of the last trade that a candle counted

    def top(self, depth: int) -> Top:
        """What a subscriber of this depth should hold now."""
        bids, asks = (dict(self.market.book.side(side, depth)) for side in (BID, ASK))
        return bids, asks

    def snapshot(self, depth: int, stamp: str, lie: int) -> str:
        """The first message of a book."""
        self.tops[depth] = top = self.top(depth)
        return self._book("snapshot", [list(side.items()) for side in top], stamp, lie)

    def update(self, depth: int, stamp: str, lie: int) -> str | None:
        """What changed within this depth since the last message; None = nothing."""
        old, new = self.tops.get(depth), self.top(depth)
        self.tops[depth] = new
        if old is None or old == new:
            return None
        changed: list[list[tuple[int, int]]] = []
        for side in (BID, ASK):
            gone = [(tick, 0) for tick in old[side] if tick not in self.market.book.levels[side]]
            changed.append(gone + [(tick, lots) for tick, lots in new[side].items() if old[side].get(tick) != lots])
        return self._book("update", changed, stamp, lie)

    def _book(self, kind: str, sides: list[list[tuple[int, int]]], stamp: str, lie: int) -> str:
        price, size = self.price.text, self.size.text
        bids, asks = (",".join([f'{{"price":{price(tick)},"qty":{size(lots)}}}' for tick, lots in side]) for side in sides)
        data = f'"symbol":"{self.native}","bids":[{bids}],"asks":[{asks}],"checksum":{self.checksum() ^ lie},"timestamp":"{stamp}"'
        return f'{{"channel":"book","type":"{kind}","data":[{{{data}}}]}}'

    def checksum(self) -> int:
        """CRC32 over the best ten asks, then bids: digits of price and quantity without point and leading zeros."""
        parts: list[str] = []
        for side in (ASK, BID):
            for tick, lots in self.market.book.side(side, CHECKSUM_LEVELS):
                parts += [text.replace(".", "").lstrip("0") for text in (self.price.text(tick), self.size.text(lots))]
        return zlib.crc32("".join(parts).encode())

    def ticker(self, kind: str, stamp: str) -> str:
        """Best bid and ask; what a whole day would hold is that of the running minute here."""
        bid, bid_lots, ask, ask_lots = self.market.book.touch()
        price, size, candle = self.price.text, self.size.text, self.market.candle
        touch = f'"bid":{price(bid)},"bid_qty":{size(bid_lots)},"ask":{price(ask)},"ask_qty":{size(ask_lots)}'
        day = f'"last":{price(candle.close)},"volume":{size(candle.lots)},"vwap":{price(mean(candle))},"low":{price(candle.low)}'
        day += f',"high":{price(candle.high)},"change":{price(candle.close - candle.open)},"change_pct":0.00'
        return f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{self.native}",{touch},{day},"timestamp":"{stamp}"}}]}}'

    def trades(self, fills: list[Fill], stamp: str) -> str:
        """The trades of one step in one message."""
        rows = [
            f'{{"symbol":"{self.native}","side":"{"buy" if fill.buy else "sell"}","price":{self.price.text(fill.tick)},'
            f'"qty":{self.size.text(fill.lots)},"ord_type":"market","trade_id":{fill.trade_id},"timestamp":"{stamp}"}}'
            for fill in fills
        ]
        return f'{{"channel":"trade","type":"update","data":[{",".join(rows)}]}}'

    def candle(self, candle: Candle, kind: str, stamp: str) -> str:
        """One minute so far."""
        price = self.price.text
        prices = f'"open":{price(candle.open)},"high":{price(candle.high)},"low":{price(candle.low)},"close":{price(candle.close)}'
        sums = f'"trades":{candle.trades},"volume":{self.size.text(candle.lots)},"vwap":{price(mean(candle))}'
        begin = f'"interval_begin":"{written(candle.open_ms, 9)}","interval":1,"timestamp":"{written(candle.open_ms + 60_000, 6)}"'
        row = f'{{"symbol":"{self.native}",{prices},{sums},{begin}}}'
        return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{stamp}","data":[{row}]}}'


class Server(VenueServer):
    """Topics of a client are ``channel:symbol``, of books ``book:symbol:depth``. While ``lying``, all checksums are wrong."""

    READS = (("book:", "depth", 25), ("trade:", "trades", 0))

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "kraken", clock=clock)
        self.instruments = {native: Instrument(market) for native, market in self.markets.items()}
        self.lying = False
        self._connects: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._plain: set[tuple[int, str]] = set()  # (client, topic) that want no snapshot

    def admit(self, path: str, now: float) -> Reply | None:
        """Refuses unknown paths and more than 150 connections in ten minutes."""
        if path != "/v2":
            return Reply(404, "")
        return None if CONNECTS.allows(self._connects, now) else Reply(429, "")

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        if path != "/0/public/AssetPairs":
            return Reply(404, '{"error":["EGeneral:Unknown method"]}')
        if not REST.allows(self._asked, now):
            return Reply(200, '{"error":["EGeneral:Too many requests"]}')
        return Reply(200, as_json({"error": [], "result": dict(pair(market.spec) for market in self.markets.values())}))

    def opened(self, client: Client) -> list[Message]:
        row = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 9_007_199_254_740_993 + client.number}
        return [as_json({"channel": "status", "type": "update", "data": [row]})]

    def heard(self, client: Client, text: str, now: float) -> list[Message]:
        request = read_json(text)
        if not isinstance(request, dict):
            return [as_json({"error": "Malformed request", "success": False, **self._times()})]
        method, number = request.get("method"), {"req_id": request["req_id"]} if "req_id" in request else {}
        if method == "ping":
            return [as_json({"method": "pong", **number, **self._times()})]
        params = request.get("params")
        if method not in ("subscribe", "unsubscribe") or not isinstance(params, dict) or not isinstance(params.get("symbol"), list):
            return [as_json({"error": "Malformed request", "method": str(method), **number, "success": False, **self._times()})]
        return [self._one(client, method, params, symbol, number) for symbol in params["symbol"]]

    def _one(self, client: Client, method: str, params: dict[str, object], symbol: object, number: dict[str, object]) -> str:
        channel, depth = params.get("channel"), params.get("depth", 10)
        topic = f"{channel}:{symbol}:{depth}" if channel == "book" else f"{channel}:{symbol}"
        known = any(topic.rpartition(":")[0] == other.rpartition(":")[0] for other in client.topics) if channel == "book" else False
        known = known or topic in client.topics
        named: dict[str, object] = {"symbol": symbol}
        if channel not in CHANNELS:
            error = "Channel not supported"
        elif channel == "book" and depth not in DEPTHS:
            error, named = "Subscription depth not supported", {}
        elif symbol not in self.instruments:
            error = f"Currency pair not supported {symbol}"
        elif method == "subscribe" and known:
            error = "Already subscribed"
        elif method == "unsubscribe" and topic not in client.topics:
            error = "Subscription not found"
        else:
            error = ""
        if error:
            return as_json({"error": error, "method": method, **number, "success": False, **named, **self._times()})
        wants = params.get("snapshot", channel != "trade") is not False
        if method == "subscribe":
            client.topics[topic] = False
            (self._plain.discard if wants else self._plain.add)((client.number, topic))
        else:
            del client.topics[topic]
        result: dict[str, object] = {"channel": channel, **({"depth": depth} if channel == "book" else {})}
        result |= {"snapshot": wants} if method == "subscribe" else {}
        return as_json({"method": method, **number, "result": {**result, "symbol": symbol}, "success": True, **self._times()})

    def first(self, topic: str, client: Client) -> list[Message]:
        channel, native, *depth = topic.split(":")
        instrument, stamp = self.instruments[native], written(self.sample.now_ms, 6)
        if (client.number, topic) in self._plain:
            self._plain.discard((client.number, topic))
            return []
        if channel == "book":
            return [instrument.snapshot(int(depth[0]), stamp, self.lying)]
        if channel == "ticker":
            return [instrument.ticker("snapshot", stamp)]
        return [instrument.candle(instrument.market.candle, "snapshot", stamp)] if channel == "ohlc" else []

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        native, instrument = market.spec.native, self.instruments[market.spec.native]
        stamp = written(self.sample.now_ms, 6)
        if market.book.changes:
            for depth in DEPTHS:
                if (topic := f"book:{native}:{depth}") in wanted:
                    message = instrument.update(depth, stamp, self.lying)
                    if message is not None and not self.lost(native):
                        yield topic, message
            touch = market.book.touch()
            if touch != instrument.touch:
                instrument.touch = touch
                if f"ticker:{native}" in wanted:
                    yield f"ticker:{native}", instrument.ticker("update", stamp)
        if market.fills and f"trade:{native}" in wanted:
            yield f"trade:{native}", instrument.trades(market.fills, stamp)
        if f"ohlc:{native}" in wanted:
            for candle, due in ((market.closed, True), (market.candle, self.sample.steps % BEAT_STEPS == 0)):
                if candle is not None and due and candle.last_id > instrument.told:
                    instrument.told = candle.last_id
                    yield f"ohlc:{native}", instrument.candle(candle, "update", stamp)

    def beat(self) -> None:
        """A heartbeat each second."""
        if self.sample.steps % BEAT_STEPS == 0:
            self.port.send([client for client in self.port.clients if client.topics], '{"channel":"heartbeat"}')

    def _times(self) -> dict[str, str]:
        now = written(self.sample.now_ms, 6)
        return {"time_in": now, "time_out": now}


def mean(candle: Candle) -> int:
    """Average price of a minute in ticks."""
    return candle.quote // candle.lots if candle.lots else candle.close


def written(ms: int, places: int) -> str:
    """A time as RFC 3339 with so many decimals of the second."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{f'{ms % 1000:03d}':0<{places}}Z"


def pair(spec: ListingSpec) -> tuple[str, dict[str, object]]:
    """A row of the list of pairs and its name."""
    ours = spec.native.split("/")
    base, quote = ("XBT" if name == "BTC" else name for name in ours)
    altname = base + quote
    row: dict[str, object] = {"altname": altname, "wsname": f"{base}/{quote}", "aclass_base": "currency", "aclass_quote": "currency"}
    row |= {"base": LEGACY.get(ours[0], base), "quote": LEGACY.get(ours[1], quote), "lot": "unit", "lot_multiplier": 1}
    row |= {"pair_decimals": _decimals(spec.tick), "lot_decimals": _decimals(spec.lot), "tick_size": spec.tick}
    row |= {"ordermin": LEAST[spec.asset], "costmin": COST.get(spec.currency, "0.5"), "status": "online"}
    return "".join(LEGACY[name] for name in ours) if LEGACY.keys() >= set(ours) else altname, row


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])
