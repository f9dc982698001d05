"""A market of many symbols at every venue: the bitcoin market under many names, for loads and for limits of venues."""

from __future__ import annotations

import msgspec

from dope.sim.listings import ListingSpec
from dope.sim.venue import listings

QUIET = 100  #: steps of 10 ms from one action of a market to the next
NAMES = tuple("X" + a + b for a in "ABCDEFGHIJKLMNOP" for b in "KLMNPQRSTVWXYZ")


def many(venue: str, count: int, *, pace: float = QUIET) -> list[ListingSpec]:
    """What trades in bitcoin first at a venue, and the same under so many names in all, written as the venue writes them.

    ``pace`` ≥ 1: steps of 10 ms from one action to the next; between two whole numbers some markets have the one and some the other, so
    that together they act ``count / pace`` times per step.
    """
    steps = int(pace)
    slower = (pace - steps) * (steps + 1) / pace  # part of the markets that has a step more
    first = next(spec for spec in listings((venue,)) if spec.asset == "BTC")
    case = str.lower if first.native.islower() else str
    made = []
    for rank, name in enumerate(("BTC", *NAMES)[:count]):
        symbol, native = first.symbol.replace("BTC", name), first.native.replace(case("BTC"), case(name))
        more = int((rank + 1) * slower + 1e-9) - int(rank * slower + 1e-9)
        made.append(msgspec.structs.replace(first, symbol=symbol, native=native, pace=steps + more, bias=10 * rank))
    return made
