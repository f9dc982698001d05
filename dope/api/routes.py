"""The REST routes under ``/api/v1`` and the live stream: all read the board, none changes anything but by a command."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response, WebSocket

from dope.api.context import Current, Refusal, TheWeb, Web, spend, with_times
from dope.api.live import Hub
from dope.api.rates import COSTLY_WISHES
from dope.api.select import MAX_LIMIT, TheFilters, check_name, opportunities
from dope.api.shapes import AcceptedOut, BookOut, ErrorOut, JobOut, OpportunitiesOut, SpreadsOut, SymbolOut, VenueOut
from dope.api.tokens import address_of
from dope.api.wishes import Wish
from dope.board import Command, Snapshot
from dope.errors import UnknownName

MAX_LEVELS = 1000  #: levels per side of one answer
BUSY = 2  #: unfinished jobs of one kind (one runs, one waits) beyond which a further one is refused
BUSY_RETRY_S = 10
JUST_ASKED_S = 5.0  #: s during which a command that was accepted may not be on the board yet

problems: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorOut, "description": "no token, or a wrong one"},
    403: {"model": ErrorOut, "description": "from another site, or the token may only read"},
    414: {"model": ErrorOut, "description": "address longer than 8 KiB"},
    421: {"model": ErrorOut, "description": "unknown Host name"},
    422: {"model": ErrorOut, "description": "a parameter cannot be meant"},
    429: {"model": ErrorOut, "description": "too many requests from this address; see Retry-After"},
    503: {"model": ErrorOut, "description": "the engine is not running"},
}
unknown: dict[int | str, dict[str, Any]] = {404: {"model": ErrorOut, "description": "unknown name; the hint names the nearest"}}
writes: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorOut, "description": "malformed"},
    409: {"model": ErrorOut, "description": "not possible now"},
    413: {"model": ErrorOut, "description": "body above 64 KiB"},
    429: {"model": ErrorOut, "description": "one runs and one waits already, or too many requests; see Retry-After"},
}
router = APIRouter(prefix="/api/v1", responses=problems)
Symbol = Annotated[str, Path(description="canonical symbol, e.g. BTC-USDT-PERP")]
JobId = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/live", tags=["live"], response_class=Response, responses={200: {"content": {"application/json": {}}}})
def live_snapshot(request: Request) -> Response:
    """The first message of ``/ws/v1/live``, for clients that cannot use WebSockets: poll it."""
    hub: Hub = request.app.state.hub
    return Response(hub.poll(), media_type="application/json")


@router.get("/venues", tags=["market"])
def venues(snapshot: Current) -> list[VenueOut]:
    """All venues and the health of their connections."""
    return [VenueOut.model_validate(with_times(row, ("since", "next_retry"))) for row in snapshot.data.get("venues", ())]


@router.get("/symbols", tags=["market"])
def symbols(snapshot: Current) -> list[SymbolOut]:
    """All watched markets; prices only where the book is known to be right."""
    return [SymbolOut.model_validate(_only_if_live(row)) for row in snapshot.data.get("instruments", ())]


@router.get("/books/{symbol}", tags=["market"], responses=unknown)
def books(
    web: TheWeb, snapshot: Current, symbol: Symbol, levels: Annotated[int, Query(ge=1, le=MAX_LEVELS, description="levels per side")] = 50
) -> list[BookOut]:
    """The order books of one symbol at every venue that lists it."""
    check_name("symbol", symbol, _symbols(snapshot))
    return [_book(row, levels) for row in web.board.query("book", symbol)]


@router.get("/opportunities", tags=["arbitrage"], responses=unknown)
def list_opportunities(
    web: TheWeb, snapshot: Current, wanted: TheFilters, limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="rows at most")] = 1000
) -> OpportunitiesOut:
    """Opportunities since start, open and closed, newest first."""
    rows = opportunities(web, snapshot, wanted)
    shown = [with_times(row, ("peak_t", "opened", "closed")) for row in rows[:limit]]
    return OpportunitiesOut.model_validate({"count": len(shown), "matched": len(rows), "rows": shown})


@router.get("/spreads/{symbol}", tags=["arbitrage"], responses=unknown)
def spreads(snapshot: Current, symbol: Symbol) -> SpreadsOut:
    """Price differences of one symbol between all venues, now and over the last samples."""
    check_name("symbol", symbol, _symbols(snapshot))
    market = next((row["base"], row["quote"], row["kind"]) for row in snapshot.data["instruments"] if row["symbol"] == symbol)
    matrices = (m for m in snapshot.data.get("matrix", ()) if (m["base"], m["quote"], m["kind"]) == market)
    pairs = [row for row in snapshot.data.get("pairs", ()) if row["symbol"] == symbol]
    return SpreadsOut.model_validate({"symbol": symbol, "matrix": next(matrices, None), "pairs": pairs})


@router.get("/jobs", tags=["jobs"])
def jobs(snapshot: Current) -> list[JobOut]:
    """All background jobs, oldest first."""
    return [_job(row) for row in snapshot.data.get("jobs", ())]


@router.get("/jobs/{id}", tags=["jobs"], responses=unknown)
def job(request: Request, web: TheWeb, snapshot: Current, id: JobId) -> JobOut:
    """One background job."""
    rows = {row["id"]: row for row in snapshot.data.get("jobs", ())}
    if id in rows:
        return _job(rows[id])
    name, asked = request.app.state.asked.get(id, ("", 0))
    if name and (web.clock_ns() - asked) / 1e9 < JUST_ASKED_S:
        return JobOut(id=id, kind=name, state="queued")
    raise UnknownName("job", str(id), map(str, rows))


@router.post("/commands", tags=["jobs"], status_code=202, responses=unknown | writes)
def command(request: Request, web: TheWeb, snapshot: Current, wish: Wish) -> AcceptedOut:
    """Ask the engine to do something; answers at once with the id of the job."""
    if wish.name in COSTLY_WISHES:
        spend(request)
    with request.app.state.asked.turn:  # of many at the same instant, too, only as many get in as there are places
        if _unfinished(request, web, snapshot, wish.name) >= BUSY:
            error = f"a {wish.name} job is running and another one waits"
            raise Refusal(429, error, "cancel one or try again later", retry_after_s=BUSY_RETRY_S)
        return ask(request, web, Command(wish.name, wish.args.model_dump(exclude_none=True), address_of(request.scope)))


@router.post("/jobs/{id}/cancel", tags=["jobs"], status_code=202, responses=unknown | writes)
def cancel(request: Request, web: TheWeb, snapshot: Current, id: JobId) -> AcceptedOut:
    """Ask for the end of a job."""
    job(request, web, snapshot, id)
    return ask(request, web, Command("cancel", {"job": id}, address_of(request.scope)))


stream = APIRouter()


@stream.websocket("/ws/v1/live")
async def live(socket: WebSocket) -> None:
    """The live stream, see ``live.py``."""
    hub: Hub = socket.app.state.hub
    await hub.serve(socket)


def ask(request: Request, web: Web, wish: Command) -> AcceptedOut:
    """Hand a wish to the engine. Raises Refusal and what the engine says."""
    try:
        number = web.board.ask(wish)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    request.app.state.asked.remember(number, (wish.name, web.clock_ns()))
    return AcceptedOut(job=number)


def _unfinished(request: Request, web: Web, snapshot: Snapshot, kind: str) -> int:
    """Jobs of one kind that run or wait, also those accepted so lately that the board does not show them."""
    rows = snapshot.data.get("jobs", ())
    shown = {row["id"] for row in rows}
    asked = [
        job for job, (name, at) in list(request.app.state.asked.items()) if name == kind and (web.clock_ns() - at) / 1e9 < JUST_ASKED_S
    ]
    unseen = [job for job in asked if job not in shown] if kind in COSTLY_WISHES else []
    return len(unseen) + sum(row["kind"] == kind and row["state"] in ("queued", "running") for row in rows)


def _symbols(snapshot: Snapshot) -> set[str]:
    return {row["symbol"] for row in snapshot.data.get("instruments", ())}


def _only_if_live(row: dict[str, Any]) -> dict[str, Any]:
    """A book that is not known to be right has no current prices."""
    if row["state"] == "LIVE":
        return row
    return {**row, "bid": None, "bid_size": None, "ask": None, "ask_size": None, "mid": None}


def _book(row: dict[str, Any], levels: int) -> BookOut:
    live = row["state"] == "LIVE"
    sides = {side: [level[:2] for level in row[side][:levels]] if live else [] for side in ("bids", "asks")}
    return BookOut.model_validate({**with_times(row, ("received",)), "current": live, **sides})


def _job(row: dict[str, Any]) -> JobOut:
    return JobOut.model_validate(with_times(row, ("started", "ended")))
