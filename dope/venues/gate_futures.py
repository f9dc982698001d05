"""Gate perpetuals settled in USDT (v4): touch, books of 400 levels, trades, candles, funding and mark; see `_gate_wire.py`.

Messages read besides those there:
    {"channel":"futures.trades",…,"result":[{"size":-108,"id":…,"create_time_ms":1545136464123,"price":"96.4","contract":"BTC_USDT"}]}
                                            a negative size: the taker sold; "is_internal": no trade of the market
    {"channel":"futures.tickers",…,"result":[{"contract":…,"mark_price":…,"index_price":…,"funding_rate":…,"funding_interval":28800,
      "funding_next_apply":s,"t":ms}]}      about once a second
    GET /api/v4/futures/usdt/contracts      [{"name":"BTC_USDT","type":"direct","quanto_multiplier":"0.0001","order_price_round":"0.1",
      "order_size_min":1,"enable_decimal":false,"in_delisting":false,"status":"trading",…}]
                                            the least size is text or a number; it is also the step of a contract that trades in fractions
                                            ("enable_decimal"; not verified without that header); a type other than "direct" is not read

Sizes are contracts of ``quanto_multiplier`` coins. Some contracts trade in fractions since 2026: ``obu`` says them exactly, while
the touch and trades round down to whole contracts unless a header is sent with the handshake (which is not done here). So a
trade of less than one contract is not seen. ``BTC_USD`` (another socket) is inverse, a contract 1 USD: read in recordings only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from dope.types import Event, Fee, Fetch, Frame, Funding, Instrument, Limits, Trade
from dope.venues._gate_wire import RAWS, SECOND, Candle, GateVenue, rows
from dope.venues._written import funding_rate, least, number
from dope.venues.base import LIST, MS, TRADING

_NAME = re.compile(r"([A-Z0-9]+)_(USDT|USD)(_\d{8})?")
#: base units per contract, tick and lot (base) of the default symbols, as of 2026-11 (general knowledge; see above)
KNOWN = {"BTC": (0.0001, 0.1, 0.0001), "ETH": (0.01, 0.01, 0.001), "SOL": (1.0, 0.01, 0.1)}


class Deal(msgspec.Struct):
    contract: str
    size: str | float
    id: int
    price: str
    create_time_ms: int = 0
    is_internal: bool = False


class Ticker(msgspec.Struct):
    contract: str
    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    funding_interval: int = 28_800
    funding_next_apply: int = 0
    t: int = 0


class Contract(msgspec.Struct):
    """A row of the list of instruments."""

    name: str
    type: str
    quanto_multiplier: str
    order_price_round: str
    order_size_min: str | float = 0.0
    enable_decimal: bool = False
    in_delisting: bool = False
    status: str = "trading"


_contract = msgspec.json.Decoder(Contract)
_deals = msgspec.json.Decoder(list[Deal])
_tickers = msgspec.json.Decoder(list[Ticker])


class GateFutures(GateVenue):
    ID, LABEL, SHORT = "gate_futures", "Gate futures", "GATF"
    ENDPOINTS = {"ws": "wss://fx-ws.gateio.ws", "rest": "https://api.gateio.ws"}
    SOCKETS = (("usdt", "/v4/ws/usdt"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=8.0, topics_per_socket=500, rest_weight_per_min=600)
    PING = (15.0, '{"time":123456,"channel":"futures.ping"}')
    PREFIX = "futures"
    CHANNELS = ("book_ticker", "tickers", "trades")
    SNAPSHOT_PATH = "/api/v4/futures/usdt/order_book?contract="
    FEES = (Fee("gate_futures", "perp", 2.0, 5.0, "quote", "gate.com fee page (taker); maker from memory", "2026-11-01", "medium"),)

    def native(self, symbol: str) -> str | None:
        base, _, rest = symbol.partition("-")
        return f"{base}_USDT" if base and rest == "USDT-PERP" else None

    def instrument(self, native: str) -> Instrument | None:
        found = _NAME.fullmatch(native)
        if found is None:
            return None
        base, quote, day = found.groups()
        if day is not None:
            return Instrument(self.ID, native.replace("_", "-"), native, base, quote, "future", None, quote == "USD")
        symbol = f"{base}-{quote}-PERP"
        if quote == "USD":
            return Instrument(self.ID, symbol, native, base, quote, "perp", 1.0 if base == "BTC" else None, True)
        value, tick, lot = KNOWN.get(base, (None, 0.0, 0.0))
        return Instrument(self.ID, symbol, native, base, quote, "perp", value, tick=tick, lot=lot, min_size=lot)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/api/v4/futures/usdt/contracts")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(RAWS.decode(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument | None:
        row = _contract.decode(raw)
        if row.type != "direct":
            return None
        base, quote = row.name.split("_")
        value, smallest = number(row.quanto_multiplier), least(row.order_size_min or 0.0)
        lot = (smallest if row.enable_decimal else 1.0) * value
        status = "delisting" if row.in_delisting else TRADING if row.status == "trading" else row.status.lower()
        return Instrument(
            self.ID, f"{base}-{quote}-PERP", row.name, base, quote, "perp", value, tick=number(row.order_price_round), lot=lot,
            min_size=smallest * value, status=status,
        )  # fmt: skip

    def volume(self, instrument: Instrument, candle: Candle) -> float | None:
        value = instrument.contract_value
        return None if value is None or instrument.inverse else candle.v * value

    def on_channel(self, frame: Frame, channel: str, result: msgspec.Raw, events: list[Event]) -> None:
        if channel == "trades":
            for deal in _deals.decode(rows(result)):
                self._on_deal(frame, deal, events)
        elif channel == "tickers":
            for ticker in _tickers.decode(rows(result)):
                self._on_ticker(frame, ticker, events)

    def _on_deal(self, frame: Frame, deal: Deal, events: list[Event]) -> None:
        known = self.entitled(frame, deal.contract, events)
        contracts = float(deal.size)
        if known is None or deal.is_internal or contracts == 0.0:
            return  # 0: less than one contract, and neither its size nor its side is told
        price, size, value = number(deal.price), number(abs(contracts)), known.instrument.contract_value
        if value is not None:
            size = size * value / (price if known.instrument.inverse else 1.0)
        side = "sell" if contracts < 0.0 else "buy"
        events.append(Trade(frame.ts, known.key, deal.create_time_ms * MS, price, size, side, str(deal.id)))

    def _on_ticker(self, frame: Frame, ticker: Ticker, events: list[Event]) -> None:
        known = self.entitled(frame, ticker.contract, events)
        if known is None or not ticker.mark_price:
            return
        rate = funding_rate(ticker.funding_rate) if ticker.funding_rate else None
        mark, index = number(ticker.mark_price), number(ticker.index_price) if ticker.index_price else None
        due, hours = ticker.funding_next_apply * SECOND, number(ticker.funding_interval) / 3600
        events.append(Funding(frame.ts, known.key, ticker.t * MS, rate, due, mark, index, hours))
