"""The room of protocols: one pure file per venue. Adding a venue = its file and one line here."""

from __future__ import annotations

from collections.abc import Sequence

from dope.errors import UnknownName
from dope.venues.archive import ARCHIVED
from dope.venues.base import Venue
from dope.venues.binance_coinm import BinanceCoinm
from dope.venues.binance_spot import BinanceSpot
from dope.venues.binance_usdm import BinanceUsdm
from dope.venues.bitfinex import Bitfinex
from dope.venues.bybit import Bybit
from dope.venues.bybit_linear import BybitLinear
from dope.venues.coinbase import Coinbase
from dope.venues.coinbase_exchange import CoinbaseExchange
from dope.venues.coincap import Coincap
from dope.venues.gate import Gate
from dope.venues.gate_futures import GateFutures
from dope.venues.gemini import Gemini
from dope.venues.htx import Htx
from dope.venues.htx_linear import HtxLinear
from dope.venues.hyperliquid import Hyperliquid
from dope.venues.kraken import Kraken
from dope.venues.kucoin import Kucoin
from dope.venues.mexc import Mexc
from dope.venues.okx import Okx
from dope.venues.sentinel import SENTINELS as SENTINELS  # apart from all others: no venue of a user

VENUES: tuple[type[Venue], ...] = (
    BinanceSpot,
    BinanceUsdm,
    Okx,
    BinanceCoinm,
    Bitfinex,
    Bybit,
    BybitLinear,
    Coinbase,
    CoinbaseExchange,
    Coincap,
    Gate,
    GateFutures,
    Gemini,
    Htx,
    HtxLinear,
    Hyperliquid,
    Kraken,
    Kucoin,
    Mexc,
)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Venue ids of what a user asked for; "all" = every one with order books. Raises UnknownName."""
    known = [venue.ID for venue in (*VENUES, *ARCHIVED)]
    if strange := [name for name in names if name != "all" and name not in known]:
        raise UnknownName("venue", strange[0], ["all", *known])
    usual = [venue.ID for venue in VENUES if venue.BOOKS]
    return tuple(dict.fromkeys(venue for name in names for venue in (usual if name == "all" else [name])))


def make(venue_id: str, symbols: Sequence[str], endpoints: dict[str, str] | None = None) -> Venue:
    """The venue of that id, watching ``symbols``, or the reader of an archived format. Raises UnknownName."""
    for venue in (*VENUES, *ARCHIVED):
        if venue_id == venue.ID:
            return venue(symbols, endpoints)
    raise UnknownName("venue", venue_id, [venue.ID for venue in VENUES])
