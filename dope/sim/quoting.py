"""How one simulated market behaves: it follows its fair price with new quotes, trades, and changes in depth."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import msgspec

from dope.sim.assets import Asset, Line
from dope.sim.book import ASK, BID, SimBook
from dope.sim.character import USUAL, Character
from dope.sim.listings import POINTS, ListingSpec

MIN_LEVELS = 40  #: a side is refilled at its far end below this
MAX_LEVELS = 90  #: and cut there above this
BAND = 6_000  #: points that the fair price must move before the quotes follow
NEAR_GAP = 2_000  #: points between neighbouring levels at the touch; grows with depth
NOISE = 230  #: points per unit of the own noise; with the decay below about half a basis point
NOISE_DECAY = 7  #: the own noise halves in about 2**7 steps
CHURN = 10  #: of 256: chance per step of one change in depth
FLOW = 14  #: of 1024: chance per step of a trade in calm times
MINUTE_MS = 60_000
UNIT_USD = 1_000  #: a level holds 1…32 units
EVEN = 100  #: steps from one order of a side to the next, where orders are even
PUSHED = 4  #: in a burst with a side orders are so many times as large
WIDER = 3  #: in the worst moment of a crash spreads are this many times wider than usual, on top
THINNER = 80  #: and new levels this many percent smaller


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One trade: ``buy`` = the taker bought."""

    trade_id: int
    tick: int
    lots: int
    buy: bool


class Candle:
    """The current minute of one market in ticks and lots; ``quote`` sums tick × lots."""

    def __init__(self, open_ms: int, tick: int) -> None:
        self.open_ms = open_ms
        self.open = self.high = self.low = self.close = tick
        self.lots = self.quote = self.buy_lots = self.buy_quote = self.trades = 0
        self.first_id = self.last_id = -1

    def add(self, fill: Fill) -> None:
        """Count one trade."""
        self.high, self.low, self.close = max(self.high, fill.tick), min(self.low, fill.tick), fill.tick
        self.lots += fill.lots
        self.quote += fill.tick * fill.lots
        if fill.buy:
            self.buy_lots += fill.lots
            self.buy_quote += fill.tick * fill.lots
        if self.trades == 0:
            self.first_id = fill.trade_id
        self.trades += 1
        self.last_id = fill.trade_id


class Market:
    """One listing: its book, its trades of the present step and its running candle."""

    def __init__(
        self, spec: ListingSpec, asset: Asset, line: Line, rng: random.Random, *, ids: Iterator[int], now_ms: int,
        character: Character = USUAL,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.key = spec.key
        self.asset = asset
        self.line = line  #: the asset's price in the currency of this market
        self.book = SimBook(ids)
        self.fills: list[Fill] = []
        self._pace = spec.pace
        self.shift = 0  #: displacement from the fair price in points, set by what is planted
        self.stir = 1  #: multiplies trades and changes in depth while a burst is planted here
        self.push = 0  #: +1 = what is planted here buys, −1 = it sells
        self.halted = False
        self.closed: Candle | None = None  #: the candle that ended with the present step
        self._rng = rng
        self._noise = 0
        self._trade_ids = itertools.count(rng.randrange(10**8, 10**9))
        self._band = line.price * BAND // POINTS
        self._gap = line.price * NEAR_GAP // POINTS // spec.tick_e6
        base_per_lot_e8 = spec.lot_e8 * spec.contract_e8 // 10**8
        self._unit = max(1, UNIT_USD * 10**14 // (asset.price * base_per_lot_e8) * asset.spec.depth // 100)
        self._requote_at = -1
        self._traded = [-EVEN, -EVEN]  # step of the last order on each side
        self.take(character)
        self._quote(self.fair(0))
        self.book.begin()
        self.candle = Candle(now_ms - now_ms % MINUTE_MS, self.book.best(BID))

    def take(self, character: Character) -> None:
        """Be like this from now on."""
        self._flow = (FLOW * self.asset.spec.depth // 100 + 4) * character.flow // 100
        self._churn_chance = CHURN * character.flow // 100
        self._half = self.spec.half_spread * character.spread // 100
        self._sizes = self._unit * character.depth // 100
        self._noise_unit = NOISE * self.spec.noise // 100 * character.noise // 100
        self._uneven = character.uneven

    def fair(self, step: int) -> int:
        """What this market believes the price to be, micro-quote."""
        price = self.line.past[(step - self.spec.lag) & 15]
        offset = self.spec.bias + self._noise + self.shift + (self.asset.basis if self.spec.perpetual else 0)
        return price + price * offset // POINTS

    def step(self, step: int, now_ms: int) -> None:
        """One step of 10 ms: afterwards ``book.changes`` and ``fills`` hold what happened in it."""
        self.book.begin()
        if self.fills:
            self.fills = []
        self.closed = None
        if now_ms % MINUTE_MS == 0 and now_ms > self.candle.open_ms:
            self.closed, self.candle = self.candle, Candle(now_ms, self.candle.close)
        if self.halted or step % self._pace:
            return
        bits = self._rng.getrandbits(64)
        self._noise += ((bits & 0xFFFFFFFF).bit_count() - 16) * self._noise_unit - (self._noise >> NOISE_DECAY)
        bits >>= 32
        fair = self.fair(step)
        if not -self._band < fair - self._quoted < self._band or step == self._requote_at:
            self._quote(fair)
        asset = self.asset
        stir = self.stir * asset.stir
        if bits & 1023 < self._flow * asset.heat * stir:
            self._take(step, bits >> 10)
        if (bits >> 20) & 255 < self._churn_chance * stir:
            self._churn()

    def _quote(self, fair: int) -> None:
        """Move the touch to the fair price: remove what is in the way, add the new best levels, fill the hole behind."""
        self._quoted = fair
        tick = self.spec.tick_e6
        half = fair * self._half * (100 + WIDER * self.asset.stress) // (100 * POINTS)
        bid = (fair - half) // tick
        ask = max(bid + 1, -(-(fair + half) // tick))
        for side, best, outward in ((BID, bid, -1), (ASK, ask, 1)):
            ordered = self.book.ticks[side]
            limit = best if side == BID else -best
            while ordered and ordered[-1] > limit:
                self.book.set(side, self.book.best(side), 0)
            behind = self.book.best(side) if ordered else None
            if behind != best:
                self.book.set(side, best, self._size(0))
                self._fill(side, best, outward, until=behind)
            self._keep_depth(side, outward)

    def _fill(self, side: int, tick: int, outward: int, *, until: int | None) -> None:
        """Levels between a new touch and the old one, so that no market is hollow after a jump."""
        if until is None:
            return
        for rank in range(1, MAX_LEVELS):
            tick += outward * self._step_out(rank)
            if (until - tick) * outward <= 0:
                return
            self.book.set(side, tick, self._size(rank))

    def _keep_depth(self, side: int, outward: int) -> None:
        """Between MIN_LEVELS and MAX_LEVELS on this side; both are mended at the far end."""
        ordered = self.book.ticks[side]
        while len(ordered) < MIN_LEVELS:
            self.book.set(side, abs(ordered[0]) + outward * self._step_out(len(ordered)), self._size(len(ordered)))
        while len(ordered) > MAX_LEVELS:
            self.book.set(side, abs(ordered[0]), 0)

    def _step_out(self, rank: int) -> int:
        """Ticks from one level to the next, wider further out."""
        return 1 + self._rng.getrandbits(16) * 2 * self._gap * (1 + rank // 8) // 65_536

    def _size(self, rank: int) -> int:
        """Lots of a level: 1…32 units with a heavy tail, more further out, digits down to the lot."""
        bits = self._rng.getrandbits(24)
        units = ((bits & 7) + 1) << ((bits >> 3) & 1) + ((bits >> 4) & 1)
        lots = self._sizes * units * (4 + min(rank, 24) // 4) // 4
        if self.asset.stress:
            lots = lots * (100 - THINNER * self.asset.stress // 100) // 100
        return lots + (bits >> 5) % self._unit + 1

    def _take(self, step: int, bits: int) -> None:
        """A market order: eats up to three levels of one side; the quotes come back some steps later."""
        asset = self.asset
        buy = asset.trend > 0 if (asset.heat > 1 or asset.stress) and bits & 1 else bool(bits & 2)
        push = self.push or asset.push
        if push:
            buy = push > 0
        side = ASK if buy else BID
        if not self._uneven and step - self._traded[side] < EVEN and self.stir * asset.stir == 1:
            return
        self._traded[side] = step
        want = self._unit * (1 + (bits >> 2 & 3)) // (1 + (bits >> 4 & 7)) + 1 if self._uneven else self._unit
        if bits >> 7 & 31 == 0 and self._uneven:
            want *= 20
        if push:
            want *= PUSHED
        touch = self.book.best(side)
        for _ in range(3):
            tick = self.book.best(side)
            held = self.book.levels[side][tick]
            lots = min(want, held)
            fill = Fill(next(self._trade_ids), tick, lots, buy)
            self.fills.append(fill)
            self.candle.add(fill)
            self.book.set(side, tick, held - lots)
            want -= lots
            if want == 0:
                break
        if push and not self.book.levels[side].get(touch, 0):
            self._requote_at = step + self._pace  # who expects no less fills the hole at once
        elif self.book.changes[-1][2] == 0:
            self._requote_at = step + 3 + (bits >> 12 & 15)

    def _churn(self) -> None:
        """One change somewhere in depth, mostly near the touch: a size, a new level, or one gone."""
        bits = self._rng.getrandbits(32)
        side, outward = (BID, -1) if bits & 1 else (ASK, 1)
        ordered = self.book.ticks[side]
        rank = min(bits >> 1 & 63, bits >> 7 & 63) % len(ordered)
        tick = abs(ordered[-1 - rank])
        match bits >> 13 & 3:
            case 0 if rank and len(ordered) > MIN_LEVELS:
                self.book.set(side, tick, 0)
            case 1:
                tick += outward * self._step_out(rank)
                if tick not in self.book.levels[side]:
                    self.book.set(side, tick, self._size(rank))
            case _:
                self.book.set(side, tick, self._size(rank))
