"""Mending a tape: every sound block is kept byte for byte, whatever lies between them, and half a copy never has a name."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dope.errors import TapeError
from dope.tape.format import Hole
from dope.tape.mend import mend
from dope.tape.read import Tape
from dope.tape.segment import write_tape
from tests.tape.disks import DyingDisk
from tests.tape.frames import META, numbered, numbers
from tests.tape.rows import mixed


def tape(folder: Path) -> Path:
    """300 frames in 30 blocks, rows among them."""
    path = folder / "20261121T0512Z-live-0001.dope"
    rows = list(mixed(200, batches=3))
    write_tape(path, META, [*numbered(0, 150), *rows, Hole(3, 1, 2, "disk full"), *numbered(150, 300)], block_bytes=2000)
    return path


def test_a_sound_tape_is_copied_byte_for_byte(tmp_path: Path) -> None:
    path = tape(tmp_path)
    done = mend(path, tmp_path / "copy.dope")
    assert (tmp_path / "copy.dope").read_bytes() == path.read_bytes()
    assert (done.frames, done.damaged, done.cut, done.header) == (300, 0, 0, False)


def test_whatever_is_damaged_the_copy_is_sound_and_keeps_all_that_a_tolerant_reader_finds(tmp_path: Path) -> None:
    path, chance = tape(tmp_path), random.Random(7)
    whole = path.read_bytes()
    for _ in range(60):
        harmed = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(300, len(whole))
            harmed[at : at + 40] = chance.randbytes(len(harmed[at : at + 40]))
        if chance.random() < 0.3:
            del harmed[chance.randrange(300, len(harmed)) :]
        path.write_bytes(harmed)
        found = Tape(path, tolerant=True)
        kept, rows = numbers(list(found)), sum(len(batch) for name, batch in found.rows() if name != "gap")
        mend(path, tmp_path / "copy.dope")
        copy = Tape(tmp_path / "copy.dope")
        assert copy.complete and copy.verify() == [] and numbers(list(copy)) == kept
        assert sum(len(batch) for name, batch in copy.rows() if name != "gap") == rows
        (tmp_path / "copy.dope").unlink()


def test_a_disk_that_refuses_leaves_no_copy(tmp_path: Path) -> None:
    path = tape(tmp_path)
    for last in range(2, 12):
        with pytest.raises(TapeError, match="Input/output error"):
            mend(path, tmp_path / "copy.dope", files=DyingDisk(last))
        assert not (tmp_path / "copy.dope").exists()
    mend(path, tmp_path / "copy.dope")


def test_what_is_no_tape_cannot_be_mended(tmp_path: Path) -> None:
    (tmp_path / "x.dope").write_bytes(b"nothing" * 100)
    with pytest.raises(TapeError, match="does not begin with DOPETAPE"):
        mend(tmp_path / "x.dope", tmp_path / "copy.dope")
