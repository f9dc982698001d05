"""Binance COIN-M in the sample market: what trades there, in contracts of 100 or 10 USD; it speaks as `binance.py` says."""

from __future__ import annotations

from functools import partial

from dope.sim.binance import BinanceServer
from dope.sim.listings import ListingSpec

LISTINGS = (
    ListingSpec(
        "binance_coinm", "BTC-USD-PERP", "BTCUSD_PERP", "BTC", 100_000, 100_000_000, 109_890,
        lag=3, half_spread=900, bias=-1_500, face=100, pace=3,
    ),
    ListingSpec(
        "binance_coinm", "ETH-USD-PERP", "ETHUSD_PERP", "ETH", 10_000, 100_000_000, 322_580,
        lag=4, half_spread=1_500, bias=2_000, face=10, pace=4,
    ),
    ListingSpec(
        "binance_coinm", "SOL-USD-PERP", "SOLUSD_PERP", "SOL", 10_000, 100_000_000, 7_142_857,
        lag=6, half_spread=3_900, bias=-2_500, face=10, pace=5,
    ),
)  # fmt: skip
Server = partial(BinanceServer, venue="binance_coinm")
