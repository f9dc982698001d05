"""What the sample market trades: assets with their prices, and the form of a listing; listings stand with their venue."""

from __future__ import annotations

from decimal import Decimal

import msgspec

#: offsets are counted in points: 1e-8 of the price, so 10 000 points are one basis point
BP = 10_000
POINTS = 10_000 * BP


class AssetSpec(msgspec.Struct, frozen=True):
    """One base asset: start price in micro-quote (1e-6 USDT), volatility (0 = its price stands still) and perpetual habits."""

    name: str
    start_e6: int
    sigma: int  #: standard deviation of one 10 ms step, in 1e-9 of the price
    basis: int  #: perpetual above spot on average, points
    funding_e8: int  #: funding rate per 8 h in 1e-8
    depth: int  #: typical size of a level, percent of that of BTC


class ListingSpec(msgspec.Struct, frozen=True):
    """One market at one venue. ``lot_e8`` counts the venue's own size unit (base or contracts) in 1e-8;
    ``contract_e8`` is base per such unit in 1e-8 (1e8 for spot; of an inverse market what a contract is worth at the start)."""

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
    face: int = 0  #: of an inverse market: quote units per contract
    pace: int = 1  #: steps of 10 ms from one action to the next: quiet venues have more

    @property
    def key(self) -> str:
        """``venue:symbol``, as everywhere in the house."""
        return f"{self.venue}:{self.symbol}"

    @property
    def base(self) -> str:
        """What is bought and sold; its price is that of ``asset``."""
        return self.symbol.partition("-")[0]

    @property
    def perpetual(self) -> bool:
        return self.symbol.endswith("-PERP")

    @property
    def tick(self) -> str:
        """Price step as venues write it in their lists: no exponent, no zero too many."""
        return plain(self.tick_e6, 6)

    @property
    def lot(self) -> str:
        """Size step in the venue's own unit, base or contracts."""
        return plain(self.lot_e8, 8)

    @property
    def decimals(self) -> tuple[int, int]:
        """Of a price and of a size, as their steps need them."""
        return len(self.tick.partition(".")[2]), len(self.lot.partition(".")[2])

    @property
    def contract(self) -> str:
        """Base per size unit; of an inverse market quote per contract."""
        return str(self.face) if self.face else plain(self.contract_e8, 8)


def plain(units: int, decimals: int) -> str:
    """``plain(1_000_000, 8)`` → ``0.01``."""
    return f"{Decimal(units).scaleb(-decimals).normalize():f}"


#: sigma = yearly volatility / sqrt(steps per year): 55 %, 68 %, 80 % over 3.15e9 steps of 10 ms
ASSETS = (
    AssetSpec("BTC", 91_000_000_000, sigma=9_800, basis=4 * BP, funding_e8=10_000, depth=100),
    AssetSpec("ETH", 3_100_000_000, sigma=12_100, basis=3 * BP, funding_e8=7_241, depth=60),
    AssetSpec("SOL", 140_000_000, sigma=14_200, basis=-2 * BP, funding_e8=-3_412, depth=25),
    AssetSpec("USDT", 999_600, sigma=0, basis=0, funding_e8=0, depth=100),
    AssetSpec("USDC", 999_900, sigma=0, basis=0, funding_e8=0, depth=100),
)
