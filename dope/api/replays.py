"""Replays over REST: the recordings there are, sessions that play them, and for each its own live stream ``/ws/v1/replay/{id}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response, WebSocket
from pydantic import Field

from dope.api.clients import Places
from dope.api.context import Refusal, TheWeb, Web, spend, with_times
from dope.api.live import Hub
from dope.api.routes import problems, unknown, writes
from dope.api.select import moment
from dope.api.shapes_recorded import BundleOut, RecordingOut, ReplayOut
from dope.api.tokens import Tokens
from dope.api.wishes import Strict, TapeName
from dope.board import Command
from dope.errors import DopeError

GONE = 4404  #: WebSocket close code: there is no such replay
HUBS = 32  #: streams kept; one without clients is forgotten first
MS = 1_000_000

router = APIRouter(prefix="/api/v1", responses=problems, tags=["replay"])
stream = APIRouter()
ReplayId = Annotated[int, Path(ge=1, le=2**53, description="id of a replay")]
Verb = Annotated[Literal["start", "pause", "resume", "stop"], Path(description="the button")]
Moment = Annotated[str, Field(max_length=40)] | Annotated[int, Field(ge=0, le=2**53)]
Speed = Annotated[float, Field(ge=0.1, le=1e6, allow_inf_nan=False)] | Literal["max"]


class Loop(Strict):
    """Two moments between which it runs again and again."""

    a: Moment
    b: Moment


class NewReplay(Strict):
    tape: TapeName | None = Field(None, description="a tape of the recording that is meant")
    bundle: TapeName | None = Field(None, description="instead: a bundle of /api/v1/bundles, played by the rules it was made with")
    from_: Moment | None = Field(None, alias="from", description="where to begin: ISO-8601 (else UTC) or ms; without a tape also which")
    until: Moment | None = Field(None, description="where to end")
    speed: Speed = Field(1.0, description='recorded seconds per second, or "max"')
    start: bool = Field(True, description="false = stand still at its beginning")
    loop: Loop | None = None


class SeekArgs(Strict):
    to: Moment = Field(description="ISO-8601 (else UTC) or ms")


class SpeedArgs(Strict):
    speed: Speed = Field(description='recorded seconds per second, or "max"')


class StepArgs(Strict):
    by: Literal[1, -1] = Field(1, description="one event later or earlier")


class LoopArgs(Strict):
    loop: Loop | None = Field(description="null = no longer")


class Hubs:
    """One stream per replay that somebody watches. Lives on the web server's event loop."""

    def __init__(self, web: Web, tokens: Tokens, places: Places) -> None:
        self._web, self._tokens, self._places = web, tokens, places
        self._hubs: dict[int, Hub] = {}

    def of(self, number: int) -> Hub:
        """The stream of that replay. Raises UnknownName."""
        hub = self._hubs.get(number)
        board = self._web.board.query("replay_board", str(number))
        if hub is None:
            hub = Hub(board, self._web.settings, self._tokens, self._places, clock_ns=self._web.clock_ns, watch=self._web.watch)
            for old in [each for each, stream in self._hubs.items() if not stream.clients][: max(0, len(self._hubs) - HUBS + 1)]:
                del self._hubs[old]
            self._hubs[number] = hub
        return hub


@router.get("/recordings")
def recordings(web: TheWeb) -> list[RecordingOut]:
    """All tapes, oldest first: what each covers, how whole it is, where frames are missing."""
    rows = [(row, [with_times(gap, ("from", "to")) for gap in row["gaps"]]) for row in web.board.query("recordings")]
    return [RecordingOut.model_validate({**with_times(row, ("first", "last")), "gaps": gaps}) for row, gaps in rows]


@router.get("/bundles")
def bundles(web: TheWeb) -> list[BundleOut]:
    """The bundles that lie in the folder ``bundles`` of the data folder, by name."""
    return [BundleOut.model_validate(row) for row in web.board.query("bundles")]


@router.get("/replays")
def replays(web: TheWeb) -> list[ReplayOut]:
    """All replays, oldest first."""
    return [_out(row) for row in web.board.query("replays")]


@router.post("/replays", status_code=201, responses=unknown | writes)
def create(request: Request, web: TheWeb, wanted: NewReplay) -> ReplayOut:
    """Play a recording beside the live market, on a board and a stream of its own."""
    spend(request)
    if wanted.tape is None and wanted.from_ is None and wanted.bundle is None:
        raise Refusal(422, "which recording is meant?", "give tape (see /api/v1/recordings), bundle (see /api/v1/bundles) or from")
    if wanted.tape is not None and wanted.bundle is not None:
        raise Refusal(422, "a bundle is played alone", "give tape or bundle")
    args = wanted.model_dump(include={"tape", "bundle", "speed", "start"}) | {"loop": _loop(wanted.loop)}
    for name, at in (("from", wanted.from_), ("until", wanted.until)):
        args[name] = None if at is None else _ns(name, at)
    return _status(web, _ask(web, {"do": "create", **args}))


@router.get("/replays/{id}", responses=unknown)
def replay(web: TheWeb, id: ReplayId) -> ReplayOut:
    """How one stands."""
    return _status(web, id)


@router.delete("/replays/{id}", status_code=204, responses=unknown | writes)
def remove(web: TheWeb, id: ReplayId) -> None:
    """End it and forget it."""
    _ask(web, {"do": "remove", "id": id})


@router.get("/replays/{id}/live", response_class=Response, responses=unknown | {200: {"content": {"application/json": {}}}})
async def replay_snapshot(request: Request, id: ReplayId) -> Response:
    """The first message of ``/ws/v1/replay/{id}``, for clients that cannot use WebSockets: poll it."""
    return Response(request.app.state.replays.of(id).poll(), media_type="application/json")


@router.post("/replays/{id}/seek", status_code=202, responses=unknown | writes)
def seek(web: TheWeb, id: ReplayId, args: SeekArgs) -> ReplayOut:
    """Be at that moment soon; backwards the books are built anew, so that none is shown that is not known."""
    return _wish(web, id, "seek", to=_ns("to", args.to))


@router.post("/replays/{id}/speed", status_code=202, responses=unknown | writes)
def speed(web: TheWeb, id: ReplayId, args: SpeedArgs) -> ReplayOut:
    """Faster or slower."""
    return _wish(web, id, "speed", speed=args.speed)


@router.post("/replays/{id}/step", status_code=202, responses=unknown | writes)
def step(web: TheWeb, id: ReplayId, args: StepArgs | None = None) -> ReplayOut:
    """Stand still, one event later or earlier."""
    return _wish(web, id, "step", by=args.by if args is not None else 1)


@router.post("/replays/{id}/loop", status_code=202, responses=unknown | writes)
def loop(web: TheWeb, id: ReplayId, args: LoopArgs) -> ReplayOut:
    """Run again and again between two moments."""
    return _wish(web, id, "loop", loop=_loop(args.loop))


@router.post("/replays/{id}/{verb}", status_code=202, responses=unknown | writes)
def press(web: TheWeb, id: ReplayId, verb: Verb) -> ReplayOut:
    """Start or go on, stand still, or end it (its last state stays to be read)."""
    return _wish(web, id, verb)


@stream.websocket("/ws/v1/replay/{id}")
async def watch(socket: WebSocket, id: int) -> None:
    """The stream of one replay, in the form of the live stream; closes with 4404 when there is no such replay."""
    hubs: Hubs = socket.app.state.replays
    try:
        hub = hubs.of(id)
    except DopeError as error:
        if socket.scope["dope.access"] < socket.app.state.tokens.needed("GET", socket.scope["path"]):
            await socket.close()  # who may not read is not told which there are
            return
        await socket.accept()
        await socket.close(GONE, str(error)[:100])
        return
    await hub.serve(socket)


def _wish(web: Web, number: int, verb: str, **args: Any) -> ReplayOut:
    _ask(web, {"do": verb, "id": number, **args})
    return _status(web, number)


def _ask(web: Web, args: dict[str, Any]) -> int:
    try:
        return web.board.ask(Command("replay", args))
    except ValueError as error:
        raise Refusal(422, str(error)) from error


def _status(web: Web, number: int) -> ReplayOut:
    return _out(web.board.query("replays", str(number))[0])


def _out(row: dict[str, Any]) -> ReplayOut:
    seeking = row.get("seeking")
    holes = [with_times(hole, ("from", "to")) for hole in row.get("holes", ())]
    changed = {"seeking": seeking and with_times(seeking, ("to",)), "holes": holes}
    return ReplayOut.model_validate({**with_times(row, ("from", "to", "position", "created")), **changed})


def _ns(name: str, at: str | int) -> int:
    return (moment(name, str(at)) or 0) * MS


def _loop(ends: Loop | None) -> tuple[int, int] | None:
    return None if ends is None else (_ns("loop.a", ends.a), _ns("loop.b", ends.b))
