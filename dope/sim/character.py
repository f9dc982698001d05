"""The character of the sample market: how restless, busy, deep and wide it is, and how often something happens by chance."""

from __future__ import annotations

import msgspec

STEPS_PER_MINUTE = 6_000
CHANCE_BITS = 20  #: a chance per step is counted in 2**-20


class Character(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Percentages are of what a listing or an asset says of itself; rates are means over a long time.

    With all three rates 0 the market is silent: nothing in it ever exceeds the fees of two venues.
    """

    volatility: int = 100  #: percent, of the efficient prices
    flow: int = 100  #: percent, how often somebody trades or changes a level
    spread: int = 100  #: percent
    depth: int = 100  #: percent, sizes of new levels
    noise: int = 100  #: percent, how far each market is from the efficient price by itself
    #: whether orders are of many sizes, one in 32 so large that it takes several levels; otherwise all are alike, and none follows
    #: another one on its side within a second, but in a burst
    uneven: bool = True
    jumps_per_minute: float = 6.0  #: of each asset
    bursts_per_minute: float = 6.0  #: of each asset, beside those that follow a jump
    dislocations_per_minute: float = 16.0  #: of the whole market


def chance(per_minute: float) -> int:
    """Chance per step in 2**-CHANCE_BITS of what happens so many times a minute."""
    return round(per_minute * (1 << CHANCE_BITS) / STEPS_PER_MINUTE)


USUAL = Character()
SILENT = Character(jumps_per_minute=0.0, bursts_per_minute=0.0, dislocations_per_minute=0.0)
