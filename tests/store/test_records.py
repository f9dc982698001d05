"""The records: what was acknowledged is there after a kill, other versions and damaged files are met as they should be."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dope.care.verify import verify
from dope.errors import StoreError, UnknownName
from dope.store import proof, records
from dope.store.records import NAME, VERSION, Records, check, make

WRITER = """
import sys
from pathlib import Path
from dope.store.records import Records
records = Records(Path(sys.argv[1]), clock_ms=lambda: 1)
while True:
    print(records.note("somebody", "set", {"order_size": 5}), flush=True)
"""


def opened(folder: Path, start: int = 1) -> Records:
    clock = itertools.count(start)
    return Records(folder / NAME, clock_ms=lambda: next(clock))


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.job_asked(3, "backtest", {"tape": "x.dope"})
    first.job_ended(3, "done", started=5, ended=9, error=None, result={"net": 1.5})
    first.job_asked(4, "train", {})
    first.keep({"order_size": 250.0, "min_net_bps": -3.0})
    first.keep({"order_size": 300.0})
    first.save_view("live", "mine", {"q": "BTC", "assets": ["BTC"]})
    first.save_view("live", "mine", {"q": "ETH"})
    first.note("127.0.0.1", "set", {"order_size": 300.0})
    first.close()
    again = opened(tmp_path, 100)
    assert again.notice == ""
    train, backtest = again.jobs()
    assert (backtest.kind, backtest.state, backtest.args, backtest.result) == ("backtest", "done", {"tape": "x.dope"}, {"net": 1.5})
    assert train.state == "ended with the program", "nobody works on it any more"
    assert again.kept() == {"order_size": 300.0, "min_net_bps": -3.0}
    (view,) = again.views()
    assert (view.page, view.name, view.state) == ("live", "mine", {"q": "ETH"})
    assert [(row.who, row.what, row.detail) for row in again.audit()] == [("127.0.0.1", "set", {"order_size": 300.0})]
    again.job_asked(3, "train", {})
    assert len(again.jobs()) == 3, "numbers of jobs begin anew with each process"
    again.delete_view("live", "mine")
    with pytest.raises(UnknownName):
        again.delete_view("live", "mine")
    again.close()


def test_whatever_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / NAME
    told: list[int] = []
    for moment in range(10):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(3 + moment * 2):
            told.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait(20.0)
        process.stdout.close()
    kept = Records(path, clock_ms=lambda: 1)
    assert kept.notice == ""
    assert set(told) <= {row.id for row in kept.audit(limit=10**6)} and len(told) >= 120
    kept.close()


def as_version(path: Path, version: int) -> None:
    db = sqlite3.connect(path)
    make(db, version)
    db.execute("insert into setting (name, value, changed) values ('order_size', '77.0', 1)")
    db.commit()
    db.close()


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_file_is_copied_then_brought_up_to_date(tmp_path: Path, version: int) -> None:
    as_version(tmp_path / NAME, version)
    kept = opened(tmp_path)
    assert kept.kept() == {"order_size": 77.0} and kept.note("a", "b", {}) == 1
    kept.close()
    copy = sqlite3.connect(tmp_path / f"{NAME}.version{version}")
    assert copy.execute("pragma user_version").fetchone() == (version,)
    assert copy.execute("select value from setting").fetchall() == [("77.0",)]
    copy.close()


def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    as_version(tmp_path / NAME, VERSION)
    db = sqlite3.connect(tmp_path / NAME)
    db.execute(f"pragma user_version = {VERSION + 1}")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match=rf"newer version .*records {VERSION + 1}, this one knows {VERSION}"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name or ".version" in path.name] == []


@pytest.mark.parametrize("damage", ["no database", "middle", "cut"])
def test_a_damaged_file_is_moved_aside_and_said_and_one_with_its_sound_rows_begun(tmp_path: Path, damage: str) -> None:
    path = tmp_path / NAME
    first = opened(tmp_path)
    for number in range(60):
        first.note("somebody", "set", {"number": number, "text": "x" * 250})
    first.keep({"order_size": 1.0})
    first.close()
    body = bytearray(path.read_bytes())
    if damage == "no database":
        body = bytearray(b"this is no database at all" * 100)
    elif damage == "middle":
        body[4096 * 2 : 4096 * 6] = bytes(i * 31 % 251 for i in range(4096 * 4))
    else:
        body = body[: len(body) // 2]
    path.write_bytes(body)
    again = opened(tmp_path, 5)
    assert "damaged" in again.notice and f"{NAME}.damaged-5" in again.notice
    assert (tmp_path / f"{NAME}.damaged-5").read_bytes() == bytes(body)
    kept = [(row.id, row.detail["number"]) for row in again.audit(1000)]
    assert all(id == number + 1 for id, number in kept), "each as it was written"
    assert f"{len(kept) + len(again.kept())} sound rows of it were kept" in again.notice
    assert (damage != "no database" or not kept) and (damage != "middle" or kept) and again.note("a", "b", {}) > len(kept)
    again.close()
    assert opened(tmp_path, 9).notice == ""


def test_a_row_that_was_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.keep({"order_size": 1.0})
    first.note("somebody", "set", {})
    first.close()
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes().replace(b"order_size", b"order_sizf"))
    (problem,) = verify([path]).problems
    assert problem.what.startswith("table setting, name 'order_siz") and "does not match its checksum" in problem.what
    again = opened(tmp_path, 7)
    assert again.kept() == {} and len(again.audit()) == 1, "the rest is served"
    again.close()
    db = sqlite3.connect(path)
    db.executescript("drop trigger audit_removed; delete from audit;")
    trigger = next(s for s in proof.statements() if "audit_removed" in s)
    db.execute(trigger)
    db.commit()
    assert check(db) == ["table audit: its 0 rows are not the 1 that were written"]
    db.close()


def test_where_nothing_can_be_written_it_says_so_and_lives_in_memory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    kept = Records(tmp_path / "data" / NAME, clock_ms=lambda: 1)
    assert "not kept" in kept.notice
    kept.keep({"order_size": 2.0})
    assert kept.kept() == {"order_size": 2.0}
    kept.close()


def test_everything_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("JOBS_KEPT", 5), ("AUDIT_KEPT", 50), ("MAX_VIEWS", 3)):
        monkeypatch.setattr(records, name, value)
    kept = opened(tmp_path)
    for number in range(1, 102):
        kept.note("a", "b", {"n": number})
    assert len(kept.audit(limit=1000)) <= 51 + 1
    for number in range(9):
        kept.job_asked(number, "train", {})
    assert [job.id for job in kept.jobs()] == [8, 7, 6, 5, 4]
    kept.job_ended(8, "done", started=1, ended=2, error=None, result="x" * records.MAX_JSON)
    assert kept.jobs()[0].result is None
    for number in range(3):
        kept.save_view("live", str(number), {})
    kept.save_view("live", "1", {"q": "again"})
    with pytest.raises(StoreError, match="delete one first"):
        kept.save_view("live", "4", {})
    with pytest.raises(StoreError, match="too large"):
        kept.save_view("live", "1", {"q": "x" * records.MAX_JSON})
    kept.close()
