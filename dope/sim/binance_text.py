"""What Binance says about the sample market: the stream messages and REST snapshots of spot and futures.

    spot   depthUpdate  {"e","E","s","U","u","b","a"}                   USD-M  {"e","E","T","s","U","u","pu","b","a"}
           bookTicker   {"u","s","b","B","a","A"}                              {"e","u","s","b","B","a","A","T","E"}
           trade        {"e","E","s","t","p","q","T","m","M"}                  {"e","E","T","s","t","p","q","X","m"}
           aggTrade     {"e","E","s","a","p","q","f","l","T","m","M"}          {"e","E","a","s","p","q","f","l","T","m"}
           COIN-M: as USD-M, books and touches with the pair "ps", sizes in contracts, turnover of candles in the base currency
           kline        {"e","E","s","k":{…}}                                  same; markPriceUpdate {"e","E","s","p","i","P","r","T"}
           exchangeInfo: a row for each symbol, see ``listing``

Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from dope.sim.book import ASK, BID
from dope.sim.digits import rescaled
from dope.sim.listings import ListingSpec
from dope.sim.market import STEP_MS, SampleMarket
from dope.sim.quoting import MINUTE_MS, Candle, Fill, Market

#: (price, size) decimals of futures where they are not those of the steps; spot always shows eight
DECIMALS = {"BTCUSDT": (2, 3), "ETHUSDT": (2, 3), "SOLUSDT": (4, 2), "BTCUSD_PERP": (1, 0), "ETHUSD_PERP": (2, 0), "SOLUSD_PERP": (2, 0)}
KLINE_STEPS = {False: 200, True: 25}  #: 2 s on spot, 250 ms on USD-M
CADENCES = {False: {"depth": 100, "depth@100ms": 10}, True: {"depth": 25, "depth@0ms": 1, "depth@100ms": 10, "depth@500ms": 50}}


class Diff:
    """The level changes of one market since the last message of one depth stream."""

    def __init__(self, name: str, steps: int, seq: int) -> None:
        self.name, self.steps = name, steps
        self.last = seq  #: u of the previous message
        self.first = 0  #: first number since then, 0 = nothing changed
        self.levels: tuple[dict[int, int], dict[int, int]] = ({}, {})


class Symbol:
    """All streams of one market, as texts."""

    def __init__(self, market: Market, phase: int) -> None:
        spec = market.spec
        self.market = market
        self.native = spec.native
        self.lower = spec.native.lower()
        self.futures = spec.perpetual
        self.face = spec.face  #: USD per contract of COIN-M, 0 elsewhere
        self.pair = f'"ps":"{spec.native.partition("_")[0]}",' if spec.face else ""
        self.dropping = 0  #: depth messages still to be lost
        self._phase = phase
        price_decimals, size_decimals = DECIMALS.get(spec.native, spec.decimals) if self.futures else (8, 8)
        self.price = rescaled(6, spec.tick_e6, price_decimals)
        self.size = rescaled(8, spec.lot_e8, size_decimals)
        turnover = spec.tick_e6 * spec.lot_e8
        zeros = len(str(turnover)) - len(str(turnover).rstrip("0"))  # of a cross it needs more than eight decimals
        self.quote = rescaled(14, turnover, price_decimals + size_decimals if self.futures else max(8, 14 - zeros))
        self._diffs = [Diff(f"{self.lower}@{name}", steps, market.book.seq) for name, steps in CADENCES[self.futures].items()]
        self._touch = market.book.touch()
        self._candle_id = -1

    def topics(self) -> list[str]:
        """Every stream of this symbol."""
        names = ["bookTicker", "trade", "aggTrade", "kline_1m", *(["markPrice", "markPrice@1s"] if self.futures else [])]
        return [f"{self.lower}@{name}" for name in names] + [diff.name for diff in self._diffs]

    def step(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        """``(stream, message)`` of the step just made, in the order of the venue: trades, touch, depth, the rest."""
        now, market = sample.now_ms, self.market
        for fill in market.fills:
            if f"{self.lower}@trade" in wanted:
                yield f"{self.lower}@trade", self._trade(fill, now)
            if f"{self.lower}@aggTrade" in wanted:
                yield f"{self.lower}@aggTrade", self._agg_trade(fill, now)
        if market.book.changes:
            self._collect()
            touch = market.book.touch()
            if touch != self._touch:
                self._touch = touch
                if f"{self.lower}@bookTicker" in wanted:
                    yield f"{self.lower}@bookTicker", self._book_ticker(now)
        for diff in self._diffs:
            if diff.first and (sample.steps + self._phase) % diff.steps == 0:
                text = self._depth(diff, now) if diff.name in wanted else None
                self._flushed(diff)
                if text is not None and self.dropping:
                    self.dropping -= 1
                elif text is not None:
                    yield diff.name, text
        yield from self._klines(sample.steps, now, wanted)
        if self.futures:
            yield from self._marks(sample, wanted)

    def snapshot(self, limit: int, now: int) -> str:
        """Body of GET depth: the book as it is at this moment."""
        book = self.market.book
        bids, asks = (self._levels(book.side(side, limit)) for side in (BID, ASK))
        times = f'"E":{now},"T":{now},' if self.futures else ""
        if self.face:
            times += f'"symbol":"{self.native}","pair":"{self.native.partition("_")[0]}",'
        return f'{{"lastUpdateId":{book.seq},{times}"bids":[{bids}],"asks":[{asks}]}}'

    def _levels(self, levels: list[tuple[int, int]]) -> str:
        price, size = self.price.text, self.size.text
        return ",".join([f'["{price(tick)}","{size(lots)}"]' for tick, lots in levels])

    def _collect(self) -> None:
        for diff in self._diffs:
            if not diff.first:
                diff.first = self.market.book.changes[0][3]
            for side, tick, lots, _ in self.market.book.changes:
                diff.levels[side][tick] = lots

    def _flushed(self, diff: Diff) -> None:
        diff.last, diff.first = self.market.book.seq, 0
        diff.levels[BID].clear()
        diff.levels[ASK].clear()

    def _depth(self, diff: Diff, now: int) -> str:
        bids = self._levels(sorted(diff.levels[BID].items(), reverse=not self.futures))
        asks = self._levels(sorted(diff.levels[ASK].items()))
        time, before = (f'"T":{now - 1},', f'"pu":{diff.last},') if self.futures else ("", "")
        numbers = f'"U":{diff.first},"u":{self.market.book.seq},{before}'
        return f'{{"e":"depthUpdate","E":{now},{time}"s":"{self.native}",{self.pair}{numbers}"b":[{bids}],"a":[{asks}]}}'

    def _book_ticker(self, now: int) -> str:
        bid, bid_lots, ask, ask_lots = self._touch
        price, size = self.price.text, self.size.text
        sides = f'"b":"{price(bid)}","B":"{size(bid_lots)}","a":"{price(ask)}","A":"{size(ask_lots)}"'
        body = f'"u":{self.market.book.seq},"s":"{self.native}",{self.pair}{sides}'
        return f'{{"e":"bookTicker",{body},"T":{now},"E":{now}}}' if self.futures else f"{{{body}}}"

    def _trade(self, fill: Fill, now: int) -> str:
        maker = "false" if fill.buy else "true"
        what = f'"t":{fill.trade_id},"p":"{self.price.text(fill.tick)}","q":"{self.size.text(fill.lots)}"'
        if self.futures:
            return f'{{"e":"trade","E":{now},"T":{now},"s":"{self.native}",{what},"X":"MARKET","m":{maker}}}'
        return f'{{"e":"trade","E":{now},"s":"{self.native}",{what},"T":{now},"m":{maker},"M":true}}'

    def _agg_trade(self, fill: Fill, now: int) -> str:
        maker, number = "false" if fill.buy else "true", fill.trade_id
        what = f'"p":"{self.price.text(fill.tick)}","q":"{self.size.text(fill.lots)}","f":{number},"l":{number},"T":{now},"m":{maker}'
        if self.futures:
            return f'{{"e":"aggTrade","E":{now},"a":{number},"s":"{self.native}",{what}}}'
        return f'{{"e":"aggTrade","E":{now},"s":"{self.native}","a":{number},{what},"M":true}}'

    def _klines(self, steps: int, now: int, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        topic = f"{self.lower}@kline_1m"
        if topic not in wanted:
            return
        if self.market.closed is not None:
            yield topic, self._kline(self.market.closed, now, closed=True)
        candle = self.market.candle
        if (steps + self._phase) % KLINE_STEPS[self.futures] == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield topic, self._kline(candle, now, closed=False)

    def _kline(self, candle: Candle, now: int, *, closed: bool) -> str:
        price, size = self.price.text, self.size.text
        prices = f'"o":"{price(candle.open)}","c":"{price(candle.close)}","h":"{price(candle.high)}","l":"{price(candle.low)}"'
        sums = f'"q":"{self._turnover(candle.quote, candle.lots, candle.close)}","V":"{size(candle.buy_lots)}",'
        sums += f'"Q":"{self._turnover(candle.buy_quote, candle.buy_lots, candle.close)}","B":"0"'
        span = f'"t":{candle.open_ms},"T":{candle.open_ms + MINUTE_MS - 1},"s":"{self.native}","i":"1m"'
        ids = f'"f":{candle.first_id},"L":{candle.last_id}'
        counts = f'"v":"{size(candle.lots)}","n":{candle.trades},"x":{"true" if closed else "false"}'
        return f'{{"e":"kline","E":{now},"s":"{self.native}","k":{{{span},{ids},{prices},{counts},{sums}}}}}'

    def _turnover(self, quote: int, lots: int, tick: int) -> str:
        """In the quote currency; of COIN-M in the base currency, all of it counted at the last price."""
        if self.face:
            return rescaled(8, 1, 8).text(lots * self.face * 10**14 // (tick * self.market.spec.tick_e6))
        return self.quote.text(quote)

    def _marks(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        for name, steps in (("markPrice", 3000 // STEP_MS), ("markPrice@1s", 1000 // STEP_MS)):
            topic = f"{self.lower}@{name}"
            if sample.steps % steps == 0 and topic in wanted:
                yield topic, self._mark(sample)

    def _mark(self, sample: SampleMarket) -> str:
        line, eight = self.market.line, rescaled(6, 1, 8).text
        mark = line.mark
        rate = rescaled(8, 1, 8).text(self.market.asset.funding_e8)
        return (
            f'{{"e":"markPriceUpdate","E":{sample.now_ms},"s":"{self.native}","p":"{eight(mark)}","i":"{eight(line.price)}",'
            f'"P":"{eight(mark)}","r":"{rate}","T":{sample.next_funding_ms()}}}'
        )


#: least value of an order in quote units, where it is another than 5
LEAST = {"binance_usdm:BTC-USDT-PERP": "100", "binance_usdm:ETH-USDT-PERP": "20", "binance_spot:ETH-BTC": "0.0001"}


def listing(spec: ListingSpec) -> dict[str, object]:
    """A row of GET exchangeInfo, without the kinds of filters that say neither tick nor lot nor least value."""
    quote = spec.symbol.split("-")[1]
    price: dict[str, object] = {"filterType": "PRICE_FILTER", "minPrice": spec.tick, "maxPrice": "1000000", "tickSize": spec.tick}
    lots: dict[str, object] = {"filterType": "LOT_SIZE", "minQty": spec.lot, "maxQty": "9000", "stepSize": spec.lot}
    row: dict[str, object] = {"symbol": spec.native}
    least = LEAST.get(spec.key, "5")
    if not spec.perpetual:
        value: dict[str, object] = {"filterType": "NOTIONAL", "minNotional": least, "applyMinToMarket": True, "maxNotional": "9000000"}
        names = {"status": "TRADING", "baseAsset": spec.base, "baseAssetPrecision": 8, "quoteAsset": quote, "quotePrecision": 8}
        return row | names | {"isSpotTradingAllowed": True, "filters": [price, lots, value], "permissions": []}
    row |= {"pair": spec.base + quote, "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "baseAsset": spec.base}
    row |= {"quoteAsset": quote, "marginAsset": spec.base if spec.face else quote}
    if spec.face:
        return row | {"contractStatus": "TRADING", "contractSize": spec.face, "filters": [price, lots]}
    return row | {"status": "TRADING", "filters": [price, lots, {"filterType": "MIN_NOTIONAL", "notional": least}]}
