"""The tables of recorded history: their columns, units and order. The recorder fills them, sealed files and queries hold them.

One row is one fact. Times are int64 ns UTC; ``ts`` is always *our* receive time (the engine's only clock), ``venue_ts`` the
venue's own stamp. Prices are in the instrument's quote currency, sizes in base units. Every table has ``ts`` and ``symbol``
and is sorted by (symbol, ts) once it is sealed; rows of equal (symbol, ts) keep the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    ("kind", _NAME, "spot or perp"),
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
    ("kind", _NAME, "name of the signal"),
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
