"""Health, readiness, metrics and the API page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from prometheus_client.parser import text_string_to_metric_families

from dope.api.metrics import LOOPS, REPLAY_SPEEDS, REPLAY_STATES, STATES, VERDICTS
from dope.detectors.arbitrage import Arbitrage
from dope.detectors.spreads import Spreads
from dope.engines import build_engine, detector_of
from dope.picture import Picture
from dope.settings import Settings
from dope.watch import PARTS
from tests.api.house import House, dash_app, serving
from tests.api.names import NAMES
from tests.api.publisher import Publisher, full, instrument, venue
from tests.frames import T0, okx_book, okx_script, play

NAME = re.compile(r"dope_[a-z0-9_]+(_seconds|_bytes|_total|_ratio|_info)?")
OTHER_UNITS = re.compile(r".*_(ms|us|ns|millis\w*|micros\w*|minutes?|hours?|days?|kb|mb|kib|mib|pct|percent|bps)(_total)?")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving(app=dash_app()) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    house.publisher.alive = True
    house.publisher.publish(full())


def test_health_is_good_while_the_engine_lives_and_bad_when_it_died(house: House) -> None:
    answer = house.get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["source"]) == (200, "ok", "sim")
    house.publisher.alive = False
    answer = house.get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["runtime_alive"]) == (503, "down", False)
    assert house.get("/ready").status_code == 503


def test_an_engine_that_says_it_lives_but_publishes_nothing_is_down(house: House) -> None:
    board = house.publisher.board
    now = board.read().t_ns
    board.publish(now - 60 * 10**9, {})  # the newest publication is a minute old
    answer = house.get("/health")
    assert answer.status_code == 503
    assert re.fullmatch(r"the engine has published nothing for \d\d\.\d s", answer.json()["reason"])
    assert house.get("/api/v1/venues").status_code == 503


def test_before_the_first_publication_it_is_starting_and_not_ready() -> None:
    publisher = Publisher({})
    publisher.board.__init__()  # type: ignore[misc]  # as it was before anything was published
    with serving(publisher) as house:
        assert (house.get("/health").status_code, house.get("/health").json()["status"]) == (200, "starting")
        assert house.get("/ready").status_code == 503


def test_ready_means_that_some_book_is_known(house: House) -> None:
    assert house.get("/ready").json() == {"ready": True, "books_live": 6, "books_total": 6, "reason": None}
    house.publisher.publish({"venues": [venue("okx", books_live=0)]})
    answer = house.get("/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no order book is live")


def test_metrics_have_our_names_and_labels_from_closed_sets(house: House) -> None:
    text = house.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(NAME.fullmatch(name) for name in families)
    value = {(s.name, tuple(sorted(s.labels.values()))): s.value for family in families.values() for s in family.samples}
    assert value[("dope_up", ())] == 1
    assert value[("dope_venue_up", ("okx",))] == 1
    assert value[("dope_venue_gaps_total", ("okx",))] == 2
    assert value[("dope_venue_excess_delay_seconds", ("0.99", "okx"))] == 0.0075
    assert value[("dope_books", ("LIVE",))] == 6
    assert value[("dope_opportunities_total", ())] == 2
    resident = value[("dope_process_resident_memory_bytes", ())]
    assert resident > 1e6 and value[("dope_python_objects", ())] > 1e5
    assert value[("dope_memory_bytes", ("arrow",))] >= 0 and 1e6 < value[("dope_memory_bytes", ("used",))] < 100 * resident


def series(text: str) -> dict[str, dict[str, str]]:
    """Name and labels of every series, by the line that it has."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(found) == sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    return {f"{sample.name} {sorted(sample.labels.items())}": dict(sample.labels) for sample in found}


def test_ten_venues_with_fifty_markets_each_are_few_series_with_labels_from_closed_sets(house: House) -> None:
    ids = [f"venue_{n}" for n in range(10)]
    markets = [instrument(name, f"C{n}-USDT") for name in ids for n in range(50)]
    house.publisher.publish({"venues": [venue(name) for name in ids], "instruments": markets})
    found = series(house.get("/metrics").text)
    assert len(found) <= 2000
    closed = {
        "venue": set(ids), "state": {*STATES, *REPLAY_STATES}, "speed": set(REPLAY_SPEEDS), "loop": set(LOOPS), "quantile": {"0.5", "0.99"},
        "use": {"used", "free", "arrow"}, "part": {part.name for part in PARTS}, "verdict": set(VERDICTS),
        "status": {"400", "401", "403", "404", "413", "421", "429", "503"}, "version": {house.app.version},
    }  # fmt: skip
    used = {(name, value) for labels in found.values() for name, value in labels.items()}
    assert {name for name, _ in used} <= set(closed)
    assert not {(name, value) for name, value in used if value not in closed[name]}


def test_names_say_their_unit_and_what_they_count(house: House) -> None:
    families = list(text_string_to_metric_families(house.get("/metrics").text))
    names = {sample.name for family in families for sample in family.samples}
    assert len(names) > 30 and all(NAME.fullmatch(name) for name in names)
    assert not {name for name in names if OTHER_UNITS.fullmatch(name)}, "base units only: seconds, bytes, ratios"
    assert all(name.endswith("_total") == (family.type == "counter") for family in families for name in {s.name for s in family.samples})
    assert all(family.documentation for family in families)


def test_evil_symbols_on_the_wire_add_no_series(house: House) -> None:
    """Through the venue, the engine and the picture: hostile names, and five hundred that have the form of a market."""
    engine = build_engine(Settings(_env_file=None), ("okx",), {})
    picture = Picture(engine, detector_of(engine, Arbitrage), detector_of(engine, Spreads), started_ns=T0, alert_pct=0.5)
    texts = [*(name for name in NAMES if name.isprintable() and len(name) < 1000), *(f"EVIL{n}-USDT" for n in range(500))]
    evil = [okx_book("snapshot", 100, -1, [("1", "1")], [("2", "1")], inst=text) for text in texts]

    def after(script: list[tuple[int, bytes]], start: int) -> set[str]:
        for event in engine.step_many(play("okx", script, conn=2, start=start)):
            picture.note(event)
        house.publisher.publish({**picture.fast(engine.market.now), **picture.slow()})
        return set(series(house.get("/metrics").text))

    before = after(okx_script(), T0)
    assert after(evil, T0 + 10**9) == before
    assert len(engine.market.books) > 400, "they were read"


def test_no_symbol_or_state_from_outside_adds_a_series(house: House) -> None:
    before = house.get("/metrics").text.count("\n")
    rows = [instrument("okx", f"EVIL{i}-USDT", state='x"} 1\nevil 1') for i in range(500)]
    house.publisher.publish({"instruments": rows})
    text = house.get("/metrics").text
    assert text.count("\n") == before and "EVIL" not in text and "evil" not in text


def test_metrics_count_clients_and_refusals(house: House) -> None:
    def value(name: str) -> float:
        families = text_string_to_metric_families(house.get("/metrics").text)
        return next(s.value for family in families for s in family.samples if s.name + "".join(s.labels.values()) == name)

    async def watch() -> float:
        async with house.connect() as connection:
            await connection.recv()
            return await asyncio.to_thread(value, "dope_live_clients")

    before = value("dope_http_refused_total404")
    assert house.get("/nope").status_code == 404
    assert value("dope_http_refused_total404") == before + 1
    assert asyncio.run(watch()) == 1


def test_metrics_of_a_dead_engine_still_answer(house: House) -> None:
    house.publisher.alive = False
    assert "dope_up 0.0" in house.get("/metrics").text


def test_every_route_is_described(house: House) -> None:
    described = house.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description") or parameter["name"] in ("id", "form"), (path, parameter["name"])
    wanted = {
        "/health",
        "/ready",
        "/metrics",
        "/api/v1/commands",
        "/api/v1/jobs/{id}/cancel",
        "/api/v1/export/opportunities.{form}",
        "/api/v1/live",
    }
    assert wanted <= set(described)
    ours = {route.path for route in house.app.routes if isinstance(route, APIRoute) and route.path.startswith("/api/v1")}
    assert ours <= set(described)


def test_the_description_names_no_part_of_the_dashboard_library(house: House) -> None:
    assert not [path for path in house.get("/openapi.json").json()["paths"] if "dash" in path]


def test_the_api_page_loads_everything_from_here(house: House) -> None:
    page = house.get("/docs")
    assert page.status_code == 200 and "http:" not in page.text and "https:" not in page.text and 'src="//' not in page.text
    files = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(files) == 3
    for file in files:
        assert house.get(file).status_code == 200
