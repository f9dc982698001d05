"""The seeded truth: every asset, listing and planted event of the sample market, advanced in steps of 10 ms.

Only integers move prices and sizes, and every part has its own ``random.Random``, so the same seed and the same schedule of what
is planted give the same market on every machine, whatever the wall clock does and whoever listens.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from dope.sim.assets import Asset, Line
from dope.sim.character import USUAL, Character
from dope.sim.events import Dislocation, Stage
from dope.sim.journal import Fault, Journal, Planted, Value
from dope.sim.listings import ASSETS, STEP_MS, ListingSpec
from dope.sim.quoting import Market

__all__ = ["EPOCH_MS", "STEP_MS", "Dislocation", "Order", "SampleMarket", "Truth"]
EPOCH_MS = 1_767_225_600_000  #: 2026-01-01 UTC, where virtual time starts unless told otherwise
ORDERS_KEPT = 100_000
FUNDING_MS = 8 * 3_600_000
#: numbers at which the venues' own sequences start; at Binance USD-M all symbols share one, so a symbol's has holes
SEQ_START = {"binance_spot": 50_093_239_189, "binance_usdm": 5_123_107_832_006, "okx": 12_345_678_901}
SEQ_START_ELSEWHERE = 1_000_000_000


class Order(NamedTuple):
    """What was asked of the market after step number ``step``: an event, another character, or None = an end of all events."""

    step: int
    what: Fault | Character | None


class SampleMarket:
    """All markets of one seed. ``step()`` makes time pass; what else is asked of it is kept in ``schedule``, for ``Truth``."""

    def __init__(
        self, seed: int, listings: Sequence[ListingSpec], *, epoch_ms: int = EPOCH_MS, character: Character = USUAL,
        journal: Journal | None = None, script: Sequence[Order] = (),
    ) -> None:  # fmt: skip
        """Whatever is planted, by chance or as asked, is entered in ``journal``. ``script`` is obeyed by itself: another's schedule."""
        self.seed, self.listings, self.first_character = seed, tuple(listings), character
        self.epoch_ms = epoch_ms - epoch_ms % STEP_MS
        self.steps = 0
        self.journal = Journal() if journal is None else journal
        self.schedule: list[Order] = []
        self._script, self._obeyed = script, 0
        self.assets = {spec.name: Asset(spec, random.Random(f"{seed}/{spec.name}"), character, self._note) for spec in ASSETS}
        self._lines: dict[tuple[str, str], Line] = {}
        shared: dict[str, Iterator[int]] = {"binance_usdm": itertools.count(SEQ_START["binance_usdm"])}
        self.markets: dict[str, Market] = {}
        for spec in listings:
            ids = shared.get(spec.venue) or itertools.count(SEQ_START.get(spec.venue, SEQ_START_ELSEWHERE))
            make = partial(Market, spec, self.assets[spec.asset], self._line(spec), random.Random(f"{seed}/{spec.key}"))
            self.markets[spec.key] = make(ids=ids, now_ms=self.epoch_ms, character=character)
        self._stage = Stage(random.Random(f"{seed}/dislocations"), self.assets, self.markets, self.journal)
        self._stage.epoch_ms = self.epoch_ms
        self._stage.take(character, 0)

    def _line(self, spec: ListingSpec) -> Line:
        name = spec.asset, spec.currency
        if name not in self._lines:
            self._lines[name] = Line(self.assets[spec.asset], self.assets.get(spec.currency))
        return self._lines[name]

    def _note(self, kind: str, lasts: int, params: dict[str, Value]) -> None:
        self.journal.note(kind, "", "", self.now_ms, end_ms=self.now_ms + lasts * STEP_MS if lasts else 0, params=params)

    @property
    def now_ms(self) -> int:
        """Virtual time, ms UTC."""
        return self.epoch_ms + self.steps * STEP_MS

    @property
    def planted(self) -> list[Dislocation]:
        """The dislocations begun so far (the newest PLANTED_KEPT), oldest first."""
        return list(self._stage.planted)

    # -- what is asked of it -------------------------------------------------------------------------------------------
    def plant(self, fault: Fault) -> Planted:
        """Let this event (one of ``events.KINDS``) happen ``fault.at_s`` after now.

        Raises UnknownName for a kind, market or asset that is none, BadFault for sizes and times that cannot be.
        """
        entered = self._stage.plant(fault, self.steps)
        self._remember(fault)
        return entered

    def take(self, character: Character) -> None:
        """Be like this from now on."""
        self._remember(character)
        for asset in self.assets.values():
            asset.take(character)
        for market in self.markets.values():
            market.take(character)
        self._stage.take(character, self.steps)

    def clear(self) -> None:
        """End all planted events: what has not begun is forgotten, the rest fades within two seconds."""
        self._remember(None)
        self._stage.clear(self.steps)

    def _remember(self, what: Fault | Character | None) -> None:
        self.schedule.append(Order(self.steps, what))
        del self.schedule[:-ORDERS_KEPT]  # a world older than that has no twin any more

    def twin(self) -> SampleMarket:
        """The same market at its beginning; it obeys this one's schedule, also what is still added, unless it is ahead of this one."""
        script = self._script if self._script != () else self.schedule
        return SampleMarket(self.seed, self.listings, epoch_ms=self.epoch_ms, character=self.first_character, script=script)

    def obey(self, what: Fault | Character | None) -> None:
        """Do what stands in a schedule."""
        if isinstance(what, Fault):
            self.plant(what)
        elif isinstance(what, Character):
            self.take(what)
        else:
            self.clear()

    def step(self) -> None:
        """Advance virtual time by 10 ms."""
        while self._obeyed < len(self._script) and self._script[self._obeyed].step <= self.steps:
            self.obey(self._script[self._obeyed].what)
            self._obeyed += 1
        self.steps += 1
        self._stage.step(self.steps)
        for asset in self.assets.values():
            asset.step(self.steps)
        for line in self._lines.values():
            line.step(self.steps)
        now = self.now_ms
        for market in self.markets.values():
            market.step(self.steps, now)

    def next_funding_ms(self) -> int:
        """The next full eight hours of virtual time."""
        return self.now_ms - self.now_ms % FUNDING_MS + FUNDING_MS


class Truth:
    """The same market once more, for whoever checks another's book: the book of a market at a step or sequence number.

    It re-runs the seed and the schedule, so nothing has to be kept while the world runs; asking forwards is cheap.
    """

    def __init__(
        self, seed: int, listings: Sequence[ListingSpec], *, epoch_ms: int = EPOCH_MS, character: Character = USUAL,
        schedule: Sequence[Order] = (),
    ) -> None:  # fmt: skip
        """``schedule`` = that of the market itself; it may still grow, as long as it is not asked beyond that market's time."""
        self._twin = SampleMarket(seed, listings, epoch_ms=epoch_ms, character=character, script=schedule)

    @classmethod
    def of(cls, sample: SampleMarket) -> Truth:
        """The twin of this market."""
        return cls(sample.seed, sample.listings, epoch_ms=sample.epoch_ms, character=sample.first_character, schedule=sample.schedule)

    def at_step(self, step: int) -> SampleMarket:
        """The whole market right after step number ``step``."""
        if self._twin.steps > step:
            self._twin = self._twin.twin()
        while self._twin.steps < step:
            self._twin.step()
        return self._twin

    def at_seq(self, key: str, seq: int, *, max_steps: int = 1_000_000) -> Market:
        """Market ``key`` when its newest change had number ``seq``. Raises LookupError if it never has at a step's end."""
        if self._twin.markets[key].book.seq > seq:
            self._twin = self._twin.twin()
        while self._twin.markets[key].book.seq < seq and self._twin.steps < max_steps:
            self._twin.step()
        market = self._twin.markets[key]
        if market.book.seq != seq:
            raise LookupError(f"{key} has no step that ends at {seq}")
        return market
