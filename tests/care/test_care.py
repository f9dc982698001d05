"""Verify, repair, backup, restore and bundles on folders as recorders leave them, harmed in every way that disks know."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dope.care.archive import check_bundle, make_bundle, opened
from dope.care.backup import BACKUP, backup, restore
from dope.care.repair import repair
from dope.care.verify import NOT_CLOSED, verify
from dope.errors import TapeError, UnknownName
from dope.model.predictor import SpreadPredictor
from dope.settings import Settings
from dope.shelf import Shelf
from dope.store.records import NAME, AuditRow, JobRecord, Records, View
from dope.tape.catalogue import SEALED
from dope.tape.files import FolderLock
from dope.tape.format import Hole
from dope.tape.journal import Journal
from dope.tape.read import Tape
from dope.tape.seal import read, sealed_tapes
from dope.tape.writer import Bounds
from tests.model.markets import START, fed, reverting
from tests.tape.frames import META, numbered, numbers, until
from tests.tape.sealed import sealed_of, tape_of

NOW = START + 5_000 * 10**9
RULES = Settings(_env_file=None, order_size=77.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hours of a recorder, sealed, and a third that is not."""
    folder = tmp_path / "data"
    for number in (1, 2):
        sealed_of(folder / "live", number, hour=number, rows=600)
    tape_of(folder / "live", 3, hour=3, frames=500, rows=100)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def harmed(whole: bytes, kind: int, chance: random.Random) -> tuple[bytes, int]:
    """A flipped bit, 512 zeros or a cut, and where."""
    at = chance.randrange(len(whole))
    new = bytearray(whole)
    if kind == 0:
        new[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        while not any(new[at : at + 512]):
            at = chance.randrange(len(whole))
        new[at : at + 512] = bytes(len(new[at : at + 512]))
    else:
        del new[at:]
    return bytes(new), at


def damages(folder: Path, count: int, seed: int = 7) -> Iterator[tuple[Path, bytes, int]]:
    """Each time another file of the folder is harmed; whoever asks for the next one gets it whole again first."""
    chance = random.Random(seed)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".dope", ".parquet", ".json")]
    for number in range(count):
        path = files[number % len(files)]
        whole = path.read_bytes()
        new, at = harmed(whole, (number + number // len(files)) % 3, chance)
        path.write_bytes(new)
        yield path, whole, at
        path.write_bytes(whole)


# -- verify ------------------------------------------------------------------------------------------------------------
def test_what_is_as_it_was_written_is_sound_and_counted(data: Path) -> None:
    verdict = verify([data])
    assert verdict.problems == [] and verdict.sound == 3 + 2 * 6
    assert verify([data / "live" / SEALED]).sound == 2 * 6
    assert verify(sorted(data.rglob("*.parquet"))).sound == 2 * 5


def check_damages(data: Path, count: int) -> None:
    sound = verify([data]).sound
    for path, _, at in damages(data, count):
        verdict = verify([data])
        assert verdict.problems, (path, at)
        assert all(problem.path == str(path) for problem in verdict.problems), (path, verdict.problems)
        assert all(problem.at <= at for problem in verdict.problems if path.suffix != ".dope"), (at, verdict.problems)
        assert verdict.sound >= sound - 1 - (5 if path.suffix == ".json" else 0), "all others are judged as before"
    assert verify([data]).problems == []


def test_sixty_damages_are_all_noticed_and_their_file_and_place_named(data: Path) -> None:
    check_damages(data, 60)


@pytest.mark.full
def test_five_hundred_damages_are_all_noticed_and_their_file_and_place_named(data: Path) -> None:
    check_damages(data, 500)


class Told(NamedTuple):
    """All that a file of records says."""

    jobs: list[JobRecord]
    audit: list[AuditRow]
    kept: dict[str, Any]
    views: list[View]


def all_of(path: Path) -> Told:
    records = Records(path, clock_ms=lambda: 9)
    try:
        return Told(records.jobs(1000), records.audit(1000), records.kept(), records.views())
    finally:
        records.close()


def check_records(folder: Path, count: int) -> None:
    """A damage is noticed with its row or place, or nothing that can be read is other than it was; text of rows is always noticed."""
    path = folder / NAME
    records = Records(path, clock_ms=lambda: 9)
    for number in range(40):
        records.note("somebody", "set", {"number": number, "text": "x" * 150})
        records.job_asked(number, "train", {"n": number})
        records.job_ended(number, "done", started=1, ended=2, error=None, result={"rmse": 1.5})
    records.keep({"order_size": 1.0, "min_net_bps": 4.0})
    records.save_view("live", "mine", {"q": "BTC"})
    records.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("vacuum")  # no copies of rows that nobody reads
    told, whole, chance = all_of(path), path.read_bytes(), random.Random(3)
    texts = [at for at in range(len(whole)) if whole[at : at + 8] == b"x" * 8]
    for number in range(count):
        new, at = harmed(whole, number % 3, chance)
        if number % 2:
            at = chance.choice(texts)
            new = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        path.write_bytes(new)
        problems = verify([path]).problems
        assert all(problem.path == str(path) for problem in problems)
        if number % 2:
            assert any("table audit, id " in problem.what for problem in problems), at
        elif not problems:
            assert all_of(path) == told, f"byte {at} changed something without a word"
        for left in folder.glob(f"{NAME}*"):
            left.unlink()
    path.write_bytes(whole)
    assert verify([path]).problems == [] and all_of(path) == told


def test_forty_damages_of_the_records_are_noticed_or_change_nothing_that_can_be_read(tmp_path: Path) -> None:
    check_records(tmp_path, 40)


@pytest.mark.full
def test_five_hundred_damages_of_the_records_are_noticed_or_change_nothing_that_can_be_read(tmp_path: Path) -> None:
    check_records(tmp_path, 500)


@pytest.mark.full
def test_a_damaged_model_its_seal_or_list_of_versions_is_noticed_unloaded(tmp_path: Path) -> None:
    recipe = SpreadPredictor(models=("gradient_boosting",), rows_per_feature=1, blocks=2)
    Shelf(tmp_path).save(recipe.train(fed({"BTC-USDT": reverting(700, 3)}).table(), now_ns=NOW))
    assert verify([tmp_path]).problems == []
    chance = random.Random(7)
    files = sorted(path for path in tmp_path.iterdir() if path.name != ".key")
    for number in range(60):
        path = files[number % len(files)]
        whole = path.read_bytes()
        path.write_bytes(harmed(whole, number % 3, chance)[0])
        assert verify([tmp_path]).problems, path
        path.write_bytes(whole)


def test_a_missing_sealed_file_and_one_that_nobody_described_are_named(data: Path) -> None:
    first, second = sorted((data / "live" / SEALED / "bbo").rglob("*.parquet"))
    second.with_name("stray.parquet").write_bytes(first.read_bytes())
    first.unlink()
    assert {(Path(problem.path).name, problem.what.split(":")[0]) for problem in verify([data]).problems} == {
        (first.name, "is missing"), ("stray.parquet", "cannot be judged"),
    }  # fmt: skip


def test_a_tape_that_was_not_closed_is_named_unless_somebody_records_it_now(tmp_path: Path) -> None:
    path = tape_of(tmp_path, 1, complete=False)
    assert [problem.what for problem in verify([tmp_path]).problems] == [NOT_CLOSED]
    lock = FolderLock(tmp_path)
    assert verify([tmp_path]).problems == []
    with path.open("ab") as file:
        file.write(b"half a block")
    assert verify([tmp_path]).problems == [], "nor is the block that is being written"
    lock.release()
    assert [problem.what for problem in verify([path]).problems] == ["torn tail of 12 bytes"]


def test_a_database_is_asked_and_an_unknown_file_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database:
        database.execute("create table a (b)")
        database.commit()
    assert verify([tmp_path]).sound == 1
    (tmp_path / "x.sqlite").write_bytes(b"not a database at all" * 100)
    assert "not a database" in str(verify([tmp_path]).problems[0])
    with pytest.raises(UnknownName, match="kind of file"):
        (tmp_path / "x.txt").touch()
        verify([tmp_path / "x.txt"])
    assert "is missing" in str(verify([tmp_path / "none.dope"]).problems[0])


# -- repair ------------------------------------------------------------------------------------------------------------
def test_nothing_is_repaired_where_all_is_well_but_what_is_closed_gets_sealed(data: Path) -> None:
    before = contents(data)
    assert [each.what for each in repair(data, dry_run=True)] == ["would be sealed"]
    assert contents(data) == before, "a dry run changes nothing"
    (done,) = repair(data)
    assert done.what.startswith("sealed: ") and len(sealed_tapes(data / "live" / SEALED)) == 3
    assert repair(data) == [] and before.items() <= contents(data).items()


def test_whatever_is_damaged_verify_is_content_after_repair_and_sealed_files_are_as_before(data: Path) -> None:
    repair(data)
    wanted = {name: content for name, content in contents(data).items() if SEALED in name}
    for path, _, _ in damages(data, 20, seed=8):
        assert repair(data, dry_run=True)
        done = repair(data)
        assert done and verify([data]).problems == [], (path, done)
        if path.suffix != ".dope":
            sealed = {name: content for name, content in contents(data).items() if SEALED in name and not name.endswith(".damaged")}
            assert sealed == wanted, (path, done)
            assert not any(each.lost for each in done)
        for aside in data.rglob("*.damaged"):
            aside.unlink()


def test_a_damaged_stretch_is_stepped_over_and_the_original_kept(data: Path) -> None:
    path = sorted((data / "live").glob("*.dope"))[2]
    whole = path.read_bytes()
    start = whole.index(b"\xd0PE\n") + 48
    path.write_bytes(whole[:start] + b"?" + whole[start + 1 :])
    harm = path.read_bytes()
    done = repair(data)
    assert any("1 damaged stretches left out" in each.what and each.lost for each in done)
    assert path.with_name(path.name + ".damaged").read_bytes() == harm
    (hole,) = Tape(path).holes()
    assert (hole.lost, hole.reason) == (500, "damaged")
    assert [len(batch) for name, batch in Tape(path).rows("trade")] == [1] * 11, "the rows behind it are kept"


def test_a_torn_tail_is_cut_and_every_good_frame_kept(tmp_path: Path) -> None:
    path = tape_of(tmp_path, 1, frames=40, complete=False)
    with path.open("ab") as file:
        file.write(b"\xd0PE\n torn")
    (closed, sealed) = repair(tmp_path)
    assert "closed in order with 40 frames, torn tail of 9 bytes cut, 0 damaged" in closed.what and not closed.lost
    assert Tape(path).complete and len(list(Tape(path))) == 40 and "sealed: 1 rows" in sealed.what
    assert not list(tmp_path.glob("*.damaged"))
    assert verify([tmp_path]).problems == []


def test_a_lost_header_is_made_anew_from_name_and_frames(data: Path) -> None:
    path = sorted((data / "live").glob("*.dope"))[0]
    frames = list(Tape(path))
    path.write_bytes(b"\0" * 30 + path.read_bytes()[30:])
    repair(data)
    assert list(Tape(path)) == frames and (Tape(path).meta.source, Tape(path).meta.venues) == ("live", ("okx",))


def test_without_its_tape_the_sound_part_of_what_was_sealed_is_kept(data: Path) -> None:
    path = sorted((data / "live").glob("*.dope"))[0]
    path.unlink()
    bbo = next((data / "live" / SEALED / "bbo").rglob(f"{path.stem}.parquet"))
    bbo.write_bytes(bbo.read_bytes()[:-100])
    done = repair(data)
    assert any("its tape is gone: set aside" in each.what and each.lost for each in done)
    assert verify([data]).problems == [] and not bbo.exists() and path.stem in sealed_tapes(data / "live" / SEALED)


def test_left_over_drafts_go_and_a_running_recorder_is_not_disturbed(data: Path) -> None:
    draft = next((data / "live" / SEALED / "bbo").rglob("*.parquet"))
    draft = draft.with_name(draft.name + ".new")
    draft.write_bytes(b"half")
    lock = FolderLock(data / "live")
    with pytest.raises(TapeError, match="already being written by process"):
        repair(data)
    lock.release()
    assert any("left over" in each.what for each in repair(data)) and not draft.exists()


# -- backup and restore ------------------------------------------------------------------------------------------------
def test_a_backup_holds_everything_and_comes_back_the_same(data: Path, tmp_path: Path) -> None:
    (data / "notes.txt").write_text("mine")
    made = backup(data, tmp_path / "copy")
    assert verify([tmp_path / "copy"]).sound == len(made.entries) + 1
    restore(tmp_path / "copy", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(data)


def test_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    backup(data, tmp_path / "copy")
    with pytest.raises(TapeError, match="is not empty"):
        backup(data, tmp_path / "copy")
    with pytest.raises(TapeError, match="is not empty"):
        restore(tmp_path / "copy", data)
    with pytest.raises(TapeError, match="lies inside"):
        backup(data, data / "copy")
    with pytest.raises(TapeError, match="is not a folder"):
        backup(tmp_path / "none", tmp_path / "other")


def test_a_damaged_backup_is_not_put_in_place(data: Path, tmp_path: Path) -> None:
    backup(data, tmp_path / "copy")
    chance = random.Random(7)
    files = sorted(path for path in (tmp_path / "copy").rglob("*") if path.is_file())
    for number, path in enumerate(files):
        whole = path.read_bytes()
        path.unlink()  # it may be one file with the original
        path.write_bytes(harmed(whole, number % 3, chance)[0])
        with pytest.raises(TapeError, match=str(path)):
            restore(tmp_path / "copy", tmp_path / "back")
        assert not (tmp_path / "back").exists() and not list(tmp_path.glob("*.new"))
        path.write_bytes(whole)
    (tmp_path / "copy" / BACKUP).unlink()
    with pytest.raises(TapeError, match="No such file"):
        restore(tmp_path / "copy", tmp_path / "back")


def test_a_backup_while_a_recorder_runs_is_whole(data: Path, tmp_path: Path) -> None:
    journal = Journal(data / "live", META, bounds=Bounds(flush_s=0.005, sync_s=0.005, free_bytes=0))
    journal.append(numbered(0, 300))
    until(lambda: journal.status()["waiting"] == 0)
    name = Path(journal.status()["path"]).name
    backup(data, tmp_path / "copy")
    journal.append(numbered(300, 400))
    journal.close()
    restore(tmp_path / "copy", tmp_path / "back")
    copy = Tape(tmp_path / "back" / "live" / name)
    assert numbers(list(copy)) == list(range(300)) and copy.complete
    assert [hole.reason for hole in copy.holes()] == ["copied while it was being recorded"]
    assert verify([tmp_path / "back"]).problems == []


def test_a_database_in_use_is_copied_as_of_one_moment(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "x.sqlite")) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("create table a (b)")
        database.execute("insert into a values (7)")
        database.commit()
        backup(data, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "x.sqlite")) as copy:
        assert copy.execute("select b from a").fetchall() == [(7,)]


# -- bundles -----------------------------------------------------------------------------------------------------------
def bundled(data: Path, tmp_path: Path) -> Path:
    report = tmp_path / "report.json"
    report.write_text("{}")
    make_bundle(tmp_path / "x.zip", sorted((data / "live").glob("*.dope")), RULES, {"digest": "abc"}, [report])
    return tmp_path / "x.zip"


def test_a_bundle_carries_tapes_rules_rows_and_report(data: Path, tmp_path: Path) -> None:
    path = bundled(data, tmp_path)
    assert verify([path]).sound == 1
    with opened(path) as (tapes, rules, seen):
        assert [each.read_bytes() for each in tapes] == [each.read_bytes() for each in sorted((data / "live").glob("*.dope"))]
        assert rules["order_size"] == 77.0 and seen == {"digest": "abc"}
    assert not tapes[0].exists()
    with pytest.raises(TapeError, match="File exists"):
        make_bundle(path, [], RULES, {})


def test_any_damage_of_a_bundle_is_noticed(data: Path, tmp_path: Path) -> None:
    path = bundled(data, tmp_path)
    whole, chance = path.read_bytes(), random.Random(7)
    for number in range(60):
        path.write_bytes(harmed(whole, number % 3, chance)[0] if number < 45 else _tail(whole, chance))
        assert check_bundle(path), number
        with pytest.raises(TapeError), opened(path):
            pass
    path.write_bytes(whole)
    assert check_bundle(path) == []


def _tail(whole: bytes, chance: random.Random) -> bytes:
    """A flip in the ZIP's own directory."""
    new = bytearray(whole)
    new[-chance.randrange(1, 1500)] ^= 1 << chance.randrange(8)
    return bytes(new)


def test_a_damaged_tape_is_not_bundled(data: Path, tmp_path: Path) -> None:
    path = sorted((data / "live").glob("*.dope"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + b"?" + whole[301:])
    with pytest.raises(TapeError, match=str(path)):
        bundled(data, tmp_path)
    assert not list(tmp_path.glob("*.zip*")) and not list(tmp_path.glob(".bundle*"))


def test_what_a_copy_of_a_tape_says_of_its_end_is_a_gap(tmp_path: Path) -> None:
    path = tape_of(tmp_path, 1, complete=False)
    repair(tmp_path)
    (gap,) = read(sealed_tapes(tmp_path / SEALED)[path.stem]).to_pylist()
    assert (gap["what"], gap["why"]) == ("recording", "the recorder ended without closing its tape")
    assert Tape(path).holes() == [Hole(0, Tape(path).last, Tape(path).last, gap["why"])]
