"""Whale trades, and how far apart high and low of a day are.

Definition: a trade is a whale's when its notional (price · size) is at least a fixed amount, or, without one, beyond a high quantile of the
notionals of its own market. One signal per market and pause; how many more there were meanwhile stands in the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from dope.detectors.jumps import WITHOUT_A_BOOK
from dope.format import quantity, size
from dope.market.columns import calls
from dope.market.large import Large
from dope.market.market import Market
from dope.types import Event, Instrument, Listed, Signal, Tick

SECOND = 1_000_000_000


def evaluate_whale_activity(volume: float, threshold: float) -> bool:
    """Whether a volume reaches the threshold (both in the same unit); what is no number never does."""
    return volume >= threshold


def calculate_volatility_spread(high: float, low: float) -> float:
    """(high − low) / low in percent; 0.0 where that cannot be said: a low that is not above zero, or no numbers."""
    if not (low > 0.0 and math.isfinite(high) and math.isfinite(low)):
        return 0.0
    return (high - low) / low * 100.0


class WhaleParameters(Struct, frozen=True):
    """What makes a trade a whale's."""

    notional: Annotated[
        float, Meta(ge=0, le=1e12, title="quote currency", description="a whale trades at least this much; 0 = by the quantile")
    ] = 0.0
    quantile: Annotated[float, Meta(ge=0.5, le=0.999999, title="share", description="of the market's trades that are smaller")] = 0.999
    warmup: Annotated[float, Meta(ge=100, le=50_000, title="trades", description="before which no quantile is known")] = 1000.0
    pause_s: Annotated[float, Meta(ge=0, le=3600, title="s", description="between two signals of one market")] = 10.0


class Whale(Signal, frozen=True):
    """One large trade: ``t`` ns, received; ``stamp`` = the venue's own time, 0 = none; ``notional`` and ``threshold`` in quote currency.

    ``side`` = the taker's; ``more`` = large trades of this market since the last signal that got none of their own.
    """

    KIND = "whale"

    key: str
    venue: str
    symbol: str
    base: str
    quote: str
    t: int
    stamp: int
    side: str
    price: float
    size: float
    notional: float
    threshold: float
    more: int

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        word, tone = ("bought", "pos") if self.side == "buy" else ("sold", "neg")
        text = f"{quantity(float(f'{self.size:.4g}'))} {self.base} {word} at once: {self.symbol} on {label(self.venue)}"
        return text, f"{size(self.notional)} {self.quote}", tone


class Whales:
    """All markets with trades."""

    PARAMETERS = WhaleParameters
    KINDS = (Listed, Tick)

    def __init__(self, parameters: WhaleParameters | None = None) -> None:
        self.parameters = parameters or WhaleParameters()
        self._large = Large()
        self._instruments: dict[int, Instrument] = {}  # slot → its market
        self.take(self.parameters)

    @property
    def lost(self) -> int:
        """Trades that were overwritten before they were looked at."""
        return int(self._large.lost.sum())

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            return self._tick(event.ts, market)
        if isinstance(event, Listed) and event.instrument.kind not in WITHOUT_A_BOOK:
            slot = market.books[event.instrument.key].slot
            self._large.grow(slot + 1)
            self._large.on[slot] = event.instrument.contract_value is not None  # a size of unknown meaning has no notional
            self._instruments[slot] = event.instrument
        return ()

    def take(self, new: WhaleParameters) -> None:
        """Judge by these from now on."""
        self.parameters, p, own = new, new, self._large
        own.spans[:] = [int(p.pause_s * SECOND), int(p.warmup)]
        own.rates[:] = [p.notional, p.quantile]

    def _tick(self, now: int, market: Market) -> Sequence[Whale]:
        own, slots = self._large, market.slots
        counts = calls(partial(own.advance, slots.trade_t, slots.trades, slots.trade_n), own.full)
        found = [whale for count in counts if count for whale in self._read(count, now)]
        return sorted(found, key=lambda whale: (whale.t, whale.key))

    def _read(self, count: int, now: int) -> list[Whale]:
        found = []
        for numbers, figures in zip(self._large.numbers[:count].tolist(), self._large.figures[:count].tolist(), strict=True):
            (slot, t, stamp, way, more), (price, amount, threshold) = numbers, figures
            i, side = self._instruments[slot], "buy" if way > 0 else "sell"
            found.append(
                Whale(now, i.key, i.venue, i.symbol, i.base, i.quote, t, stamp, side, price, amount, price * amount, threshold, more)
            )
        return found
