"""Gate perpetuals in the sample market: what trades there, in contracts (of ETH and SOL also fractions); it speaks as `gate.py` says."""

from __future__ import annotations

from functools import partial

from dope.sim.gate import GateServer
from dope.sim.listings import ListingSpec

LISTINGS = (
    ListingSpec(
        "gate_futures", "BTC-USDT-PERP", "BTC_USDT", "BTC", 100_000, 100_000_000, 10_000, lag=5, half_spread=1_000, bias=1_200, pace=4,
    ),
    ListingSpec(
        "gate_futures", "ETH-USDT-PERP", "ETH_USDT", "ETH", 10_000, 10_000_000, 1_000_000, lag=6, half_spread=1_600, bias=-1_700, pace=4,
    ),
    ListingSpec("gate_futures", "SOL-USDT-PERP", "SOL_USDT", "SOL", 10_000, 10_000_000, lag=10, half_spread=4_100, bias=2_400, pace=5),
)  # fmt: skip
Server = partial(GateServer, venue="gate_futures")
