"""What Gate says about the sample market: books of 400 levels, the touch, trades, tickers and candles.

    *.obu           spot    {"channel","result":{"t","full","s","u","b","a"},"time_ms","event"}            each 100 ms
                    futures {"time","time_ms","channel","event","result":{…}}; then "U" and "u", no "full", empty sides absent
    *.book_ticker   {"time","time_ms","channel","event","result":{"t","u","s","b","B","a","A"}}            sizes: text, or whole contracts
    spot.trades     {…,"result":{"id","create_time","create_time_ms","side","currency_pair","amount","price"}}
    futures.trades  {…,"result":[{"size","id","create_time","create_time_ms","price","contract"}]}         negative: the taker sold
    futures.tickers {…,"result":[{"contract","last","mark_price","funding_rate",…}]}                       once a second
    *.candlesticks  {…,"result":{"t","v","c","h","l","o","n","a","w"}}                                     futures: in a list

Written from the venue's documentation and captured messages; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from dope.sim.book import ASK, BID
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import Candle, Fill, Market
from dope.sim.venue import Pending

DEPTH = 400
BOOK_STEPS = 10  #: 100 ms
TICKER_STEPS = 100  #: each s
CANDLE_STEPS = 200  #: at most each 2 s
FUNDING_S = 28_800
ONE = 10**8  #: one contract in 1e-8


class Symbol:
    """All channels of one market, as texts. A topic is "channel:name" with the name as the venue asks for it."""

    def __init__(self, market: Market) -> None:
        spec = market.spec
        self.market, self.native, self.futures = market, spec.native, spec.perpetual
        self.prefix = "futures" if self.futures else "spot"
        self.book_topic, self.candle_topic = f"obu:ob.{self.native}.{DEPTH}", f"candlesticks:1m,{self.native}"
        self.price = rescaled(6, spec.tick_e6, 6, strip=True)
        self.size = rescaled(8, spec.lot_e8, 8, strip=True)
        self.base = rescaled(16, spec.lot_e8 * spec.contract_e8, 16, strip=True)
        self.quote = rescaled(22, spec.tick_e6 * spec.lot_e8 * spec.contract_e8, 22, strip=True)
        self.pending = Pending()
        self._last = market.book.seq  #: u of the newest book message
        self._touch = market.book.touch()
        self._candle_id = -1

    def topics(self) -> list[str]:
        """Every topic of this market."""
        bare = ("book_ticker", "trades", *(("tickers",) if self.futures else ()))
        return [self.book_topic, *(f"{channel}:{self.native}" for channel in bare), self.candle_topic]

    def first(self, topic: str, sample: SampleMarket) -> list[str] | None:
        """What a new subscription gets at once; None = later: a book begins when its stream speaks."""
        if topic == self.book_topic:
            return [self._whole(sample.now_ms)] if sample.steps % BOOK_STEPS == 0 else None
        if topic.startswith("tickers:"):
            return [self._ticker(sample)]
        if topic == self.candle_topic:
            return [self._candle(self.market.candle, sample.now_ms, closed=False)]
        return []

    def step(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        """``(topic, message)`` of the step just made."""
        now, market = sample.now_ms, self.market
        self.pending.add(market)
        if (topic := f"trades:{self.native}") in wanted:
            for fill in market.fills:
                yield topic, self._trade(fill, now)
        if (touch := market.book.touch()) != self._touch:
            self._touch = touch
            if (topic := f"book_ticker:{self.native}") in wanted:
                yield topic, self._best(now)
        if sample.steps % BOOK_STEPS == 0 and self.pending:
            message = self._changes(now)
            if self.book_topic in wanted:
                yield self.book_topic, message
        if sample.steps % TICKER_STEPS == 0 and (topic := f"tickers:{self.native}") in wanted:
            yield topic, self._ticker(sample)
        if self.candle_topic in wanted:
            yield from self._candles(sample)

    # -- books ---------------------------------------------------------------------------------------------------------
    def _whole(self, now: int) -> str:
        book = self.market.book
        bids, asks = (self._levels(book.side(side, DEPTH)) for side in (BID, ASK))
        body = f'{{"t":{now},"full":true,"s":"ob.{self.native}.{DEPTH}","u":{book.seq},"b":[{bids}],"a":[{asks}]}}'
        return self._pushed("obu", body, now)

    def _changes(self, now: int) -> str:
        first, self._last = self._last + 1, self.market.book.seq
        sides = zip("ba", self.pending.take(), strict=True)
        changed = "".join(f',"{name}":[{self._levels(levels)}]' for name, levels in sides if levels)
        body = f'{{"t":{now},"s":"ob.{self.native}.{DEPTH}","U":{first},"u":{self._last}{changed}}}'
        return self._pushed("obu", body, now)

    def _levels(self, levels: list[tuple[int, int]]) -> str:
        price, size = self.price.text, self.size.text
        return ",".join([f'["{price(tick)}","{size(lots) if lots else 0}"]' for tick, lots in levels])

    def _best(self, now: int) -> str:
        bid, bid_lots, ask, ask_lots = self._touch
        sizes = [self._whole_contracts(lots) if self.futures else f'"{self.size.text(lots)}"' for lots in (bid_lots, ask_lots)]
        sides = f'"b":"{self.price.text(bid)}","B":{sizes[0]},"a":"{self.price.text(ask)}","A":{sizes[1]}'
        return self._pushed("book_ticker", f'{{"t":{now},"u":{self.market.book.seq},"s":"{self.native}",{sides}}}', now)

    def _whole_contracts(self, lots: int) -> int:
        """As Gate counts them for clients that do not ask for fractions."""
        return lots * self.market.spec.lot_e8 // ONE

    def _pushed(self, channel: str, result: str, now: int) -> str:
        if channel == "obu" and not self.futures:
            return f'{{"channel":"spot.obu","result":{result},"time_ms":{now},"event":"update"}}'
        return f'{{"time":{now // 1000},"time_ms":{now},"channel":"{self.prefix}.{channel}","event":"update","result":{result}}}'

    # -- the rest ------------------------------------------------------------------------------------------------------
    def _trade(self, fill: Fill, now: int) -> str:
        price, time = self.price.text(fill.tick), f'"create_time":{now // 1000}'
        if not self.futures:
            about = f'"id":{fill.trade_id},{time},"create_time_ms":"{now}.{fill.trade_id % 1000:03d}"'
            what = f'"side":"{"buy" if fill.buy else "sell"}","currency_pair":"{self.native}"'
            return self._pushed("trades", f'{{{about},{what},"amount":"{self.size.text(fill.lots)}","price":"{price}"}}', now)
        size = self._whole_contracts(fill.lots) * (1 if fill.buy else -1)
        row = f'"size":{size},"id":{fill.trade_id},{time},"create_time_ms":{now},"price":"{price}","contract":"{self.native}"'
        return self._pushed("trades", f"[{{{row}}}]", now)

    def _ticker(self, sample: SampleMarket) -> str:
        line, micro = self.market.line, rescaled(6, 1, 6, strip=True).text
        rate = rescaled(8, 1, 8, strip=True).text(self.market.asset.funding_e8)
        mark = micro(line.mark)
        row = (
            f'"contract":"{self.native}","last":"{self.price.text(self.market.candle.close)}","mark_price":"{mark}","funding_rate":"{rate}",'
            f'"funding_rate_indicative":"{rate}","funding_interval":{FUNDING_S},"funding_offset":0,'
            f'"funding_next_apply":{sample.next_funding_ms() // 1000},"index_price":"{micro(line.price)}","price_type":"last",'
            f'"t":{sample.now_ms}'
        )
        return self._pushed("tickers", f"[{{{row}}}]", sample.now_ms)

    def _candles(self, sample: SampleMarket) -> Iterator[tuple[str, str]]:
        if self.market.closed is not None:
            yield self.candle_topic, self._candle(self.market.closed, sample.now_ms, closed=True)
        candle = self.market.candle
        if sample.steps % CANDLE_STEPS == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield self.candle_topic, self._candle(candle, sample.now_ms, closed=False)

    def _candle(self, candle: Candle, now: int, *, closed: bool) -> str:
        price, opened = self.price.text, candle.open_ms // 1000
        prices = f'"c":"{price(candle.close)}","h":"{price(candle.high)}","l":"{price(candle.low)}","o":"{price(candle.open)}"'
        name, over = f'"n":"1m_{self.native}","a":"{self.base.text(candle.lots)}"', "true" if closed else "false"
        if self.futures:
            row = f'[{{"t":{opened},"v":"{self.size.text(candle.lots)}",{prices},{name},"w":{over}}}]'
        else:
            row = f'{{"t":"{opened}","v":"{self.quote.text(candle.quote)}",{prices},{name},"w":{over}}}'
        return self._pushed("candlesticks", row, now)


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of the list of pairs or of contracts. A contract that trades in fractions says so, and its least size is their step."""
    base, quote = spec.native.split("_")
    if not spec.perpetual:
        decimals = {"precision": _decimals(spec.tick), "amount_precision": _decimals(spec.lot)}
        limits = {"min_base_amount": spec.lot, "min_quote_amount": "3", "max_base_amount": None, "max_quote_amount": "5000000"}
        row: dict[str, object] = {"id": spec.native, "base": base, "quote": quote, "fee": "0.2", **limits, **decimals}
        return row | {"trade_status": "tradable", "sell_start": 0, "buy_start": 0, "type": "normal"}
    fractions = spec.lot_e8 < ONE
    steps = {"quanto_multiplier": spec.contract, "order_price_round": spec.tick, "mark_price_round": "0.01"}
    sizes = {"order_size_min": spec.lot if fractions else 1, "order_size_max": 1_000_000, "enable_decimal": fractions}
    return {"name": spec.native, "type": "direct", **steps, **sizes, "in_delisting": False, "status": "trading", "contract_type": ""}


def _decimals(step: str) -> int:
    """Of a power of ten: ``0.01`` → 2."""
    return len(step.partition(".")[2])
