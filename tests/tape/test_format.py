"""What is written is read back equal; what is damaged or cut is noticed, whatever byte it hits."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.errors import TapeError
from dope.tape.format import (
    BLOCK_HEAD,
    MAX_META,
    SYNC,
    VERSION,
    Hole,
    Meta,
    pack_end,
    pack_frames,
    pack_hole,
    pack_meta,
    parse_name,
    read_head,
    tape_name,
    unpack_frames,
)
from dope.tape.read import Tape
from dope.tape.segment import write_tape
from dope.types import DATA, Frame
from tests.tape.frames import META, any_frame, numbered


def small_tape() -> tuple[bytes, list[Frame], list[int]]:
    """Three blocks: bytes, frames, and the offset at which each block ends."""
    frames = numbered(0, 9, size=20)
    data, ends = pack_meta(META), []
    for i in range(0, 9, 3):
        data += pack_frames(frames[i : i + 3]).data
        ends.append(len(data))
    return data, frames, ends


def read(path: Path, data: bytes, *, tolerant: bool = False) -> tuple[list[Frame], Tape]:
    path.write_bytes(data)
    tape = Tape(path, tolerant=tolerant)
    return list(tape), tape


@given(st.lists(any_frame, max_size=60), st.integers(200, 2000))
def test_any_frames_come_back_equal(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame], block_bytes: int) -> None:
    path = tmp_path_factory.mktemp("t") / "a.dope"
    write_tape(path, META, frames, block_bytes=block_bytes)
    tape = Tape(path)
    assert list(tape) == frames
    assert (tape.meta, tape.count, tape.complete, tape.torn) == (META, len(frames), True, 0)
    assert (tape.first, tape.last) == (min((f.ts for f in frames), default=0), max((f.ts for f in frames), default=0))


def test_a_large_frame_comes_back_equal(tmp_path: Path) -> None:
    frame = Frame(1, "okx", 1, 0, bytes(range(256)) * 20_000)
    write_tape(tmp_path / "a.dope", META, [frame, frame])
    assert list(Tape(tmp_path / "a.dope")) == [frame, frame]


def test_a_tape_cut_at_any_byte_gives_the_frames_before_the_cut_block(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    header = len(pack_meta(META))
    for cut in range(len(data) + 1):
        if cut < header:
            with pytest.raises(TapeError):
                read(tmp_path / "a.dope", data[:cut])
            continue
        got, tape = read(tmp_path / "a.dope", data[:cut])
        whole = [end for end in ends if end <= cut]
        assert got == frames[: 3 * len(whole)], cut
        assert tape.torn == cut - (whole[-1] if whole else header)
        assert not tape.complete


@pytest.mark.parametrize("closed", [True, False])
def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, closed: bool) -> None:
    data, frames, _ = small_tape()
    if closed:
        data += pack_end(frames=9, lost=0, first=frames[0].ts, last=frames[-1].ts).data
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << (at % 8)
        try:
            got, tape = read(tmp_path / "a.dope", bytes(bad))
        except TapeError as error:
            assert "a.dope at byte" in str(error)
            continue
        assert got == frames[: len(got)], at
        assert tape.torn > 0, f"flip at {at} went unnoticed"
        assert closed is False or not tape.complete


def test_damage_in_the_middle_names_file_and_byte(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    for offset, reason in ((ends[0] + BLOCK_HEAD + 3, "checksum"), (ends[0] + 10, "no readable block")):
        bad = bytearray(data)
        bad[offset] ^= 0xFF
        (tmp_path / "a.dope").write_bytes(bad)
        tape, got = Tape(tmp_path / "a.dope"), []
        with pytest.raises(TapeError, match=f"a.dope at byte {ends[0]}: .*{reason}"):
            for frame in tape:
                got.append(frame)
        assert got == frames[:3]


def test_the_tolerant_reader_steps_over_damage_and_says_so(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    bad = bytearray(data)
    bad[ends[0] : ends[0] + 20] = bytes(20)
    got, tape = read(tmp_path / "a.dope", bytes(bad), tolerant=True)
    assert got == frames[:3] + frames[6:]
    assert tape.problems == [f"{tape.path} at byte {ends[0]}: no readable block"]
    assert Tape(tape.path).verify() == tape.problems


def test_a_last_block_whose_bytes_never_reached_the_disk_is_a_torn_tail(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    torn = data[: ends[1] + BLOCK_HEAD] + bytes(ends[2] - ends[1] - BLOCK_HEAD)
    got, tape = read(tmp_path / "a.dope", torn)
    assert got == frames[:6] and tape.torn == ends[2] - ends[1]
    assert tape.count == 6 and tape.last == frames[5].ts


def test_what_only_looks_like_a_block_is_passed_over_in_the_search(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    false_head = data[ends[0] : ends[0] + BLOCK_HEAD]  # a sound header with another block's bytes behind it
    bad = data[: ends[0]] + b"junk" + SYNC + b"junk" + false_head + data[ends[1] :]
    got, tape = read(tmp_path / "a.dope", bad, tolerant=True)
    assert got == frames[:3] + frames[6:]
    assert len(tape.problems) == 1


def test_verify_finds_nothing_in_a_good_tape_and_names_a_torn_tail(tmp_path: Path) -> None:
    write_tape(tmp_path / "a.dope", META, numbered(0, 100))
    assert Tape(tmp_path / "a.dope").verify() == []
    data, _, ends = small_tape()
    (tmp_path / "b.dope").write_bytes(data[:-1])
    assert Tape(tmp_path / "b.dope").verify() == [f"{tmp_path / 'b.dope'} at byte {ends[1]}: torn tail of {len(data) - 1 - ends[1]} bytes"]


def test_a_repaired_copy_holds_what_was_sound_and_marks_the_hole(tmp_path: Path) -> None:
    data, frames, ends = small_tape()
    bad = bytearray(data)
    bad[ends[1] - 1] ^= 1
    _, tape = read(tmp_path / "a.dope", bytes(bad), tolerant=True)
    write_tape(tmp_path / "b.dope", tape.meta, (r for part in tape.records() for r in (part if isinstance(part, list) else [part])))
    copy = Tape(tmp_path / "b.dope")
    assert list(copy) == frames[:3] + frames[6:]
    assert copy.holes() == [Hole(3, frames[3].ts, frames[5].ts, "damaged")]


def test_a_hole_keeps_its_place_between_frames(tmp_path: Path) -> None:
    frames, hole = numbered(0, 4), Hole(7, 10, 20, "disk full")
    write_tape(tmp_path / "a.dope", META, [*frames[:2], hole, *frames[2:]])
    tape = Tape(tmp_path / "a.dope")
    assert list(tape.records()) == [frames[:2], hole, frames[2:]]
    assert tape.holes() == [hole]
    assert list(tape) == frames


def test_a_newer_version_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    data = bytearray(pack_meta(META))
    struct.pack_into("<H", data, 8, VERSION + 1)
    head = bytes(data[:16])
    struct.pack_into("<I", data, 16, crc32(bytes(data[20:]), crc32(head)))
    with pytest.raises(TapeError, match="newer version"):
        read(tmp_path / "a.dope", bytes(data))


@pytest.mark.parametrize("data", [b"", b"DOPE", b"PAR1" * 100, b"\x00" * 4096])
def test_a_file_that_is_no_tape_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(TapeError, match="at byte 0: not a tape"):
        read(tmp_path / "a.dope", data)


@given(st.binary(max_size=400))
def test_junk_behind_a_header_never_becomes_frames(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    got, tape = read(tmp_path_factory.mktemp("t") / "a.dope", pack_meta(META) + junk)
    assert got == []
    assert tape.torn == len(junk)


def test_a_block_with_a_forged_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    block = bytearray(pack_frames(numbered(0, 3)).data)
    struct.pack_into("<I", block, 12, 0xFFFFFFFF)
    struct.pack_into("<I", block, BLOCK_HEAD - 4, crc32(bytes(block[: BLOCK_HEAD - 4])))
    end = pack_end(frames=3, lost=0, first=0, last=0).data
    with pytest.raises(TapeError, match="size or codec"):
        read(tmp_path / "a.dope", pack_meta(META) + bytes(block) + end)


def test_a_block_whose_frames_are_of_another_shape_is_an_error_not_garbage(tmp_path: Path) -> None:
    odd = Frame("noon", "okx", 1, 0, b"x")  # type: ignore[arg-type]
    with pytest.raises((TypeError, struct.error)):
        pack_frames([odd])
    good = pack_frames([Frame(1, "okx", 7, 0, "text")])  # type: ignore[arg-type]
    end = pack_end(frames=1, lost=0, first=1, last=1).data
    with pytest.raises(TapeError, match="cannot be unpacked"):
        read(tmp_path / "a.dope", pack_meta(META) + good.data + end)


def test_unknown_sources_and_endless_descriptions_are_refused() -> None:
    with pytest.raises(TapeError, match="one of live, sim, import"):
        pack_meta(Meta("real", 0))
    with pytest.raises(TapeError, match="at most"):
        pack_meta(Meta("live", 0, origin=("x" * MAX_META,)))


def test_names_sort_in_time_and_only_ours_are_recognised() -> None:
    assert tape_name("20261121T0512Z", "live", 1) == "20261121T0512Z-live-0001.dope"
    assert parse_name("20261121T0512Z-live-0001.dope") == ("live", 1)
    assert parse_name("my-favourite.dope") is None


def test_a_hole_block_is_checked_like_any_other(tmp_path: Path) -> None:
    block = bytearray(pack_hole(Hole(5, 1, 2, "disk full")).data)
    block[-1] ^= 1
    end = pack_end(frames=0, lost=5, first=0, last=0).data
    (tmp_path / "a.dope").write_bytes(pack_meta(META) + bytes(block) + end)
    with pytest.raises(TapeError, match="checksum"):
        Tape(tmp_path / "a.dope").holes()


def test_a_block_written_in_a_hurry_is_not_compressed_and_reads_the_same() -> None:
    frames = [Frame(i, "okx", 1, DATA, b'{"a":1}' * 50) for i in range(200)]
    calm, hurried = pack_frames(frames), pack_frames(frames, compress=False)
    assert len(hurried.data) > 4 * len(calm.data)
    for block in (calm, hurried):
        head = read_head(block.data)
        assert head is not None
        assert unpack_frames(head, block.data[BLOCK_HEAD:]) == frames
