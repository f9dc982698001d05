"""What Bybit says about the sample market: books of 50 levels, the touch, trades, tickers and candles.

    orderbook.50.*  {"topic","type":"snapshot|delta","ts","data":{"s","b","a","u","seq"},"cts"}      each 20 ms, u + 1
    orderbook.1.*   the same, always a snapshot; again with the same u after 3 s without a change
    publicTrade.*   {"topic","type","ts","data":[{"T","s","S","v","p","L","i","BT"}]}
    tickers.*       {"topic","type","data":{…},"cs","ts"}       linear; a delta has the changed fields only
    kline.1.*       {"topic","data":[{"start","end","interval",…,"confirm","timestamp"}],"ts","type"}
    REST book       {"retCode","retMsg","result":{"s","a","b","ts","u","seq","cts"},"retExtInfo","time"}
    list            a row for each symbol, see ``listing``

On spot ``ts`` stands before ``type``, and trades have their keys in another order. Written from the venue's documentation; the
readers in ``dope.venues`` are another code path on purpose. The spot ticker is not served.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from dope.sim.book import ASK, BID
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.quoting import MINUTE_MS, Candle, Fill, Market

DEPTH = 50
BOOK_STEPS = 2  #: 20 ms
TICKER_STEPS = 10  #: 100 ms
KLINE_STEPS = 100  #: at most each s
REPEAT_MS = 3000  #: a touch without a change is said again
#: (price, size) decimals where they are not those of the steps; sizes on spot show what is needed
LINEAR_DECIMALS = {"BTCUSDT": (2, 3), "ETHUSDT": (2, 2), "SOLUSDT": (3, 1), "BTCPERP": (2, 3), "ETHPERP": (2, 2)}
SPOT_DECIMALS = {"BTCUSDT": 2, "BTCUSDC": 2, "ETHUSDT": 2, "ETHUSDC": 2, "SOLUSDT": 2, "USDCUSDT": 4}
Side = dict[int, int]  #: tick → lots


class Symbol:
    """All topics of one symbol, as texts. A channel is a topic without the symbol: "orderbook.50"."""

    def __init__(self, market: Market) -> None:
        spec = market.spec
        self.market, self.native, self.linear = market, spec.native, spec.perpetual
        spot = SPOT_DECIMALS.get(spec.native, spec.decimals[0]), 8
        price, size = LINEAR_DECIMALS.get(spec.native, spec.decimals) if self.linear else spot
        self.price = rescaled(6, spec.tick_e6, price)
        self.size = rescaled(8, spec.lot_e8, size, strip=not self.linear)
        self.quote = rescaled(14, spec.tick_e6 * spec.lot_e8, 14, strip=True)
        self._top: tuple[Side, Side] = ({}, {})  #: the 50 best levels as last told
        self._numbers = 50_000_000, 0  #: u and seq of that
        self._fresh = False  #: whether it is what the subscribers have
        self._touch: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._touch_numbers, self._touch_ms = (7_000_000, 0), 0
        self._ticker: dict[str, str] = {}
        self._candle_id = -1

    def channels(self) -> tuple[str, ...]:
        """Every channel of this symbol."""
        return ("orderbook.50", "orderbook.1", "publicTrade", "kline.1", *(("tickers",) if self.linear else ()))

    def first(self, channel: str, sample: SampleMarket) -> list[str]:
        """What a new subscription gets at once."""
        match channel:
            case "orderbook.50":
                if not self._fresh:
                    self._changed()
                    self._fresh = True
                return [self._book("50", "snapshot", [list(side.items()) for side in self._top], self._numbers, sample.now_ms)]
            case "orderbook.1":
                return [self._best(sample.now_ms)]
            case "tickers":
                self._ticker = self._ticker or self._fields(sample)
                return [self._tick("snapshot", self._ticker, sample)]
            case "kline.1":
                return [self._kline(self.market.candle, sample.now_ms, closed=False)]
        return []

    def step(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        """``(topic, message)`` of the step just made."""
        now, market, native = sample.now_ms, self.market, self.native
        if market.fills and (topic := f"publicTrade.{native}") in wanted:
            yield topic, self._trades(market.fills, now)
        if (topic := f"orderbook.1.{native}") in wanted and (market.book.touch() != self._touch or now - self._touch_ms >= REPEAT_MS):
            yield topic, self._best(now)
        topic = f"orderbook.50.{native}"
        self._fresh = self._fresh and topic in wanted
        if topic in wanted and sample.steps % BOOK_STEPS == 0 and market.book.seq != self._numbers[1]:
            sides = self._changed()
            if any(sides):
                yield topic, self._book("50", "delta", sides, self._numbers, now)
        if sample.steps % TICKER_STEPS == 0 and (topic := f"tickers.{native}") in wanted:
            fields = self._fields(sample)
            changed = {name: text for name, text in fields.items() if text != self._ticker.get(name)}
            self._ticker = fields
            if changed:
                yield topic, self._tick("delta", {"symbol": native, **changed}, sample)
        yield from self._klines(sample, wanted)

    def rest(self, limit: int, now: int) -> str:
        """Body of GET /v5/market/orderbook: the book as it is now; ``u`` counts in numbers of its own."""
        book = self.market.book
        bids, asks = (",".join([self._level(*level) for level in book.side(side, limit)]) for side in (BID, ASK))
        numbers = f'"ts":{now},"u":{book.seq + 230_000},"seq":{book.seq},"cts":{now - 2}'
        result = f'{{"s":"{self.native}","a":[{asks}],"b":[{bids}],{numbers}}}'
        return f'{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{now}}}'

    # -- books ---------------------------------------------------------------------------------------------------------
    def _changed(self) -> list[list[tuple[int, int]]]:
        """What changed among the 50 best of either side; levels that fell out are removed, those that came in are told."""
        book = self.market.book
        found = []
        new = dict(book.side(BID, DEPTH)), dict(book.side(ASK, DEPTH))
        for old, now in zip(self._top, new, strict=True):
            gone = [(tick, 0) for tick in old if tick not in now]
            found.append([(tick, lots) for tick, lots in now.items() if old.get(tick) != lots] + gone)
        if any(found):
            self._numbers = self._numbers[0] + 1, book.seq
        else:
            self._numbers = self._numbers[0], book.seq  # something behind the 50 levels: nothing is told
        self._top = new
        return found

    def _book(self, depth: str, kind: str, sides: list[list[tuple[int, int]]], numbers: tuple[int, int], now: int) -> str:
        bids, asks = (",".join([self._level(*level) for level in side]) for side in sides)
        data = f'{{"s":"{self.native}","b":[{bids}],"a":[{asks}],"u":{numbers[0]},"seq":{numbers[1]}}}'
        return f'{self._head(f"orderbook.{depth}", kind, now)},"data":{data},"cts":{now - 2}}}'

    def _level(self, tick: int, lots: int) -> str:
        return f'["{self.price.text(tick)}","{self.size.text(lots) if lots else 0}"]'

    def _best(self, now: int) -> str:
        touch = self.market.book.touch()
        if touch != self._touch:
            self._touch, self._touch_numbers = touch, (self._touch_numbers[0] + 1, self.market.book.seq)
        self._touch_ms = now
        return self._book("1", "snapshot", [[touch[:2]], [touch[2:]]], self._touch_numbers, now)

    def _head(self, channel: str, kind: str, now: int) -> str:
        order = f'"type":"{kind}","ts":{now}' if self.linear else f'"ts":{now},"type":"{kind}"'
        return f'{{"topic":"{channel}.{self.native}",{order}'

    # -- the rest ------------------------------------------------------------------------------------------------------
    def _trades(self, fills: list[Fill], now: int) -> str:
        rows = []
        for fill in fills:
            side, what = "Buy" if fill.buy else "Sell", (self.size.text(fill.lots), self.price.text(fill.tick))
            if self.linear:
                number = f"{fill.trade_id:08x}-0000-5000-8000-{fill.trade_id:012x}"
                body = f'"T":{now},"s":"{self.native}","S":"{side}","v":"{what[0]}","p":"{what[1]}","L":"PlusTick","i":"{number}"'
            else:
                body = f'"i":"{fill.trade_id}","T":{now},"p":"{what[1]}","v":"{what[0]}","S":"{side}","s":"{self.native}"'
            rows.append(f'{{{body},"BT":false}}')
        return f'{self._head("publicTrade", "snapshot", now)},"data":[{",".join(rows)}]}}'

    def _fields(self, sample: SampleMarket) -> dict[str, str]:
        line, market = self.market.line, self.market
        micro = rescaled(6, 1, 6, strip=True).text
        bid, bid_lots, ask, ask_lots = market.book.touch()
        price, size = self.price.text, self.size.text
        last = price(market.candle.close)
        return {
            "symbol": self.native, "tickDirection": "PlusTick", "price24hPcnt": "0.01", "lastPrice": last, "prevPrice24h": last,
            "highPrice24h": last, "lowPrice24h": last, "prevPrice1h": last,
            "markPrice": micro(line.mark), "indexPrice": micro(line.price),
            "openInterest": "52000", "openInterestValue": "1500000000", "turnover24h": "4000000000", "volume24h": "150000",
            "nextFundingTime": str(sample.next_funding_ms()), "fundingRate": rescaled(8, 1, 8, strip=True).text(market.asset.funding_e8),
            "bid1Price": price(bid), "bid1Size": size(bid_lots), "ask1Price": price(ask), "ask1Size": size(ask_lots),
            "fundingIntervalHour": "8",
        }  # fmt: skip

    def _tick(self, kind: str, fields: dict[str, str], sample: SampleMarket) -> str:
        body = ",".join(f'"{name}":"{text}"' for name, text in fields.items())
        head = f'{{"topic":"tickers.{self.native}","type":"{kind}","data":{{{body}}}'
        return f'{head},"cs":{self.market.book.seq},"ts":{sample.now_ms}}}'

    def _klines(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        topic = f"kline.1.{self.native}"
        if topic not in wanted:
            return
        if self.market.closed is not None:
            yield topic, self._kline(self.market.closed, sample.now_ms, closed=True)
        candle = self.market.candle
        if sample.steps % KLINE_STEPS == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield topic, self._kline(candle, sample.now_ms, closed=False)

    def _kline(self, candle: Candle, now: int, *, closed: bool) -> str:
        price = self.price.text
        span = f'"start":{candle.open_ms},"end":{candle.open_ms + MINUTE_MS - 1},"interval":"1"'
        prices = f'"open":"{price(candle.open)}","close":"{price(candle.close)}","high":"{price(candle.high)}","low":"{price(candle.low)}"'
        sums = f'"volume":"{self.size.text(candle.lots)}","turnover":"{self.quote.text(candle.quote)}"'
        row = f'{{{span},{prices},{sums},"confirm":{"true" if closed else "false"},"timestamp":{now}}}'
        return f'{{"topic":"kline.1.{self.native}","data":[{row}],"ts":{now},"type":"snapshot"}}'


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of GET /v5/market/instruments-info."""
    quote = spec.symbol.split("-")[1]
    row: dict[str, object] = {"symbol": spec.native, "status": "Trading", "baseCoin": spec.base, "quoteCoin": quote}
    if not spec.perpetual:
        lots = {"basePrecision": spec.lot, "quotePrecision": "0.0000001", "minOrderQty": spec.lot, "maxOrderQty": "83", "minOrderAmt": "5"}
        return row | {"innovation": "0", "marginTrading": "utaOnly", "lotSizeFilter": lots, "priceFilter": {"tickSize": spec.tick}}
    lots = {"maxOrderQty": "1190", "minOrderQty": spec.lot, "qtyStep": spec.lot, "minNotionalValue": "5"}
    prices = {"minPrice": spec.tick, "maxPrice": "1999999", "tickSize": spec.tick}
    row |= {"contractType": "LinearPerpetual", "launchTime": "1585526400000", "deliveryTime": "0", "fundingInterval": 480}
    return row | {"settleCoin": quote, "priceFilter": prices, "lotSizeFilter": lots}
