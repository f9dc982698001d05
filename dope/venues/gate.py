"""Gate spot (v4): touch, books of 400 levels, trades and 1-minute candles over one socket; see `_gate_wire.py`.

Messages read besides those there:
    {"channel":"spot.trades",…,"result":{"id":…,"create_time_ms":"1682689046123.0","side":"buy","currency_pair":…,"amount":…,"price":…}}
    GET /api/v4/spot/currency_pairs  [{"id":"BTC_USDT","base":"BTC","quote":"USDT","precision":1,"amount_precision":6,
      "min_base_amount":"0.000001","min_quote_amount":"3","trade_status":"tradable|untradable|buyable|sellable",…}]
                                     precisions are decimals of prices and sizes; a limit may be null or absent
``side`` is the taker's. No limit of requests is published; connections: 300 per address; REST:
200 requests in 10 s on each path (general knowledge).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from dope.types import Event, Fee, Fetch, Frame, Instrument, Limits, Trade
from dope.venues._gate_wire import RAWS, GateVenue
from dope.venues._written import least, number, step
from dope.venues.base import LIST, MS, TRADING

_NAME = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)")
#: tick, lot, minimum notional of the default symbols, as of 2026-11 (general knowledge; the venue's list is the authority)
KNOWN = {
    "BTC-USDT": (0.1, 0.000001, 3.0), "ETH-USDT": (0.01, 0.0001, 3.0), "SOL-USDT": (0.01, 0.001, 3.0),
    "BTC-USDC": (0.1, 0.000001, 3.0), "ETH-USDC": (0.01, 0.0001, 3.0), "USDC-USDT": (0.0001, 0.01, 3.0),
}  # fmt: skip


class Deal(msgspec.Struct):
    id: int
    side: str
    currency_pair: str
    amount: str
    price: str
    create_time_ms: str = "0"


class Pair(msgspec.Struct):
    """A row of the list of instruments."""

    id: str
    base: str
    quote: str
    precision: int
    amount_precision: int
    trade_status: str
    min_base_amount: str | None = None
    min_quote_amount: str | None = None


_deal = msgspec.json.Decoder(Deal)
_pair = msgspec.json.Decoder(Pair)


class Gate(GateVenue):
    ID, LABEL, SHORT = "gate", "Gate", "GATE"
    ENDPOINTS = {"ws": "wss://api.gateio.ws", "rest": "https://api.gateio.ws"}
    SOCKETS = (("spot", "/ws/v4/"),)
    LIMITS = Limits(connects_per_s=1.0, connects_per_5min=60, messages_per_s=8.0, topics_per_socket=400, rest_weight_per_min=600)
    PING = (15.0, '{"time":123456,"channel":"spot.ping"}')
    PREFIX = "spot"
    SNAPSHOT_PATH = "/api/v4/spot/order_book?currency_pair="
    FEES = (Fee("gate", "spot", 10.0, 10.0, "base", "gate.com fee page; announcement 50390 (libraries say 20/20)", "2026-11-01", "high"),)
    TIERS = (
        Fee("gate", "spot", 9.0, 9.0, "base", "gate.com fee page, paid in GT", "2026-11-01", "high", "gt"),
    )  # fmt: skip

    def native(self, symbol: str) -> str | None:
        return symbol.replace("-", "_") if symbol.count("-") == 1 else None

    def instrument(self, native: str) -> Instrument | None:
        found = _NAME.fullmatch(native)
        if found is None:
            return None
        base, quote = found.groups()
        tick, lot, notional = KNOWN.get(f"{base}-{quote}", (0.0, 0.0, 0.0))
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot", tick=tick, lot=lot, min_notional=notional)

    def listings(self) -> list[Fetch]:
        return [Fetch(0, LIST, f"{self.endpoints['rest']}/api/v4/spot/currency_pairs")]

    def listed(self, key: str, body: bytes) -> Iterable[Instrument]:
        return self.each(RAWS.decode(body), self._listing)

    def _listing(self, raw: msgspec.Raw) -> Instrument:
        row = _pair.decode(raw)
        symbol, status = f"{row.base}-{row.quote}", TRADING if row.trade_status == "tradable" else row.trade_status.lower()
        return Instrument(
            self.ID, symbol, row.id, row.base, row.quote, "spot", tick=step(row.precision), lot=step(row.amount_precision),
            min_size=least(row.min_base_amount or 0.0), min_notional=least(row.min_quote_amount or 0.0), status=status,
        )  # fmt: skip

    def on_channel(self, frame: Frame, channel: str, result: msgspec.Raw, events: list[Event]) -> None:
        if channel != "trades":
            return
        deal = _deal.decode(result)
        known = self.entitled(frame, deal.currency_pair, events)
        if known is None:
            return
        if deal.side not in ("buy", "sell"):
            raise ValueError("a trade without a side")
        whole, _, rest = deal.create_time_ms.partition(".")  # ms with decimals, as text
        ts = int(whole) * MS + int((rest + "000000")[:6])
        events.append(Trade(frame.ts, known.key, ts, number(deal.price), number(deal.amount), deal.side, str(deal.id)))
