"""A market of any books, each set to what a test wants by the messages that venues emit, with detectors behind it."""

from __future__ import annotations

from collections.abc import Sequence

from dope.engine import Detector
from dope.market.market import Market
from dope.types import BookUpdate, Event, Funding, Gap, Instrument, Listed, Tick

MS = 1_000_000
T0 = 1_700_000_000_000_000_000

Side = Sequence[tuple[float, float]]


class Floor:
    """``book`` sets levels, ``tick`` is the 10 ms clock; what detectors say is returned, and kept in ``said``."""

    def __init__(self, *detectors: Detector) -> None:
        self.market, self.detectors = Market(), detectors
        self.now, self.said = T0, list[Event]()
        self._seq: dict[str, int] = {}

    def lists(self, *keys: str, lot: float = 0.0, contract_value: float = 1.0) -> None:
        """Markets by key: ``venue:BTC-USDT`` or ``venue:BTC-USDT-PERP``."""
        for key in keys:
            venue, _, symbol = key.partition(":")
            base, quote, *more = symbol.split("-")
            instrument = Instrument(venue, symbol, symbol, base, quote, "perp" if more else "spot", contract_value, lot=lot)
            self.market.open_book(instrument, self.now, "", 10.0)
            self.hear([Listed(self.now, instrument)])

    def book(self, key: str, bids: Side, asks: Side) -> list[Event]:
        """The whole book of a market from now on."""
        if key not in self.market.books:
            self.lists(key)
        self._seq[key] = seq = self._seq.get(key, 0) + 1
        return self.hear(self.market.apply(BookUpdate(self.now, key, 0, True, seq, _text(bids), _text(asks)), 1))

    def touch(self, key: str, bid: float, ask: float, size: float = 10.0) -> list[Event]:
        """A book of one level a side."""
        return self.book(key, [(bid, size)], [(ask, size)])

    def loses(self, key: str) -> list[Event]:
        """The venue says that the book is no longer known to be right."""
        gap = Gap(self.now, key, "sequence")
        return self.hear([gap, *self.market.gap(gap)])

    def funds(self, key: str, rate: float, next_ts: int, interval_h: float = 8.0) -> None:
        """The funding of a perpetual as its venue tells it."""
        self.market.funding[key] = Funding(self.now, key, 0, rate, next_ts, None, None, interval_h)

    def tick(self, ms: int = 10) -> list[Event]:
        """Time goes on, at once."""
        self.now += ms * MS
        self.market.now = self.now
        return self.hear([*self.market.tick(self.now), Tick(self.now, 0)])

    def hear(self, events: Sequence[Event]) -> list[Event]:
        """Offer events to the detectors, as the engine does."""
        told: list[Event] = []
        for event in events:
            for detector in self.detectors:
                if type(event) in detector.KINDS:
                    told += detector.on(event, self.market)
        self.said += told
        return told


def _text(levels: Side) -> bytes:
    return ("[" + ",".join(f'["{price:.10f}","{size:.10f}"]' for price, size in levels) + "]").encode()
