"""What the sample market trades: assets with their prices, and one listing per venue and market with its habits."""

from __future__ import annotations

import msgspec

#: offsets are counted in points: 1e-8 of the price, so 10 000 points are one basis point
BP = 10_000
POINTS = 10_000 * BP


class AssetSpec(msgspec.Struct, frozen=True):
    """One base asset: start price in micro-quote (1e-6 USDT), volatility and perpetual habits."""

    name: str
    start_e6: int
    sigma: int  #: standard deviation of one 10 ms step, in 1e-9 of the price
    basis: int  #: perpetual above spot on average, points
    funding_e8: int  #: funding rate per 8 h in 1e-8
    depth: int  #: typical size of a level, percent of that of BTC


class ListingSpec(msgspec.Struct, frozen=True):
    """One market at one venue. ``lot_e8`` counts the venue's own size unit (base or contracts) in 1e-8;
    ``contract_e8`` is base per such unit in 1e-8 (1e8 for spot)."""

    venue: str
    symbol: str
    native: str
    asset: str
    tick_e6: int
    lot_e8: int
    contract_e8: int = 100_000_000
    lag: int = 0  #: steps of 10 ms behind the efficient price
    half_spread: int = 0  #: points
    bias: int = 0  #: standing offset of this market, points

    @property
    def key(self) -> str:
        """``venue:symbol``, as everywhere in the house."""
        return f"{self.venue}:{self.symbol}"

    @property
    def perpetual(self) -> bool:
        return self.symbol.endswith("-PERP")


#: sigma = yearly volatility / sqrt(steps per year): 55 %, 68 %, 80 % over 3.15e9 steps of 10 ms
ASSETS = (
    AssetSpec("BTC", 91_000_000_000, sigma=9_800, basis=4 * BP, funding_e8=10_000, depth=100),
    AssetSpec("ETH", 3_100_000_000, sigma=12_100, basis=3 * BP, funding_e8=7_241, depth=60),
    AssetSpec("SOL", 140_000_000, sigma=14_200, basis=-2 * BP, funding_e8=-3_412, depth=25),
)

#: Binance perpetuals lead, OKX spot comes last; ticks and lots are those of the venues
LISTINGS = (
    ListingSpec("binance_spot", "BTC-USDT", "BTCUSDT", "BTC", 10_000, 1_000, lag=2, half_spread=700),
    ListingSpec("binance_spot", "ETH-USDT", "ETHUSDT", "ETH", 10_000, 10_000, lag=2, half_spread=1_600),
    ListingSpec("binance_spot", "SOL-USDT", "SOLUSDT", "SOL", 10_000, 100_000, lag=3, half_spread=3_600),
    ListingSpec("binance_usdm", "BTC-USDT-PERP", "BTCUSDT", "BTC", 100_000, 100_000, lag=0, half_spread=300),
    ListingSpec("binance_usdm", "ETH-USDT-PERP", "ETHUSDT", "ETH", 10_000, 100_000, lag=0, half_spread=900),
    ListingSpec("binance_usdm", "SOL-USDT-PERP", "SOLUSDT", "SOL", 10_000, 1_000_000, lag=1, half_spread=3_600),
    ListingSpec("okx", "BTC-USDT", "BTC-USDT", "BTC", 100_000, 1, lag=7, half_spread=1_500, bias=3_000),
    ListingSpec("okx", "ETH-USDT", "ETH-USDT", "ETH", 10_000, 100, lag=8, half_spread=2_400, bias=-4_000),
    ListingSpec("okx", "SOL-USDT", "SOL-USDT", "SOL", 10_000, 100, lag=12, half_spread=4_200, bias=5_000),
    ListingSpec("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC", 100_000, 1_000_000, 1_000_000, lag=4, half_spread=600, bias=2_000),
    ListingSpec("okx", "ETH-USDT-PERP", "ETH-USDT-SWAP", "ETH", 10_000, 1_000_000, 10_000_000, lag=5, half_spread=1_200, bias=-2_500),
    ListingSpec("okx", "SOL-USDT-PERP", "SOL-USDT-SWAP", "SOL", 10_000, 1_000_000, lag=9, half_spread=3_800, bias=3_000),
)
