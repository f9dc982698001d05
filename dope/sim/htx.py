"""HTX spot on a loopback port, over the sample market; see `htx_text.py` for what it shares with the swaps.

    /ws    market.X.bbo        {"seqId","ask","askSize","bid","bidSize","quoteTime","symbol"}
           market.X.trade.detail, market.X.kline.1min
    /feed  market.X.mbp.150    {"seqNum","prevSeqNum","asks":[[price,size]],"bids":[…]} each 100 ms
           {"req":"market.X.mbp.150","id":…}  → {"id","status":"ok","ts","rep":"market.X.mbp.150","data":{"seqNum","bids","asks"}},
           the book as of the newest difference
    GET /v1/settings/common/market-symbols
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client
from dope.sim.htx_text import DEPTH, HtxServer, Stream, packed
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Market
from dope.sim.venue import Message

LISTINGS = (
    ListingSpec("htx", "BTC-USDT", "btcusdt", "BTC", 10_000, 100, lag=11, half_spread=1_900, bias=2_200, pace=4),
    ListingSpec("htx", "ETH-USDT", "ethusdt", "ETH", 10_000, 10_000, lag=12, half_spread=2_900, bias=-2_800, pace=5),
    ListingSpec("htx", "SOL-USDT", "solusdt", "SOL", 100, 10_000, lag=14, half_spread=4_800, bias=3_500, pace=6),
    ListingSpec("htx", "USDC-USDT", "usdcusdt", "USDC", 100, 10_000, lag=4, half_spread=5_000, pace=6),
)
BOOK = "mbp.150"


class Server(HtxServer):
    """HTX spot over the sample market."""

    PATHS = {"/ws": ("bbo", "trade.detail", "kline.1min"), "/feed": (BOOK,)}
    LIST = "/v1/settings/common/market-symbols"

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "htx", clock=clock)
        self.streams = {native: Stream(market, 3 * rank) for rank, (native, market) in enumerate(self.markets.items())}

    def listing(self, spec: ListingSpec) -> str:
        base, quote = spec.symbol.lower().split("-")
        price, size = (len(step.partition(".")[2]) for step in (spec.tick, spec.lot))
        named = f'"symbol":"{spec.native}","state":"online","bc":"{base}","qc":"{quote}","pp":{price},"ap":{size},"sp":"main","vp":8'
        limits = f'"minoa":{spec.lot},"maxoa":1000,"minov":10,"lominoa":{spec.lot},"lomaxoa":1000'
        return f'{{{named},{limits},"at":"enabled","tags":""}}'

    def listed_at(self) -> str:
        return f'"ts":"{self.sample.now_ms}","full":1'

    def requestable(self, topic: str) -> bool:
        return topic.endswith(BOOK)

    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        """A snapshot waits until it is that of a difference; of trades the last one before is told again."""
        request, number, asked = topic.partition(" ")[0], topic.split(" ", 1)[-1].rpartition(" ")[0], topic.rpartition(" ")[2]
        native = asked.split(".", 2)[1]
        stream, now = self.streams[native], self.sample.now_ms
        if request == "req":
            if not stream.due(self.sample.steps):
                return None
            bids, asks = (stream.levels(stream.market.book.side(side, DEPTH)) for side in (BID, ASK))
            data = f'{{"seqNum":{stream.last},"bids":{bids},"asks":{asks}}}'
            return [packed(f'{{"id":{number},"status":"ok","ts":{now},"rep":"{asked}","data":{data}}}')]
        if asked.endswith("trade.detail") and stream.newest is not None:
            fill, at = stream.newest
            return [stream.deals([fill], at, now)]
        return [self._touch(stream, now)] if asked.endswith("bbo") else ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        stream, now, head = self.streams[market.spec.native], self.sample.now_ms, f"market.{market.spec.native}."
        if market.fills:
            if head + "trade.detail" in wanted:
                yield head + "trade.detail", stream.deals(market.fills, now, now)
            stream.newest = market.fills[-1], now
        if market.book.changes:
            stream.pending.add(market)
            if stream.touched() and head + "bbo" in wanted:
                yield head + "bbo", self._touch(stream, now)
        if stream.pending and stream.due(self.sample.steps):
            before, stream.last = stream.last, stream.pending.last_seq
            bids, asks = stream.pending.take()
            if head + BOOK in wanted and not self.lost(stream.native):
                sides = f'"asks":{stream.levels(asks)},"bids":{stream.levels(bids)}'
                yield head + BOOK, stream.said(BOOK, now, f'{{"seqNum":{stream.last},"prevSeqNum":{before},{sides}}}')
        if head + "kline.1min" in wanted:
            for frame in stream.candles(self.sample.steps, now):
                yield head + "kline.1min", frame

    @staticmethod
    def _touch(stream: Stream, now: int) -> bytes:
        bid, bid_lots, ask, ask_lots = stream.market.book.touch()
        sides = f'"ask":{stream.price(ask)},"askSize":{stream.size(ask_lots)},"bid":{stream.price(bid)},"bidSize":{stream.size(bid_lots)}'
        what = f'{{"seqId":{stream.market.book.seq},{sides},"quoteTime":{now},"symbol":"{stream.native}"}}'
        return stream.said("bbo", now, what)
