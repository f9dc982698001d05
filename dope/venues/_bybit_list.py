"""The list of instruments of the Bybit V5 venues, read row by row.

GET /v5/market/instruments-info?category=spot|linear&limit=1000
  {"retCode":0,"result":{"category":"linear","list":[{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading",
    "baseCoin":"BTC","quoteCoin":"USDT","priceFilter":{"tickSize":"0.10",…},
    "lotSizeFilter":{"minOrderQty":"0.001","qtyStep":"0.001","minNotionalValue":"5",…}}],"nextPageCursor":""}}
  spot: no contractType; "basePrecision" is the lot and "minOrderAmt" the least value. The list of linear names only what trades
  unless another status is asked for; a cursor (already escaped; not verified) leads to the next page, spot has one page
"""

from __future__ import annotations

import msgspec

from dope.types import Instrument
from dope.venues._bundles import exponent_of
from dope.venues._written import least, number
from dope.venues.base import TRADING

PAGES = 20  #: of one list


class Prices(msgspec.Struct):
    tickSize: str


class Lots(msgspec.Struct):
    """``basePrecision`` and ``minOrderAmt`` on spot, ``qtyStep`` and ``minNotionalValue`` of contracts."""

    minOrderQty: str = ""
    basePrecision: str = ""
    minOrderAmt: str = ""
    qtyStep: str = ""
    minNotionalValue: str = ""


class Listing(msgspec.Struct):
    """A row of the list of instruments."""

    symbol: str
    status: str
    baseCoin: str
    quoteCoin: str
    priceFilter: Prices
    lotSizeFilter: Lots
    contractType: str = ""


class Page(msgspec.Struct, rename={"rows": "list"}):
    rows: list[msgspec.Raw]
    nextPageCursor: str = ""


PAGE = msgspec.json.Decoder(Page)
LISTING = msgspec.json.Decoder(Listing)


def with_limits(usual: Instrument, row: Listing) -> Instrument:
    """The market of a row with what the row says of its steps, limits and state. Raises ValueError."""
    lots, unit = row.lotSizeFilter, usual.contract_value or 1.0
    return msgspec.structs.replace(
        usual, tick=number(row.priceFilter.tickSize + exponent_of(usual)), lot=number(lots.basePrecision or lots.qtyStep) * unit,
        min_size=least(lots.minOrderQty or 0.0) * unit, min_notional=least(lots.minOrderAmt or lots.minNotionalValue or 0.0),
        status=TRADING if row.status == "Trading" else row.status.lower(),
    )  # fmt: skip
