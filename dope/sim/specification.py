"""What the statistics of the usual sample market are: the numbers that a long run of it is measured against, each with its tolerance."""

from __future__ import annotations

import msgspec

from dope.sim.listings import BP, POINTS, ListingSpec
from dope.sim.venue import listings


class Specification(msgspec.Struct, frozen=True):
    """One number; ``share`` of it may be missing or too much. None is so wide that double or half of it would pass."""

    name: str
    value: float
    share: float

    def holds(self, found: float) -> bool:
        """Whether what was measured agrees."""
        return abs(found - self.value) <= self.share * abs(self.value)


MEASURED = ("binance_spot", "binance_usdm", "okx", "kraken")  #: venues whose spreads are measured
STARTS = {"BTC": 91_000.0, "ETH": 3_100.0, "SOL": 140.0, "USDT": 1.0, "USDC": 1.0}
FOLLOWS_MS = 30.0  #: quotes wait until the price has moved by the band: that is later than the lag by about this


def spread_bp(spec: ListingSpec) -> float:
    """Twice what its makers ask, and one tick, to which both sides are rounded outwards."""
    start = STARTS[spec.asset] / STARTS.get(spec.currency, 1.0)
    return 2 * spec.half_spread / BP + spec.tick_e6 / 1e6 / start * POINTS / BP


def lag_ms(spec: ListingSpec) -> float:
    """From a move of the efficient price to that of the touch, on average."""
    return spec.lag * 10.0 + spec.pace * 5.0 + FOLLOWS_MS


LISTED = {spec.key: spec for spec in listings(MEASURED)}
FOLLOWERS = tuple(LISTED[key] for key in ("binance_spot:BTC-USDT", "okx:BTC-USDT", "kraken:BTC-USD"))

SPECIFICATION = (
    *(Specification(f"volatility of {name}, % a year", value, 0.25) for name, value in (("BTC", 55.0), ("ETH", 68.0), ("SOL", 80.0))),
    *(Specification(f"spread of the volatility of {name}", 0.33, 0.3) for name in ("BTC", "ETH", "SOL")),
    *(Specification(f"jumps of {name} a minute", 6.0, 0.25) for name in ("BTC", "ETH", "SOL")),
    *(Specification(f"bursts of {name} a minute", 1.5, 0.3) for name in ("BTC", "ETH", "SOL")),
    *(Specification(f"basis of {name}, bp", value, 0.25) for name, value in (("BTC", 4.0), ("ETH", 3.0), ("SOL", -2.0))),
    *(Specification(f"peg of {name}, bp", 0.9, 0.3) for name in ("USDT", "USDC")),
    *(Specification(f"spread of {key}, bp", spread_bp(spec), 0.2) for key, spec in LISTED.items()),
    *(Specification(f"lag of {spec.key}, ms", lag_ms(spec), 0.2) for spec in FOLLOWERS),
    *(Specification(f"correlation of {spec.key} after its lag", 0.8, 0.12) for spec in FOLLOWERS),
    Specification("size of the first levels, units", 11.3, 0.15),
    Specification("size of levels far out, units", 23.0, 0.15),
    Specification("dislocations a minute", 16.0, 0.15),
    Specification("life of a dislocation, ms", 2_270.0, 0.15),
)
