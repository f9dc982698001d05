"""What is missing of a recording and how it is kept, told from files that a killed program left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from dope import tables
from dope.care.last import NAME, keep_verdict, last_verdict
from dope.care.verify import verify
from dope.feed.clock import Clock
from dope.history import Histories
from dope.recordings import left_behind, missing
from dope.settings import Settings
from dope.storage import storage
from dope.tables import gap
from dope.tape.catalogue import SEALED, list_tapes
from dope.tape.files import FolderLock
from dope.tape.format import Rows
from dope.tape.seal import seal
from dope.tape.segment import write_tape
from tests.program import ROOT
from tests.tape.frames import META, START, numbered
from tests.tape.sealed import sealed_of, tape_of

SECOND = 10**9

#: told open (a lost book) and told over (a connection), then killed before it could say more
KILLED = """
import sys, time
from pathlib import Path
from dope import tables
from dope.tape.journal import Journal
from dope.tape.writer import Bounds
from tests.tape.frames import META, START, numbered
journal = Journal(Path(sys.argv[1]), META, bounds=Bounds(flush_s=0.01, sync_s=0.02))
journal.append(numbered(0, 50))
open_ = tables.gap(START + 10, None, "book", "sequence", venue="okx", symbol="BTC-USDT")
over = tables.gap(START + 20, None, "connection", "market: cut", venue="okx")
journal.append_rows("gap", tables.batch("gap", [open_, over]))
journal.append(numbered(50, 60))
journal.append_rows("gap", tables.batch("gap", [{**over, "until": START + 30}]))
while journal.status()["rows"] < 3:
    time.sleep(0.01)
print("on disk", flush=True)
time.sleep(600)
"""


def settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data", model_dir=folder / "models")


def told(folder: Path, start: int, end: int) -> list[dict[str, Any]]:
    histories = Histories(settings(folder), Clock(wall_ns=lambda: end), lambda: None)
    try:
        answer = histories.query("gap", "", start, end, source="live")
        rows: list[dict[str, Any]] = missing(answer, folder / "data" / "live").gaps.to_pylist()
        return rows
    finally:
        histories.close()


def killed_recording(folder: Path) -> Path:
    """A tape of a process that was killed with kill -9."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "on disk\n"
        process.kill()
    (path,) = folder.glob("*.dope")
    return path


def test_a_gap_that_was_open_at_a_kill_ends_where_the_next_recording_begins_sealed_or_not(tmp_path: Path) -> None:
    live = tmp_path / "data" / "live"
    tape = killed_recording(live)
    (info,) = list_tapes(live)
    book = gap(START + 10, None, "book", "sequence", venue="okx", symbol="BTC-USDT")
    link = gap(START + 20, START + 30, "connection", "market: cut", venue="okx")
    begin, end = START - SECOND, START + 60 * SECOND
    assert book in told(tmp_path, begin, end) and link in told(tmp_path, begin, end), "nothing came after: it is missing still"
    late = START + 20 * SECOND
    again = msgspec.structs.replace(META, session="session-2", created=late)
    frames = [msgspec.structs.replace(frame, ts=frame.ts + late - START) for frame in numbered(0, 9)]
    write_tape(live / "20261121T0520Z-live-0002.dope", again, frames)
    ended = {**book, "until": late}
    for sealed in (False, True):
        if sealed:
            seal(tape, live / SEALED)
        rows = told(tmp_path, begin, end)
        assert ended in rows and link in rows and not any(row["until"] is None for row in rows)
        hole = next(row for row in rows if row["what"] == "recording" and row["ts"] == info.last + 1)
        assert hole["until"] == late and hole["why"] == f"killed: {tape.name} was not closed"
        after = told(tmp_path, late + SECOND, end)
        assert not [row for row in after if row["venue"]], "what is over is not told of later times"
    os.remove(tape)
    assert ended in told(tmp_path, begin, end), "the tape is gone, its sealed file tells the same"


def test_what_began_to_be_missing_before_the_range_and_still_is_belongs_to_it(tmp_path: Path) -> None:
    live = tmp_path / "data" / "live"
    live.mkdir(parents=True)
    hour = 3600 * SECOND
    book = gap(START + 10, None, "book", "sequence", venue="okx", symbol="BTC-USDT")
    for part in (1, 2, 3):
        begin = START + (part - 1) * hour
        frames = [msgspec.structs.replace(frame, ts=frame.ts + begin - START) for frame in numbered(0, 9)]
        rows = [Rows("gap", tables.batch("gap", [book]))] if part == 1 else []
        path = live / f"20261121T0{part}00Z-live-{part:04d}.dope"
        write_tape(path, msgspec.structs.replace(META, part=part), [*frames, *rows])
        seal(path, live / SEALED)
    histories = Histories(settings(tmp_path), Clock(wall_ns=lambda: START + 3 * hour), lambda: None)
    answer = histories.query("bbo", "BTC-USDT", START + 2 * hour, START + 2 * hour + 5_000_000, source="live")
    assert book in answer.gaps.to_pylist(), "two tapes later the book is still not known"
    histories.close()


def test_a_file_that_cannot_be_read_and_a_part_that_is_not_there_are_gaps(tmp_path: Path) -> None:
    live = tmp_path / "data" / "live"
    live.mkdir(parents=True)
    for part in (1, 3):
        frames = [msgspec.structs.replace(frame, ts=frame.ts + part * 10_000_000) for frame in numbered(0, 9)]
        write_tape(live / f"20261121T050{part}Z-live-{part:04d}.dope", msgspec.structs.replace(META, part=part), frames)
    bad = live / "20261121T0513Z-live-0009.dope"
    bad.write_bytes(b"\x00" * 100)
    whys = [row["why"] for row in told(tmp_path, START - SECOND, START + 3600 * SECOND) if row["what"] == "file"]
    assert "part 2 of the recording is not here" in whys and any(why.startswith(bad.name) for why in whys)


def test_what_a_source_left_behind_is_nobodys_only_while_nobody_records_there(tmp_path: Path) -> None:
    tapes = [tape_of(tmp_path, number, complete=number == 1) for number in (1, 2)]
    (tmp_path / "mine.dope").write_bytes(tapes[0].read_bytes())
    assert left_behind(tmp_path) == tapes
    lock = FolderLock(tmp_path)
    assert left_behind(tmp_path) == []
    lock.release()
    assert left_behind(tmp_path) == tapes


def test_how_a_recording_is_kept_is_one_row(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    nothing = storage(chosen, "live", recording={}, sealing={}, notice="")
    assert (nothing["tapes"], nothing["first"], nothing["sealed_last"], nothing["verified"]) == (0, None, None, None)
    assert 0 < nothing["free_bytes"] <= nothing["disk_bytes"], "of the disk that will hold the folder"
    live = tmp_path / "data" / "live"
    sealed_of(live, 1)
    tape_of(live, 2, hour=1, complete=False)
    row = storage(chosen, "live", recording={"on": True, "path": "x.dope"}, sealing={"waiting": 1, "reason": "no"}, notice="broken")
    assert (row["tapes"], row["frames"], row["sealed"], row["waiting"], row["on"]) == (2, 40, 1, 1, True)
    assert row["tape_bytes"] == sum(path.stat().st_size for path in live.glob("*.dope")) and row["sealed_last"] > 0
    assert (row["seal_trouble"], row["records_trouble"], row["first"]) == ("no", "broken", START // 1_000_000)


def test_the_last_verdict_is_kept_for_the_folder_that_it_is_about_and_for_no_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sealed_of(data / "live", 1)
    elsewhere = tmp_path / "elsewhere"
    sealed_of(elsewhere, 1)
    keep_verdict(verify([elsewhere]), [elsewhere], data, 5)
    assert last_verdict(data) is None
    tape_of(data / "live", 2, complete=False)
    keep_verdict(verify([data]), [data], data, 6)
    seen = last_verdict(data)
    assert seen is not None and (seen.at, seen.problems, len(seen.told)) == (6, 1, 1) and seen.sound > 5
    row = storage(settings(tmp_path), "live", recording={}, sealing={}, notice="")
    assert (row["verified"], row["problems"]) == (6, 1) and "not closed in order" in row["told"][0]
    (data / NAME).write_bytes(b"{")
    assert last_verdict(data) is None

