"""Saved views: the filters of a page under a name, kept by the server, the same in every browser."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from dope.api.context import Refusal, TheWeb, Web, iso
from dope.api.routes import problems, unknown, writes
from dope.api.shapes_recorded import ViewOut
from dope.api.tokens import address_of
from dope.board import Command

router = APIRouter(prefix="/api/v1/views", responses=problems, tags=["views"])
Page = Annotated[str, Path(pattern=r"^[a-z]{1,32}$", description="page whose view it is, e.g. live")]
Name = Annotated[str, Path(min_length=1, max_length=64, description="name of the view; any text without control characters")]


class ViewIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: dict[str, JsonValue] = Field(max_length=64, description="whatever the page needs to show the same again")


@router.get("")
def views(web: TheWeb) -> list[ViewOut]:
    """All saved views, by page and name."""
    return [_out(row) for row in web.board.query("views")]


@router.put("/{page}/{name:path}", responses=unknown | writes)
def save_view(request: Request, web: TheWeb, page: Page, name: Name, view: ViewIn) -> ViewOut:
    """Save a view under a name, in place of an older one."""
    if not name.isprintable() or name != name.strip():
        raise Refusal(422, "this cannot be the name of a view", "1 to 64 characters, none of them invisible, no space at its ends")
    _ask(request, web, "save_view", {"page": page, "name": name, "state": view.state})
    return next(_out(row) for row in web.board.query("views") if (row["page"], row["name"]) == (page, name))


@router.delete("/{page}/{name:path}", status_code=204, responses=unknown | writes)
def delete_view(request: Request, web: TheWeb, page: Page, name: Name) -> Response:
    """Delete a saved view."""
    _ask(request, web, "delete_view", {"page": page, "name": name})
    return Response(status_code=204)


def _ask(request: Request, web: Web, name: str, args: dict[str, Any]) -> None:
    try:
        web.board.ask(Command(name, args, address_of(request.scope)))
    except ValueError as error:
        raise Refusal(422, str(error)) from error


def _out(row: dict[str, Any]) -> ViewOut:
    return ViewOut(page=row["page"], name=row["name"], state=row["state"], saved=iso(row["saved"]) or "", saved_ms=row["saved"])
