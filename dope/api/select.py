"""Which opportunities a reader wants: the filters, and the rows that pass, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel

from dope.api.context import Current, Refusal, TheWeb, iso
from dope.api.security import is_name
from dope.board import Snapshot
from dope.errors import UnknownName

MAX_LIMIT = 10_000  #: rows of one JSON answer
KINDS = ("spot", "perp", "future", "option")
MS = 1_000_000
LAST_MS = 9_214_646_400_000  #: 2262-01-01: in ns, what is later does not fit into 64 bits


class Filters(BaseModel):
    """All optional; ``since`` and ``until`` bound the time at which an opportunity opened."""

    state: Literal["open", "fading", "closed", "stale"] | None = None
    asset: str | None = None
    kind: Literal["spot", "perp", "future", "option", "reference"] | None = None
    venue: str | None = None
    min_net: float | None = None
    max_net: float | None = None
    min_size: float | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def describe(self) -> dict[str, Any]:
        """The filters in force, for the metadata of an export."""
        told = self.model_dump(exclude_none=True, exclude={"since_ms", "until_ms"})
        times = {"since": iso(self.since_ms), "until": iso(self.until_ms)}
        return told | {name: t for name, t in times.items() if t is not None}


def filters(
    snapshot: Current,
    state: Annotated[Literal["open", "fading", "closed", "stale"] | None, Query(description="only this state")] = None,
    asset: Annotated[str | None, Query(max_length=640, description="base asset, e.g. BTC; several with commas")] = None,
    kind: Annotated[Literal["spot", "perp", "future", "option", "reference"] | None, Query(description="only this kind of market")] = None,
    venue: Annotated[str | None, Query(max_length=64, description="venue id of either leg")] = None,
    min_net: Annotated[float | None, Query(allow_inf_nan=False, description="bps after fees, at least")] = None,
    max_net: Annotated[float | None, Query(allow_inf_nan=False, description="bps after fees, at most")] = None,
    min_size: Annotated[float | None, Query(allow_inf_nan=False, description="best size in quote currency, at least")] = None,
    since: Annotated[str | None, Query(max_length=40, description="opened at or after: ISO-8601 (else UTC) or ms")] = None,
    until: Annotated[str | None, Query(max_length=40, description="opened at or before: the same forms")] = None,
) -> Filters:
    """The query parameters as Filters. Raises Refusal or UnknownName for what cannot be meant."""
    if asset is not None:
        known = {row["base"] for row in snapshot.data.get("instruments", ())}
        for each in asset.split(","):
            check_name("asset", each, known)
    if venue is not None and venue not in (ids := [row["id"] for row in snapshot.data.get("venues", ())]):
        raise UnknownName("venue", venue, ids)
    return Filters(
        state=state, asset=asset, kind=kind, venue=venue, min_net=min_net, max_net=max_net, min_size=min_size,
        since_ms=moment("since", since), until_ms=moment("until", until),
    )  # fmt: skip


TheFilters = Annotated[Filters, Depends(filters)]


def check_name(what: str, name: str, known: set[str]) -> None:
    """Raises Refusal when ``name`` has not the form of a name, UnknownName when it is none of ``known``."""
    if not is_name(name):
        raise Refusal(422, f"this is not the form of a {what}", "upper-case letters, digits and '-', at most 32, such as BTC-USDT-PERP")
    if name not in known:
        raise UnknownName(what, name, sorted(known))


def opportunities(web: TheWeb, snapshot: Snapshot, wanted: Filters) -> list[dict[str, Any]]:
    """Rows in the shape of the ``opps`` section that pass the filters, newest first: history and what is open now."""
    start = (wanted.since_ms or 0) * MS
    end = (wanted.until_ms + 1) * MS - 1 if wanted.until_ms is not None else 0
    by_id = {row["id"]: row for row in web.board.query("opportunities", "", start, end)}
    by_id.update((row["id"], row) for row in snapshot.data.get("opps", ()))
    rows = [row for row in by_id.values() if _passes(row, wanted)]
    rows.sort(key=lambda row: (row["opened"], row["id"]), reverse=True)
    return rows


def _passes(row: dict[str, Any], wanted: Filters) -> bool:
    checks = (
        wanted.state is None or row["state"] == wanted.state,
        wanted.asset is None or row["base"] in wanted.asset.split(","),
        wanted.kind is None or row["kind"] == wanted.kind,
        wanted.venue is None or wanted.venue in (row["buy_venue"], row["sell_venue"]),
        wanted.min_net is None or _least(row.get("net_bps")) >= wanted.min_net,
        wanted.max_net is None or _least(row.get("net_bps")) <= wanted.max_net,
        wanted.min_size is None or _least(row.get("size")) >= wanted.min_size,
        wanted.since_ms is None or row["opened"] >= wanted.since_ms,
        wanted.until_ms is None or row["opened"] <= wanted.until_ms,
    )
    return all(checks)


def _least(value: float | None) -> float:
    return float("-inf") if value is None else value


def moment(name: str, text: str | None) -> int | None:
    """ms UTC of an ISO-8601 text or of a number of ms. Raises Refusal for what is none, or outside 1970 to 2261."""
    if text is None:
        return None
    try:
        when = datetime.fromtimestamp(int(text) / 1000, UTC) if text.isascii() and text.isdigit() else datetime.fromisoformat(text)
        ms = round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise Refusal(422, f"{name} is no time", "ISO-8601 such as 2026-01-31T12:00:00Z, or ms since 1970") from error
    if not 0 <= ms < LAST_MS:
        raise Refusal(422, f"{name} is too far away", "times from 1970 to 2261 can be asked for")
    return ms
