"""A market whose touches and trades tests write into the rings themselves, and a clock that asks detectors as the engine does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dope.detectors.parameters import Tuning
from dope.market.lane import remember
from dope.market.market import Market
from dope.types import Event, Instrument, Listed, Tick, Trade

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


class Moving:
    """Markets of one kind at several venues, and detectors that look at them; ``told`` = every signal so far."""

    def __init__(self, detectors: Sequence[Any], keys: Iterable[str] = ("okx:BTC-USDT",), kind: str = "spot") -> None:
        self.market, self.detectors, self.told = Market(), [*detectors, Tuning(detectors)], list[Any]()
        self._number = 0
        for key in keys:
            venue, _, symbol = key.partition(":")
            base, quote = symbol.split("-")[:2]
            instrument = Instrument(venue, symbol, symbol, base, quote, kind)
            self.market.open_book(instrument, T0, "", 5.0)
            self.give(Listed(T0, instrument))

    def give(self, event: Event) -> None:
        """Offer an event to the detectors in order, and their signals to those after them."""
        for place, detector in enumerate(self.detectors):
            if type(event) in detector.KINDS:
                for signal in detector.on(event, self.market):
                    self.told.append(signal)
                    for later in self.detectors[place + 1 :]:
                        if type(signal) in later.KINDS:
                            self.told += later.on(signal, self.market)

    def touch(self, t: int, mid: float, key: str = "okx:BTC-USDT", stamp: int = 0) -> None:
        """The touch of this market from ``t`` ns after T0 on: half a unit wide around the mid."""
        slots, slot = self.market.slots, self.market.books[key].slot
        remember(slot, T0 + t, stamp, mid * (1 - 1e-6), 1.0, mid * (1 + 1e-6), 1.0, slots.rings)

    def leave(self, t: int, key: str = "okx:BTC-USDT") -> None:
        """From ``t`` on the book is not LIVE."""
        slots, nothing = self.market.slots, float("nan")
        remember(self.market.books[key].slot, T0 + t, 0, nothing, nothing, nothing, nothing, slots.rings)

    def trade(self, t: int, size: float, side: str = "buy", key: str = "okx:BTC-USDT", price: float = 100.0) -> None:
        """One trade, received at ``t``."""
        self._number += 1
        self.market.trade(Trade(T0 + t, key, 0, price, size, side, str(self._number)), 1)

    def tick(self, t: int) -> None:
        """The clock."""
        self.market.tick(T0 + t)
        self.give(Tick(T0 + t, 0))
