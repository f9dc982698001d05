"""Spread statistics per pair of comparable markets, and the basis of each perpetual against its spot markets.

Definition: once per second, for two LIVE markets a and b of the same base, quote and kind, s = (ln mid_a − ln mid_b)·1e4
bps; for a spot and a perpetual of the same base and quote, basis = (perp mid / spot mid − 1)·1e4 bps. Both are kept
over the last 10 minutes. A basis is constant for good reasons (funding): it is shown, never an opportunity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dope.detectors.rolling import Rolling
from dope.market.market import Market
from dope.types import Event, Instrument, Listed, Tick

SECOND = 1_000_000_000


class Spreads:
    """Rolling statistics; read through ``pairs`` and ``bases`` (key pair → Rolling). Emits no signals."""

    KINDS = (Listed, Tick)

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], Rolling] = {}
        self.bases: dict[tuple[str, str], Rolling] = {}  # (spot key, perp key)
        self.current: dict[tuple[str, str], float | None] = {}
        self._instruments: list[Instrument] = []
        self._second = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if isinstance(event, Listed):
            self._list(event.instrument)
        elif isinstance(event, Tick) and event.ts // SECOND != self._second:
            self._second = event.ts // SECOND
            self._sample(market)
        return ()

    def _list(self, new: Instrument) -> None:
        if new.kind not in ("spot", "perp") or any(known.key == new.key for known in self._instruments):
            return
        for known in self._instruments:
            if (known.base, known.quote) != (new.base, new.quote):
                continue
            if known.kind == new.kind:
                a, b = sorted((known.key, new.key))
                self.pairs[(a, b)] = Rolling()
            else:
                spot, perp = (known, new) if known.kind == "spot" else (new, known)
                self.bases[(spot.key, perp.key)] = Rolling()
        self._instruments.append(new)

    def _sample(self, market: Market) -> None:
        mids = {i.key: book.mid() if (book := market.books[i.key]).state == "LIVE" else None for i in self._instruments}
        for table, value in ((self.pairs, _spread), (self.bases, _basis)):
            for (a, b), rolling in table.items():
                mid_a, mid_b = mids[a], mids[b]
                now = None if mid_a is None or mid_b is None else value(mid_a, mid_b)
                self.current[(a, b)] = now
                if now is not None:
                    rolling.add(now)


def _spread(mid_a: float, mid_b: float) -> float:
    return (math.log(mid_a) - math.log(mid_b)) * 1e4


def _basis(spot: float, perp: float) -> float:
    return (perp / spot - 1.0) * 1e4
