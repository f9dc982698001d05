"""The recorder on disks that fill up, fail, write short or lose their nerve: nothing that the disk confirmed is ever lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.errors import TapeError
from dope.tape.format import Hole
from dope.tape.read import Tape
from dope.tape.segment import write_all, write_tape
from dope.tape.writer import Bounds, Writer
from tests.tape.disks import FailingDisk, Hands
from tests.tape.frames import META, numbered, numbers, on_disk

SMALL = Bounds(flush_s=0.1, sync_s=1.0, retry_s=5.0, free_bytes=1000)


def writer(folder: Path, bounds: Bounds = SMALL) -> tuple[Writer, FailingDisk, Hands]:
    disk, hands = FailingDisk(), Hands()
    return Writer(folder, META, bounds, files=disk, monotonic=hands.monotonic, wall=hands.wall), disk, hands


def test_frames_reach_the_file_each_flush_and_count_as_safe_after_the_sync(tmp_path: Path) -> None:
    w, disk, hands = writer(tmp_path)
    w.queue.extend(numbered(0, 10))
    w.step()
    begun = disk.syncs
    assert w.frames == 10, "the first frames are synced at once"
    for round in range(1, 10):
        hands.t = round / 10
        w.queue.extend(numbered(10 * round, 10 * round + 10))
        w.step()
    assert (w.frames, disk.syncs) == (10, begun), "within the same second nothing more is synced"
    assert numbers(on_disk(tmp_path)) == list(range(100)), "but all of it would survive a kill"
    hands.t = 1.0
    w.step()
    assert (w.frames, disk.syncs) == (100, begun + 1)


def test_short_writes_are_finished(tmp_path: Path) -> None:
    w, disk, _ = writer(tmp_path)
    disk.most = 7
    w.queue.extend(numbered(0, 100))
    assert w.finish() == 0
    tape = Tape(next(tmp_path.glob("*.dope")))
    assert numbers(list(tape)) == list(range(100)) and tape.complete


def test_a_disk_that_takes_no_bytes_is_an_error_not_an_endless_loop(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.most = 0
    with pytest.raises(OSError, match="took no bytes"):
        write_all(disk, disk.create(tmp_path / "a"), b"data")


def test_disk_full_pauses_keeps_the_frames_and_resumes_within_five_seconds(tmp_path: Path) -> None:
    w, disk, hands = writer(tmp_path)
    w.queue.extend(numbered(0, 50))
    w.step()
    disk.room = 37  # the next block will be torn
    w.queue.extend(numbered(50, 60))
    w.step()
    assert (w.state, w.reason, w.frames) == ("paused", "No space left on device", 50)
    assert numbers(on_disk(tmp_path)) == list(range(50)), "the torn block was cut off"
    assert Tape(next(tmp_path.glob("*.dope"))).torn == 0
    disk.room = None
    hands.t = 4.9
    w.queue.extend(numbered(60, 70))
    w.step()
    assert w.state == "paused"
    hands.t = 5.0
    w.step()
    assert (w.state, w.reason, w.frames) == ("recording", "", 70)
    assert w.finish() == 0
    assert numbers(on_disk(tmp_path)) == list(range(70))


def test_recording_pauses_before_the_disk_is_full_for_everybody_else(tmp_path: Path) -> None:
    w, disk, hands = writer(tmp_path, Bounds(free_bytes=64 << 20))
    disk.free_bytes = 63 << 20
    w.queue.extend(numbered(0, 5))
    w.step()
    assert (w.state, w.reason) == ("paused", "disk full: less than 64 MB free")
    assert list(tmp_path.glob("*.dope")) == []
    disk.free_bytes = 65 << 20
    hands.t = 5.0
    w.step()
    assert (w.state, w.frames) == ("recording", 5)


def test_after_a_failed_sync_the_same_file_is_never_called_good(tmp_path: Path) -> None:
    w, disk, hands = writer(tmp_path)
    w.queue.extend(numbered(0, 10))
    w.step()
    first = w.path
    disk.fail = {"sync"}
    hands.t = 1.0
    w.queue.extend(numbered(10, 20))
    w.step()
    assert (w.state, w.reason, w.frames) == ("paused", "Input/output error", 10)
    assert first is not None and numbers(list(Tape(first))) == list(range(10)), "cut back to what was confirmed"
    disk.fail = set()
    hands.t = 6.0
    w.step()
    assert w.path != first and w.frames == 20
    assert numbers(on_disk(tmp_path)) == list(range(20)), "nothing lost, nothing twice"


def test_a_file_that_cannot_be_cut_back_is_not_continued_elsewhere(tmp_path: Path) -> None:
    w, disk, hands = writer(tmp_path)
    w.queue.extend(numbered(0, 10))
    w.step()
    disk.fail = {"sync", "truncate"}
    hands.t = 1.0
    w.queue.extend(numbered(10, 20))
    w.step()
    disk.fail = {"truncate"}
    hands.t = 6.0
    w.step()
    assert w.state == "paused" and len(list(tmp_path.glob("*.dope"))) == 1, "else the frames would be on disk twice"
    disk.fail = set()
    hands.t = 11.0
    w.step()
    assert w.state == "recording" and numbers(on_disk(tmp_path)) == list(range(20))


CALLS = {"create", "append", "rename", "write", "sync", "truncate"}
TROUBLE = (*sorted(CALLS), "full", "short", "fine", "fine")


@given(st.lists(st.tuples(st.sampled_from(TROUBLE), st.integers(0, 400)), max_size=25))
def test_whatever_fails_in_whatever_order_no_confirmed_frame_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    w, disk, hands = writer(folder, Bounds(free_bytes=0, block_bytes=1500, segment_bytes=3000))
    sent = 0
    for event, amount in events:
        disk.fail = {event} & CALLS
        disk.room = amount if event == "full" else None
        disk.most = 1 + amount % 50 if event == "short" else None
        w.queue.extend(numbered(sent, sent + amount % 20))
        sent += amount % 20
        hands.t += 0.7 + amount / 100
        w.step()
        assert numbers(on_disk(folder))[: w.frames] == list(range(w.frames))
    disk.fail, disk.room, disk.most = set(), None, None
    assert w.finish() == 0
    assert numbers(on_disk(folder)) == list(range(sent))
    assert w.frames == sent


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1.5)), min_size=1, max_size=15), st.integers(0, 300))
def test_a_power_cut_loses_nothing_that_was_confirmed(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[int, float]], keep: int
) -> None:
    folder = tmp_path_factory.mktemp("t")
    w, disk, hands = writer(folder, Bounds(free_bytes=0, block_bytes=1500, segment_bytes=3000))
    sent = 0
    for count, seconds in rounds:
        w.queue.extend(numbered(sent, sent + count))
        sent += count
        hands.t += seconds
        w.step()
    disk.power_cut(keep)
    got = numbers([frame for path, size in sorted(disk.confirmed.items()) if size for frame in Tape(path)])
    assert got == list(range(len(got))) and len(got) >= w.frames


def test_what_cannot_be_saved_at_the_end_is_counted(tmp_path: Path) -> None:
    w, disk, _ = writer(tmp_path)
    w.queue.extend(numbered(0, 10))
    w.step()
    disk.fail = {"write"}
    w.queue.extend(numbered(10, 25))
    assert w.finish() == 15
    assert numbers(on_disk(tmp_path)) == list(range(10))


def test_a_hole_is_on_the_tape_at_its_place_and_in_its_summary(tmp_path: Path) -> None:
    w, _, _ = writer(tmp_path)
    hole = Hole(30, numbered(5, 6)[0].ts, numbered(34, 35)[0].ts, "disk full")
    w.queue.extend([*numbered(0, 5), hole, *numbered(35, 40)])
    w.finish()
    tape = Tape(next(tmp_path.glob("*.dope")))
    assert list(tape.records()) == [numbered(0, 5), hole, numbered(35, 40)]
    assert tape.end is not None and (tape.end.count, tape.end.raw) == (10, 30)


def test_a_new_file_begins_each_hour_and_parts_share_their_session(tmp_path: Path) -> None:
    w, _, hands = writer(tmp_path)
    for hour in range(3):
        hands.t = hour * 3600.0
        w.queue.extend(numbered(hour * 10, hour * 10 + 10))
        w.step()
    w.finish()
    tapes = [Tape(path) for path in sorted(tmp_path.glob("*.dope"))]
    assert [numbers(list(tape)) for tape in tapes] == [list(range(n, n + 10)) for n in (0, 10, 20)]
    assert [(tape.meta.session, tape.meta.part) for tape in tapes] == [("session-1", 1), ("session-1", 2), ("session-1", 3)]
    assert min(path.name for path in tmp_path.glob("*.dope")) == "20261121T0513Z-live-0001.dope"
    assert all(tape.complete for tape in tapes)


def test_the_folder_stays_below_its_cap_and_the_oldest_go_first(tmp_path: Path) -> None:
    cap = 40_000
    w, _, hands = writer(tmp_path, Bounds(total_bytes=cap, segment_bytes=10_000, block_bytes=2000))
    mine = tmp_path / "kept-for-good.dope"
    write_tape(mine, META, numbered(0, 5))
    for n in range(400):
        hands.t += 1.0
        w.queue.extend(numbered(20 * n, 20 * n + 20, size=20 + n % 7))
        w.step()
        assert sum(path.stat().st_size for path in tmp_path.glob("2*.dope")) <= cap
    w.finish()
    kept = numbers([frame for path in sorted(tmp_path.glob("2*.dope")) for frame in Tape(path)])
    assert kept == list(range(kept[0], 8000)) and kept[0] > 0
    assert numbers(list(Tape(mine))) == list(range(5)), "a tape that somebody named is never removed"


def test_a_folder_holds_tapes_of_one_source_only(tmp_path: Path) -> None:
    write_tape(tmp_path / "20261121T0512Z-sim-0001.dope", META, [])
    with pytest.raises(TapeError, match="holds tapes of source sim; live needs a folder of its own"):
        writer(tmp_path)


def test_a_name_in_use_is_never_written_over(tmp_path: Path) -> None:
    for number in (1, 7):
        write_tape(tmp_path / f"20261121T0512Z-live-{number:04d}.dope", META, numbered(0, 3))
    w, _, _ = writer(tmp_path)
    w.queue.extend(numbered(3, 6))
    w.finish()
    assert [path.name[-9:-5] for path in sorted(tmp_path.glob("*.dope"))] == ["0001", "0007", "0008"]


@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "append"])
def test_a_file_that_cannot_be_begun_leaves_nothing_behind(tmp_path: Path, call: str) -> None:
    w, disk, hands = writer(tmp_path)
    disk.fail = {call}
    w.queue.extend(numbered(0, 10))
    w.step()
    assert w.state == "paused" and list(tmp_path.iterdir()) == []
    disk.fail = set()
    hands.t = 5.0
    w.step()
    assert w.frames == 10 and numbers(on_disk(tmp_path)) == list(range(10))


def test_a_file_whose_first_block_did_not_fit_goes_away(tmp_path: Path) -> None:
    w, disk, _ = writer(tmp_path)
    disk.room = 280  # enough for the header
    w.queue.extend(numbered(0, 1000))
    w.step()
    assert (w.state, w.reason) == ("paused", "No space left on device") and list(tmp_path.iterdir()) == []


def test_what_a_killed_process_had_only_begun_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "20261121T0512Z-live-0001.dope.new").touch()
    (tmp_path / "mine.new").touch()
    writer(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.new"]


def test_a_whole_tape_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.room = 400
    with pytest.raises(TapeError, match=f"a.dope: {errno.errorcode[errno.ENOSPC] and 'No space'}"):
        write_tape(tmp_path / "a.dope", META, numbered(0, 1000), files=disk)
    assert list(tmp_path.iterdir()) == []


def test_bounds_that_the_format_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="at most 128 MB may wait"):
        writer(tmp_path, Bounds(waiting_bytes=1 << 30))
