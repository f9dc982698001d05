"""What the sample market trades: assets with their prices, and the form of a listing; listings stand with their venue."""

from __future__ import annotations

from decimal import Decimal

import msgspec

STEP_MS = 10  #: one step of the market
#: offsets are counted in points: 1e-8 of the price, so 10 000 points are one basis point
BP = 10_000
POINTS = 10_000 * BP
DOLLARS = ("USD", "USDT", "USDC")  #: what is worth one dollar, or nearly


class AssetSpec(msgspec.Struct, frozen=True):
    """One asset, or a coin with a peg: start price in micro-USD, volatility, and perpetual habits."""

    name: str
    start_e6: int
    depth: int  #: typical size of a level, percent of that of BTC
    sigma: int = 0  #: standard deviation of one 10 ms step, in 1e-9 of the price
    basis: int = 0  #: perpetual above spot on average, points
    wobble: int = 0  #: of a coin: deviation of one second, in 1/1024 micro-USD, over 2.83
    pull: int = 0  #: of a coin: it comes back to its peg in about 2**pull s


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
    noise: int = 100  #: percent of the usual own noise, which is half a basis point
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
    def currency(self) -> str:
        """What its prices are in: USD, USDT or USDC; of a cross another asset."""
        return self.symbol.split("-")[1]

    @property
    def cross(self) -> bool:
        """Whether its prices are in an asset: with that one's market it makes a way round three markets."""
        return self.currency not in DOLLARS

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


#: sigma = yearly volatility / sqrt(steps per year): 55 %, 68 %, 80 % over 3.15e9 steps of 10 ms; coins are off by 0.9 bp as a rule
ASSETS = (
    AssetSpec("BTC", 91_000_000_000, depth=100, sigma=9_800, basis=4 * BP),
    AssetSpec("ETH", 3_100_000_000, depth=60, sigma=12_100, basis=3 * BP),
    AssetSpec("SOL", 140_000_000, depth=25, sigma=14_200, basis=-2 * BP),
    AssetSpec("USDT", 999_600, depth=100, wobble=2_048, pull=9),
    AssetSpec("USDC", 999_950, depth=100, wobble=2_048, pull=9),
)
#: taker fees of the venues in bp of the notional as they were in November 2026: (spot, perpetual)
TAKER_BP = {
    "binance_spot": (10.0, 0.0), "binance_usdm": (0.0, 5.0), "binance_coinm": (0.0, 5.0), "okx": (10.0, 5.0), "bybit": (10.0, 0.0),
    "bybit_linear": (0.0, 5.5), "gate": (10.0, 0.0), "gate_futures": (0.0, 5.0), "coinbase": (120.0, 0.0), "coinbase_exchange": (60.0, 0.0),
    "kraken": (40.0, 0.0), "gemini": (40.0, 0.0), "hyperliquid": (0.0, 4.5), "kucoin": (10.0, 0.0), "mexc": (5.0, 0.0),
    "bitfinex": (20.0, 0.0), "htx": (20.0, 0.0), "htx_linear": (0.0, 5.0),
}  # fmt: skip
USUAL_BP = (10.0, 5.0)  #: of a venue that is not among them


def taker_bp(spec: ListingSpec) -> float:
    """What a taker pays in this market."""
    return TAKER_BP.get(spec.venue, USUAL_BP)[spec.perpetual]
