"""Binance USD-M in the sample market: what trades there; it speaks as `binance.py` says."""

from __future__ import annotations

from functools import partial

from dope.sim.binance import BinanceServer
from dope.sim.listings import ListingSpec

#: perpetuals of this venue lead all others
LISTINGS = (
    ListingSpec("binance_usdm", "BTC-USDT-PERP", "BTCUSDT", "BTC", 100_000, 100_000, lag=0, half_spread=300),
    ListingSpec("binance_usdm", "ETH-USDT-PERP", "ETHUSDT", "ETH", 10_000, 100_000, lag=0, half_spread=900),
    ListingSpec("binance_usdm", "SOL-USDT-PERP", "SOLUSDT", "SOL", 10_000, 1_000_000, lag=1, half_spread=3_600),
)
Server = partial(BinanceServer, venue="binance_usdm")
