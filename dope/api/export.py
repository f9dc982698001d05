"""Files of opportunities: raw numbers, ISO-8601 UTC times, the filters and settings with them; CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from dope import __version__
from dope.api.context import Current, Refusal, TheWeb, Web, iso
from dope.api.routes import problems, unknown
from dope.api.select import Filters, TheFilters, opportunities
from dope.api.shapes import ErrorOut
from dope.board import Snapshot

MAX_ROWS = 1_000_000
CHUNK = 2_000  #: rows encoded at a time
AT_ONCE = 2  #: exports collected at the same time; further ones are told to come back
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  #: what a spreadsheet may take for a formula

TEXT, NUMBER, COUNT, TIME = pa.string(), pa.float64(), pa.int64(), pa.timestamp("ms", tz="UTC")
#: column → (type, unit), in the order of the file
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "id": (COUNT, ""), "state": (TEXT, ""), "reason": (TEXT, ""), "symbol": (TEXT, ""), "base": (TEXT, ""), "quote": (TEXT, ""),
    "kind": (TEXT, ""), "buy_venue": (TEXT, ""), "sell_venue": (TEXT, ""), "buy": (TEXT, ""), "sell": (TEXT, ""),
    "opened": (TIME, "UTC"), "closed": (TIME, "UTC"), "life_s": (NUMBER, "s"), "peak_t": (TIME, "UTC"), "peak_bps": (NUMBER, "bps"),
    "buy_px": (NUMBER, "quote"), "sell_px": (NUMBER, "quote"), "buy_vwap": (NUMBER, "quote"), "sell_vwap": (NUMBER, "quote"),
    "gross_bps": (NUMBER, "bps"), "fees_bps": (NUMBER, "bps"), "net_bps": (NUMBER, "bps"), "touch_net_bps": (NUMBER, "bps"),
    "size": (NUMBER, "quote"), "qty": (NUMBER, "base"), "gross": (NUMBER, "quote"), "fees": (NUMBER, "quote"), "net": (NUMBER, "quote"),
    "net_at_order": (NUMBER, "quote"), "net_bps_at_order": (NUMBER, "bps"), "order_qty": (NUMBER, "base"),
    "indicative_pct": (NUMBER, "percent"), "indicative_profit_pct": (NUMBER, "percent"), "buy_cost": (NUMBER, "quote"),
    "sell_proceeds": (NUMBER, "quote"), "fee_buy_bps": (NUMBER, "bps"), "fee_sell_bps": (NUMBER, "bps"), "fee_slack_bps": (NUMBER, "bps"),
    "buy_age_ms": (NUMBER, "ms"), "sell_age_ms": (NUMBER, "ms"), "skew_ms": (NUMBER, "ms"), "max_age_ms": (NUMBER, "ms"),
    "updates": (COUNT, ""),
}  # fmt: skip
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "json": "application/json"}

router = APIRouter(prefix="/api/v1/export", responses=problems | unknown)
_places = threading.BoundedSemaphore(AT_ONCE)
too_much: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in MEDIA.values()}, "description": "the file; X-Dope-Rows: how many rows, X-Dope-Meta: which"},
    413: {"model": ErrorOut, "description": f"more than {MAX_ROWS} rows"},
    429: {"model": ErrorOut, "description": "two exports are being made, or too many requests; see Retry-After"},
}


@router.get("/opportunities.{form}", tags=["export"], response_class=StreamingResponse, responses=too_much)
def export_opportunities(
    web: TheWeb,
    snapshot: Current,
    wanted: TheFilters,
    form: Literal["csv", "parquet", "json"],
    meta: Annotated[bool, Query(description="CSV: begin with comment lines that tell filters and settings")] = False,
) -> StreamingResponse:
    """All opportunities that match, newest first. In CSV a text that a spreadsheet would run as a formula gets a leading ``'``."""
    if not _places.acquire(blocking=False):
        raise Refusal(429, "two exports are being made already", "try again in a few seconds", retry_after_s=3)
    try:
        rows = opportunities(web, snapshot, wanted)
    finally:
        _places.release()
    check_size(len(rows))
    about = describe(web, snapshot, wanted, len(rows))
    made = datetime.fromtimestamp(web.clock_ns() / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "Content-Disposition": f'attachment; filename="dope_opportunities_{made}.{form}"',
        "X-Dope-Rows": str(len(rows)),
        "X-Dope-Meta": json.dumps({k: v for k, v in about.items() if k != "columns"}),  # ASCII, as headers must be
    }
    return StreamingResponse(_parts(form, rows, about, comments=meta), media_type=MEDIA[form], headers=headers)


def check_size(rows: int) -> None:
    """Raises Refusal when one file does not hold so many rows."""
    if rows > MAX_ROWS:
        raise Refusal(413, f"{rows} rows are more than one file holds ({MAX_ROWS})", "narrow the filters or the time range")


def _parts(form: str, rows: list[dict[str, Any]], about: dict[str, Any], *, comments: bool) -> Iterator[bytes]:
    if form == "csv":
        return csv_parts(rows, about if comments else None)
    return parquet_parts(rows, about) if form == "parquet" else json_parts(rows, about)


def describe(web: Web, snapshot: Snapshot, wanted: Filters, rows: int) -> dict[str, Any]:
    """What a file holds and under which settings it came about; goes with every export."""
    mode = snapshot.data.get("mode") or {}
    names = ("source", "order_size", "min_net_bps", "leave_net_bps", "min_notional")
    return {
        "what": "opportunities", "made": iso(web.clock_ns() // 1_000_000), "version": __version__, "rows": rows,
        "filters": wanted.describe(), "settings": {name: mode[name] for name in names if name in mode},
        "columns": {name: unit for name, (_, unit) in COLUMNS.items() if unit},
    }  # fmt: skip


def harmless(text: str) -> str:
    """``text`` as no spreadsheet runs it: a formula would be told by its first character that is no space."""
    return "'" + text if text.startswith(FORMULA) or text.lstrip(" ").startswith(FORMULA) else text


def csv_parts(rows: list[dict[str, Any]], about: dict[str, Any] | None) -> Iterator[bytes]:
    """Header line and one line per row (RFC 4180); absent values are empty. ``about`` becomes lines that begin with ``# ``."""
    if about is not None:
        yield "".join(f"# {name}: {orjson.dumps(value).decode()}\r\n" for name, value in about.items()).encode()
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for start in range(0, max(len(rows), 1), CHUNK):
        writer.writerows([_cell(row.get(name), kind) for name, (kind, _) in COLUMNS.items()] for row in rows[start : start + CHUNK])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return ""
    if kind is TEXT:
        return harmless(str(value).replace("\x00", ""))
    return iso(value) if kind is TIME else value


def json_parts(rows: list[dict[str, Any]], about: dict[str, Any]) -> Iterator[bytes]:
    """``{"meta": …, "rows": [{column: value}…]}``"""
    yield b'{"meta":' + orjson.dumps(about) + b',"rows":['
    for start in range(0, len(rows), CHUNK):
        chunk = [{name: _json_value(row.get(name), kind) for name, (kind, _) in COLUMNS.items()} for row in rows[start : start + CHUNK]]
        yield (b"," if start else b"") + orjson.dumps(chunk)[1:-1]
    yield b"]}"


def _json_value(value: Any, kind: pa.DataType) -> Any:
    return iso(value) if kind is TIME else value


def parquet_parts(rows: list[dict[str, Any]], about: dict[str, Any]) -> Iterator[bytes]:
    """One row group per 50 chunks; the description is in the schema's metadata under ``dope``."""
    fields = [pa.field(name, kind, metadata={"unit": unit}) for name, (kind, unit) in COLUMNS.items()]
    schema = pa.schema(fields, metadata={"dope": orjson.dumps(about)})
    sink = Collected()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for start in range(0, len(rows), 50 * CHUNK):
            chunk = rows[start : start + 50 * CHUNK]
            arrays = [pa.array([row.get(name) for row in chunk], type=kind) for name, (kind, _) in COLUMNS.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


class Collected(io.RawIOBase):
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
