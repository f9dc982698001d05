"""The program as a process: what it records can be replayed, backtested and played into the dashboard."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from dope.tape.catalogue import list_tapes
from tests.oracle.make import VECTORS
from tests.program import ROOT, SHARED, Program, command, gone, surroundings, until


def tapes(folder: Path, source: str) -> list[Any]:
    return list_tapes(folder / "data" / source)


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
    assert {tape.complete for tape in tapes(tmp_path, "sim")} == {True}
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


def test_two_recordings_are_played_side_by_side_to_their_last_price(tmp_path: Path) -> None:
    """Real ones where they are here, otherwise the ones that ``tests/oracle/make.py`` has made (they lose a message each)."""
    venues = ("binance_spot", "binance_usdm")
    real = {venue: SHARED / "wire" / venue / "hft_20240808_btcusdt.jsonl.gz" for venue in venues}
    here = all(path.exists() for path in real.values())
    truth = json.loads(gzip.decompress((VECTORS / "truth.json.gz").read_bytes()))["markets"]
    last = {venue: truth[venue]["checks"][-1] for venue in venues}
    wanted = {venue: (float(last[venue]["bids"][0][0]), float(last[venue]["asks"][0][0])) for venue in venues}
    if here:
        wanted = {"binance_spot": (61685.99, 61686.0), "binance_usdm": (61659.7, 61659.8)}
    played: list[str | Path] = []
    for venue in venues:
        recording = real[venue] if here else VECTORS / f"{venue}.jsonl.gz"
        done = command(tmp_path, "import", recording, "--venue", venue, "--out", tmp_path / f"{venue}.dope")
        assert done.returncode == 0, done.stderr
        played += ["--tape", tmp_path / f"{venue}.dope"]
    with Program(tmp_path, *played, "--speed", "20" if here else "1") as program:
        until(lambda: [venue["books_live"] for venue in program.live().get("venues", ())] == [1, 1], "both books")
        until(lambda: program.live()["mode"]["banner"] == "RECORDED MARKET: the tape is over", "the end of the tapes")
        touches = {row["key"]: (row["bid"], row["ask"]) for row in program.live()["instruments"]}
        told = program.live()["venues"]
        until(lambda: {row["state"] for row in program.live()["instruments"]} <= {"STALE", "DOWN"}, "books that are told to be old")
    assert touches == {"binance_spot:BTC-USDT": wanted["binance_spot"], "binance_usdm:BTC-USDT-PERP": wanted["binance_usdm"]}
    assert [(venue["gaps"], venue["faults"]) for venue in told] == [(int(not here), 0)] * 2
