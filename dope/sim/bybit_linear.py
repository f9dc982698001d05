"""Bybit linear perpetuals in the sample market: what trades there; it speaks as `bybit.py` says."""

from __future__ import annotations

from functools import partial

from dope.sim.bybit import BybitServer
from dope.sim.listings import ListingSpec

LISTINGS = (
    ListingSpec("bybit_linear", "BTC-USDT-PERP", "BTCUSDT", "BTC", 100_000, 100_000, lag=3, half_spread=700, bias=-1_000, pace=3),
    ListingSpec("bybit_linear", "ETH-USDT-PERP", "ETHUSDT", "ETH", 10_000, 1_000_000, lag=4, half_spread=1_300, bias=1_500, pace=3),
    ListingSpec("bybit_linear", "SOL-USDT-PERP", "SOLUSDT", "SOL", 10_000, 10_000_000, lag=7, half_spread=3_600, bias=-2_000, pace=4),
    ListingSpec("bybit_linear", "BTC-USDC-PERP", "BTCPERP", "BTC", 100_000, 100_000, lag=6, half_spread=1_500, bias=1_500, pace=6),
    ListingSpec("bybit_linear", "ETH-USDC-PERP", "ETHPERP", "ETH", 10_000, 1_000_000, lag=7, half_spread=2_500, bias=-1_500, pace=6),
)
Server = partial(BybitServer, venue="bybit_linear")
