"""What the simulated market can play, what it plays now, and the wish for another."""

from __future__ import annotations

from fastapi import APIRouter, Request

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import ask, problems, unknown, writes
from dope.api.shapes import AcceptedOut, ScenariosOut
from dope.api.tokens import address_of
from dope.api.wishes import ScenarioArgs
from dope.board import Command

router = APIRouter(prefix="/api/v1", responses=problems, tags=["simulation"])


@router.get("/scenarios")
def scenarios(web: TheWeb, snapshot: Current) -> ScenariosOut:
    """What the simulated market can play, what a viewer should see then, and what it plays now."""
    playing = (snapshot.data.get("mode") or {}).get("scenario") or {}
    rows = [playing if row["id"] == playing.get("id") else row for row in web.board.query("scenarios")]
    shown = [with_times(row, ("since",)) | {"playing": row is playing} for row in rows]
    return ScenariosOut.model_validate({"simulated": bool(playing), "playing": playing.get("id"), "rows": shown})


@router.post("/scenario", status_code=202, responses=unknown | writes)
def play(request: Request, web: TheWeb, snapshot: Current, wanted: ScenarioArgs) -> AcceptedOut:
    """Let the simulated market play this from now on; refused on live data. The same as the command ``scenario``."""
    return ask(request, web, Command("scenario", wanted.model_dump(), address_of(request.scope)))
