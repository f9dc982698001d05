"""The program as a process: it ends in order in every state, and leaves no process behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dope.tape.catalogue import list_tapes
from tests.program import Program, gone, nobody, until


@pytest.fixture(scope="module")
def out_of_reach() -> Iterator[dict[str, dict[str, str]]]:
    taken, endpoints = nobody()
    yield endpoints
    taken.close()


def tapes(folder: Path, source: str) -> list[Any]:
    return list_tapes(folder / "data" / source)


def busy(program: Program, name: str) -> None:
    """A job of that kind runs."""
    if name == "train":
        until(lambda: program.live()["pred"]["samples"] >= 20, "enough samples")
    job = program.ask(name)
    until(lambda: program.job(job)["state"] == "running", f"a running {name}")


@pytest.mark.parametrize(
    ("state", "number"),
    [
        ("backtest", signal.SIGTERM),
        ("connecting", signal.SIGINT),
        *(pytest.param(state, signal.SIGTERM, marks=pytest.mark.full) for state in ("connecting", "simulated", "train")),
        pytest.param("backtest", signal.SIGINT, marks=pytest.mark.full),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_it_ends_in_order_in_every_state(
    tmp_path: Path, out_of_reach: dict[str, dict[str, str]], state: str, number: signal.Signals
) -> None:
    source = "auto" if state == "connecting" else "sim"
    with Program(tmp_path, "--source", source, endpoints=out_of_reach, live_timeout_s=600, min_samples=20) as program:
        if state == "connecting":
            until(lambda: program.live().get("venues"), "the first publication")
        else:
            program.wait_ready()
        if state in ("train", "backtest"):
            busy(program, state)
        children = program.children()
        assert program.end(number) == 0, program.log
        until(lambda: gone(children), "the end of its children")
    kept = tapes(tmp_path, "live" if state == "connecting" else "sim")
    assert kept and all(tape.complete and tape.frames > 0 for tape in kept)
    assert "Traceback" not in program.log


def test_killed_by_force_it_leaves_no_process_behind(tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        busy(program, "backtest")
        children = program.children()
        assert len(children) >= 2
        program.end(signal.SIGKILL)
        until(lambda: gone(children), "the end of its children")
    assert not tapes(tmp_path, "sim")[-1].complete, "the tape is there, and says that it was cut; an hour may have ended before"


def test_a_sample_market_that_dies_is_started_anew_once_and_then_the_end_is_told(tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        (market,) = program.children()
        market.kill()
        told = "the process of the sim market had ended by itself and was started anew"
        until(lambda: any(event["text"] == told for event in program.live()["events"]), "the news of the restart")
        program.wait_ready()
        (again,) = program.children()
        assert again.pid != market.pid
        again.kill()
        until(lambda: program.get("/health").json().get("reason") == "the engine is not running", "a health that says so")
        assert program.get("/health").status_code == 503
        assert program.get("/api/v1/venues").status_code == 503
        assert program.process.wait() == 70
        assert "ended twice within a minute" in program.log
