"""Makes the recordings in ``vectors/`` and what is true of them: ``python -m tests.oracle.make``. Nothing of the program is used.

Three markets of one coin for ten seconds, each in its venue's wire format, as somebody else might have recorded them. Each of them once
loses a message and gets a new snapshot 300 to 400 ms later; while one of them is blind the price jumps, so that its old prices seem to
pay and do not. Twice a price really pays. ``truth.json.gz`` tells from plain books (``plain_book.py``) and fractions: the best levels at
every tenth message and at the last, where each gap shows, from when to when a book is right, and what opens when, with its exact size
and profit.
"""

from __future__ import annotations

import gzip
import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from tests.oracle.plain_book import PlainBook

VECTORS = Path(__file__).parent / "vectors"
T0 = 1_790_000_000_000_000_000
MS = 1_000_000
STEPS, STEP_MS = 500, 20
DEPTH = 60  #: levels a side
HOME = 60_000  #: ticks of 0.1
JUMP = 200  #: ticks
GAIN = 40  #: ticks by which a price really pays
FEE = Fraction(1, 10_000)  #: of every market; spot venues take it in what was bought
CHECK_EVERY, LEVELS = 10, 10

#: step at which a message is lost, and at which the new snapshot comes
LOST = {"binance_spot": (120, 140), "okx": (220, 235), "binance_usdm": (300, 320)}
PAYS = {180: (200, GAIN), 380: (400, -GAIN)}  #: from → (until, by which the second spot venue is dearer)


class Text(NamedTuple):
    """One thing recorded: ``rest`` = an answer over REST."""

    ts: int
    text: str
    rest: bool = False


class Market:
    """One market: the venue's own book, and its form on the wire."""

    def __init__(self, venue: str, offset_ms: int) -> None:
        self.venue, self.offset_ms = venue, offset_ms
        self.rng = random.Random(venue)
        self.bids = {HOME - 1 - i: self._size() for i in range(DEPTH)}
        self.asks = {HOME + 1 + i: self._size() for i in range(DEPTH)}
        self.seq = self.before = self.rng.randrange(10**6, 10**7)
        self.seen, self.live, self.first = PlainBook(), False, True  # what a reader must have
        self.recorded: list[Text] = []
        self.checks: list[dict[str, Any]] = []
        self.gaps: list[int] = []

    def _size(self) -> int:
        return self.rng.randrange(1, 5000)

    def move(self, mid: int) -> tuple[dict[int, int], dict[int, int]]:
        """New prices around ``mid``: the changes of both sides, tick → size in thousandths, 0 = gone."""
        changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, changed, best, step in ((self.bids, changes[0], mid - 1, -1), (self.asks, changes[1], mid + 1, 1)):
            wanted = {best + step * i for i in range(DEPTH)}
            for tick in [tick for tick in side if tick not in wanted]:
                changed[tick] = 0
                del side[tick]
            for tick in sorted(wanted - side.keys()) + self.rng.sample(sorted(wanted & side.keys()), min(4, len(wanted & side.keys()))):
                changed[tick] = side[tick] = self._size()
        return changes

    def levels(self, side: dict[int, int], *, bid: bool) -> list[list[str]]:
        extra = ["0", "1"] if self.venue == "okx" else []
        return [[f"{tick // 10}.{tick % 10}", _size(side[tick]), *extra] for tick in sorted(side, reverse=bid)]

    # -- one step ------------------------------------------------------------------------------------------------------
    def step(self, number: int, mid: int) -> None:
        ts = T0 + (number * STEP_MS + self.offset_ms) * MS
        bids, asks = self.move(mid)
        levels = self.levels(bids, bid=True), self.levels(asks, bid=False)
        first, self.before, self.seq = self.seq + 1, self.seq, self.seq + len(bids) + len(asks)
        lost, renewed = LOST[self.venue]
        if self.venue == "okx":
            snapshot = number in (0, renewed)
            if snapshot:
                levels = self.levels(self.bids, bid=True), self.levels(self.asks, bid=False)
            if number != lost:
                self.recorded.append(Text(ts, self._okx(ts, levels, snapshot=snapshot)))
            self._read(number, ts, levels, snapshot=snapshot)
            return
        if number != lost:
            self.recorded.append(Text(ts, self._binance(ts, first, levels)))
        self._read(number, ts, levels, snapshot=False)
        if number in (1, renewed):  # asked for when the first message, or the gap, was seen
            whole = self.levels(self.bids, bid=True), self.levels(self.asks, bid=False)
            times = f'"E":{ts // MS},"T":{ts // MS},' if self.venue == "binance_usdm" else ""
            body = f'{{"lastUpdateId":{self.seq},{times}"bids":{_json(whole[0])},"asks":{_json(whole[1])}}}'
            self.recorded.append(Text(ts + MS, body, rest=True))
            self._read(number, ts + MS, whole, snapshot=True)

    def _read(self, number: int, ts: int, levels: tuple[list[list[str]], list[list[str]]], *, snapshot: bool) -> None:
        """What a careful reader of the recording knows now."""
        lost, _ = LOST[self.venue]
        if number == lost:
            return
        if number == lost + 1:
            self.gaps.append(ts)
            self.live = False
        if snapshot or self.live:
            self.seen.apply(_json(levels[0]).encode(), _json(levels[1]).encode(), snapshot)
            self.live = True
        if number % CHECK_EVERY == 0 or snapshot or number in (lost + 1, STEPS - 1):
            best = [[[str(price), str(size)] for price, size in self.seen.levels(side, LEVELS)] for side in ("bid", "ask")]
            self.checks.append({"ts": ts, "live": self.live, **({"bids": best[0], "asks": best[1]} if self.live else {})})

    # -- the wire ------------------------------------------------------------------------------------------------------
    def _okx(self, ts: int, levels: tuple[list[list[str]], list[list[str]]], *, snapshot: bool) -> str:
        whole = PlainBook()
        both = [self.levels(side, bid=bid) for side, bid in ((self.bids, True), (self.asks, False))]
        whole.apply(_json(both[0]).encode(), _json(both[1]).encode(), True)
        numbers = f'"checksum":{whole.interleaved_crc(25)},"prevSeqId":{-1 if snapshot else self.before},"seqId":{self.seq}'
        row = f'{{"asks":{_json(levels[1])},"bids":{_json(levels[0])},"ts":"{ts // MS}",{numbers}}}'
        action = "snapshot" if snapshot else "update"
        return f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{row}]}}'

    def _binance(self, ts: int, first: int, levels: tuple[list[list[str]], list[list[str]]]) -> str:
        usdm = self.venue == "binance_usdm"
        numbers = f'"U":{first},"u":{self.seq}' + (f',"pu":{self.before}' if usdm else "")
        times = f'"E":{ts // MS}' + (f',"T":{ts // MS}' if usdm else "")
        body = f'{{"e":"depthUpdate",{times},"s":"BTCUSDT",{numbers},"b":{_json(levels[0])},"a":{_json(levels[1])}}}'
        return f'{{"stream":"btcusdt@depth@100ms","data":{body}}}'


def _size(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03d}" if thousandths else "0"


def _json(levels: list[list[str]]) -> str:
    return json.dumps(levels, separators=(",", ":"))


def walked(buy: PlainBook, sell: PlainBook) -> tuple[Fraction, Fraction]:
    """(units sold, profit) of the size with the largest profit: level by level as long as the next unit pays."""
    asks = [[Fraction(str(price)), Fraction(str(size))] for price, size in buy.levels("ask", DEPTH)]
    bids = [[Fraction(str(price)), Fraction(str(size))] for price, size in sell.levels("bid", DEPTH)]
    asks = [[price / (1 - FEE), size * (1 - FEE)] for price, size in asks]  # what a unit costs that is really received
    sold = profit = Fraction(0)
    while asks and bids and bids[0][0] * (1 - FEE) > asks[0][0]:
        units = min(asks[0][1], bids[0][1])
        sold += units
        profit += units * (bids[0][0] * (1 - FEE) - asks[0][0])
        for side in (asks, bids):
            side[0][1] -= units
            if not side[0][1]:
                del side[0]
    return sold, profit


def made() -> tuple[list[Market], list[dict[str, Any]]]:
    """The markets with everything recorded, and what really pays."""
    markets = [Market("okx", 0), Market("binance_spot", 5), Market("binance_usdm", 9)]
    okx, spot, _ = markets
    rng, mid, dearer, paying, opened = random.Random("mid"), HOME, 0, False, []
    for number in range(STEPS):
        mid += rng.choice((-1, 0, 0, 1))
        mid += {125: JUMP, 225: -JUMP}.get(number, 0)
        dearer = next((by for start, (end, by) in PAYS.items() if start <= number < end), 0)
        for market in markets:
            market.step(number, mid + dearer if market is okx else mid)
            if market is okx and bool(dearer) and not paying and okx.live and spot.live:
                buy, sell = (spot, okx) if dearer > 0 else (okx, spot)
                sold, profit = walked(buy.seen, sell.seen)
                sizes = {"qty": float(sold), "net": float(profit)}
                opened.append({"ts": market.recorded[-1].ts, "buy": buy.venue, "sell": sell.venue, **sizes})
        paying = bool(dearer)
    return markets, opened


def main(folder: Path = VECTORS) -> None:
    folder.mkdir(exist_ok=True)
    markets, opened = made()
    for market in markets:
        data, rest = ([each for each in market.recorded if each.rest == kind] for kind in (False, True))
        _write(folder / f"{market.venue}.jsonl.gz", "".join(f"{each.text}\n" for each in data))
        _write(folder / f"{market.venue}.recv_ns.gz", "".join(f"{each.ts}\n" for each in data))
        path = "fapi/v1" if market.venue == "binance_usdm" else "api/v3"
        url = f"https://venue/{path}/depth?symbol=BTCUSDT&limit=1000"
        _write(folder / f"{market.venue}.side.tsv.gz", "".join(f"{each.ts}\thttp\t{url}\t{each.text}\n" for each in rest))
    truth = {"opened": opened, "markets": {market.venue: {"gaps": market.gaps, "checks": market.checks} for market in markets}}
    _write(folder / "truth.json.gz", json.dumps(truth, separators=(",", ":")))


def _write(path: Path, text: str) -> None:
    """The same bytes for the same text, whenever it is written."""
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
