"""What was asked of the program and what became of it, across restarts: the log of commands, and past jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from dope.api.context import TheWeb, with_times
from dope.api.routes import problems
from dope.api.shapes import ErrorOut
from dope.api.shapes_recorded import AuditOut, AuditRowOut, PastJobOut, PastJobsOut

MAX_LIMIT = 1000

router = APIRouter(prefix="/api/v1", responses=problems, tags=["jobs"])
reads: dict[int | str, dict[str, Any]] = {409: {"model": ErrorOut, "description": "the records cannot be read now"}}
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="rows at most")]


@router.get("/audit", responses=reads)
def audit(
    web: TheWeb, limit: Limit = 100, before: Annotated[int, Query(ge=0, le=2**53, description="only rows with a smaller id; 0 = all")] = 0
) -> AuditOut:
    """Who asked for what, newest first; needs the token that operates once one is set."""
    rows = web.board.query("log", start=before, limit=limit + 1)
    shown, more = rows[:limit], len(rows) > limit
    told = [AuditRowOut.model_validate(with_times(row, ("at",))) for row in shown]
    return AuditOut(count=len(shown), more=more, next=shown[-1]["id"] if more else None, rows=told)


@router.get("/jobs/past", responses=reads)
def past_jobs(
    web: TheWeb, limit: Limit = 100, offset: Annotated[int, Query(ge=0, le=2**53, description="rows to leave out, from the newest")] = 0
) -> PastJobsOut:
    """Trainings and backtests of this and earlier runs of the program, as they were asked for and ended, newest first."""
    rows = web.board.query("past_jobs", start=offset, limit=limit + 1)
    told = [PastJobOut.model_validate(with_times(row, ("run", "asked", "started", "ended"))) for row in rows[:limit]]
    return PastJobsOut(count=len(told), more=len(rows) > limit, rows=told)
