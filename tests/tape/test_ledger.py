"""The gap ledger: whatever is missing is a row with begin, end and reason, also where nobody could write one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dope import tables
from dope.tables import GAP, gap
from dope.tape.format import BLOCK_HEAD, Meta, Record, Rows
from dope.tape.journal import Journal
from dope.tape.ledger import ledger
from dope.tape.segment import write_tape
from dope.tape.writer import Bounds
from tests.tape.disks import FailingDisk
from tests.tape.frames import META, START, numbered, until


def at(n: int) -> int:
    return START + n * 1_000_000


def tape(folder: Path, number: int, records: list[Record], *, source: str = "live", session: str = "", part: int = 1) -> Path:
    path = folder / f"20261121T05{number:02d}Z-{source}-{number:04d}.dope"
    write_tape(path, Meta(source, START, session=session or f"run-{number}", part=part), records)
    return path


def missing(folder: Path) -> list[dict[str, Any]]:
    table = ledger(folder)
    assert table.schema.equals(GAP, check_metadata=True)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def gaps(*rows: dict[str, Any]) -> Rows:
    return Rows("gap", tables.batch("gap", rows))


def test_a_whole_recording_in_several_parts_misses_nothing(tmp_path: Path) -> None:
    for part in range(3):
        tape(tmp_path, part + 1, [*numbered(10 * part, 10 * part + 10)], session="one", part=part + 1)
    assert missing(tmp_path) == [] and missing(tmp_path / "absent") == []


def test_between_two_sessions_it_says_how_the_first_one_ended(tmp_path: Path) -> None:
    first = tape(tmp_path, 1, [*numbered(0, 10)])
    tape(tmp_path, 2, [*numbered(50, 60)])
    assert missing(tmp_path) == [gap(at(9), at(50), "recording", "not running")]
    os.truncate(first, first.stat().st_size - BLOCK_HEAD)
    assert missing(tmp_path) == [gap(at(9), at(50), "recording", f"killed: {first.name} was not closed")]
    with first.open("ab") as file:
        file.write(b"\xd0PE\n torn")
    why = f"power cut or damage: the last 9 bytes of {first.name} cannot be read"
    assert missing(tmp_path) == [gap(at(9), at(50), "recording", why)]


def test_sources_are_apart_and_imports_are_of_any_time(tmp_path: Path) -> None:
    for source in ("live", "sim", "import"):
        (tmp_path / source).mkdir()
    tape(tmp_path / "live", 1, [*numbered(0, 10)])
    tape(tmp_path / "sim", 1, [*numbered(20, 30)], source="sim")
    tape(tmp_path / "import", 1, [*numbered(40, 45)], source="import")
    tape(tmp_path / "import", 2, [*numbered(90, 95)], source="import")
    assert missing(tmp_path) == []


def test_what_the_program_told_twice_is_one_row_and_what_it_could_not_finish_ends_where_the_next_session_begins(tmp_path: Path) -> None:
    book = {"venue": "okx", "symbol": "BTC-USDT"}
    first = tape(tmp_path, 1, [
        *numbered(0, 5), gaps(gap(at(2), None, "book", "sequence", **book)), *numbered(5, 8),
        gaps(gap(at(2), at(6), "book", "sequence", **book), gap(at(7), None, "connection", "market: cut", venue="okx")), *numbered(8, 10),
    ])  # fmt: skip
    told, cut = gap(at(2), at(6), "book", "sequence", **book), gap(at(7), None, "connection", "market: cut", venue="okx")
    assert missing(tmp_path) == [told, {**cut, "until": at(9)}], "the tape was closed: nothing of it is still missing"
    os.truncate(first, first.stat().st_size - BLOCK_HEAD)
    assert missing(tmp_path) == [told, cut], "it may still be running"
    tape(tmp_path, 2, [*numbered(20, 30)])
    assert missing(tmp_path) == [told, {**cut, "until": at(20)}, gap(at(9), at(20), "recording", f"killed: {first.name} was not closed")]


def test_a_part_that_is_gone_and_a_file_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for part in (1, 3):
        tape(tmp_path, part, [*numbered(10 * part, 10 * part + 10)], session="one", part=part)
    bad = tmp_path / "20261121T0517Z-live-0009.dope"
    bad.write_bytes(b"\x00" * 100)
    unreadable, gone = sorted(missing(tmp_path), key=lambda row: row["why"][0] != "/")
    assert gone == gap(at(19), at(30), "file", "part 2 of the recording is not here")
    assert unreadable["what"] == "file" and "not a tape" in unreadable["why"] and unreadable["ts"] % 60_000_000_000 == 0


def test_a_damaged_stretch_is_from_the_last_frame_before_it_to_the_first_behind_it(tmp_path: Path) -> None:
    path = tape(tmp_path, 1, [*numbered(0, 5), gaps(gap(at(4), at(5), "book", "x")), *numbered(5, 9)])
    data = bytearray(path.read_bytes())
    second = data.find(b"\xd0PE\n", data.find(b"\xd0PE\n") + 4)
    data[second : second + 8] = bytes(8)
    path.write_bytes(data)
    assert missing(tmp_path) == [gap(at(4), at(5), "file", "damaged")]


def test_a_full_disk_is_a_row_with_begin_end_and_count(tmp_path: Path) -> None:
    disk = FailingDisk()
    bounds = Bounds(flush_s=0.005, retry_s=0.02, sync_s=0.01, free_bytes=0, waiting_bytes=20_000)
    journal = Journal(tmp_path, msgspec.structs.replace(META, session=""), files=disk, bounds=bounds)
    journal.append(numbered(0, 10))
    until(lambda: journal.status()["frames"] == 10)
    disk.room = 0
    sent = 10
    while not journal.status()["lost"]:
        journal.append(numbered(sent, sent + 40, size=200))
        sent += 40
    first_lost = sent - 40
    disk.room = None
    until(lambda: journal.status()["waiting"] == 0)
    journal.append(numbered(sent, sent + 5))
    journal.close()
    (row,) = missing(tmp_path)
    assert row == gap(at(first_lost), at(sent - 1), "recording", row["why"], lost=journal.status()["lost"])
    assert row["why"] in ("No space left on device", "the disk is too slow")


@pytest.mark.parametrize("name", ["mine.dope", "20261399T0512Z-live-0001.dope"])
def test_a_bad_file_of_any_name_is_listed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    (row,) = missing(tmp_path)
    assert (row["ts"], row["what"]) == (0, "file")
