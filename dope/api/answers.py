"""How errors are answered: always ``{"error", "hint"}``, never a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from hashlib import blake2s

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dope.api.context import Refusal
from dope.api.security import DATA_POLICY, HEADERS
from dope.errors import DopeError, JobError, NoEngine, TooMuch, UnknownName

STATUS: dict[type[DopeError], int] = {UnknownName: 404, NoEngine: 503, JobError: 429, TooMuch: 413}  #: any other of our errors: 409
HINTS = {503: "look at /health", 429: "try again later"}
RETRY_S = {503: 1, 429: 10}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def answer(status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One error as JSON."""
    return JSONResponse({"error": error, "hint": hint}, status_code=status, headers=dict(headers or {}))


def answer_errors(app: FastAPI) -> None:
    """Register an answer for every kind of error."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(DopeError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def nothing_here(routers: Iterable[APIRouter]) -> APIRouter:
    """Answers every other address under /api: 405 when only the method is wrong, else 404 (Dash would answer its page)."""
    known = [route for router in routers for route in router.routes]
    rest = APIRouter()

    def nothing(request: Request, rest: str) -> JSONResponse:
        allowed: set[str] = set()
        for route in known:
            if route.matches(request.scope)[0] is Match.PARTIAL:
                allowed |= getattr(route, "methods", set())
        if allowed:
            return answer(405, f"{request.method} is not for this address", "see /docs", {"Allow": ", ".join(sorted(allowed))})
        return answer(404, "there is nothing at this address", "the API is described at /docs")

    rest.add_api_route("/api/{rest:path}", nothing, methods=METHODS, include_in_schema=False)
    return rest


async def _refusal(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    return answer(error.status, error.error, error.hint, headers)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 409)
    text, _, near = str(error).partition("; ")
    headers = {"Retry-After": str(RETRY_S[status])} if status in RETRY_S else {}
    return answer(status, text, near or HINTS.get(status, ""), headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answer(422, f"{where}: {first['msg']}"[:300], "the parameters are described at /docs")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), "the API is described at /docs", error.headers)


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    """Outside the door, so the headers are put on here; the server's log has the traceback, under the number that is told."""
    number = number_of(error)
    error.add_note(f"answered as error {number}")
    headers = {name.decode(): value.decode() for name, value in HEADERS}
    headers |= {"Content-Security-Policy": DATA_POLICY, "Connection": "close"}  # the server hangs up after an error
    return answer(500, "something went wrong inside", f"the log of the server tells more: look for error {number}", headers)


def number_of(error: BaseException) -> str:
    """The same for the same fault: what was raised and where, so that it is found although repeats are not logged."""
    where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return blake2s("|".join([type(error).__name__, *where]).encode(), digest_size=5).hexdigest()
