"""The list of tapes tells of each what it is, and of a bad one why it cannot be read."""

from __future__ import annotations

from pathlib import Path

from dope.tape.catalogue import list_tapes
from dope.tape.format import Hole, Meta
from dope.tape.journal import Journal
from dope.tape.segment import write_tape
from dope.tape.writer import Bounds
from tests.tape.frames import META, START, numbered, until


def test_a_closed_tape_a_running_one_and_a_broken_one(tmp_path: Path) -> None:
    hole = Hole(4, START, START, "disk full")
    (tmp_path / "sim").mkdir()
    write_tape(tmp_path / "sim" / "b.dope", Meta("sim", 5, venues=("okx",)), [])
    (tmp_path / "broken.dope").write_bytes(b"nothing of the kind")
    (tmp_path / "notes.txt").write_text("not listed")
    journal = Journal(tmp_path / "live", META, bounds=Bounds(flush_s=0.005, sync_s=0.005, free_bytes=0))
    journal.append(numbered(0, 30))
    until(lambda: journal.status()["waiting"] == 0)
    running = {info.name.split("/")[0]: info for info in list_tapes(tmp_path)}["live"]
    assert (running.source, running.frames, running.complete) == ("live", 30, False)
    assert (running.first, running.last) == (START, START + 29_000_000)
    journal.close()
    write_tape(tmp_path / "with_hole.dope", META, [*numbered(50, 53), hole])
    infos = {info.name.split("/")[0]: info for info in list_tapes(tmp_path)}
    closed = infos["live"]
    assert closed.complete and closed.frames == 30 and closed.bytes > running.bytes and (closed.session, closed.part) == ("session-1", 1)
    assert infos["with_hole.dope"].lost == 4
    assert infos["broken.dope"].error.endswith("not a tape: the file does not begin with DOPETAPE")
    assert (infos["sim"].source, infos["sim"].frames, infos["sim"].venues, infos["sim"].complete) == ("sim", 0, ("okx",), True)
    assert len(infos) == 4


def test_what_is_sealed_is_not_searched_for_tapes(tmp_path: Path) -> None:
    write_tape(tmp_path / "a.dope", META, [])
    (tmp_path / "live" / "sealed").mkdir(parents=True)
    write_tape(tmp_path / "live" / "sealed" / "b.dope", META, [])
    assert [info.name for info in list_tapes(tmp_path)] == ["a.dope"]


def test_an_absent_folder_has_no_tapes(tmp_path: Path) -> None:
    assert list_tapes(tmp_path / "nowhere") == []


def test_the_quick_look_at_the_ends_agrees_with_reading_all_blocks(tmp_path: Path) -> None:
    write_tape(tmp_path / "a.dope", META, [*numbered(0, 500), Hole(9, 1, 2, "x"), *numbered(500, 700)], block_bytes=3000)
    (quick,) = list_tapes(tmp_path)
    whole = (tmp_path / "a.dope").read_bytes()
    (tmp_path / "a.dope").write_bytes(whole[:-48])  # without its END block
    (slow,) = list_tapes(tmp_path)
    assert quick.complete and not slow.complete
    assert (quick.frames, quick.first, quick.last, quick.lost) == (700, START, START + 699_000_000, 9)
    assert (slow.frames, slow.first, slow.last, slow.lost) == (700, START, START + 699_000_000, 9)
