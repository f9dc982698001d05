"""What the program promises of itself: ``/api/v1/promises``, each with its figure, what was measured, of how many, since when."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import problems

router = APIRouter(prefix="/api/v1", responses=problems, tags=["operation"])


class PromiseOut(BaseModel):
    """One promise of the program about itself; ``limit``, ``p50``, ``p99``, ``max`` and ``value`` are in ``unit``."""

    id: str
    promise: str = Field(description="in words")
    promised: str = Field(description="the figure promised, in words")
    measured: str = Field(description="what was measured, in words; empty = nothing yet")
    limit: float
    unit: str
    p50: float | None = Field(None, description="median")
    p99: float | None = Field(None, description="99th percentile")
    max: float | None = None
    value: float | None = Field(None, description="where a promise is about one figure")
    samples: int = Field(description="measured so far")
    needed: int = Field(description="samples below which nothing is said")
    of: str = Field(description="what one sample is")
    since: str | None = None
    since_ms: int | None = None
    state: Literal["kept", "broken", "few"] = Field(description="few = too few samples to say")
    how: str = Field(description="how it is measured")
    test: str = Field(description="the test that proves it")


class SelfTestOut(BaseModel):
    """A hidden opportunity of known size and net goes the whole way once a minute; counts are since start."""

    state: Literal["off", "waiting", "ok", "failed", "idle"] = Field(description="idle = the rules in force allow none")
    text: str = Field("", description="what is wrong; empty = nothing")
    at: str | None = Field(None, description="when the newest one ended")
    at_ms: int | None = None
    run: int = 0
    found: int = 0
    missed: int = 0
    mispriced: int = 0
    late: int = 0
    unclosed: int = 0
    void: int = Field(0, description="could not be carried out, because our own loop stood still")
    pages: int = Field(0, description="pages of the dashboard that watched the newest one; 0 = nobody to reach")


class PromisesOut(BaseModel):
    """What the program promises of itself, and how it stands."""

    kept: int
    broken: int
    few: int = Field(description="too few samples to say")
    self_test: SelfTestOut
    rows: list[PromiseOut]


@router.get("/promises")
def promises(web: TheWeb, snapshot: Current) -> PromisesOut:
    """All promises, as they stand since start; one of which too few samples were seen is neither kept nor broken."""
    rows = web.board.query("promises")
    states = [row["state"] for row in rows]
    tested = (snapshot.data.get("mode") or {}).get("self_test") or {"state": "off"}
    return PromisesOut(
        kept=states.count("kept"), broken=states.count("broken"), few=states.count("few"),
        self_test=SelfTestOut.model_validate(with_times(tested, ("at",))),
        rows=[PromiseOut.model_validate(with_times(row, ("since",))) for row in rows],
    )  # fmt: skip
