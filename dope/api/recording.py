"""The recording over REST: the gap ledger (what is missing, from when to when, why), and how the recording is kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Query

from dope.api.context import Refusal, TheWeb, with_times
from dope.api.history import instant, iso_of, rows_of
from dope.api.routes import problems, unknown
from dope.api.security import is_name
from dope.api.shapes import ErrorOut
from dope.api.shapes_recorded import GapRow, GapsOut, StorageOut
from dope.tables import History

DAY_NS = 86_400 * 10**9
MAX_LIMIT = 10_000
UNRECORDED = ("recording", "file")  #: gaps in which nothing at all of the range is there, unless they are of one venue only

router = APIRouter(prefix="/api/v1", responses=problems, tags=["history"])
reads: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorOut, "description": "this recording cannot be read now"},
    413: {"model": ErrorOut, "description": "this takes too long or too much memory: ask for a shorter range"},
}
Source = Annotated[Literal["live", "sim", "import"] | None, Query(description="whose recording; what runs now")]


@router.get("/gaps", responses=unknown | reads)
def gaps(
    web: TheWeb,
    source: Source = None,
    symbol: Annotated[str | None, Query(description="canonical symbol; also tells what is missing of all symbols")] = None,
    venue: Annotated[str | None, Query(max_length=64, description="venue id; also tells what is missing of all venues")] = None,
    what: Annotated[Literal["book", "connection", "recording", "rows", "file"] | None, Query(description="only this kind of gap")] = None,
    start: Annotated[str | None, Query(max_length=40, description="from: ISO-8601 (else UTC) or ms; one day before the end")] = None,
    end: Annotated[str | None, Query(max_length=40, description="up to, not included: the same forms; now")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="rows at most")] = 1000,
    offset: Annotated[int, Query(ge=0, le=2**53, description="rows to leave out, from the newest")] = 0,
) -> GapsOut:
    """What is missing of a recording in a range of time, also where nobody could say so at the time, newest first."""
    if symbol is not None and not is_name(symbol):
        raise Refusal(422, "this is not the form of a symbol", "upper-case letters, digits and '-', at most 32, such as BTC-USDT-PERP")
    now = web.clock_ns()
    until = now if end is None else instant("end", end)
    since = max(until - DAY_NS, 0) if start is None else instant("start", start)
    if since >= until:
        raise Refusal(422, "the range ends before it begins", "start has to be before end")
    answer: History = web.board.query("gaps", symbol or "", since, until, source=source or "")
    found = [row for row in answer.gaps.to_pylist() if venue is None or row["venue"] in ("", venue)]
    found = [row for row in found if what is None or row["what"] == what][::-1]
    shown = found[offset : offset + limit]
    told = rows_of(pa.Table.from_pylist(shown, schema=answer.gaps.schema))
    return GapsOut(
        source=answer.source, start=iso_of(answer.start), end=iso_of(answer.end), count=len(shown), matched=len(found),
        more=offset + len(shown) < len(found), unrecorded_s=_unrecorded(answer, now), lost=sum(row["lost"] or 0 for row in found),
        problems=list(answer.problems),
        rows=[GapRow(**row, seconds=max(0.0, ((raw["until"] or now) - raw["ts"]) / 1e9)) for row, raw in zip(told, shown, strict=True)],
    )  # fmt: skip


def _unrecorded(answer: History, now: int) -> float:
    """s of the range that lie in a gap of the whole recording; what two gaps share counts once."""
    spans = sorted(
        (max(row["ts"], answer.start), min(row["until"] or now, answer.end))
        for row in answer.gaps.to_pylist()
        if row["what"] in UNRECORDED and not row["venue"] and not row["symbol"]
    )
    total, reached = 0, answer.start
    for first, last in spans:
        total += max(0, last - max(first, reached))
        reached = max(reached, last)
    return total / 1e9


@router.get("/storage", responses=unknown)
def storage(web: TheWeb, source: Source = None) -> StorageOut:
    """What there is of a recording, the room it takes and has left, when it was sealed and verified last."""
    row = web.board.query("storage", source=source or "")
    return StorageOut.model_validate(with_times(row, ("first", "last", "sealed_last", "verified")))
