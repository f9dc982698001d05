"""Sealing beside a running market: a process of its own, that may fail or be killed, and is told about."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dope.errors import TapeError
from dope.jobs import Jobs, JobState
from dope.sealing import RETRY_NS, Sealing, keep, seal_worker
from dope.settings import Settings
from dope.tape.retention import Keep
from dope.tape.seal import SEALED, check, read, seal, sealed_tapes
from tests.program import line_of
from tests.tape.frames import START
from tests.tape.sealed import tables, tape_of

ROOT = Path(__file__).resolve().parents[1]


class Clock:
    """Moved by hand, ns."""

    def __init__(self) -> None:
        self.ns = START

    def __call__(self) -> int:
        return self.ns


class AtOnce(Jobs):
    """Does each job where it stands; what a process adds is tested with real ones."""

    def start(self, kind: str, function: Any, args: tuple[Any, ...], job_id: int, *, limit_s: float = 60.0) -> JobState:
        try:
            state = JobState(job_id, kind, "done", ended=1, result=function(lambda *_: None, *args))
        except TapeError as error:
            state = JobState(job_id, kind, "failed", ended=1, error=f"TapeError: {error}")
        self._states[job_id] = state
        return state


def turn(sealing: Sealing, folder: Path, *names: Path) -> list[str]:
    return asyncio.run(sealing.step(folder, lambda: names))


def finish(sealing: Sealing, folder: Path, *names: Path) -> None:
    """Steps until nothing runs."""
    turn(sealing, folder, *names)
    end = time.monotonic() + 60
    while sealing.busy:
        assert time.monotonic() < end, "never ended"
        time.sleep(0.01)
        turn(sealing, folder, *names)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_settings_become_bounds() -> None:
    settings = Settings(_env_file=None, tape_days=3, history_max_mb=5, history_days=2, ledger_days=0)
    assert keep(settings) == Keep(tape_days=3, history_days=2, history_bytes=5 << 20, ledger_days=0)


def test_closed_tapes_are_sealed_one_after_another_the_oldest_first(tmp_path: Path, clock: Clock) -> None:
    first, second = tape_of(tmp_path, 1), tape_of(tmp_path, 2, complete=False)
    sealing = Sealing(Keep(), clock_ns=clock, jobs=AtOnce())
    assert turn(sealing, tmp_path, first, second) == []
    assert sealing.busy == first and sealing.status() == {"tapes": 0, "waiting": 2, "reason": ""}
    assert turn(sealing, tmp_path, first, second) == [first.name], "told once, for whoever remembers its rows"
    finish(sealing, tmp_path, first, second)
    assert sealing.status() == {"tapes": 2, "waiting": 0, "reason": ""}
    assert sorted(sealed_tapes(tmp_path / SEALED)) == [first.stem, second.stem]
    (gap,) = read(sealed_tapes(tmp_path / SEALED)[second.stem]).to_pylist()
    assert gap["why"] == "the recorder ended without closing its tape"
    sealing.close()


def test_a_tape_that_cannot_be_sealed_is_told_tried_again_later_and_holds_up_no_other(tmp_path: Path, clock: Clock) -> None:
    bad, good = tape_of(tmp_path, 1), tape_of(tmp_path, 2)
    whole = bad.read_bytes()
    bad.write_bytes(b"x" + whole[1:])
    sealing = Sealing(Keep(), clock_ns=clock, jobs=AtOnce())
    finish(sealing, tmp_path, bad, good)
    assert list(sealed_tapes(tmp_path / SEALED)) == [good.stem]
    assert sealing.status()["waiting"] == 1
    assert sealing.status()["reason"].startswith(f"{bad.name} cannot be sealed: TapeError: {bad} at byte 0: not a tape")
    bad.write_bytes(whole)
    finish(sealing, tmp_path, bad, good)
    assert sealing.status()["waiting"] == 1, "not yet"
    clock.ns += RETRY_NS
    finish(sealing, tmp_path, bad, good)
    assert sealing.status() == {"tapes": 2, "waiting": 0, "reason": ""}
    sealing.close()


def test_a_killed_worker_is_told_and_its_tape_sealed_later(tmp_path: Path, clock: Clock) -> None:
    path = tape_of(tmp_path, 1)
    sealing = Sealing(Keep(), clock_ns=clock)
    before = set(psutil.Process().children())
    turn(sealing, tmp_path, path)
    (worker,) = [each for each in set(psutil.Process().children()) - before if "resource_tracker" not in line_of(each)]
    worker.kill()
    finish(sealing, tmp_path, path)
    assert "ended by itself (signal 9)" in sealing.status()["reason"]
    clock.ns += RETRY_NS
    finish(sealing, tmp_path, path)
    assert sealing.status() == {"tapes": 1, "waiting": 0, "reason": ""}
    sealing.close()


def test_what_is_too_old_goes_once_all_is_sealed(tmp_path: Path, clock: Clock) -> None:
    path = tape_of(tmp_path, 1)
    clock.ns = START + 2 * 24 * 3_600 * 10**9
    sealing = Sealing(Keep(tape_days=1), clock_ns=clock, jobs=AtOnce())
    finish(sealing, tmp_path, path)
    assert not path.exists() and tables(tmp_path) == {"gap": 1, "manifest": 1}
    sealing.close()


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, clock: Clock) -> None:
    def refused() -> list[Path]:
        raise PermissionError(13, "Permission denied")

    sealing = Sealing(Keep(), clock_ns=clock, jobs=AtOnce())
    asyncio.run(sealing.step(tmp_path, refused))
    assert "Permission denied" in sealing.status()["reason"]
    turn(sealing, tmp_path)
    assert sealing.status()["reason"] == ""
    sealing.close()


def test_the_worker_seals_and_says_how_much(tmp_path: Path) -> None:
    steps: list[str] = []
    done = seal_worker(lambda _, step: steps.append(step), str(tape_of(tmp_path, 1)), str(tmp_path / SEALED))
    assert done["rows"] == {"gap": 0} and done["bytes"] > 1000 and steps == ["Seal the recording"]


SEALER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dope.tape.files import RealFiles
from dope.tape.seal import seal

class Deadly(RealFiles):
    calls = 0
    def counted(name):
        def call(self, *args):
            Deadly.calls += 1
            if Deadly.calls == number:
                if name == "write":
                    os.write(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return getattr(RealFiles, name)(self, *args)
        return call
    create, write, sync, rename, remove = map(counted, ("create", "write", "sync", "rename", "remove"))

for number in map(int, sys.stdin):
    child = os.fork()
    while not child:
        for path in sorted(Path(sys.argv[2]).glob("*.dope")):
            seal(path, Path(sys.argv[2]) / "sealed", files=Deadly())
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_a_sealer_killed_at_any_moment_leaves_whole_files_or_none(tmp_path: Path) -> None:
    """Ten real kills, each in another call to the disk; what bears its final name is whole, and whoever comes next completes it."""
    paths = [tape_of(tmp_path, number, hour=number, rows=3000) for number in (1, 2)]
    drafts, absent = 0, 0
    line = [sys.executable, "-c", SEALER, str(ROOT), str(tmp_path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sealers:
        assert sealers.stdin is not None and sealers.stdout is not None
        for number in (1, 3, 9, 23, 26, 29, 31, 37, 41, 64):
            print(number, file=sealers.stdin, flush=True)
            assert sealers.stdout.readline() == f"{signal.SIGKILL.value}\n"
            drafts += len(list((tmp_path / SEALED).rglob("*.new")))
            absent += len(paths) - len(sealed_tapes(tmp_path / SEALED))
            for path in (tmp_path / SEALED).rglob("*.parquet"):
                assert check(path) == [] and read(path).num_rows > 0
        sealers.stdin.close()
    assert drafts > 20 and absent > 5, "they were killed in the middle"
    for path in paths:
        seal(path, tmp_path / SEALED)
    assert sorted(sealed_tapes(tmp_path / SEALED)) == [path.stem for path in paths]
    assert not list((tmp_path / SEALED).rglob("gap/**/*.new"))
