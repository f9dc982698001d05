"""The program as a process: what it cannot do, it says in one clear line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import PATIENCE_S, ROOT, Program, command, surroundings, until


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


def test_a_second_recorder_of_a_folder_ends_with_75_and_names_the_first(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "app.py"), "record", "--source", "sim"]
    with subprocess.Popen(line, env=surroundings(tmp_path), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        try:
            folder = tmp_path / "data" / "sim"
            until(lambda: list(folder.glob("*.dope")), "the first one records")
            told = f"dope: {folder} is already being written by process {first.pid}; choose another folder with --data-dir, or only watch: "
            for words in (["record", "--source", "sim", "--seconds", "1"], ["serve", "--source", "auto", "--port", "0"]):
                done = command(tmp_path, *words)
                assert (done.returncode, done.stderr.splitlines()[-1]) == (75, told + "serve --no-record")
            assert len(list(folder.glob("*.dope"))) == 1 and first.poll() is None, "the first one never noticed"
        finally:
            first.send_signal(signal.SIGTERM)
            assert first.wait(PATIENCE_S) == 0, "it was not disturbed"


def test_a_folder_that_cannot_be_written_is_said_and_the_market_is_watched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        recording = program.live()["mode"]["recording"]
        assert not recording["on"] and "data" in recording["reason"]
    done = command(tmp_path, "record", "--source", "sim", "--seconds", "1")
    assert done.returncode == 2 and "nothing was recorded" in done.stderr


def test_the_seconds_of_a_recording_begin_with_the_recording_and_not_with_the_program(tmp_path: Path) -> None:
    done = command(tmp_path, "record", "--source", "sim", "--seconds", "0.1")
    assert done.returncode == 0 and len(json.loads(done.stdout)["tapes"]) == 1, "a market is not chosen in a tenth of a second"
