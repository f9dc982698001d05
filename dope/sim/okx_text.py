"""What OKX says about the sample market: books, best bid and ask, trades, funding, mark price and candles.

    books         {"arg":{…},"action":"snapshot"|"update",
                   "data":[{"asks":[[px,sz,"0",orders]],"bids":…,"ts","checksum","prevSeqId","seqId"}]}
    bbo-tbt       {"arg":{…},"data":[{"asks":[…],"bids":[…],"ts","seqId"}]}
    trades        {"arg":{…},"data":[{"instId","tradeId","px","sz","side","ts","count"}]}
    funding-rate  {"arg":{…},"data":[{"fundingRate","fundingTime","instId","instType","nextFundingRate"}]}
    mark-price    {"arg":{…},"data":[{"instId","instType","markPx","ts"}]}
    candle1m      {"arg":{…},"data":[[ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm]]}

Written from the venue's documentation; the readers in ``dope.venues`` are another code path on purpose.
"""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterator
from itertools import zip_longest

from dope.sim.book import ASK, BID
from dope.sim.digits import rescaled
from dope.sim.market import SampleMarket
from dope.sim.quoting import Candle, Fill, Market

DEPTH = 400  #: levels of ``books``
BOOKS_STEPS = 10  #: 100 ms
MARK_STEPS = 100  #: each s
FUNDING_STEPS = 3000  #: each 30 s
CANDLE_STEPS = 100  #: at most each s
KEEPALIVE_MS = 60_000  #: a book without changes is confirmed after this
CHECKSUM_LEVELS = 25


def arg(channel: str, native: str) -> str:
    """The ``arg`` object that names a subscription."""
    return f'{{"channel":"{channel}","instId":"{native}"}}'


class Instrument:
    """All channels of one OKX instrument, as texts. Topics are ``channel:instId``."""

    def __init__(self, market: Market, phase: int, *, real_checksum: bool, keepalive_ms: int = KEEPALIVE_MS) -> None:
        spec = market.spec
        self.market = market
        self.native = spec.native
        self.swap = spec.perpetual
        self.dropping = 0  #: book messages still to be lost
        self._phase = phase
        self._real_checksum = real_checksum
        self._keepalive_ms = keepalive_ms
        self.price = rescaled(6, spec.tick_e6, 6, strip=True)
        self.size = rescaled(8, spec.lot_e8, 8, strip=True)
        self.base = rescaled(16, spec.lot_e8 * spec.contract_e8, 16, strip=True)
        self.quote = rescaled(22, spec.tick_e6 * spec.lot_e8 * spec.contract_e8, 22, strip=True)
        self._seq = market.book.seq  #: of the newest ``books`` message
        self._sent_ms = 0
        self._pending: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._touch = market.book.touch()
        self._candle_id = -1

    def channels(self) -> list[str]:
        """Every channel of this instrument on the public socket; ``candle1m`` is on the business one."""
        return ["books", "bbo-tbt", "trades", *(["funding-rate", "mark-price"] if self.swap else ["mark-price"])]

    def step(self, sample: SampleMarket, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        """``(topic, message)`` of the step just made."""
        now, market = sample.now_ms, self.market
        if f"trades:{self.native}" in wanted:
            for fill in market.fills:
                yield f"trades:{self.native}", self._trade(fill, now)
        if market.book.changes:
            for side, tick, lots, _ in market.book.changes:
                self._pending[side][tick] = lots
            touch = market.book.touch()
            if touch != self._touch:
                self._touch = touch
                if f"bbo-tbt:{self.native}" in wanted:
                    yield f"bbo-tbt:{self.native}", self.bbo(now)
        if self.books_due(sample.steps):
            yield from self._books(now, wanted)
        if sample.steps % MARK_STEPS == 0 and f"mark-price:{self.native}" in wanted:
            yield f"mark-price:{self.native}", self.mark(now)
        if self.swap and sample.steps % FUNDING_STEPS == 0 and f"funding-rate:{self.native}" in wanted:
            yield f"funding-rate:{self.native}", self.funding(sample)
        yield from self._candles(sample.steps, wanted)

    def books_due(self, steps: int) -> bool:
        """Whether this is the step in which ``books`` speaks; a new subscriber's snapshot waits for it."""
        return (steps + self._phase) % BOOKS_STEPS == 0

    def snapshot(self, now: int) -> str:
        """The first ``books`` message of a subscription; right only in a step in which ``books_due``."""
        bids, asks = (self._levels(self.market.book.side(side, DEPTH)) for side in (BID, ASK))
        return self._book_message("snapshot", bids, asks, now, previous=-1)

    def rest_book(self, limit: int, now: int) -> str:
        """Body of GET /api/v5/market/books."""
        book = self.market.book
        bids, asks = (self._levels(book.side(side, limit)) for side in (BID, ASK))
        return f'{{"code":"0","msg":"","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{now}","seqId":{book.seq}}}]}}'

    def bbo(self, now: int) -> str:
        """The best level of both sides."""
        bid, bid_lots, ask, ask_lots = self._touch
        sides = f'"asks":[{self._levels([(ask, ask_lots)])}],"bids":[{self._levels([(bid, bid_lots)])}]'
        data = f'{sides},"ts":"{now}","seqId":{self.market.book.seq}'
        return f'{{"arg":{arg("bbo-tbt", self.native)},"data":[{{{data}}}]}}'

    def mark(self, now: int) -> str:
        """The mark price."""
        line, kind = self.market.line, "SWAP" if self.swap else "MARGIN"
        price = rescaled(6, 1, 6, strip=True).text(line.mark if self.swap else line.price)
        data = f'"instId":"{self.native}","instType":"{kind}","markPx":"{price}","ts":"{now}"'
        return f'{{"arg":{arg("mark-price", self.native)},"data":[{{{data}}}]}}'

    def funding(self, sample: SampleMarket) -> str:
        """The funding rate of the running interval."""
        rate = rescaled(8, 1, 8, strip=True).text(self.market.asset.funding_e8)
        what = f'"fundingRate":"{rate}","fundingTime":"{sample.next_funding_ms()}"'
        data = f'{what},"instId":"{self.native}","instType":"SWAP","nextFundingRate":""'
        return f'{{"arg":{arg("funding-rate", self.native)},"data":[{{{data}}}]}}'

    def candle(self, candle: Candle, *, closed: bool) -> str:
        """One minute."""
        prices = '","'.join(self.price.text(tick) for tick in (candle.open, candle.high, candle.low, candle.close))
        sums = f'"{self.size.text(candle.lots)}","{self.base.text(candle.lots)}","{self.quote.text(candle.quote)}"'
        return f'{{"arg":{arg("candle1m", self.native)},"data":[["{candle.open_ms}","{prices}",{sums},"{int(closed)}"]]}}'

    def _levels(self, levels: list[tuple[int, int]]) -> str:
        price, size = self.price.text, self.size.text
        return ",".join([f'["{price(tick)}","{size(lots)}","0","{lots and 1 + lots % 7}"]' for tick, lots in levels])

    def _trade(self, fill: Fill, now: int) -> str:
        side = "buy" if fill.buy else "sell"
        what = f'"tradeId":"{fill.trade_id}","px":"{self.price.text(fill.tick)}","sz":"{self.size.text(fill.lots)}","side":"{side}"'
        return f'{{"arg":{arg("trades", self.native)},"data":[{{"instId":"{self.native}",{what},"ts":"{now}","count":"1"}}]}}'

    def _books(self, now: int, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        bids, asks = self._pending
        quiet = not bids and not asks
        if quiet and now - self._sent_ms < self._keepalive_ms:
            return
        if f"books:{self.native}" in wanted:
            if self.dropping:
                self.dropping -= 1
            else:
                texts = self._levels(sorted(bids.items(), reverse=True)), self._levels(sorted(asks.items()))
                yield f"books:{self.native}", self._book_message("update", *texts, now, previous=self._seq)
        self._seq, self._sent_ms = self.market.book.seq, now
        bids.clear()
        asks.clear()

    def _book_message(self, action: str, bids: str, asks: str, now: int, *, previous: int) -> str:
        numbers = f'"checksum":{self._checksum()},"prevSeqId":{previous},"seqId":{self.market.book.seq}'
        data = f'"asks":[{asks}],"bids":[{bids}],"ts":"{now}",{numbers}'
        return f'{{"arg":{arg("books", self.native)},"action":"{action}","data":[{{{data}}}]}}'

    def _checksum(self) -> int:
        """0, as the venue sends now; or the CRC32 over the best 25 levels that it sent before."""
        if not self._real_checksum:
            return 0
        parts: list[str] = []
        for pair in zip_longest(self.market.book.side(BID, CHECKSUM_LEVELS), self.market.book.side(ASK, CHECKSUM_LEVELS)):
            parts += [f"{self.price.text(level[0])}:{self.size.text(level[1])}" for level in pair if level is not None]
        crc = zlib.crc32(":".join(parts).encode())
        return crc - (1 << 32) if crc >> 31 else crc

    def _candles(self, steps: int, wanted: Container[str]) -> Iterator[tuple[str, str]]:
        topic = f"candle1m:{self.native}"
        if topic not in wanted:
            return
        if self.market.closed is not None:
            yield topic, self.candle(self.market.closed, closed=True)
        candle = self.market.candle
        if (steps + self._phase) % CANDLE_STEPS == 0 and candle.last_id != self._candle_id:
            self._candle_id = candle.last_id
            yield topic, self.candle(candle, closed=False)
