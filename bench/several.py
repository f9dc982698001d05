"""A stream on which pairs of venues have something to do: four venues that quote the same symbols, each in its own words.

Between them they also have a triangle, prices in two currencies with the market that exchanges these, and a perpetual beside its spot.
Prices come apart by chance as in the usual simulated market, so opportunities open and close. The messages are those of the simulated
servers, stamped anew so that they come as fast as an engine can take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from bench.conversation import Conversation
from dope.sim.venue import listings
from dope.types import Frame

VENUES = ("okx", "binance_spot", "bybit", "kraken")
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "ETH-BTC", "USDC-USDT", "BTC-USD", "USDT-USD", "BTC-USDT-PERP")


@lru_cache(maxsize=1)
def conversation(messages: int) -> Conversation:
    """All of it said once: every market of these symbols that these venues have."""
    told = Conversation([spec for spec in listings(VENUES) if spec.symbol in SYMBOLS])
    told.run(messages)
    return told


def hurried(frames: Sequence[Frame], start: int, gap_ns: int) -> list[Frame]:
    """The same frames in the same order, ``gap_ns`` apart from ``start`` on."""
    return [msgspec.structs.replace(frame, ts=start + i * gap_ns) for i, frame in enumerate(frames)]
