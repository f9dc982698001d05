"""The program as a process: it starts without a network, ends in order in every state, and says what is wrong in one line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dope.tape.catalogue import list_tapes
from tests.exchange import Exchange
from tests.program import ROOT, SHARED, Program, command, gone, nobody, surroundings, until

BANNER = "SIMULATED MARKET: no exchange can be reached"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    yield made
    made.close()


@pytest.fixture(scope="module")
def out_of_reach() -> Iterator[dict[str, dict[str, str]]]:
    taken, endpoints = nobody()
    yield endpoints
    taken.close()


def tapes(folder: Path, source: str) -> list[Any]:
    return list_tapes(folder / "data" / source)


def test_without_a_network_the_sample_market_stands_in_until_a_venue_answers(tmp_path: Path, exchange: Exchange) -> None:
    with Program(tmp_path, endpoints=exchange.endpoints, live_timeout_s=2, probe_s=0.5, min_samples=20) as program:
        assert program.get("/").status_code == 200
        assert program.get("/health").status_code == 200
        until(lambda: program.live()["mode"]["source"] == "sim", "the sample market")
        program.wait_ready()
        assert program.live()["mode"]["banner"] == BANNER
        assert not program.live()["mode"]["live_available"]
        until(lambda: program.live()["cards"]["closed_n"], "an opportunity that opened and closed")
        until(lambda: program.live()["pred"]["samples"] >= 20, "enough samples")
        trained = program.ask("train")
        until(lambda: program.job(trained)["state"] == "done", "the training")
        until(lambda: [row for row in program.live()["pred"]["rows"] if row["predicted"] is not None], "predictions")

        exchange.up()
        until(lambda: program.live()["mode"]["live_available"], "a venue that answers")
        program.ask("set", order_size=2500)
        until(lambda: program.live()["mode"]["order_size"] == 2500, "the new order size")
        simulated = [each for each in program.children() if "dope.sim" in each.cmdline()]
        program.ask("source", to="live")
        until(lambda: program.live()["mode"]["source"] == "live", "the live market")
        program.wait_ready()
        live = program.live()
        assert live["mode"]["banner"] is None and not live["mode"]["live_available"]
        assert live["mode"]["order_size"] == 2500, "what the user set is kept"
        assert live["pred"]["card"] is None and live["pred"]["samples"] < 20, "nothing learned from the sample market"
        until(lambda: gone(simulated), "the end of the sample market's process")
        until(lambda: program.live()["pred"]["samples"] >= 20, "enough live samples")
        trained = program.ask("train")
        until(lambda: program.job(trained)["state"] == "done", "the training")
        until(lambda: program.live()["pred"]["card"], "the live model")
        assert program.end(signal.SIGTERM) == 0

    assert {tape.source for tape in tapes(tmp_path, "live")} == {"live"}
    assert {tape.source for tape in tapes(tmp_path, "sim")} == {"sim"}
    assert all(tape.complete for tape in tapes(tmp_path, ""))
    models = {path.relative_to(tmp_path / "models").as_posix() for path in (tmp_path / "models").rglob("*.pkl")}
    assert models == {"spread_predictor.pkl", "sim/spread_predictor.pkl"}
    for source, file in (("sim", "sim/spread_predictor.versions.json"), ("live", "spread_predictor.versions.json")):
        assert {version["source"] for version in json.loads((tmp_path / "models" / file).read_text())} == {source}


# -- how it ends -------------------------------------------------------------------------------------------------------
def busy(program: Program, name: str) -> None:
    """A job of that kind runs."""
    if name == "train":
        until(lambda: program.live()["pred"]["samples"] >= 20, "enough samples")
    job = program.ask(name)
    until(lambda: program.job(job)["state"] == "running", f"a running {name}")


@pytest.mark.parametrize(
    ("state", "number"),
    [
        *((state, signal.SIGTERM) for state in ("connecting", "simulated", "train", "backtest")),
        *((state, signal.SIGINT) for state in ("connecting", "backtest")),
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
    assert len(kept) == 1 and kept[0].complete and kept[0].frames > 0
    assert "Traceback" not in program.log


def test_killed_by_force_it_leaves_no_process_behind(tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        busy(program, "backtest")
        children = program.children()
        assert len(children) >= 2
        program.end(signal.SIGKILL)
        until(lambda: gone(children), "the end of its children")
    assert [tape.complete for tape in tapes(tmp_path, "sim")] == [False], "the tape is there, and says that it was cut"


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
        down = until(lambda: (answer := program.get("/health")).status_code == 503 and answer, "a health that says so")
        assert down.json()["reason"] == "the engine is not running"
        assert program.get("/api/v1/venues").status_code == 503
        assert program.process.wait() == 70
        assert "ended twice within a minute" in program.log


# -- one line for what is wrong ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--source", "moon"], "DOPE_SOURCE: input should be 'auto', 'live' or 'sim', not 'moon'"),
        (["serve", "--port", "70000"], "DOPE_PORT: input should be less than or equal to 65535, not '70000'"),
        (["serve", "--tape", "missing.dope"], "missing.dope: No such file or directory"),
        (["serve", "--tape", "foreign.dope"], "foreign.dope at byte 0: "),
        (["--sorce", "sim"], "No such option: --sorce"),
        (["record", "--seconds", "soon"], "Invalid value for '--seconds'"),
        (["import", "lines", "--venue", "okxx", "--out", "new.dope"], "unknown venue 'okxx'; did you mean okx?"),
        (["import", "missing", "--venue", "okx", "--out", "new.dope"], "missing: no such file"),
        (["import", "foreign.dope", "--venue", "okx", "--out", "new.dope"], "foreign.dope: no receive times"),
        (["replay", "missing.dope"], "missing.dope: No such file or directory"),
        (["replay", "empty.dope"], "empty.dope at byte 0: "),
        (["replay", "foreign.dope", "--json"], "foreign.dope at byte 0: "),
        (["backtest", "foreign.dope"], "foreign.dope at byte 0: "),
        (["replay", "foreign.dope", "--speed", "0"], "foreign.dope at byte 0: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_clear_line(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "foreign.dope").write_bytes(b"PK\x03\x04 something else entirely\n" * 50)
    (tmp_path / "empty.dope").write_bytes(b"")
    (tmp_path / "lines").write_text('1700000000000000000 {"event":"subscribe"}\n')
    done = command(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert not (tmp_path / "new.dope").exists()


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(tmp_path, "serve", "--source", "sim", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"dope: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port"


def test_a_folder_that_cannot_be_written_is_said_and_the_market_is_watched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        recording = program.live()["mode"]["recording"]
        assert not recording["on"] and "data" in recording["reason"]
    done = command(tmp_path, "record", "--source", "sim", "--seconds", "1")
    assert done.returncode == 2 and "nothing was recorded" in done.stderr


# -- recorded, replayed, backtested ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    done = command(folder, "record", "--source", "sim", "--seconds", "6")
    assert done.returncode == 0, done.stderr
    (path,) = json.loads(done.stdout)["tapes"]
    return folder / path


def test_what_record_wrote_is_a_closed_tape_that_replays_to_live_books(recorded: Path) -> None:
    (tape,) = list_tapes(recorded.parent)
    assert tape.complete and tape.source == "sim" and not tape.lost
    done = command(recorded.parent, "replay", str(recorded), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["instruments"]) == 12
    for row in found["instruments"].values():
        assert row["book_updates"] > 0 and row["gaps"] == row["faults"] == row["checksum_mismatches"] == 0
    assert json.loads(command(recorded.parent, "replay", str(recorded), "--json").stdout) == found
    text = command(recorded.parent, "replay", str(recorded))
    assert text.returncode == 0 and found["digest"] in text.stdout


def test_a_backtest_prints_its_report_as_json(recorded: Path) -> None:
    done = command(recorded.parent, "backtest", str(recorded), "--latency-ms", "50")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["tapes"] == [recorded.name] and report["source"] == ["sim"]


def test_an_interrupted_recording_is_closed_in_order(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "app.py"), "record", "--source", "sim"]
    process = subprocess.Popen(line, env=surroundings(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until(lambda: [tape for tape in tapes(tmp_path, "sim") if tape.frames > 500], "a recording under way")
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(said)["tapes"] == [os.path.join(str(tmp_path / "data" / "sim"), tape.name) for tape in tapes(tmp_path, "sim")]
    assert [tape.complete for tape in tapes(tmp_path, "sim")] == [True]
    until(lambda: gone(children), "the end of its children")


def test_a_tape_is_played_over_sockets_into_the_dashboard(recorded: Path, tmp_path: Path) -> None:
    with Program(tmp_path, "--tape", recorded, "--speed", "1") as program:
        until(lambda: program.live().get("mode", {}).get("source") == "tape", "the tape")
        assert program.live()["mode"]["banner"] == "RECORDED MARKET: a tape is played back over loopback"
        until(lambda: sum(venue["books_live"] for venue in program.live()["venues"]) == 12, "all books")
        assert not program.live()["mode"]["recording"]["on"]
        until(lambda: program.live()["mode"]["banner"] == "RECORDED MARKET: the tape is over", "the end of the tape")
        assert program.end(signal.SIGTERM) == 0
    assert not (tmp_path / "data" / "tape").exists()


def test_two_real_recordings_are_played_side_by_side_to_their_last_price(tmp_path: Path) -> None:
    played = []
    for venue in ("binance_spot", "binance_usdm"):
        recording = SHARED / "wire" / venue / "hft_20240808_btcusdt.jsonl.gz"
        if not recording.exists():
            pytest.skip(f"recording {recording.name} is not here")
        done = command(tmp_path, "import", recording, "--venue", venue, "--out", tmp_path / f"{venue}.dope")
        assert done.returncode == 0, done.stderr
        played += ["--tape", tmp_path / f"{venue}.dope"]
    with Program(tmp_path, *played, "--speed", "20") as program:
        until(lambda: [venue["books_live"] for venue in program.live().get("venues", ())] == [1, 1], "both books")
        until(lambda: program.live()["mode"]["banner"] == "RECORDED MARKET: the tape is over", "the end of the tapes")
        touches = {row["key"]: (row["bid"], row["ask"]) for row in program.live()["instruments"]}
        venues = program.live()["venues"]
        until(lambda: {row["state"] for row in program.live()["instruments"]} <= {"STALE", "DOWN"}, "books that are told to be old")
    assert touches == {"binance_spot:BTC-USDT": (61685.99, 61686.0), "binance_usdm:BTC-USDT-PERP": (61659.7, 61659.8)}
    assert [(venue["gaps"], venue["faults"]) for venue in venues] == [(0, 0), (0, 0)]
