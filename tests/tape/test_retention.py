"""Retention: by age and by size, oldest first, and never anything whose loss nobody could see."""

from __future__ import annotations

from pathlib import Path

import pytest

from dope.tape.files import RealFiles
from dope.tape.journal import Journal
from dope.tape.manifest import read_manifest
from dope.tape.retention import NO_ROOM, Keep, expire, remove_for_room
from dope.tape.seal import SEALED, check, read, sealed_tapes
from dope.tape.writer import Bounds
from tests.tape.disks import FailingDisk
from tests.tape.frames import META, START, numbered, until
from tests.tape.rows import HOUR
from tests.tape.sealed import sealed_of, tables, tape_of

FOR_EVER = Keep(tape_days=0, history_days=0, history_bytes=0, ledger_days=0)


def hours(folder: Path, table: str) -> list[str]:
    return sorted(path.parent.name.removeprefix("hour=") for path in (folder / SEALED / table).rglob("*.parquet"))


def test_nothing_goes_while_nothing_is_bounded(tmp_path: Path) -> None:
    sealed_of(tmp_path, 1)
    assert expire(tmp_path, FOR_EVER, now=START + 10_000 * HOUR) == []
    assert expire(tmp_path / "absent", Keep(), now=START) == []
    assert tables(tmp_path) == {"bbo": 1, "gap": 1, "manifest": 1, "opportunity": 1, "signal": 1, "trade": 1}


def test_old_tapes_go_once_they_are_sealed_and_never_before(tmp_path: Path) -> None:
    sealed_of(tmp_path, 1)
    unsealed = tape_of(tmp_path, 2)
    sealed_of(tmp_path, 3, hour=30)
    foreign = tmp_path / "mine.dope"
    foreign.write_bytes(unsealed.read_bytes())
    gone = expire(tmp_path, Keep(tape_days=1, history_days=0, ledger_days=0), now=START + 25 * HOUR)
    assert gone == ["20261121T0513Z-live-0001.dope"]
    assert sorted(path.name[-10:] for path in tmp_path.glob("*.dope")) == ["-0002.dope", "-0003.dope", "mine.dope"[-10:]]
    assert tables(tmp_path)["bbo"] == 2, "what was sealed of it stays"


def test_market_data_goes_by_age_and_the_ledger_stays(tmp_path: Path) -> None:
    for number, hour in enumerate((0, 1, 50), 1):
        sealed_of(tmp_path, number, hour=hour)
    gone = expire(tmp_path, Keep(tape_days=0, history_days=2, ledger_days=365), now=START + 49 * HOUR)
    assert sorted(name.split("/")[0] for name in gone) == ["bbo", "trade"], "of the hour that ended two days ago, not of the next"
    assert hours(tmp_path, "bbo") == hours(tmp_path, "trade") == ["06", "07"]
    assert tables(tmp_path)["signal"] == tables(tmp_path)["gap"] == 3
    assert not (tmp_path / SEALED / "bbo" / "date=2026-11-21" / "hour=05").exists(), "nor is an empty folder left"


def test_above_its_cap_the_oldest_hour_of_market_data_goes_first(tmp_path: Path) -> None:
    made = [sealed_of(tmp_path, number, hour=number) for number in range(1, 6)]
    sizes = [sum(path.stat().st_size for path in files if path.parts[-4] in ("bbo", "trade")) for files in made]
    keep = Keep(tape_days=0, history_days=0, history_bytes=sum(sizes[3:]), ledger_days=0)
    expire(tmp_path, keep, now=START)
    assert hours(tmp_path, "bbo") == hours(tmp_path, "trade") == ["09", "10"]
    assert expire(tmp_path, keep, now=START) == []


def test_what_expired_is_no_longer_asked_for_by_its_manifest(tmp_path: Path) -> None:
    files = sealed_of(tmp_path, 1)
    expire(tmp_path, Keep(tape_days=0, history_days=1, ledger_days=0), now=START + 30 * HOUR)
    left = [path for path in files[1:] if path.exists()]
    assert {entry.name.split("/")[0] for entry in read_manifest(files[0]).entries} == {"opportunity", "signal", "gap"}
    assert [problem for path in left for problem in check(path)] == [] and len(left) == 3


def test_the_mark_of_a_sealed_tape_stays_as_long_as_its_tape(tmp_path: Path) -> None:
    sealed_of(tmp_path, 1)
    bounds = Keep(tape_days=0, history_days=1, ledger_days=1)
    expire(tmp_path, bounds, now=START + 30 * HOUR)
    assert tables(tmp_path) == {"gap": 1, "manifest": 1}, "or it would be sealed again"
    next(tmp_path.glob("*.dope")).unlink()
    expire(tmp_path, bounds, now=START + 30 * HOUR)
    assert tables(tmp_path) == {} and list((tmp_path / SEALED).rglob("date=*")) == []


def test_a_disk_that_refuses_in_the_middle_leaves_nothing_that_is_asked_for_and_missing(tmp_path: Path) -> None:
    files = sealed_of(tmp_path, 1)
    disk = FailingDisk()
    disk.fail = {"rename"}
    expire(tmp_path, Keep(tape_days=0, history_days=1, ledger_days=0), now=START + 30 * HOUR, files=disk)
    disk.fail = set()
    expire(tmp_path, Keep(tape_days=0, history_days=1, ledger_days=0), now=START + 30 * HOUR, files=disk)
    assert [problem for path in files[1:] if path.exists() for problem in check(path)] == []


@pytest.mark.parametrize("sealed", [True, False])
def test_a_tape_that_makes_room_unsealed_leaves_a_line_in_the_gap_table(tmp_path: Path, sealed: bool) -> None:
    path = sealed_of(tmp_path, 1) and next(tmp_path.glob("*.dope")) if sealed else tape_of(tmp_path, 1)
    remove_for_room(path, files=RealFiles())
    assert not path.exists()
    rows = [row for file in sealed_tapes(tmp_path / SEALED).values() for row in read(file).to_pylist() if row["why"] == NO_ROOM]
    assert [(row["ts"], row["until"], row["what"], row["lost"]) for row in rows] == (
        [] if sealed else [(START, START + 19_000_000, "file", 20)]
    )


def test_a_recorder_above_its_cap_notes_what_it_had_to_give_up(tmp_path: Path) -> None:
    bounds = Bounds(flush_s=0.005, sync_s=0.005, free_bytes=0, total_bytes=40_000, segment_bytes=10_000)
    journal = Journal(tmp_path, META, bounds=bounds)
    for n in range(0, 4000, 100):
        journal.append([type(f)(f.ts, f.venue, f.conn, f.kind, str(hash((n, f.ts))).encode() * 9) for f in numbered(n, n + 100)])
        until(lambda: journal.status()["waiting"] == 0)
    journal.close()
    marked, kept = set(sealed_tapes(tmp_path / SEALED)), {path.stem for path in tmp_path.glob("*.dope")}
    assert marked and not marked & kept
    assert {row["why"] for file in sealed_tapes(tmp_path / SEALED).values() for row in read(file).to_pylist()} == {NO_ROOM}
