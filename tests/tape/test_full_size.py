"""Recordings that end badly, in full size: a hundred kills, twenty power cuts on a real file system, five full disks."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from dope.tape.journal import Journal
from dope.tape.read import Tape
from dope.tape.writer import Bounds
from dope.types import Frame
from tests.tape.frames import META, numbered, numbers, on_disk, trade_numbers, until

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
KILLS, CUTS, FULL_DISKS = 100, 20, 5
AT_ONCE = 4  #: recorders that run beside each other; they mostly sleep
RATE = 10_000  #: frames a second, and as many rows
Figure = Callable[..., None]

#: records at RATE at most and says after each step: frames given, frames that the disk has confirmed, rows, ns of the monotonic clock
RECORDER = """
import sys, time
from pathlib import Path
from dope.tape.journal import Journal
from dope.tape.writer import Bounds
from tests.tape.frames import META, numbered, trades
journal = Journal(Path(sys.argv[1]), META, bounds=Bounds(segment_bytes=int(sys.argv[2]), free_bytes=0))
step, n, next = 0.01, 0, time.monotonic()
count = int(int(sys.argv[3]) * step)
while True:
    journal.append(numbered(n, n + count))
    journal.append_rows("trade", trades(n, n + count))
    n += count
    status = journal.status()
    print(n, status["frames"], status["rows"], time.monotonic_ns(), flush=True)
    next = max(next + step, time.monotonic())
    time.sleep(max(next - time.monotonic(), 0.0))
"""


class Said(NamedTuple):
    """One line of a recorder."""

    given: int
    frames: int
    rows: int
    at: int


@contextmanager
def recorder(folder: Path, segment_bytes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that records there until it is killed."""
    command = [sys.executable, "-c", RECORDER, str(folder), str(segment_bytes), str(RATE)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def hear(process: subprocess.Popen[str], frames: int) -> list[Said]:
    """Everything that it said until that many frames were confirmed."""
    assert process.stdout is not None
    said: list[Said] = []
    while not said or said[-1].frames < frames:
        line = process.stdout.readline()
        assert line, "the recorder has ended by itself"
        said.append(Said(*map(int, line.split())))
    return said


def all_words(process: subprocess.Popen[str], before: list[Said]) -> list[Said]:
    """The same and what it said until it was stopped for good."""
    assert process.stdout is not None
    lines = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    return [*before, *(Said(*map(int, line.split())) for line in lines)]


def missing_s(said: list[Said], frames: int) -> float:
    """Seconds between the giving of the first frame that is not on disk and the end."""
    return next(((said[-1].at - each.at) / 1e9 for each in said if each.given > frames), 0.0)


def kill(number: int, folder: Path) -> tuple[float, int]:
    """One recording, killed at a random moment: (seconds of input that are not on disk, files)."""
    segment = 30_000 if number % 2 else 256 << 20  # every other one is always about to begin a new file
    with recorder(folder, segment) as process:
        said = hear(process, 1000)
        time.sleep(random.Random(number).uniform(0.0, 2.0))
        process.send_signal(signal.SIGKILL)
        said = all_words(process, said)
    got, rows = numbers(on_disk(folder)), trade_numbers(folder)
    assert got == list(range(len(got))), "no hole, nothing twice, nothing corrupt"
    assert rows == list(range(len(rows))) and len(got) >= len(rows)
    assert len(got) >= said[-1].frames >= 1000 and len(rows) >= said[-1].rows, "what was confirmed is there"
    files = len(list(folder.glob("*.dope")))
    after = Journal(folder, META, bounds=Bounds(flush_s=0.005, sync_s=0.02, free_bytes=0))  # the dead one holds no lock
    after.append(numbered(len(got), len(got) + 10))
    after.close()
    assert numbers(on_disk(folder)) == list(range(len(got) + 10))
    return missing_s(said, len(got)), files


def test_a_hundred_kills_lose_nothing_confirmed_and_corrupt_nothing(tmp_path: Path, figure: Figure) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda number: kill(number, tmp_path / str(number)), range(KILLS)))
    lost = sorted(seconds for seconds, _ in ends)
    assert sum(files > 2 for _, files in ends) >= KILLS // 4, "many of them around the beginning of a new file"
    figure("kill -9 of the recorder at 10,000 frames/s: kills", KILLS, target="≥ 100")
    figure("kill -9: confirmed frames and rows lost, holes, damaged blocks", 0, target="= 0", samples=KILLS)
    figure("kill -9: input lost, median", lost[len(lost) // 2], unit="s", samples=KILLS)
    figure("kill -9: input lost, most", lost[-1], unit="s", target=0.1, samples=KILLS)


# -- real disks --------------------------------------------------------------------------------------------------------
def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@contextmanager
def mounted(place: Path, *how: str | Path) -> Iterator[Path]:
    """Something mounted at ``place``; skips where that is not allowed."""
    place.mkdir(exist_ok=True)
    done = run("mount", *how, place)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        end = time.monotonic() + 10
        while run("umount", place).returncode and time.monotonic() < end:
            time.sleep(0.1)
        run("umount", "--lazy", place)  # where a test has failed, something may still be open there


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory for images of disks, for root only."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount")
    with mounted(tmp_path / "memory", "-t", "tmpfs", "-o", "size=400m", "tmpfs") as place:
        yield place


def cut(number: int, memory: Path) -> float:
    """One recording on a real file system whose disk is copied at a random moment: seconds of input that the copy lacks."""
    image, copy = memory / "disk", memory / "copy"
    with image.open("wb") as file:
        file.truncate(96 << 20)
    made = run("mkfs.ext4", "-q", "-F", image)
    if made.returncode:
        pytest.skip(f"no ext4: {made.stderr.strip()}")
    with mounted(memory / "a", "-o", "loop", image) as disk, recorder(disk / "data", 300_000 if number % 2 else 256 << 20) as process:
        said = hear(process, 5_000)
        time.sleep(random.Random(number).uniform(0.0, 1.5))
        process.send_signal(signal.SIGSTOP)
        shutil.copyfile(image, copy)  # what the disk has at this moment; the rest is in the memory of a machine without power
        process.send_signal(signal.SIGKILL)
        said = all_words(process, said)
    with mounted(memory / "b", "-o", "loop", copy) as disk:
        paths = sorted((disk / "data").glob("*.dope"))
        assert paths and all(Tape(path, tolerant=True).meta.venues == META.venues for path in paths), "each name stands for a whole header"
        got, rows = numbers(on_disk(disk / "data")), trade_numbers(disk / "data")
    assert got == list(range(len(got))) and rows == list(range(len(rows)))
    assert len(got) >= said[-1].frames and len(rows) >= said[-1].rows, "what was confirmed is there"
    image.unlink()
    copy.unlink()
    return missing_s(said, len(got))


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="no mkfs.ext4 here")
def test_twenty_power_cuts_lose_nothing_confirmed(memory: Path, figure: Figure) -> None:
    lost = sorted(cut(number, memory) for number in range(CUTS))
    figure("power cut on ext4: cuts", CUTS, target="≥ 20")
    figure("power cut: confirmed frames and rows lost, files without a header", 0, target="= 0", samples=CUTS)
    figure("power cut: input lost, median", lost[len(lost) // 2], unit="s", samples=CUTS)
    figure("power cut: input lost, most", lost[-1], unit="s", target=1.5, samples=CUTS)


def fill(number: int, memory: Path) -> tuple[float, int]:
    """One recording on a disk that somebody else fills and empties again: (s until it records again, frames that waited)."""
    noise = random.Random(number)

    def some(begin: int, end: int) -> list[Frame]:
        return [Frame(f.ts, f.venue, f.conn, f.kind, f.data + noise.randbytes(300)) for f in numbered(begin, end)]

    with mounted(memory / f"small{number}", "-t", "tmpfs", "-o", "size=24m", "tmpfs") as disk:
        journal, n, filler = Journal(disk / "data", META, bounds=Bounds(free_bytes=1 << 20)), 0, disk / "filler"

        def record(while_true: Callable[[], bool]) -> None:
            nonlocal n
            end = time.monotonic() + 60
            while while_true():
                assert time.monotonic() < end, f"never happened: {journal.status()}"
                journal.append(some(n, n + 100))
                n += 100
                time.sleep(0.02)

        record(lambda: journal.status()["frames"] < 1000)
        with filler.open("wb") as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        record(lambda: journal.status()["state"] != "paused")
        confirmed = journal.status()["frames"]
        assert "full" in journal.status()["reason"] or "No space" in journal.status()["reason"]
        assert len(on_disk(disk / "data")) >= confirmed, "what was confirmed is still there"
        filler.unlink()
        room, waiting = time.monotonic(), n - confirmed
        record(lambda: journal.status()["state"] == "paused")
        again = time.monotonic() - room
        until(lambda: journal.status()["waiting"] == 0)
        journal.close()
        assert journal.status()["lost"] == 0 and numbers(on_disk(disk / "data")) == list(range(n))
        return again, waiting


def test_five_full_disks_lose_nothing_and_recording_goes_on_by_itself(memory: Path, figure: Figure) -> None:
    ends = [fill(number, memory) for number in range(FULL_DISKS)]
    figure("disk full: times", FULL_DISKS, target="≥ 5")
    figure("disk full: frames lost of those that waited", 0, target="= 0", samples=sum(waiting for _, waiting in ends))
    figure("disk full: records again after room, most", max(again for again, _ in ends), unit="s", target=5.0, samples=FULL_DISKS)
