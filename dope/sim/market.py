"""The seeded truth: every asset, listing and planted dislocation of the sample market, advanced in steps of 10 ms.

Only integers move prices and sizes, and every part has its own ``random.Random``, so the same seed gives the same
market on every machine, whatever the wall clock does and whoever listens.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from dope.sim.listings import ASSETS, BP, ListingSpec
from dope.sim.quoting import Asset, Market

STEP_MS = 10
EPOCH_MS = 1_767_225_600_000  #: 2026-01-01 UTC, where virtual time starts unless told otherwise
PLANTED_KEPT = 10_000
RAMP = 5  #: steps in which a dislocation builds up and fades
FUNDING_MS = 8 * 3_600_000
#: numbers at which the venues' own sequences start; at Binance USD-M all symbols share one, so a symbol's has holes
SEQ_START = {"binance_spot": 50_093_239_189, "binance_usdm": 5_123_107_832_006, "okx": 12_345_678_901}


SEQ_START_ELSEWHERE = 1_000_000_000


class Dislocation(msgspec.Struct, frozen=True):
    """One planted displacement of one market from its fair price: ``start`` and ``end`` are step numbers, ``end``
    exclusive; ``bps`` > 0 = too dear. For ``RAMP`` steps at either end it is only partly there."""

    id: int
    key: str
    start: int
    end: int
    bps: float


class Planner:
    """Decides when and where a market is displaced: one each 2 to 5.5 s, the same pair of markets only once at a time."""

    def __init__(self, rng: random.Random, markets: list[Market]) -> None:
        self.planted: deque[Dislocation] = deque(maxlen=PLANTED_KEPT)
        self._rng = rng
        self._markets = markets
        self._ids = itertools.count(1)
        self._next = rng.randrange(100, 250)
        self._deck: list[Market] = []  #: shuffled; every market has its turn before one has its second
        self._active: list[tuple[Dislocation, Market, int]] = []

    def step(self, step: int) -> None:
        """Set the ``shift`` of every displaced market for this step."""
        if step == self._next:
            self._next = step + self._rng.randrange(200, 550)
            self._plant(step)
        if not self._active:
            return
        for planted, market, points in self._active:
            edge = min(step - planted.start + 1, planted.end - step, RAMP)
            market.shift = points * max(edge, 0) // RAMP
        self._active = [entry for entry in self._active if step < entry[0].end]

    def _plant(self, step: int) -> None:
        busy = {(market.spec.asset, market.spec.perpetual) for _, market, _ in self._active}
        if not self._deck:
            self._deck = self._rng.sample(self._markets, len(self._markets))
        free = [market for market in self._deck if (market.spec.asset, market.spec.perpetual) not in busy and not market.halted]
        if not free:
            return
        market = free[0]
        self._deck.remove(market)
        weak = self._rng.randrange(6) == 0  # one in six stays below the fees
        low, high = ((5, 8) if weak else (14, 30)) if market.spec.perpetual else ((12, 17) if weak else (26, 45))
        points = self._rng.randrange(low * BP, high * BP) * self._rng.choice((-1, 1))
        life = min(self._rng.randrange(40, 600), self._rng.randrange(40, 600))
        planted = Dislocation(next(self._ids), market.key, step, step + life, points / BP)
        self.planted.append(planted)
        self._active.append((planted, market, points))


class SampleMarket:
    """All markets of one seed. ``step()`` is the only thing that changes them."""

    def __init__(self, seed: int, listings: Sequence[ListingSpec], *, epoch_ms: int = EPOCH_MS) -> None:
        self.seed, self.listings = seed, tuple(listings)
        self.epoch_ms = epoch_ms - epoch_ms % STEP_MS
        self.steps = 0
        self.assets = {spec.name: Asset(spec, random.Random(f"{seed}/{spec.name}")) for spec in ASSETS}
        shared: dict[str, Iterator[int]] = {"binance_usdm": itertools.count(SEQ_START["binance_usdm"])}
        self.markets: dict[str, Market] = {}
        for spec in listings:
            ids = shared.get(spec.venue) or itertools.count(SEQ_START.get(spec.venue, SEQ_START_ELSEWHERE))
            rng = random.Random(f"{seed}/{spec.key}")
            self.markets[spec.key] = Market(spec, self.assets[spec.asset], rng, ids=ids, now_ms=self.epoch_ms)
        self._planner = Planner(random.Random(f"{seed}/dislocations"), list(self.markets.values()))

    @property
    def now_ms(self) -> int:
        """Virtual time, ms UTC."""
        return self.epoch_ms + self.steps * STEP_MS

    @property
    def planted(self) -> list[Dislocation]:
        """The dislocations begun so far (the newest PLANTED_KEPT), oldest first."""
        return list(self._planner.planted)

    def step(self) -> None:
        """Advance virtual time by 10 ms."""
        self.steps += 1
        for asset in self.assets.values():
            asset.step(self.steps)
        self._planner.step(self.steps)
        now = self.now_ms
        for market in self.markets.values():
            market.step(self.steps, now)

    def next_funding_ms(self) -> int:
        """The next full eight hours of virtual time."""
        return self.now_ms - self.now_ms % FUNDING_MS + FUNDING_MS


class Truth:
    """The same market once more, for whoever checks another's book: the book of a market at a step or sequence number.

    It re-runs the seed, so nothing has to be kept while the world runs; asking forwards is cheap. A world in which
    markets were halted by hand has no such twin.
    """

    def __init__(self, seed: int, listings: Sequence[ListingSpec], *, epoch_ms: int = EPOCH_MS) -> None:
        self._seed, self._listings, self._epoch_ms = seed, tuple(listings), epoch_ms
        self._twin = self._begin()

    def _begin(self) -> SampleMarket:
        return SampleMarket(self._seed, self._listings, epoch_ms=self._epoch_ms)

    def at_step(self, step: int) -> SampleMarket:
        """The whole market right after step number ``step``."""
        if self._twin.steps > step:
            self._twin = self._begin()
        while self._twin.steps < step:
            self._twin.step()
        return self._twin

    def at_seq(self, key: str, seq: int, *, max_steps: int = 1_000_000) -> Market:
        """Market ``key`` when its newest change had number ``seq``. Raises LookupError if it never has at a step's end."""
        if self._twin.markets[key].book.seq > seq:
            self._twin = self._begin()
        while self._twin.markets[key].book.seq < seq and self._twin.steps < max_steps:
            self._twin.step()
        market = self._twin.markets[key]
        if market.book.seq != seq:
            raise LookupError(f"{key} has no step that ends at {seq}")
        return market
