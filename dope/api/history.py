"""Recorded history over REST: what kinds there are, and the rows of one of them as JSON, CSV, Parquet or Arrow, with its gaps."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from dope import __version__
from dope.api.context import Refusal, TheWeb
from dope.api.export import Collected, harmless
from dope.api.routes import problems, unknown
from dope.api.security import is_name
from dope.api.select import moment
from dope.api.shapes import ErrorOut
from dope.api.shapes_recorded import ColumnOut, GapOut, HistoryOut, KindOut
from dope.errors import UnknownName
from dope.tables import KINDS, History

HOUR_NS = 3_600 * 10**9
MS = 1_000_000
MAX_ROWS = 1_000_000
DEFAULT_ROWS = {"json": 10_000}  #: other forms: MAX_ROWS
MAX_GAPS = 1_000  #: told in one answer; ``gaps_total`` says how many there are
HEADER_GAPS = 10  #: in the header of a file
CHUNK = 5_000  #: rows encoded at a time
GROUP = 65_536  #: rows of a row group or record batch
MEDIA = {
    "json": "application/json", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}  # fmt: skip
_FRACTION = re.compile(r"(.{10,24}:[0-9]{2})[.,]([0-9]{1,9})(Z|[+-].{2,9})?")

router = APIRouter(prefix="/api/v1", responses=problems, tags=["history"])
answers: dict[int | str, dict[str, Any]] = {
    200: {
        "model": HistoryOut,
        "content": {media: {} for media in MEDIA.values()},
        "description": "the rows; files carry the rest of the answer in X-Dope-Meta, Parquet and Arrow also in their metadata (dope)",
    },
    409: {"model": ErrorOut, "description": "this history cannot be read now"},
    413: {"model": ErrorOut, "description": "this takes too long or too much memory: ask for a shorter range"},
}


@router.get("/history/kinds")
def history_kinds() -> list[KindOut]:
    """All kinds of history: what they are, their columns and units."""
    return [
        KindOut(
            kind=name, about=kind.about, one_symbol=kind.one_symbol, step_s=kind.step / 1e9 if kind.step > 1 else None,
            columns=[ColumnOut(name=field.name, type=_type_of(field), help=_help(field)) for field in kind.schema],
        )
        for name, kind in KINDS.items()
    ]  # fmt: skip


@router.get("/history/{kind}", responses=unknown | answers, response_class=StreamingResponse)
def history(
    web: TheWeb,
    kind: Annotated[str, Path(description="see /api/v1/history/kinds", max_length=40)],
    symbol: Annotated[str | None, Query(description="canonical symbol, e.g. BTC-USDT; without it all, where the kind allows it")] = None,
    start: Annotated[str | None, Query(max_length=40, description="from: ISO-8601 (else UTC) or ms; one hour before the end")] = None,
    end: Annotated[str | None, Query(max_length=40, description="up to, not included: the same forms; now")] = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_ROWS, description="rows at most: 10000 as JSON, a million otherwise")] = None,
    format: Annotated[Literal["json", "csv", "parquet", "arrow"], Query(description="of the answer")] = "json",
    source: Annotated[Literal["live", "sim", "import"] | None, Query(description="whose recording; what runs now")] = None,
) -> StreamingResponse:
    """Rows of one kind in a range of time, oldest first, and what is missing in that range: a hole is no calm.

    ``more`` says that the limit cut them: ask again with ``start`` = ``next``.
    """
    if kind not in KINDS:
        raise UnknownName("history", kind, KINDS)
    if symbol is not None and not is_name(symbol):
        raise Refusal(422, "this is not the form of a symbol", "upper-case letters, digits and '-', at most 32, such as BTC-USDT-PERP")
    if KINDS[kind].one_symbol and symbol is None:
        raise Refusal(422, f"{kind} has to be asked for one symbol", "add symbol=BTC-USDT or another one")
    until = web.clock_ns() if end is None else instant("end", end)
    since = until - HOUR_NS if start is None else instant("start", start)
    if since >= until:
        raise Refusal(422, "the range ends before it begins", "start has to be before end")
    wanted = limit or DEFAULT_ROWS.get(format, MAX_ROWS)
    answer: History = web.board.query(kind, symbol or "", since, until, limit=wanted, source=source or "")
    about = describe(kind, symbol, answer)
    headers = {} if format == "json" else _file_headers(kind, symbol, answer, about, format)
    return StreamingResponse(_parts(format, answer.table, about), media_type=MEDIA[format], headers=headers)


def instant(name: str, text: str) -> int:
    """ns UTC; up to nine digits behind the second count."""
    found = _FRACTION.fullmatch(text)
    if found is None:
        return (moment(name, text) or 0) * MS
    return (moment(name, found[1] + (found[3] or "")) or 0) * MS + int(found[2].ljust(9, "0"))


def describe(kind: str, symbol: str | None, answer: History) -> dict[str, Any]:
    """All of the answer but its rows."""
    told = answer.gaps.slice(0, MAX_GAPS)
    gaps = rows_of(told)
    last = answer.table.column(_time_column(answer.table.schema))[-1].as_py() if answer.more else None
    return {
        "kind": kind, "symbol": symbol, "source": answer.source, "version": __version__,
        "start": iso_of(answer.start), "end": iso_of(answer.end), "count": answer.table.num_rows, "more": answer.more,
        "next": None if last is None else iso_of(last) if isinstance(last, int) else last.isoformat(),
        "complete": not answer.gaps.num_rows and not answer.problems,
        "gaps_total": answer.gaps.num_rows, "gaps": [GapOut.model_validate(gap).model_dump() for gap in gaps],
        "problems": list(answer.problems),
    }  # fmt: skip


def _file_headers(kind: str, symbol: str | None, answer: History, about: dict[str, Any], form: str) -> dict[str, str]:
    name = "_".join(["dope", kind, *([symbol] if symbol else []), re.sub(r"[-:]|\..*", "", about["start"]) + "Z"])
    short = {**about, "gaps": about["gaps"][:HEADER_GAPS], "problems": about["problems"][:HEADER_GAPS]}
    return {
        "Content-Disposition": f'attachment; filename="{name}.{form}"',
        "X-Dope-Rows": str(answer.table.num_rows),
        "X-Dope-Meta": json.dumps(short),  # ASCII, as headers must be
    }


# -- forms -------------------------------------------------------------------------------------------------------------
def _parts(form: str, table: pa.Table, about: dict[str, Any]) -> Iterator[bytes]:
    if form == "json":
        return _json_parts(table, about)
    if form == "csv":
        return _csv_parts(table)
    return _parquet_parts(table, about) if form == "parquet" else _arrow_parts(table, about)


def _json_parts(table: pa.Table, about: dict[str, Any]) -> Iterator[bytes]:
    yield orjson.dumps(about)[:-1] + b',"rows":['
    for start in range(0, table.num_rows, CHUNK):
        yield (b"," if start else b"") + orjson.dumps(rows_of(table.slice(start, CHUNK)))[1:-1]
    yield b"]}"


def _csv_parts(table: pa.Table) -> Iterator[bytes]:
    """Header line and one line per row (RFC 4180); absent values are empty; times ISO-8601 UTC with nanoseconds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(table.column_names)
    for start in range(0, max(table.num_rows, 1), CHUNK):
        columns = [_shown(table.slice(start, CHUNK), name) for name in table.column_names]
        writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> Any:
    return "" if value is None else harmless(value.replace("\x00", "")) if isinstance(value, str) else value


def _parquet_parts(table: pa.Table, about: dict[str, Any]) -> Iterator[bytes]:
    sink = Collected()
    schema = table.schema.with_metadata({"dope": orjson.dumps(about)})
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd", write_page_checksum=True) as writer:
        for start in range(0, table.num_rows, GROUP):
            writer.write_table(table.slice(start, GROUP).replace_schema_metadata(schema.metadata))
            yield sink.take()
    yield sink.take()


def _arrow_parts(table: pa.Table, about: dict[str, Any]) -> Iterator[bytes]:
    sink = Collected()
    whole = table.replace_schema_metadata({"dope": orjson.dumps(about)}).unify_dictionaries()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), whole.schema) as writer:
        for batch in whole.to_batches(max_chunksize=GROUP):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Rows for JSON: each time of our own twice, ISO-8601 UTC with nanoseconds and ``_ms``."""
    columns: dict[str, list[Any]] = {}
    for field in table.schema:
        columns[field.name] = _shown(table, field.name)
        if _is_time(field):
            columns[f"{field.name}_ms"] = [None if ns is None else ns // MS for ns in table.column(field.name).to_pylist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _shown(table: pa.Table, name: str) -> list[Any]:
    column = table.column(name)
    if _is_time(table.schema.field(name)):
        column = column.cast(pa.timestamp("ns", tz="UTC"))
    if pa.types.is_timestamp(column.type):
        column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    shown: list[Any] = column.to_pylist()
    return shown


def iso_of(ns: int) -> str:
    text: str = pc.strftime(pa.scalar(ns, pa.timestamp("ns", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ").as_py()
    return text


def _time_column(schema: pa.Schema) -> str:
    return next(name for name in ("ts", "second", "timestamp") if name in schema.names)


def _help(field: pa.Field) -> str:
    return (field.metadata or {}).get(b"help", b"").decode()


def _is_time(field: pa.Field) -> bool:
    """An int64 that counts ns."""
    return field.type == pa.int64() and _help(field).startswith("ns UTC")


def _type_of(field: pa.Field) -> str:
    if _is_time(field) or pa.types.is_timestamp(field.type):
        return "time"
    return "number" if field.type == pa.float64() else "count" if field.type == pa.int64() else "text"
