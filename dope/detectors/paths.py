"""Keeps the paths of all prices over the last minutes (``dope/market/tracks.py``), for what is reckoned from them when somebody asks.

Once a second, from the rings, in one compiled call; it tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from dope.market.market import Market
from dope.market.tracks import Tracks
from dope.types import Event, Tick

SECOND = 1_000_000_000


class Paths:
    """Read through ``tracks``. Emits no signals."""

    KINDS = (Tick,)

    def __init__(self) -> None:
        self.tracks = Tracks()
        self._second = 0

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if event.ts // SECOND != self._second:
            self._second = event.ts // SECOND
            self.tracks.follow(market.slots)
        return ()
