"""The program as a process: without a network the sample market stands in, a venue that answers brings the live one."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dope.tape.catalogue import list_tapes
from tests.exchange import Exchange
from tests.program import Program, gone, line_of, until

BANNER = "SIMULATED MARKET: no exchange can be reached"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    yield made
    made.close()


def train(program: Program) -> None:
    """As soon as there are enough samples, to the end."""
    until(lambda: program.live()["pred"]["samples"] >= 20, "enough samples")
    trained = program.ask("train")
    until(lambda: program.job(trained)["state"] == "done", "the training")
    until(lambda: program.live()["pred"]["card"], "the model")


@pytest.mark.parametrize("trains", [False, pytest.param(True, marks=pytest.mark.full)])  # samples come one a second
def test_without_a_network_the_sample_market_stands_in_until_a_venue_answers(tmp_path: Path, exchange: Exchange, trains: bool) -> None:
    with Program(tmp_path, endpoints=exchange.endpoints, live_timeout_s=2, probe_s=0.5, min_samples=20) as program:
        assert program.get("/").status_code == 200
        assert program.get("/health").status_code == 200
        until(lambda: program.live()["mode"]["source"] == "sim", "the sample market")
        program.wait_ready()
        assert program.live()["mode"]["banner"] == BANNER
        assert not program.live()["mode"]["live_available"]
        until(lambda: program.live()["cards"]["closed_n"], "an opportunity that opened and closed")
        if trains:
            train(program)
            until(lambda: [row for row in program.live()["pred"]["rows"] if row["predicted"] is not None], "predictions")

        exchange.up()
        until(lambda: program.live()["mode"]["live_available"], "a venue that answers")
        program.ask("set", order_size=2500)
        until(lambda: program.live()["mode"]["order_size"] == 2500, "the new order size")
        simulated = [each for each in program.children() if "dope.sim" in line_of(each)]
        assert len(simulated) == 1
        program.ask("source", to="live")
        until(lambda: program.live()["mode"]["source"] == "live", "the live market")
        program.wait_ready()
        live = program.live()
        assert live["mode"]["banner"] is None and not live["mode"]["live_available"]
        assert live["mode"]["order_size"] == 2500, "what the user set is kept"
        assert live["pred"]["card"] is None and live["pred"]["samples"] < 20, "nothing learned from the sample market"
        until(lambda: gone(simulated), "the end of the sample market's process")
        if trains:
            train(program)
        assert program.end(signal.SIGTERM) == 0

    assert {tape.source for tape in list_tapes(tmp_path / "data" / "live")} == {"live"}
    assert {tape.source for tape in list_tapes(tmp_path / "data" / "sim")} == {"sim"}
    assert all(tape.complete for tape in list_tapes(tmp_path / "data"))
    if not trains:
        return
    models = {path.relative_to(tmp_path / "models").as_posix() for path in (tmp_path / "models").rglob("*.pkl")}
    assert models == {"spread_predictor.pkl", "sim/spread_predictor.pkl"}
    for source, file in (("sim", "sim/spread_predictor.versions.json"), ("live", "spread_predictor.versions.json")):
        assert {version["source"] for version in json.loads((tmp_path / "models" / file).read_text())} == {source}
