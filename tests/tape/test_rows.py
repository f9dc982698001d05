"""Rows on the tape: in their place among the frames, as durable as these, and read without them."""

from __future__ import annotations

import itertools
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope import tables
from dope.errors import TapeError
from dope.tape.format import BLOCK_HEAD, Hole, Record, Rows, pack_end, pack_frames, pack_meta, pack_rows, read_head, unpack_rows
from dope.tape.journal import Journal
from dope.tape.read import Tape
from dope.tape.segment import write_tape
from dope.tape.writer import Bounds, Writer
from dope.types import Frame
from tests.tape.disks import FailingDisk, Hands
from tests.tape.frames import META, START, any_frame, any_rows, numbered, numbers, on_disk, trade_numbers, trades, until

ROOT = Path(__file__).resolve().parents[2]
QUICK = Bounds(flush_s=0.005, sync_s=0.02, retry_s=0.02, free_bytes=0)


def batches(tape: Tape, table: str = "") -> list[tuple[str, list[dict[str, object]]]]:
    return [(name, batch.to_pylist()) for name, batch in tape.rows(table)]


@settings(max_examples=40)
@given(st.lists(any_frame | any_rows(), max_size=15), st.integers(200, 2000))
def test_any_rows_come_back_equal_and_in_order_and_the_frames_do_not_notice(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], block_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.dope"
    write_tape(path, META, records, block_bytes=block_bytes)
    tape = Tape(path)
    frames, rows = [r for r in records if isinstance(r, Frame)], [r for r in records if isinstance(r, Rows)]
    assert list(tape) == frames and tape.verify() == []
    assert batches(tape) == [(r.table, r.batch.to_pylist()) for r in rows]
    assert batches(tape, "gap") == [(r.table, r.batch.to_pylist()) for r in rows if r.table == "gap"]
    assert all(batch.schema.equals(tables.TABLES[name], check_metadata=True) for name, batch in tape.rows())
    assert (tape.count, tape.first, tape.last) == (len(frames), *((f(x.ts for x in frames) if frames else 0) for f in (min, max)))
    assert tape.end is not None and (tape.end.count, tape.end.raw) == (len(frames), 0), "the summary counts frames"


@pytest.mark.parametrize("compress", [True, False])
def test_a_block_of_rows_says_how_many_and_when(compress: bool) -> None:
    block = pack_rows(Rows("trade", trades(3, 9)), compress=compress)
    head = read_head(block.data)
    assert head is not None and (head.count, head.first, head.last) == (6, START + 3_000_000, START + 8_000_000)
    assert unpack_rows(head, block.data[BLOCK_HEAD:]) == ("trade", trades(3, 9))


def mixed() -> tuple[bytes, list[int]]:
    """Frames, rows, frames, rows: bytes, and the offset at which each block ends."""
    data, ends = pack_meta(META), []
    for at in (0, 3):
        for block in (pack_frames(numbered(at, at + 3, size=20)), pack_rows(Rows("trade", trades(at, at + 3)))):
            data += block.data
            ends.append(len(data))
    return data, ends


def test_a_tape_cut_at_any_byte_gives_the_rows_before_the_cut_block(tmp_path: Path) -> None:
    data, ends = mixed()
    path = tmp_path / "a.dope"
    for cut in sorted({*range(len(pack_meta(META)), len(data), 5), *ends, *(end - 1 for end in ends)}):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        assert numbers(on_disk(tmp_path)) == list(range(3 * ((whole + 1) // 2)))
        assert trade_numbers(tmp_path) == list(range(3 * (whole // 2)))


@pytest.mark.parametrize("closed", [True, False])
def test_a_flipped_bit_in_rows_is_noticed_wherever_it_is(tmp_path: Path, closed: bool) -> None:
    data, ends = mixed()
    if closed:
        data += pack_end(frames=6, lost=0, first=START, last=START).data
    path = tmp_path / "a.dope"
    for at in itertools.chain(range(ends[0], ends[0] + BLOCK_HEAD), range(ends[0] + BLOCK_HEAD, ends[1], 7), range(ends[2], ends[3], 11)):
        bad = bytearray(data)
        bad[at] ^= 1 << (at % 8)
        path.write_bytes(bad)
        assert Tape(path).verify() != [], f"flip at {at} went unnoticed"
        kept = Tape(path, tolerant=True)
        assert numbers(list(kept)) == list(range(6)), "the frames are sound"
        found = [batch for name, batch in kept.rows() if name == "trade"]
        assert found == [trades(3, 6) if at < ends[1] else trades(0, 3)]


def test_damage_in_rows_is_an_error_or_a_gap_at_its_place(tmp_path: Path) -> None:
    data, ends = mixed()
    bad = bytearray(data + pack_end(frames=6, lost=0, first=START, last=START).data)
    bad[ends[1] - 1] ^= 1
    path = tmp_path / "a.dope"
    path.write_bytes(bad)
    with pytest.raises(TapeError, match=f"a.dope at byte {ends[0]}: the block does not match its checksum"):
        list(Tape(path).rows())
    assert numbers(list(Tape(path))) == list(range(6)), "who reads frames does not care"
    tape = Tape(path, tolerant=True)
    (gap, rows), (_, trade) = tape.rows()
    assert (gap, trade) == ("gap", trades(3, 6))
    assert rows.to_pylist() == [tables.gap(START, START + 2_000_000, "rows", "damaged", lost=3)]
    assert tape.problems == [f"{path} at byte {ends[0]}: the block does not match its checksum"]


def test_holes_and_unreadable_stretches_are_gaps_among_the_rows(tmp_path: Path) -> None:
    hole = Hole(7, START + 10, START + 20, "disk full")
    write_tape(tmp_path / "a.dope", META, [*numbered(0, 2), hole, Rows("trade", trades(0, 2)), *numbered(2, 4)])
    assert batches(Tape(tmp_path / "a.dope")) == [
        ("gap", [tables.gap(START + 10, START + 20, "recording", "disk full", lost=7)]), ("trade", trades(0, 2).to_pylist()),
    ]  # fmt: skip
    data, ends = mixed()
    bad = bytearray(data)
    bad[ends[0] : ends[0] + 20] = bytes(20)
    (tmp_path / "b.dope").write_bytes(bad)
    found = batches(Tape(tmp_path / "b.dope", tolerant=True), "gap")
    assert found == [("gap", [tables.gap(START + 2_000_000, START + 3_000_000, "file", "damaged")])]


def test_only_rows_of_our_tables_are_written(tmp_path: Path) -> None:
    other = pa.RecordBatch.from_pydict({"ts": [1]})
    for name, batch in (("trade", other), ("orders", trades(0, 1)), ("bbo", trades(0, 1))):
        with pytest.raises(TapeError, match=f"no rows of a table '{name}'"):
            pack_rows(Rows(name, batch))
    journal = Journal(tmp_path, META, bounds=QUICK)
    with pytest.raises(TapeError, match="no rows of a table 'bbo'"):
        journal.append_rows("bbo", trades(0, 1))
    assert journal.append_rows("trade", trades(0, 0)) == 0
    journal.close()


@pytest.mark.parametrize("payload", [b"", b"\x05trade", b"\x05trade" + b"ARROW" * 9, b"\xfftrade", b"\x00" * 64])
def test_a_block_that_holds_no_rows_is_an_error_not_garbage(tmp_path: Path, payload: bytes) -> None:
    good = pack_rows(Rows("trade", trades(0, 3)), compress=False)
    block = bytearray(good.data[: BLOCK_HEAD - 4])
    struct.pack_into("<II", block, 8, len(payload), max(len(payload) - 6, 0))
    struct.pack_into("<I", block, BLOCK_HEAD - 8, crc32(payload))
    data = bytes(block) + struct.pack("<I", crc32(bytes(block))) + payload
    (tmp_path / "a.dope").write_bytes(pack_meta(META) + data + pack_end(frames=0, lost=0, first=0, last=0).data)
    with pytest.raises(TapeError, match="at byte"):
        list(Tape(tmp_path / "a.dope").rows())


def test_a_tape_of_version_1_is_read_as_ever() -> None:
    """The file was written by the last program that wrote version 1."""
    path = Path(__file__).parent / "version1.dope"
    assert struct.unpack_from("<H", path.read_bytes(), 8) == (1,)
    tape, hole = Tape(path), Hole(3, START + 20_000_000, START + 22_000_000, "disk full")
    assert list(tape.records()) == [numbered(0, 20), hole, numbered(23, 30)]
    assert tape.complete and tape.meta == META and tape.verify() == []
    assert batches(tape) == [("gap", [tables.gap(hole.first, hole.last, "recording", "disk full", lost=3)])]


# -- the recorder ----------------------------------------------------------------------------------------------------
def test_rows_are_acknowledged_with_the_tape_that_holds_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=QUICK)
    journal.append(numbered(0, 5))
    first = journal.append_rows("trade", trades(0, 4))
    second = journal.append_rows("trade", pa.Table.from_batches([trades(4, 6), trades(6, 9)]))
    assert 0 < first < second
    found: list[tuple[int, str]] = []
    until(lambda: bool(found.extend(journal.placed()) or len(found) == 2))
    (path,) = tmp_path.glob("*.dope")
    assert found == [(first, path.name), (second, path.name)]
    journal.close()
    status = journal.status()
    assert (status["frames"], status["rows"], status["rows_lost"], status["lost"]) == (5, 9, 0, 0)
    assert trade_numbers(tmp_path) == list(range(9))


def test_rows_wait_for_a_full_disk_and_say_where_they_came_to_stand_at_last(tmp_path: Path) -> None:
    disk, hands = FailingDisk(), Hands()
    w = Writer(tmp_path, META, Bounds(free_bytes=0), files=disk, monotonic=hands.monotonic, wall=hands.wall)
    w.queue.extend([*numbered(0, 5), Rows("trade", trades(0, 5), 1)])
    w.step()
    disk.room = 37  # the next block will be torn
    w.queue.extend([Rows("trade", trades(5, 9), 2), *numbered(5, 9)])
    w.step()
    assert (w.state, w.frames, w.rows, [ticket for ticket, _ in w.placed]) == ("paused", 5, 5, [1])
    disk.room = None
    hands.t = 5.0
    w.step()
    assert (w.state, w.frames, w.rows) == ("recording", 9, 9)
    assert len({name for _, name in w.placed}) == 2 and [ticket for ticket, _ in w.placed] == [1, 2]
    w.finish()
    assert trade_numbers(tmp_path) == numbers(on_disk(tmp_path)) == list(range(9)), "nothing lost, nothing twice"


def test_refused_rows_are_counted_and_become_a_gap(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=Bounds(flush_s=60, free_bytes=0, waiting_bytes=30_000))
    assert journal.append_rows("trade", trades(0, 1000)) == 0, "more than all of the memory"
    assert journal.append_rows("trade", trades(1000, 1010)) > 0, "there is room"
    assert journal.append_rows("trade", trades(1010, 1020)) > 0 and journal.append_rows("trade", trades(1020, 1030)) > 0
    assert journal.append_rows("trade", trades(1030, 1300)) == 0
    assert journal.append_rows("trade", trades(1300, 1301)) == 0, "until half of the memory is free again, so that gaps are few"
    ((_, first),) = journal.losses()
    journal.close()
    ((_, second),) = journal.losses()
    (path,) = tmp_path.glob("*.dope")
    assert [batch for _, batch in Tape(path).rows("gap")] == [first, second]
    why = "the disk is too slow"
    assert first.to_pylist() == [tables.gap(START, START + 999_000_000, "rows", why, lost=1000)]
    assert second.to_pylist() == [tables.gap(START + 1_030_000_000, START + 1_300_000_000, "rows", why, lost=271)]
    assert trade_numbers(tmp_path) == list(range(1000, 1030))
    assert (journal.status()["rows"], journal.status()["rows_lost"]) == (32, 1271)


def test_rows_are_refused_while_frames_are(tmp_path: Path) -> None:
    journal = Journal(tmp_path, META, bounds=Bounds(flush_s=60, free_bytes=0, waiting_bytes=1000))
    journal.append(numbered(0, 9))
    assert journal.append_rows("trade", trades(0, 4)) == 0
    journal.close()
    (path,) = tmp_path.glob("*.dope")
    rows = [row for _, batch in journal.losses() for row in batch.to_pylist()]
    assert [(row["what"], row["lost"]) for row in rows] == [("recording", 9), ("rows", 4)]
    assert [row for batch in (batch for _, batch in Tape(path).rows()) for row in batch.to_pylist()] == rows


def test_rows_and_frames_that_a_broken_disk_never_took_are_counted_at_the_end(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.fail = {"write"}
    journal = Journal(tmp_path, META, files=disk, bounds=QUICK)
    journal.append(numbered(0, 9))
    journal.append_rows("trade", trades(0, 4))
    journal.close()
    assert (journal.status()["lost"], journal.status()["rows_lost"], journal.status()["rows"]) == (9, 4, 0)


ROUNDS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0.0, 0.1, 1.0, 5.0])), min_size=1, max_size=15)
CALLS = ("create", "append", "write", "sync", "truncate", "rename")


@settings(max_examples=40)
@given(ROUNDS, st.sets(st.sampled_from(CALLS)), st.integers(0, 15), st.integers(0, 5000))
def test_whatever_call_fails_and_wherever_the_power_goes_rows_are_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[int, float]], failing: set[str], fail_at: int, keep: int
) -> None:
    folder = tmp_path_factory.mktemp("t")
    disk, hands = FailingDisk(), Hands()
    bounds = Bounds(free_bytes=0, block_bytes=1500, segment_bytes=9000)
    w = Writer(folder, META, bounds, files=disk, monotonic=hands.monotonic, wall=hands.wall)
    sent = 0
    for turn, (count, seconds) in enumerate(rounds):
        disk.fail = failing if turn == fail_at else set()
        w.queue.extend(numbered(sent, sent + count))
        if count:
            w.queue.append(Rows("trade", trades(sent, sent + count), turn + 1))
        sent += count
        hands.t += seconds
        w.step()
    placed = sum(rounds[ticket - 1][0] for ticket, _ in w.placed)
    assert placed == w.rows
    disk.power_cut(keep)
    got = trade_numbers_of(path for path, size in sorted(disk.confirmed.items()) if size and path.suffix == ".dope")
    assert got == list(range(len(got))) and len(got) >= w.rows


def trade_numbers_of(paths: object) -> list[int]:
    found = [batch for path in paths for _, batch in Tape(path).rows("trade")]  # type: ignore[attr-defined]
    return [int(number) for batch in found for number in batch.column("trade_id").to_pylist()]


WRITER = """
import sys, time
from pathlib import Path
from dope.tape.journal import Journal
from dope.tape.writer import Bounds
from tests.tape.frames import META, numbered, trades
journal = Journal(Path(sys.argv[1]), META, bounds=Bounds(flush_s=0.01, sync_s=0.03, segment_bytes=20_000, block_bytes=10_000))
n = 0
while True:
    journal.append(numbered(n, n + 50))
    journal.append_rows("trade", trades(n, n + 50))
    n += 50
    print(journal.status()["rows"], flush=True)
    time.sleep(0.01)
"""


def test_kill_nine_loses_no_confirmed_row_and_no_row_comes_without_its_frame(tmp_path: Path) -> None:
    rng = random.Random(3)
    for round in range(2):
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
        got, frames = trade_numbers(folder), numbers(on_disk(folder))
        assert got == list(range(len(got))) and frames == list(range(len(frames)))
        assert len(frames) >= len(got) >= safe >= 300
