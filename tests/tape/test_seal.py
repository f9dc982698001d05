"""Sealing: what was recorded comes back sorted and whole; half a file never bears a final name; damage is noticed."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dope.errors import TapeError
from dope.tables import SCHEMA_VERSION, TABLES
from dope.tape.files import RealFiles
from dope.tape.format import Hole, Record, Rows
from dope.tape.manifest import read_manifest
from dope.tape.read import Tape
from dope.tape.seal import check, encode, manifest_of, publish, read, seal, sealed_tapes
from dope.tape.segment import write_tape
from dope.types import Frame
from tests.tape.disks import DyingDisk
from tests.tape.frames import META, START, numbered
from tests.tape.rows import MARKETS, bbo, mixed, row

NAME = "20261121T0512Z-live-0001"
HOUR = "date=2026-11-21/hour=05"


def tape(folder: Path, *records: Record) -> Path:
    """These records, behind ten frames if there is none among them."""
    path = folder / f"{NAME}.dope"
    folder.mkdir(parents=True, exist_ok=True)
    first = [] if any(isinstance(each, Frame) for each in records) else numbered(0, 10)
    write_tape(path, META, [*first, *records])
    return path


def file_of(folder: Path, table: str) -> Path:
    return folder / "sealed" / table / HOUR / f"{NAME}.parquet"


def test_every_row_comes_back_once_sorted_by_symbol_and_time(tmp_path: Path) -> None:
    rows = list(mixed(20_000, batches=1100))
    done = seal(tape(tmp_path, *numbered(0, 9), *rows), tmp_path / "sealed")
    assert done.rows == {"bbo": 20_004, **dict.fromkeys(("trade", "opportunity", "signal", "gap"), len(rows) // 5)}
    for name in done.rows:
        whole = pa.Table.from_batches([each.batch for each in rows if each.table == name]).to_pylist()
        wanted = sorted(whole, key=lambda each: (each["symbol"], each["ts"]))
        got = read(file_of(tmp_path, name))
        assert got.to_pylist() == wanted and got.schema.equals(TABLES[name])
    assert list(read(file_of(tmp_path, "bbo"))["symbol"].unique().to_pylist()) == sorted(MARKETS)


def test_rows_of_equal_symbol_and_time_keep_their_order(tmp_path: Path) -> None:
    rows = [Rows("signal", row("signal", ts=START + n % 2, symbol="A", detail=str(n))) for n in range(100)]
    seal(tape(tmp_path, *rows), tmp_path / "sealed")
    assert read(file_of(tmp_path, "signal"))["detail"].to_pylist() == [str(n) for n in [*range(0, 100, 2), *range(1, 100, 2)]]


def test_the_files_say_where_they_come_from_and_lie_where_the_first_frame_was_received(tmp_path: Path) -> None:
    done = seal(tape(tmp_path, *mixed(100)), tmp_path / "sealed")
    assert done.files[0] == manifest_of(done.files[1]) and done.files[-1] == file_of(tmp_path, "gap")
    said = pq.read_schema(file_of(tmp_path, "bbo")).metadata
    assert (said[b"dope.schema"], said[b"dope.source"], said[b"dope.tape"]) == (b"1", b"live", f"{NAME}.dope".encode())
    assert {entry.name.split("/")[0]: entry.rows for entry in read_manifest(done.files[0]).entries} == done.rows
    assert sealed_tapes(tmp_path / "sealed") == {NAME: file_of(tmp_path, "gap")}


def test_a_tape_without_rows_is_sealed_too(tmp_path: Path) -> None:
    assert sealed_tapes(tmp_path / "sealed") == {}
    done = seal(tape(tmp_path), tmp_path / "sealed")
    assert done.rows == {"gap": 0} and read(file_of(tmp_path, "gap")).num_rows == 0
    assert list(sealed_tapes(tmp_path / "sealed")) == [NAME]


def test_what_the_tape_lacks_is_in_the_gap_table(tmp_path: Path) -> None:
    path = tape(tmp_path, *numbered(0, 5), Hole(7, START + 5, START + 9, "disk full"), *numbered(10, 20))
    whole = path.read_bytes()
    harmed = bytearray(whole)
    harmed[whole.index(b"\xd0PE\n") + 60] ^= 1  # the first block's payload
    path.write_bytes(harmed[:-48])  # and no END
    with pytest.raises(TapeError, match="does not match"):
        list(Tape(path))
    seal(path, tmp_path / "sealed")
    rows = {each["why"]: each for each in read(file_of(tmp_path, "gap")).to_pylist()}
    damaged = next(why for why in rows if why.startswith("frames are damaged at byte"))
    said = {why: (each["what"], each["lost"], each["ts"], each["until"]) for why, each in rows.items()}
    assert said == {
        damaged: ("file", 5, START, START + 4_000_000),
        "disk full": ("recording", 7, START + 5, START + 9),
        "the recorder ended without closing its tape": ("recording", None, START + 19_000_000, START + 19_000_000),
    }


def test_sealing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tape(tmp_path, *mixed(3000))
    first = {file: file.read_bytes() for file in seal(path, tmp_path / "sealed").files}
    assert {file: file.read_bytes() for file in seal(path, tmp_path / "sealed").files} == first
    assert list((tmp_path / "sealed").rglob("*.new")) == []


def test_a_book_top_takes_at_most_20_bytes() -> None:
    tops = bbo(200_000)
    data = encode("bbo", pa.Table.from_batches([tops]), {})
    assert len(data) / len(tops) < 20


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    seal(tape(tmp_path, *mixed(100)), tmp_path / "sealed")
    assert read(file_of(tmp_path, "bbo"), ["ts", "bid"]).column_names == ["ts", "bid"]


# -- disks ------------------------------------------------------------------------------------------------------------
def test_whichever_call_the_disk_refuses_a_final_name_is_whole_or_absent_and_the_next_attempt_completes(tmp_path: Path) -> None:
    path = tape(tmp_path, *mixed(300))
    sealed, n, done = tmp_path / "sealed", 0, False
    while not done:
        n += 1
        disk = DyingDisk(n)
        try:
            seal(path, sealed, files=disk)
            done = True
        except TapeError as error:
            assert "Input/output error" in str(error)
        disk.power_cut(keep=0)
        there = list(sealed.rglob("*.parquet"))
        assert [problem for file in there for problem in check(file)] == []
        if sealed_tapes(sealed):
            assert len(there) == len(TABLES)
        if n % 5 == 0:
            seal(path, sealed)
            assert len(list(sealed.rglob("*.parquet"))) == len(TABLES) and not list(sealed.rglob("*.new"))
            for file in sealed.rglob("*.*"):
                file.unlink()
    assert n > 30, "every call had its turn"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = DyingDisk(10**9)
    disk.room = 5000
    with pytest.raises(TapeError, match="No space left"):
        seal(tape(tmp_path, *mixed(3000)), tmp_path / "sealed", files=disk)
    assert not [file for file in (tmp_path / "sealed").rglob("*") if file.is_file()]


# -- damage -----------------------------------------------------------------------------------------------------------
def test_any_damage_of_any_sealed_file_is_noticed_named_and_not_served(tmp_path: Path) -> None:
    done = seal(tape(tmp_path, *mixed(2000)), tmp_path / "sealed")
    chance = random.Random(7)
    for number in range(60):
        file = done.files[1 + number % (len(done.files) - 1)]
        whole = file.read_bytes()
        at = chance.randrange(len(whole)) if number % 2 else len(whole) - chance.randrange(1, 900)
        harmed = bytearray(whole)
        match number % 3:
            case 0:
                harmed[at] ^= 1 << chance.randrange(8)
            case 1:
                harmed[at : at + 512] = bytes(len(harmed[at : at + 512]))
                harmed[at] ^= whole[at] == 0
            case _:
                del harmed[at:]
        file.write_bytes(harmed)
        problems = check(file)
        assert problems and all(each.path == str(file) and 0 <= each.at <= at for each in problems)
        with pytest.raises(TapeError, match=str(file)):
            read(file)
        others = [other for other in done.files[1:] if other != file]
        assert [problem for other in others for problem in check(other)] == []
        file.write_bytes(whole)
        assert check(file) == []


def test_without_its_manifest_a_file_is_read_by_its_page_checksums(tmp_path: Path) -> None:
    seal(tape(tmp_path, *mixed(2000)), tmp_path / "sealed")
    file = file_of(tmp_path, "bbo")
    manifest_of(file).unlink()
    assert read(file).num_rows == 2004
    assert "cannot be judged" in str(check(file)[0])
    column = pq.read_metadata(file).row_group(0).column(4)
    harmed = bytearray(file.read_bytes())
    harmed[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    file.write_bytes(harmed)
    with pytest.raises(TapeError, match="damaged"):
        read(file)


def test_a_file_that_its_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    seal(tape(tmp_path), tmp_path / "sealed")
    stray = file_of(tmp_path, "bbo")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(encode("bbo", pa.Table.from_batches([bbo(10)]), {}))
    assert "does not name bbo/" in str(check(stray)[0])
    with pytest.raises(TapeError, match="does not name"):
        read(stray)


# -- versions ---------------------------------------------------------------------------------------------------------
def versioned(folder: Path, table: pa.Table, version: str) -> Path:
    """A sealed gap file as another version would have left it."""
    path = file_of(folder, "gap")
    data = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"dope.schema": version}), data)
    publish({path: data.getvalue().to_pybytes()}, RealFiles())
    return path


def test_a_file_of_the_version_before_is_read_in_the_columns_of_today(tmp_path: Path) -> None:
    old = pa.Table.from_batches([row("gap", ts=5, symbol="A", venue="okx", until=9, what="book", why="x", lost=3)]).drop_columns(["lost"])
    got = read(versioned(tmp_path, old, "0"))
    assert got.schema.equals(TABLES["gap"]) and got.to_pylist()[0]["why"] == "x" and got.to_pylist()[0]["lost"] is None


def test_a_file_of_a_newer_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    new = pa.Table.from_batches([row("gap", ts=5)])
    with pytest.raises(TapeError, match=rf"schema {SCHEMA_VERSION + 1}; this program reads up to {SCHEMA_VERSION}"):
        read(versioned(tmp_path, new, str(SCHEMA_VERSION + 1)))


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="not a sealed table"):
        read(versioned(tmp_path, pa.table({"x": [1]}), ""))
