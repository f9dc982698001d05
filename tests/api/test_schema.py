"""The API against its own description: generated requests to every operation, over real HTTP; no server error, nothing undescribed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from dope.api import mount
from dope.board import Board
from dope.settings import Settings
from tests.api.house import House, serving
from tests.api.names import Place, places
from tests.examples import ALL

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
          unsupported_method]  # fmt: skip
#: no schema can tell which symbols there are, so that valid requests are refused; tokens have a table of their own
LEFT_OUT = ("negative_data_rejection", "positive_data_acceptance", "ignored_auth")
#: a POST here is read as one to /replays/{id}/{verb}, and refused as such (422 instead of 405)
SHADOWED = ("/api/v1/replays/{id}/live",)
TRIES = 5
EXAMPLES = 50 if os.environ.get(ALL) else 5  #: of each operation, besides those at the bounds of what is described


def described() -> FastAPI:
    app = FastAPI()
    mount(app, Board(), Settings(_env_file=None), alive=lambda: True)
    return app


schema = schemathesis.openapi.from_dict(described().openapi())


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving() as running:
        yield running


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def check(house: House, case: schemathesis.Case) -> None:
    for _ in range(TRIES):
        house.publisher.commands.clear()
        house.app.state.asked.clear()
        house.publisher.publish()
        answer = case.call(base_url=house.url, headers={"Origin": house.url}, timeout=60)
        if answer.status_code != 503 or b"published nothing" not in answer.content:
            break  # else this machine was away for seconds, and the API rightly says so
    checks = [each for each in CHECKS if not (each is unsupported_method and case.path in SHADOWED)]
    case.validate_response(answer, checks=checks)
    if answer.headers.get("content-type", [""])[0].startswith("application/json") and answer.content:
        json.loads(answer.content, parse_constant=no_constant)


@schema.parametrize()
@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_it_is_described(house: House, case: schemathesis.Case) -> None:
    check(house, case)


def test_what_no_generator_hits_often_is_described_too(house: House) -> None:
    """Addresses that are too long, and names that cannot be, at every parameter and in every body."""
    told = house.get("/openapi.json").json()
    given, undescribed = set(), set()
    for place in places(told):
        if place.method == "POST" and place.path == "/api/v1/commands" and place.spot == ():
            house.app.state.asked.clear()
        described = operation_at(told, place)["responses"]
        for name in ("x" * 9000, "\x00", "/", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
            method, target, body, kind = place.request(name)
            headers = {"Origin": house.url} | ({"Content-Type": kind} if kind else {})
            status = house.client.request(method, target, content=body, headers=headers).status_code
            given.add(status)
            if str(status) not in described:
                undescribed.add((status, method, place.path, place.spot, name[:9]))
    assert not undescribed and {404, 414, 422} <= given


def operation_at(told: dict[str, Any], place: Place) -> Any:
    """The operation that a place belongs to: literal parts of its address before those with names."""
    path = place.path.split("/")
    fits = [known for known, methods in told["paths"].items() if place.method.lower() in methods and len(known.split("/")) == len(path)
            and all("{" in theirs or theirs == ours for theirs, ours in zip(known.split("/"), path, strict=True))]  # fmt: skip
    return told["paths"][min(fits, key=lambda known: known.count("{"))][place.method.lower()]
