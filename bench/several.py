"""A stream on which pairs of venues have something to do: four venues that quote the same symbols, each in its own words.

Between them they also have a triangle, prices in two currencies with the market that exchanges these, and a perpetual beside its spot.
Prices come apart by chance as in the usual simulated market, so opportunities open and close; orders come ten times as often. The
messages are those of the simulated servers, stamped anew, 50,000 a second: what lasts a while still lasts as many messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from bench.conversation import Conversation
from dope.sim.character import Character
from dope.sim.venue import listings
from dope.types import Frame

VENUES = ("okx", "binance_spot", "bybit", "kraken")
RUSH = Character(flow=1000)
GAP_NS = 20_000  #: between two messages
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "ETH-BTC", "USDC-USDT", "BTC-USD", "USDT-USD", "BTC-USDT-PERP")


@lru_cache(maxsize=1)
def conversation(messages: int) -> Conversation:
    """All of it said once: every market of these symbols that these venues have."""
    specs = [msgspec.structs.replace(spec, pace=1) for spec in listings(VENUES) if spec.symbol in SYMBOLS]
    told = Conversation(specs, character=RUSH)
    told.run(messages)
    return told


def hurried(frames: Sequence[Frame], start: int) -> list[Frame]:
    """The same frames in the same order, ``GAP_NS`` apart from ``start`` on."""
    return [msgspec.structs.replace(frame, ts=start + i * GAP_NS) for i, frame in enumerate(frames)]
