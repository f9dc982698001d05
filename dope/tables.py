"""The tables of recorded history: their columns, units and order. The recorder fills them, sealed files and queries hold them.

One row is one fact. Times are int64 ns UTC; ``ts`` is always *our* receive time (the engine's only clock), ``venue_ts`` the
venue's own stamp. Prices are in the instrument's quote currency, sizes in base units. Every table has ``ts`` and ``symbol``
and is sorted by (symbol, ts) once it is sealed; rows of equal (symbol, ts) keep the order in which they were made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

_I64, _F64, _TEXT, _NAME = pa.int64(), pa.float64(), pa.string(), pa.dictionary(pa.int32(), pa.string())


def _schema(*columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, metadata={"help": help_}) for name, kind, help_ in columns])


_WHERE = (("ts", _I64, "ns UTC, received"), ("symbol", _NAME, "canonical"), ("venue", _NAME, "venue id"))

BBO = _schema(
    *_WHERE,
    ("venue_ts", _I64, "ns UTC, the venue's stamp; null = none"),
    ("bid", _F64, "best bid from ts on; null = no bid, or the book is not LIVE from ts on"),
    ("ask", _F64, "best ask"),
    ("bid_size", _F64, "base units at the best bid when its price became the best"),
    ("ask_size", _F64, "base units at the best ask"),
)
TRADE = _schema(
    *_WHERE,
    ("venue_ts", _I64, "ns UTC, the venue's stamp; null = none"),
    ("trade_id", _TEXT, "the venue's"),
    ("price", _F64, "quote currency"),
    ("size", _F64, "base units"),
    ("side", _NAME, "the taker's: buy or sell"),
)
OPPORTUNITY = _schema(
    ("ts", _I64, "ns UTC, of this report"),
    ("symbol", _NAME, "canonical"),
    ("id", _I64, "unique within a recording session"),
    ("session", _NAME, "recording session"),
    ("state", _NAME, "open, closed or stale"),
    ("kind", _NAME, "spot, perp or cross-quote"),
    ("buy_venue", _NAME, "where to buy"),
    ("sell_venue", _NAME, "where to sell"),
    ("opened", _I64, "ns UTC"),
    ("closed", _I64, "ns UTC; null = still open"),
    ("gross_bps", _F64, "of the buy cost"),
    ("net_bps", _F64, "after both taker fees"),
    ("peak_bps", _F64, "highest net_bps of its life"),
    ("size", _F64, "quote currency at the optimum"),
    ("net", _F64, "profit at that size, quote currency"),
    ("detail", _TEXT, "JSON: every field of the signal"),
)
SIGNAL = _schema(
    ("ts", _I64, "ns UTC"),
    ("symbol", _NAME, "canonical; empty = of no one symbol"),
    ("kind", _NAME, "jump, burst, whale, link …: what was found"),
    ("session", _NAME, "recording session"),
    ("detail", _TEXT, "JSON: every field of the signal"),
)
GAP = _schema(
    ("ts", _I64, "ns UTC, from when something is missing"),
    ("symbol", _NAME, "canonical; empty = all of the venue, or all"),
    ("venue", _NAME, "venue id; empty = all"),
    ("until", _I64, "ns UTC, complete again; null = still missing"),
    ("what", _NAME, "book, connection, recording, rows or file"),
    ("why", _TEXT, "reason in words"),
    ("lost", _I64, "frames or rows known to be lost; null = not known"),
)

#: name → columns, in the order in which they are listed to users
TABLES: dict[str, pa.Schema] = {"bbo": BBO, "trade": TRADE, "opportunity": OPPORTUNITY, "signal": SIGNAL, "gap": GAP}
SORTED_BY = ("symbol", "ts")
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")  #: the form of a symbol; for fullmatch
SCHEMA_VERSION = 1  #: of all tables together; stands in the metadata of every sealed file as "dope.schema"


def batch(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """A few rows of ``table``, column by name (absent = null). For many rows build the columns instead."""
    schema = TABLES[table]
    columns = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def gap(
    ts: int, until: int | None, what: str, why: str, *, lost: int | None = None, venue: str = "", symbol: str = ""
) -> dict[str, Any]:
    """One row of ``gap``; the meaning of its columns stands there."""
    return {"ts": ts, "symbol": symbol, "venue": venue, "until": until, "what": what, "why": why, "lost": lost}


# -- what is computed from these tables when it is asked for ----------------------------------------------------------------
_PAIR = (("buy_venue", _NAME, "where to buy, at its best ask"), ("sell_venue", _NAME, "where to sell, at its best bid"))
_INSTANT = pa.timestamp("us", tz="UTC")

SPREAD = _schema(
    ("second", _I64, "ns UTC, its beginning"),
    *_PAIR,
    ("gross_bps", _F64, "sell bid over buy ask at the second's end, bps before fees; both books LIVE then"),
)
SPREAD_1S = _schema(
    ("second", _I64, "ns UTC, its beginning"),
    *_PAIR,
    ("best", _F64, "highest gross bps that stood at any moment of the second"),
    ("mean", _F64, "mean of the n values"),
    ("n", _I64, "values: what stood at the beginning, and one after each change of either book's best prices"),
)
OHLCV = _schema(
    ("ts", _I64, "ns UTC, beginning of the bar"),
    ("symbol", _NAME, "canonical"),
    ("venue", _NAME, "venue id"),
    ("open", _F64, "first price, quote currency"),
    ("high", _F64, "highest price"),
    ("low", _F64, "lowest price"),
    ("close", _F64, "last price"),
    ("volume", _F64, "base units"),
    ("trades", _I64, "number of trades; bars without any are absent"),
)
#: the same with all that adding up bars of several venues, or of two parts of a bar's time, needs
BAR = pa.schema([*OHLCV, *_schema(
    ("first", _I64, "ns UTC, first trade"),
    ("last", _I64, "ns UTC, last trade"),
    ("bought", _F64, "base units of the volume that takers bought"),
    ("value", _F64, "quote currency"),
    ("bought_value", _F64, "quote currency"),
)])  # fmt: skip
ORDER_BOOK_SNAPSHOTS = _schema(
    ("id", _I64, "always null: no serial numbers are kept; (timestamp, symbol, exchange) tells rows apart"),
    ("symbol", _NAME, "canonical"),
    ("exchange", _NAME, "venue id"),
    ("timestamp", _INSTANT, "received, microseconds"),
    ("bids", _TEXT, "JSON [[price, size]]: the best level only; deeper ones stand on the tape"),
    ("asks", _TEXT, "JSON [[price, size]]: the best level only"),
    ("sequence_id", _I64, "always null: the venue's sequence numbers stand on the tape"),
    ("mid_price", _F64, "(best bid + best ask) / 2"),
    ("spread", _F64, "best ask - best bid, quote currency"),
    ("bid_volume", _F64, "base units at the best bid only"),
    ("ask_volume", _F64, "base units at the best ask only"),
)
TRADE_EVENTS = _schema(
    ("id", _I64, "always null: no serial numbers are kept"),
    ("symbol", _NAME, "canonical"),
    ("exchange", _NAME, "venue id"),
    ("timestamp", _INSTANT, "received, microseconds"),
    ("price", _F64, "quote currency"),
    ("size", _F64, "base units"),
    ("side", _NAME, "the taker's: buy or sell"),
    ("trade_id", _TEXT, "the venue's"),
)
HEATMAP_DATA = _schema(
    ("symbol", _NAME, "canonical"),
    ("timestamp", _INSTANT, "beginning of the second"),
    ("bucket_size", _F64, "quote currency: a thousandth of the price's power of ten, e.g. 10 at 60,000 and 1 at 3,000"),
    ("price_bucket", _F64, "lower edge, quote currency"),
    ("volume", _F64, "base units at the best level of each venue whose best changed in this second; deeper levels are not in it"),
    ("side", _NAME, "bid or ask"),
    ("exchange_count", _I64, "venues in this bucket"),
)
OHLCV_DATA = _schema(
    ("symbol", _NAME, "canonical"),
    ("timestamp", _INSTANT, "beginning of the bar"),
    ("timeframe", _NAME, "always 1m here; other lengths, per venue: ohlcv_1s, 5s, 5m, 15m, 1h, 4h, 1d"),
    ("open_price", _F64, "quote currency, all venues together in the order received"),
    ("high_price", _F64, "quote currency"),
    ("low_price", _F64, "quote currency"),
    ("close_price", _F64, "quote currency"),
    ("volume", _F64, "base units"),
    ("trade_count", _I64, "number of trades"),
)


class Kind(NamedTuple):
    """One kind of history: its columns, the table it is made from, what it is in words."""

    schema: pa.Schema
    of: str
    about: str
    step: int = 1  #: ns; a range that is asked for is widened to whole steps of this
    one_symbol: bool = False  #: has to be asked for one symbol


_S = 1_000_000_000
#: every kind of history that can be asked for
KINDS: dict[str, Kind] = {
    "bbo": Kind(BBO, "bbo", "best bid and ask of every book, one row per change"),
    "trade": Kind(TRADE, "trade", "trades of the venues"),
    "opportunity": Kind(OPPORTUNITY, "opportunity", "opportunities as they were seen then, with the rules and fees of then"),
    "signal": Kind(SIGNAL, "signal", "what the other detectors said"),
    "gap": Kind(GAP, "gap", "what is missing in this history, and why"),
    "spread": Kind(SPREAD, "bbo", "price differences of one symbol between all venues at the end of each second", _S, True),
    "spread_1s": Kind(SPREAD_1S, "bbo", "price differences of one symbol over each second: best, mean, count", _S, True),
    "ohlcv_1s": Kind(OHLCV, "trade", "bars of one second, per venue", _S),
    "ohlcv_5s": Kind(OHLCV, "trade", "bars of five seconds, per venue", 5 * _S),
    "ohlcv_1m": Kind(OHLCV, "trade", "bars of one minute, per venue", 60 * _S),
    "ohlcv_5m": Kind(OHLCV, "trade", "bars of five minutes, per venue", 300 * _S),
    "ohlcv_15m": Kind(OHLCV, "trade", "bars of fifteen minutes, per venue", 900 * _S),
    "ohlcv_1h": Kind(OHLCV, "trade", "bars of one hour, per venue", 3600 * _S),
    "ohlcv_4h": Kind(OHLCV, "trade", "bars of four hours, per venue", 4 * 3600 * _S),
    "ohlcv_1d": Kind(OHLCV, "trade", "bars of one day, UTC, per venue; of one symbol: a whole day is read for it", 86_400 * _S, True),
    "order_book_snapshots": Kind(ORDER_BOOK_SNAPSHOTS, "bbo", "the best level of every book, one row per change while both sides stand"),
    "trade_events": Kind(TRADE_EVENTS, "trade", "trades under the column names of the usual server schema"),
    "heatmap_data": Kind(HEATMAP_DATA, "bbo", "size at the best levels per price bucket and second (deeper ones: only on the tape)", _S),
    "ohlcv_data": Kind(OHLCV_DATA, "trade", "one-minute bars of all venues together", 60 * _S),
}


class History(NamedTuple):
    """An answer: rows, and what a reader must know so that nobody takes a hole for calm. Times ns UTC."""

    table: pa.Table  #: columns of KINDS[kind].schema, sorted by time
    start: int  #: of the range that was really looked at: [start, end)
    end: int
    more: bool  #: cut at the limit: the rest begins with the last row's time
    gaps: pa.Table  #: rows of GAP that overlap the range, and what this answer itself could not read
    problems: tuple[str, ...]  #: in words: files that could not be used
    source: str = ""  #: "live" | "sim" | …: whose history
