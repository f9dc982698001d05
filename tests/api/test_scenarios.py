"""The dial of the simulated market over REST: what can be played, what is played, and the wish for another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dope.api import scenarios
from dope.errors import DopeError, UnknownName
from tests.api.house import House, serving
from tests.api.publisher import T0

assert scenarios


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving() as running:
        yield running


def test_all_scenarios_are_listed_with_the_one_that_is_played(house: House) -> None:
    playing = {"id": "calm", "name": "Calm", "see": "what calm looks like.", "since": T0}
    house.publisher.publish({"mode": {"source": "sim", "scenario": playing}})
    told = house.get("/api/v1/scenarios").json()
    assert (told["simulated"], told["playing"]) == (True, "calm")
    assert [(row["id"], row["playing"], row["since_ms"], row["since"]) for row in told["rows"]] == [
        ("usual", False, None, None), ("calm", True, T0, "2023-11-14T22:13:20.000Z")
    ]  # fmt: skip
    house.publisher.publish({"mode": {"source": "live", "scenario": None}})
    told = house.get("/api/v1/scenarios").json()
    assert (told["simulated"], told["playing"]) == (False, None) and not any(row["playing"] for row in told["rows"])


def test_both_ways_to_ask_are_the_same_wish(house: House) -> None:
    house.publisher.commands.clear()
    assert house.client.post("/api/v1/scenario", json={"name": "venue-freeze"}).status_code == 202
    assert house.client.post("/api/v1/commands", json={"name": "scenario", "args": {"name": "venue-freeze"}}).status_code == 202
    assert [(wish.name, dict(wish.args)) for _, wish in house.publisher.commands] == [("scenario", {"name": "venue-freeze"})] * 2
    assert all(wish.who == "127.0.0.1" for _, wish in house.publisher.commands)


@pytest.mark.parametrize("wish", [{}, {"name": "Calm"}, {"name": "calm\n"}, {"name": "x" * 33}, {"name": "calm", "at": 5}, []])
def test_what_cannot_be_a_scenario_does_not_reach_the_engine(house: House, wish: object) -> None:
    house.publisher.commands.clear()
    assert house.client.post("/api/v1/scenario", json=wish).status_code == 422
    assert house.publisher.commands == []


def test_a_refusal_is_told_in_words(house: House) -> None:
    for refusal, status in ((DopeError("only on the simulated market"), 409), (UnknownName("scenario", "x", "y"), 404)):
        house.publisher.refusal = refusal
        answer = house.client.post("/api/v1/scenario", json={"name": "calm"})
        assert (answer.status_code, answer.json()["error"]) == (status, str(refusal))
    house.publisher.refusal = None


def test_it_is_described_with_its_shapes(house: House) -> None:
    described = house.get("/openapi.json").json()
    post = described["paths"]["/api/v1/scenario"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ScenarioArgs") and "409" in post["responses"]
    row = described["components"]["schemas"]["ScenarioOut"]["properties"]
    assert set(row) == {"id", "name", "see", "playing", "since", "since_ms"}
    assert house.client.post("/api/v1/scenario", json={"name": "calm"}, headers={"Origin": "http://evil.example"}).status_code == 403
