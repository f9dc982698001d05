"""Manifests: every damage of the files and of the manifest itself is noticed, and its place named."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import msgspec
import pytest

from dope.errors import TapeError
from dope.tape.manifest import (
    PIECE,
    Entry,
    Manifest,
    Problem,
    check_file,
    measure,
    pack_manifest,
    pieces_of,
    read_manifest,
    unpack_manifest,
)

CONTENT = random.Random(7).randbytes(3 * PIECE + 1000)


def entry() -> Entry:
    return measure("a/b.parquet", pieces_of(CONTENT), rows=5)


def after(tmp_path: Path, content: bytes) -> list[Problem]:
    path = tmp_path / "b.parquet"
    path.write_bytes(content)
    return check_file(entry(), path)


def test_an_unharmed_file_is_right(tmp_path: Path) -> None:
    assert after(tmp_path, CONTENT) == []
    assert entry().sha256 == hashlib.sha256(CONTENT).hexdigest() and entry().bytes == len(CONTENT) and len(entry().pieces) == 4


def test_a_flipped_bit_is_found_in_the_64_kib_where_it_is(tmp_path: Path) -> None:
    for at in (0, PIECE - 1, PIECE, 2 * PIECE + 77, len(CONTENT) - 1):
        harmed = bytearray(CONTENT)
        harmed[at] ^= 4
        (found,) = after(tmp_path, harmed)
        assert found.at == at // PIECE * PIECE
        assert str(found) == f"{tmp_path / 'b.parquet'} at byte {found.at}: these 64 KiB do not match their checksum"


def test_content_whose_pieces_happen_to_have_the_same_crc_is_not_taken_for_the_file(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    path.write_bytes(CONTENT)
    other = msgspec.structs.replace(entry(), sha256=hashlib.sha256(b"another").hexdigest())
    assert [found.what for found in check_file(other, path)] == ["does not match its SHA-256"]


def test_one_damaged_stretch_is_one_line_and_two_are_two(tmp_path: Path) -> None:
    assert [found.at for found in after(tmp_path, bytes(2 * PIECE) + CONTENT[2 * PIECE :])] == [0]
    harmed = bytearray(CONTENT)
    harmed[5] ^= 1
    harmed[2 * PIECE + 5] ^= 1
    assert [found.at for found in after(tmp_path, harmed)] == [0, 2 * PIECE]


def test_a_cut_a_longer_and_a_missing_file_are_named(tmp_path: Path) -> None:
    (cut,) = after(tmp_path, CONTENT[: PIECE + 9])
    assert (cut.at, cut.what) == (PIECE + 9, f"{PIECE + 9} bytes long, {len(CONTENT)} were written")
    assert after(tmp_path, CONTENT + b"x")[-1].at == len(CONTENT)
    assert [str(each) for each in check_file(entry(), tmp_path / "none")] == [f"{tmp_path / 'none'}: is missing"]


def test_a_manifest_comes_back_and_any_flipped_bit_of_it_is_refused(tmp_path: Path) -> None:
    manifest = Manifest("sealed", "x.dope", (entry(),))
    data = pack_manifest(manifest)
    assert unpack_manifest(data) == manifest
    for bit in range(0, 8 * len(data), 3):
        harmed = bytearray(data)
        harmed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="does not match its checksum"):
            unpack_manifest(bytes(harmed))
    for size in range(len(data)):
        with pytest.raises(ValueError):
            unpack_manifest(data[:size])


def test_a_manifest_of_a_newer_version_or_one_that_leaves_its_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="newer version"):
        unpack_manifest(pack_manifest(Manifest("sealed", "x", (), format=2)))
    for name in ("../x", "/etc/passwd", "a/../../b", "a\\b"):
        with pytest.raises(ValueError, match="outside its folder"):
            unpack_manifest(pack_manifest(Manifest("backup", "x", (msgspec.structs.replace(entry(), name=name),))))


def test_an_absent_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"m\.json: No such file"):
        read_manifest(tmp_path / "m.json")
