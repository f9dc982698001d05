"""Binance spot in the sample market: what trades there; it speaks as `binance.py` says."""

from __future__ import annotations

from functools import partial

from dope.sim.binance import BinanceServer
from dope.sim.listings import ListingSpec

LISTINGS = (
    ListingSpec("binance_spot", "BTC-USDT", "BTCUSDT", "BTC", 10_000, 1_000, lag=2, half_spread=700),
    ListingSpec("binance_spot", "ETH-USDT", "ETHUSDT", "ETH", 10_000, 10_000, lag=2, half_spread=1_600),
    ListingSpec("binance_spot", "SOL-USDT", "SOLUSDT", "SOL", 10_000, 100_000, lag=3, half_spread=3_600),
    ListingSpec("binance_spot", "USDC-USDT", "USDCUSDT", "USDC", 10, 100_000_000, lag=3, half_spread=1_000, pace=6),
    ListingSpec("binance_spot", "ETH-BTC", "ETHBTC", "ETH", 10, 10_000, lag=2, half_spread=10_000, pace=2),
)
Server = partial(BinanceServer, venue="binance_spot")
