"""A market of many symbols at every venue: the bitcoin market under many names, for loads and for limits of venues."""

from __future__ import annotations

import msgspec

from dope.sim.listings import ListingSpec
from dope.sim.venue import listings

QUIET = 100  #: steps of 10 ms from one action of a market to the next
NAMES = tuple("X" + a + b for a in "ABCDEFGHIJKLMNOP" for b in "KLMNPQRSTVWXYZ")


def many(venue: str, count: int, *, pace: int = QUIET) -> list[ListingSpec]:
    """What trades in bitcoin first at a venue, and the same under so many names in all, written as the venue writes them."""
    first = next(spec for spec in listings((venue,)) if spec.asset == "BTC")
    case = str.lower if first.native.islower() else str
    made = []
    for rank, name in enumerate(("BTC", *NAMES)[:count]):
        symbol, native = first.symbol.replace("BTC", name), first.native.replace(case("BTC"), case(name))
        made.append(msgspec.structs.replace(first, symbol=symbol, native=native, pace=pace, bias=10 * rank))
    return made
