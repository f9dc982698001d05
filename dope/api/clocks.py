"""The clocks and how sure they are, and the age of every book: ``/api/v1/clocks``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dope.api.context import Current, TheWeb, with_times
from dope.api.routes import problems
from dope.symbols import MAX_TEXT

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])


class StepOut(BaseModel):
    """The system clock was set."""

    at: str
    at_ms: int
    step_ms: float = Field(description="by so much, ms")
    offset_ms: float = Field(description="from then on it stood so far from ours, ms")


class VenueClockOut(BaseModel):
    """What can be known of a venue's clock from the stamps of its messages."""

    venue: str
    label: str
    floor_ms: float | None = Field(
        description="smallest receive − stamp time of the last five minutes; negative where our clock is behind. "
        "The venue's error and the shortest way of a message cannot be told apart"
    )
    uncertainty_ms: float | None = Field(description="how far that moves within five minutes, and the step of the stamps")
    drift_ms_h: float | None = Field(description="how it moves, ms per hour, over the last hour; null before five minutes")
    drift_minutes: int = Field(description="minutes behind that figure")
    excess_p50_ms: float | None = Field(description="median delay above the smallest")
    excess_p99_ms: float | None = Field(description="99th percentile")
    n: int = Field(description="stamped messages so far")
    resolution_ms: float | None = Field(description="step that the stamps keep to, as measured")


class BookAgeOut(BaseModel):
    """How old a book is known to be."""

    key: str
    venue: str
    symbol: str
    state: str
    age_ms: float | None = Field(description="since anything proved it current, counted from when that was due")
    unchanged_ms: float | None = Field(description="since its best prices moved: silence alone is no age")
    limit_ms: float | None = Field(description="oldest it may be as a leg, by volatility, fees and its own habit; null = it is in no pair")
    sigma_bps: float | None = Field(description="its volatility, bps per square root of a second")


class ClocksOut(BaseModel):
    """Our own clock, the venues' and the age of every book."""

    at: str | None = Field(description="the market's own time; null = nothing is known yet")
    at_ms: int | None
    offset_ms: float | None = Field(description="system clock minus ours: other than 0 when it was set since the start, or drifts")
    trouble: str = Field(description="what is wrong with our clock; empty = nothing")
    steps: list[StepOut] = Field(description="the newest times that the system clock was set")
    venues: list[VenueClockOut]
    books: list[BookAgeOut]


@router.get("/clocks")
def clocks(
    web: TheWeb, snapshot: Current, symbol: Annotated[str, Query(max_length=MAX_TEXT, description="books of this symbol only")] = ""
) -> ClocksOut:  # fmt: skip
    """How far each venue's messages are behind our clock and how sure that is; steps of our own; the age of every book."""
    empty: dict[str, Any] = {"at": None, "offset_ms": None, "trouble": "", "steps": [], "venues": [], "books": []}
    told = empty | (web.board.query("clocks", symbol) or {})
    return ClocksOut.model_validate(with_times({**told, "steps": [with_times(step, ("at",)) for step in told["steps"]]}, ("at",)))
