"""What the detectors found, beside opportunities: ``/api/v1/signals``, recent ones from memory, older ones from recorded history."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, iso
from dope.api.history import instant
from dope.api.routes import problems
from dope.errors import StoreError
from dope.symbols import MAX_TEXT
from dope.tables import History

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])

MS = 1_000_000
MAX_SIGNALS = 1_000
OLD_ROWS = 20_000  #: of recorded history that are looked through for one answer
Kind = Annotated[str, Field(max_length=32)]


class SignalOut(BaseModel):
    """One finding. Times of our own clock; ``detail`` holds every field of its kind, times in ns."""

    at: str
    at_ms: int
    kind: str
    symbol: str = Field(description="empty = of no one symbol")
    venues: list[str] = Field(description="that it names")
    text: str = Field(description="for people; empty for those read from recorded history")
    value: str = Field(description="the figure beside it, with its unit")
    tone: str = Field(description="pos, neg, warn or empty")
    detail: dict[str, Any]


class SignalsOut(BaseModel):
    """Newest first."""

    rows: list[SignalOut]
    kinds: dict[str, int] = Field(description="how many of each kind are in memory, whatever was asked for")
    whole_since: str | None = Field(description="from then on memory holds all of them; null = nothing is known yet")
    whole_since_ms: int | None
    older: bool = Field(description="whether recorded history was asked for older ones, too, and could be")


@router.get("/signals")
def signals(
    web: TheWeb, snapshot: Current,
    kinds: Annotated[
        list[Kind] | None, Query(max_length=32, description="jump, burst, whale, link …; repeated or with commas; none = all")
    ] = None,
    symbol: Annotated[str, Query(max_length=MAX_TEXT, description="canonical")] = "",
    venue: Annotated[str, Query(max_length=32, description="a venue that it names")] = "",
    since: Annotated[str | None, Query(max_length=40, description="found then or later: ISO-8601 or ms; what memory holds")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SIGNALS, description="rows at most")] = 100,
) -> SignalsOut:  # fmt: skip
    """Jumps, bursts of volume, large trades, links between jumps and whatever else was found, newest first."""
    wanted = [word for kind in kinds or () for word in kind.split(",") if word]
    start = 0 if since is None else instant("since", since)
    empty: dict[str, Any] = {"rows": [], "kinds": {}, "whole_since": 0}
    found = web.board.query("signals", symbol, start, limit=limit, args={"kinds": wanted, "venue": venue}) or empty
    rows, whole = list(found["rows"]), found["whole_since"]
    older = 0 < start < whole
    if older and len(rows) < limit:
        try:
            past = _past(web.board.query("signal", symbol, start, whole, limit=OLD_ROWS), wanted, venue)
            rows += past[: limit - len(rows)]
        except StoreError:  # a recording is played back: what was found in it stands in memory alone
            older = False
    return SignalsOut(
        rows=[SignalOut.model_validate({**row, "at": iso(row["ts"] // MS), "at_ms": row["ts"] // MS}) for row in rows],
        kinds=found["kinds"], whole_since=iso(whole // MS) if whole else None, whole_since_ms=whole // MS if whole else None, older=older,
    )  # fmt: skip


def _past(answer: History, kinds: list[str], venue: str) -> list[dict[str, Any]]:
    """Rows of recorded history as those in memory are, newest first."""
    found = []
    for row in reversed(answer.table.to_pylist()):
        detail = json.loads(row["detail"])
        venues = {value for name, value in detail.items() if value and (name == "venue" or name.endswith("_venue"))}
        if (kinds and row["kind"] not in kinds) or (venue and venue not in venues):
            continue
        told = {"text": "", "value": "", "tone": "", "detail": detail, "venues": sorted(venues)}
        found.append({"ts": row["ts"], "kind": row["kind"], "symbol": row["symbol"] or "", **told})
    return found
