"""HTX USDT-margined swaps on a loopback port, over the sample market; see `htx_text.py` for what it shares with spot.

    /linear-swap-ws            market.X.depth.size_150.high_freq (with "data_type":"incremental"), market.X.bbo, .trade.detail, .kline.1min
    /ws_index                  market.X.mark_price.1min {"id":s,"open":"…","close":"…",…}
    /linear-swap-notification  {"op":"sub","cid":…,"topic":"public.X.funding_rate"} → {"op":"sub","cid","topic","ts","err-code":0};
                               {"op":"notify","topic","ts","data":[{"contract_code","funding_rate","funding_time",…}]}; pings with "op"
    GET /linear-swap-api/v1/swap_contract_info
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Close, Rate, as_json, read_json
from dope.sim.htx_text import DEPTH, HtxServer, Stream, packed
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Market
from dope.sim.venue import Message

LISTINGS = (
    ListingSpec(
        "htx_linear", "BTC-USDT-PERP", "BTC-USDT", "BTC", 100_000, 100_000_000, 100_000, lag=8, half_spread=1_100, bias=-1_800, pace=4
    ),
    ListingSpec(
        "htx_linear", "ETH-USDT-PERP", "ETH-USDT", "ETH", 10_000, 100_000_000, 1_000_000, lag=9, half_spread=1_700, bias=2_400, pace=5
    ),
    ListingSpec(
        "htx_linear", "SOL-USDT-PERP", "SOL-USDT", "SOL", 1_000, 100_000_000, 100_000_000, lag=13, half_spread=4_000, bias=-3_200, pace=6
    ),
)  # fmt: skip
BOOK, MARK, FUNDING = "depth.size_150.high_freq", "mark_price.1min", "funding_rate"
NOTIFY = "/linear-swap-notification"
MARK_STEPS, FUNDING_STEPS = 100, 6000  #: each s, each minute
EIGHT_HOURS_MS = 8 * 3600 * 1000


class Server(HtxServer):
    """HTX swaps over the sample market."""

    PATHS = {"/linear-swap-ws": (BOOK, "bbo", "trade.detail", "kline.1min"), "/ws_index": (MARK,), NOTIFY: ()}
    LIST = "/linear-swap-api/v1/swap_contract_info"
    REQUESTS = Rate(240, 3.0)

    def __init__(self, sample: SampleMarket, *, clock: Callable[[], float]) -> None:
        super().__init__(sample, "htx_linear", clock=clock)
        self.streams = {native: Stream(market, 3 * rank) for rank, (native, market) in enumerate(self.markets.items())}
        self.versions = dict.fromkeys(self.streams, 1000)

    def listing(self, spec: ListingSpec) -> str:
        steps = f'"contract_size":{float(spec.contract):.18f},"price_tick":{float(spec.tick):.18f}'
        named = f'"symbol":"{spec.base}","contract_code":"{spec.native}",{steps},"delivery_time":"","create_date":"20201021"'
        kind = f'"support_margin_mode":"all","business_type":"swap","pair":"{spec.native}","contract_type":"swap"'
        return f'{{{named},"contract_status":1,{kind},"trade_partition":"USDT"}}'

    def heard(self, client: Client, text: str, now: float) -> list[Message] | Close:
        if client.path != NOTIFY:
            return super().heard(client, text, now)
        request = read_json(text)
        wish, topic = (request.get("op"), request.get("topic")) if isinstance(request, dict) else (None, None)
        if wish == "pong":
            self._missed.pop(client.number, None)
            return []
        answer = {"op": wish, "cid": request.get("cid") if isinstance(request, dict) else None, "topic": topic, "ts": self.sample.now_ms}
        parts = topic.split(".", 2) if isinstance(topic, str) else []
        if wish not in ("sub", "unsub") or len(parts) != 3 or parts[1] not in self.markets or parts[2] != FUNDING:
            return [packed(as_json({**answer, "err-code": 2011, "err-msg": "invalid topic"}))]
        if wish == "sub":
            client.topics[str(topic)] = False
        else:
            client.topics.pop(str(topic), None)
        return [packed(as_json({**answer, "err-code": 0}))]

    def wished(self, client: Client, wish: str, request: dict[str, object]) -> list[Message]:
        """A book without ``data_type`` would be one of whole books: not served here."""
        if str(request[wish]).endswith(BOOK) and wish == "sub" and request.get("data_type") != "incremental":
            return [self._refused(request.get("id"), "bad-request", "data_type")]
        return super().wished(client, wish, request)

    def first(self, topic: str, client: Client) -> Iterable[Message] | None:
        stream, now = self.streams[topic.split(".", 2)[1]], self.sample.now_ms
        if topic.endswith(BOOK):
            if not stream.due(self.sample.steps):
                return None
            return [self._book(stream, "snapshot", [stream.market.book.side(side, DEPTH) for side in (BID, ASK)], now)]
        if topic.endswith("trade.detail") and stream.newest is not None:
            fill, at = stream.newest
            return [stream.deals([fill], at, now)]
        if topic.endswith(FUNDING):
            return [self._funding(stream, now)]
        return [self._mark(stream, now)] if topic.endswith(MARK) else ()

    def changes(self, market: Market, wanted: Mapping[str, list[Client]]) -> Iterator[tuple[str, Message]]:
        stream, now, steps = self.streams[market.spec.native], self.sample.now_ms, self.sample.steps
        head = f"market.{stream.native}."
        if market.fills:
            if head + "trade.detail" in wanted:
                yield head + "trade.detail", stream.deals(market.fills, now, now)
            stream.newest = market.fills[-1], now
        if market.book.changes:
            stream.pending.add(market)
            if stream.touched() and head + "bbo" in wanted:
                yield head + "bbo", self._touch(stream, now)
        if stream.pending and stream.due(steps):
            self.versions[stream.native] += 1
            levels = stream.pending.take()
            if head + BOOK in wanted and not self.lost(stream.native):
                yield head + BOOK, self._book(stream, "update", levels, now)
        if head + "kline.1min" in wanted:
            for frame in stream.candles(steps, now):
                yield head + "kline.1min", frame
        if steps % MARK_STEPS == 0 and head + MARK in wanted:
            yield head + MARK, self._mark(stream, now)
        if steps % FUNDING_STEPS == 0 and f"public.{stream.native}.{FUNDING}" in wanted:
            yield f"public.{stream.native}.{FUNDING}", self._funding(stream, now)

    def ping(self, client: Client) -> str:
        now = self.sample.now_ms
        return f'{{"op":"ping","ts":"{now}"}}' if client.path == NOTIFY else f'{{"ping":{now}}}'

    def _book(self, stream: Stream, event: str, levels: Iterable[Iterable[tuple[int, int]]], now: int) -> bytes:
        bids, asks = (stream.levels(side) for side in levels)
        ids = f'"ch":"market.{stream.native}.{BOOK}","event":"{event}","id":{stream.market.book.seq},"mrid":{stream.market.book.seq}'
        tick = f'{{"asks":{asks},"bids":{bids},{ids},"ts":{now},"version":{self.versions[stream.native]}}}'
        return stream.said(BOOK, now, tick)

    @staticmethod
    def _touch(stream: Stream, now: int) -> bytes:
        bid, bid_lots, ask, ask_lots = stream.market.book.touch()
        sides = f'"bid":[{stream.price(bid)},{stream.size(bid_lots)}],"ask":[{stream.price(ask)},{stream.size(ask_lots)}]'
        seq = stream.market.book.seq
        what = f'"mrid":{seq},"id":{now // 1000},{sides},"ts":{now},"version":{seq},"ch":"market.{stream.native}.bbo"'
        return stream.said("bbo", now, f"{{{what}}}")

    @staticmethod
    def _mark(stream: Stream, now: int) -> bytes:
        mark = stream.market.line.mark
        prices = ",".join(f'"{name}":"{mark / 1e6:.6f}"' for name in ("open", "close", "high", "low"))
        return stream.said(MARK, now, f'{{"id":{now // 60_000 * 60},{prices},"amount":"0","vol":"0","count":"0","trade_turnover":"0"}}')

    def _funding(self, stream: Stream, now: int) -> bytes:
        asset, due = stream.market.asset, self.sample.next_funding_ms()
        what = f'"symbol":"{asset.spec.name}","contract_code":"{stream.native}","fee_asset":"USDT","funding_time":"{due - EIGHT_HOURS_MS}"'
        rates = f'"funding_rate":"{asset.funding_e8 / 1e8:.18f}","estimated_rate":"{asset.funding_e8 / 1e8:.18f}"'
        row = f"{{{what},{rates},\"settlement_time\":\"{due - EIGHT_HOURS_MS}\"}}"
        return packed(f'{{"op":"notify","topic":"public.{stream.native}.{FUNDING}","ts":{now},"data":[{row}]}}')
