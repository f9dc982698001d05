"""The journal with its thread, its lock and its memory bound, and a recording process that is killed in mid-write."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from dope.errors import TapeError
from dope.tape.files import RealFiles
from dope.tape.format import BLOCK_HEAD, FRAMES, RAW, ZSTD, Hole, read_head, unpack_meta
from dope.tape.journal import BUNDLE, SHORT, Journal
from dope.tape.read import Tape, merge
from dope.tape.writer import Bounds, Writer
from dope.types import Frame
from tests.tape.disks import FailingDisk
from tests.tape.frames import META, numbered, numbers, on_disk, until

ROOT = Path(__file__).resolve().parents[2]
QUICK = Bounds(flush_s=0.005, sync_s=0.02, retry_s=0.02, free_bytes=0)


def test_everything_appended_is_on_the_tape_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=QUICK)
    for n in range(0, 5000, 10):
        journal.append(numbered(n, n + 10))
    journal.close()
    assert numbers(on_disk(tmp_path)) == list(range(5000))
    status = journal.status()
    assert (status["state"], status["on"], status["frames"], status["waiting"], status["lost"]) == ("closed", False, 5000, 0, 0)
    assert status["bytes"] <= Path(status["path"]).stat().st_size


@pytest.mark.parametrize("hurry", [1, 1_000_000])
def test_large_and_small_portions_keep_their_order_and_their_number(tmp_path: Path, hurry: int) -> None:
    sizes = [1, BUNDLE, 2, BUNDLE - 1, 5 * BUNDLE, BUNDLE + 1, 1, 1]
    journal = Journal(tmp_path, META, bounds=msgspec.structs.replace(QUICK, hurry_frames=hurry))
    appended: list[Frame] = []
    for size in sizes * 5:
        portion = numbered(len(appended), len(appended) + size)
        appended += portion
        journal.append(portion)
        assert journal.status()["waiting"] >= 0
    journal.close()
    assert on_disk(tmp_path) == appended
    status = journal.status()
    assert (status["frames"], status["waiting"], status["lost"]) == (len(appended), 0, 0)
    data = Path(status["path"]).read_bytes()
    codecs, at = set(), unpack_meta(data)[1]
    while head := read_head(data[at:]):
        at += BLOCK_HEAD + head.length
        codecs |= {head.codec} if head.kind == FRAMES else set()
    assert codecs == {RAW if hurry == 1 else ZSTD}


def test_rounds_are_short_while_many_frames_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, shares, over = [10, 500, 166, 167, 0, 0], list[float](), threading.Event()

    def step(_: Writer, share: float = 1.0) -> int:
        shares.append(share)
        if len(shares) == len(waiting):
            over.set()
        return waiting[min(len(shares), len(waiting)) - 1]

    monkeypatch.setattr(Writer, "step", step)
    journal = Journal(tmp_path, META, bounds=msgspec.structs.replace(QUICK, busy_frames=500))
    assert over.wait(60)
    journal.close()
    assert shares[: len(waiting)] == [1.0, 1.0, SHORT, 1.0, 1.0, 1.0]


def test_what_is_too_much_for_compression_is_a_rate_and_no_number_of_frames(tmp_path: Path) -> None:
    for share, codec in ((1.0, ZSTD), (SHORT, RAW)):
        folder = tmp_path / str(share)
        folder.mkdir()
        writer = Writer(
            folder, META, msgspec.structs.replace(QUICK, hurry_frames=300), files=RealFiles(), monotonic=time.monotonic, wall=time.time
        )
        writer.queue.extend(numbered(0, 100))
        assert writer.step(share) == 100
        writer.finish()
        assert writer.path is not None
        data = writer.path.read_bytes()
        head = read_head(data[unpack_meta(data)[1] :])
        assert head is not None and head.codec == codec


def test_a_recording_without_frames_leaves_no_tape(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "data" / "live", META, bounds=QUICK)
    assert journal.status()["state"] == "recording" and journal.status()["path"] == ""
    journal.close()
    journal.close()
    assert list((tmp_path / "data" / "live").glob("*.dope")) == []


def test_a_tape_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=QUICK)
    seen = 0
    for n in range(0, 2000, 100):
        journal.append(numbered(n, n + 100))
        until(lambda: journal.status()["waiting"] == 0)
        tape = Tape(journal.status()["path"])
        got = numbers(list(tape))
        assert got == list(range(n + 100)) and not tape.complete
        seen = len(got)
    journal.close()
    assert seen == 2000


def test_a_second_writer_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=QUICK)
    with pytest.raises(TapeError, match=f"already being written by process {os.getpid()}"):
        Journal(tmp_path, META, bounds=QUICK)
    journal.close()
    Journal(tmp_path, META, bounds=QUICK).close()


def test_a_refused_journal_does_not_keep_the_lock(tmp_path: Path) -> None:
    (tmp_path / "20261121T0512Z-sim-0001.dope").touch()
    with pytest.raises(TapeError, match="source sim"):
        Journal(tmp_path, META, bounds=QUICK)
    (tmp_path / "20261121T0512Z-sim-0001.dope").unlink()
    Journal(tmp_path, META, bounds=QUICK).close()


def test_memory_is_bounded_and_what_is_lost_is_counted_and_marked_at_its_place(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.fail = {"create"}
    bounds = Bounds(flush_s=0.005, retry_s=0.02, sync_s=0.02, free_bytes=0, waiting_bytes=50_000)
    journal = Journal(tmp_path, META, files=disk, bounds=bounds)
    payload = random.Random(7)
    frames = [f for n in range(1000) for f in numbered(n, n + 1)]
    frames = [type(f)(f.ts, f.venue, f.conn, f.kind, f.data + payload.randbytes(400)) for f in frames]
    for frame in frames[:600]:
        journal.append([frame])
    until(lambda: journal.status()["state"] == "paused" and journal.status()["reason"] == "Input/output error")
    lost = journal.status()["lost"]
    assert 300 < lost < 600
    disk.fail = set()
    until(lambda: journal.status()["waiting"] == 0)
    for frame in frames[600:700]:
        journal.append([frame])
        until(lambda: journal.status()["waiting"] == 0)
    until(lambda: journal.status()["on"])
    journal.close()
    kept = on_disk(tmp_path)
    assert numbers(kept) == [*range(600 - lost), *range(600, 700)]
    (hole,) = [hole for path in sorted(tmp_path.glob("*.dope")) for hole in Tape(path).holes()]
    assert (hole.lost, hole.first, hole.last) == (lost, frames[600 - lost].ts, frames[599].ts)
    assert journal.status()["frames"] + journal.status()["lost"] == 700


def test_a_hole_that_is_still_open_at_the_end_is_on_the_tape(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.fail = {"create"}
    journal = Journal(tmp_path, META, files=disk, bounds=Bounds(flush_s=60, sync_s=0.02, free_bytes=0, waiting_bytes=1000))
    journal.append(numbered(0, 5))
    journal.append(numbered(5, 9))
    disk.fail = set()
    journal.close()
    (hole,) = Tape(journal.status()["path"]).holes()
    assert hole == Hole(4, numbered(5, 6)[0].ts, numbered(8, 9)[0].ts, "the disk is too slow")


def test_frames_after_close_are_counted_as_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=QUICK)
    journal.append(numbered(0, 5))
    journal.close()
    journal.append(numbered(5, 9))
    assert (journal.status()["frames"], journal.status()["lost"]) == (5, 4)


def test_closing_on_a_broken_disk_ends_and_says_what_was_lost(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.fail = {"write"}
    journal = Journal(tmp_path, META, files=disk, bounds=QUICK)
    journal.append(numbered(0, 9))
    journal.close()
    status = journal.status()
    assert (status["state"], status["reason"]) == ("failed", "Input/output error")
    assert (status["frames"], status["lost"], status["waiting"]) == (0, 9, 0)


def test_a_disk_that_hangs_does_not_hang_the_program(tmp_path: Path) -> None:
    let_go = threading.Event()

    class Stuck(FailingDisk):
        def sync(self, fd: int) -> None:
            let_go.wait(30)
            super().sync(fd)

    journal = Journal(tmp_path, META, files=Stuck(), bounds=Bounds(flush_s=0.005, close_s=0.05, free_bytes=0))
    journal.append(numbered(0, 9))
    journal.close()
    assert (journal.status()["state"], journal.status()["reason"]) == ("failed", "the disk does not answer")
    let_go.set()
    until(lambda: journal.status()["state"] == "closed")


def test_the_parts_of_one_session_replay_as_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=Bounds(flush_s=0.005, sync_s=0.02, segment_bytes=4000, block_bytes=2000, free_bytes=0))
    sent = [f for n in range(0, 3000, 100) for f in numbered(n, n + 100)]
    journal.append(sent)
    journal.close()
    tapes = [Tape(path) for path in sorted(tmp_path.glob("*.dope"))]
    assert len(tapes) > 3
    assert list(merge(tapes)) == sent
    assert not any(isinstance(record, Hole) for tape in tapes for record in tape.records())


WRITER = """
import sys, time
from pathlib import Path
from dope.tape.journal import Journal
from dope.tape.writer import Bounds, Writer
from tests.tape.frames import META, numbered
journal = Journal(Path(sys.argv[1]), META, bounds=Bounds(flush_s=0.01, sync_s=0.03, segment_bytes=20_000, block_bytes=10_000))
n = 0
while True:
    journal.append(numbered(n, n + 100))
    n += 100
    status = journal.status()
    print(status["frames"], flush=True)
    time.sleep(0.01)
"""


def test_kill_nine_loses_no_confirmed_frame_and_corrupts_none(tmp_path: Path) -> None:
    """Ten kills at random moments, many of them around a rotation; each restart goes on in the same folder."""
    rng = random.Random(3)
    for round in range(10):
        folder = tmp_path / str(round)
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process:
            while int(process.stdout.readline().split()[0]) < 300:
                pass
            time.sleep(rng.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
            lines = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        safe = int(lines[-1].split()[0]) if lines else 300
        got = numbers(on_disk(folder))
        assert got == list(range(len(got))), "no hole, nothing twice, nothing corrupt"
        assert len(got) >= safe >= 300
        after = Journal(folder, META, bounds=QUICK)  # the dead process holds no lock
        after.append(numbered(len(got), len(got) + 10))
        after.close()
        assert numbers(on_disk(folder)) == list(range(len(got) + 10))


LIMITED = """
import random, resource, sys
from pathlib import Path
from dope.tape.journal import Journal
from dope.tape.writer import Bounds, Writer
from tests.tape.frames import META, numbered, until
noise = random.Random(1)
def frames(begin, end):
    return [type(f)(f.ts, f.venue, f.conn, f.kind, f.data + noise.randbytes(200)) for f in numbered(begin, end)]
journal = Journal(Path(sys.argv[1]), META, bounds=Bounds(flush_s=0.005, sync_s=0.02, retry_s=0.05))
journal.append(frames(0, 100))
until(lambda: journal.status()["frames"] == 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
journal.append(frames(100, 400))
until(lambda: journal.status()["state"] == "paused")
status = journal.status()
print(status["reason"], status["frames"], status["lost"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
until(lambda: journal.status()["frames"] == 400)
journal.append(frames(400, 500))
journal.close()
status = journal.status()
print(status["state"], status["frames"], status["lost"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a Unix thing")
def test_a_real_file_that_may_not_grow_is_cut_back_and_recording_goes_on_in_a_new_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.splitlines() == ["File too large 100 0", "closed 500 0"], done.stderr
    assert numbers(on_disk(tmp_path)) == list(range(500))
    assert sum(Tape(path).torn for path in tmp_path.glob("*.dope")) == 0
