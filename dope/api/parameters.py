"""Parameters of the detectors: ``/api/v1/parameters``, each with its unit, range and meaning; changed by the command ``set``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dope.api.context import TheWeb
from dope.api.routes import problems

router = APIRouter(prefix="/api/v1", responses=problems, tags=["operation"])


class ParameterOut(BaseModel):
    """One parameter of one detector; ``value``, ``usual``, ``least`` and ``most`` are in ``unit``."""

    detector: str
    name: str
    value: float = Field(description="in force")
    usual: float = Field(description="as shipped")
    unit: str
    least: float = Field(description="smallest that is allowed")
    most: float = Field(description="largest that is allowed")
    about: str = Field(description="what it does, in words")


class ParametersOut(BaseModel):
    """All parameters of all detectors; none while the engine is starting."""

    rows: list[ParameterOut]


@router.get("/parameters")
def parameters(web: TheWeb) -> ParametersOut:
    """By which figures the detectors judge now. They are changed by ``POST /api/v1/commands`` with
    ``{"name": "set", "args": {"parameters": {detector: {name: value}}}}``, and stand on the tape from then on."""
    return ParametersOut(rows=[ParameterOut.model_validate(row) for row in web.board.query("parameters") or []])
