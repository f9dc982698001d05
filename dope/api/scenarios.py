"""What the simulated market can play, what it plays now, and the wish for another."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import ask, problems, unknown, writes
from dope.api.shapes import AcceptedOut
from dope.api.tokens import address_of
from dope.api.wishes import ScenarioArgs
from dope.board import Command

router = APIRouter(prefix="/api/v1", responses=problems, tags=["simulation"])


class ScenarioOut(BaseModel):
    """Something that the simulated market can play."""

    id: str
    name: str
    see: str = Field(description="one sentence: what a viewer should see")
    playing: bool = Field(description="it is played now")
    since: str | None = Field(None, description="market time at which it began; null = it is not played")
    since_ms: int | None = None


class ScenariosOut(BaseModel):
    simulated: bool = Field(description="the simulated market runs; on others no scenario can be played")
    playing: str | None = Field(None, description="id of what is played; null where no simulated market runs")
    rows: list[ScenarioOut]


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
