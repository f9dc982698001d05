"""Sealed folders and open tails made by hand, as the recorder would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dope.store.cut import Unsealed
from dope.tables import SCHEMA_VERSION, TABLES

NS = 1_000_000_000
T0 = 1_700_000_000 * NS // (3600 * NS) * 3600 * NS  #: a full hour
Row = dict[str, Any]


def tape(number: int) -> str:
    return f"20231114T2200Z-live-{number:04d}"


def bbo(ts: int, bid: float | None, ask: float | None, *, venue: str = "a", symbol: str = "BTC-USDT", size: float = 1.0) -> Row:
    sizes = {"bid_size": size if bid else None, "ask_size": size if ask else None}
    return {"ts": ts, "symbol": symbol, "venue": venue, "venue_ts": None, "bid": bid, "ask": ask, **sizes}


def trade(ts: int, price: float, size: float, *, venue: str = "a", symbol: str = "BTC-USDT", side: str = "buy", name: str = "1") -> Row:
    return {"ts": ts, "symbol": symbol, "venue": venue, "venue_ts": None, "trade_id": name, "price": price, "size": size, "side": side}


def gap(ts: int, until: int | None = None, *, venue: str = "", symbol: str = "", what: str = "book", why: str = "lost") -> Row:
    return {"ts": ts, "symbol": symbol, "venue": venue, "until": until, "what": what, "why": why, "lost": None}


def table(name: str, rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TABLES[name])


def place(folder: Path, name: str, of: str, hour: int) -> Path:
    when = datetime.fromtimestamp(hour // NS, UTC)
    return folder / "sealed" / name / f"date={when:%Y-%m-%d}" / f"hour={when:%H}" / f"{of}.parquet"


def put(folder: Path, name: str, of: str, rows: Sequence[Row], *, hour: int = T0, about: dict[str, str] | None = None) -> Path:
    """One sealed file."""
    path = place(folder, name, of, hour)
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows, key=lambda row: (row["symbol"], row["ts"]))
    metadata = {"dope.schema": str(SCHEMA_VERSION), "dope.source": "live", "dope.tape": f"{of}.dope", **(about or {})}
    pq.write_table(
        table(name, ordered).replace_schema_metadata(metadata), path, compression="zstd", row_group_size=64, write_page_checksum=True
    )
    return path


def seal(folder: Path, of: str, tables: dict[str, Sequence[Row]], *, hour: int = T0, about: dict[str, str] | None = None) -> None:
    """All files of one tape, the gap table's last."""
    for name, rows in tables.items():
        if name != "gap" and rows:
            put(folder, name, of, rows, hour=hour, about=about)
    put(folder, "gap", of, tables.get("gap", ()), hour=hour, about=about)


class Tail:
    """Open tapes by name: what the recorder would hand over."""

    def __init__(self, tapes: dict[str, dict[str, Sequence[Row]]] | None = None) -> None:
        self.tapes = dict(tapes or {})

    def __call__(self, name: str, symbol: str, start: int, end: int) -> list[Unsealed]:
        found = []
        for each, tables in sorted(self.tapes.items()):
            times = [row["ts"] for rows in tables.values() for row in rows]
            if times:
                found.append(Unsealed(each, table(name, tables.get(name, ())), min(times), max(times)))
        return found
