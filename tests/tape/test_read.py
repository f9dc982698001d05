"""Reading from any moment on, and several tapes as one stream."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.errors import TapeError
from dope.tape.format import Meta
from dope.tape.read import Tape, merge
from dope.tape.segment import write_tape
from dope.types import DATA, TICK, Frame
from tests.tape.frames import META, START, numbered, numbers

times = st.lists(st.integers(0, 30), max_size=40).map(sorted)


def tape_of(path: Path, ts: list[int], *, venue: str = "okx", session: str = "", conn: int = 1) -> Tape:
    frames = [Frame(t, venue, conn, DATA, b"%s %d" % (path.name.encode(), i)) for i, t in enumerate(ts)]
    write_tape(path, Meta("import", 1, session=session), frames, block_bytes=600)
    return Tape(path)


@given(times, st.integers(-1, 32))
def test_seek_gives_exactly_the_frames_from_that_moment_on(tmp_path_factory: pytest.TempPathFactory, ts: list[int], wanted: int) -> None:
    tape = tape_of(tmp_path_factory.mktemp("t") / "a.dope", ts)
    assert [frame.ts for frame in tape.seek(wanted)] == [t for t in ts if t >= wanted]


def test_seek_in_a_tape_of_many_blocks_touches_only_the_blocks_it_needs(tmp_path: Path) -> None:
    write_tape(tmp_path / "a.dope", META, numbered(0, 1000), block_bytes=2000)
    damaged = bytearray((tmp_path / "a.dope").read_bytes())
    damaged[300] ^= 1  # in the first block: reading from the start would raise
    (tmp_path / "a.dope").write_bytes(damaged)
    with pytest.raises(TapeError):
        list(Tape(tmp_path / "a.dope"))
    assert numbers(list(Tape(tmp_path / "a.dope").seek(START + 700 * 1_000_000))) == list(range(700, 1000))


def test_a_tape_can_be_read_twice(tmp_path: Path) -> None:
    tape = tape_of(tmp_path / "a.dope", [1, 2, 3])
    assert list(tape) == list(tape) != []


def test_an_absent_tape_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="No such file"):
        Tape(tmp_path / "nowhere.dope")


@given(times, times, times)
def test_merge_orders_by_time_then_argument_then_position(
    tmp_path_factory: pytest.TempPathFactory, a: list[int], b: list[int], c: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    tapes = [tape_of(folder / name, ts, session=name) for name, ts in (("a.dope", a), ("b.dope", b), ("c.dope", c))]
    expected = sorted((t, n, i) for n, ts in enumerate((a, b, c)) for i, t in enumerate(ts))
    assert [(f.ts, f.data) for f in merge(tapes)] == [(t, b"%s.dope %d" % (b"abc"[n : n + 1], i)) for t, n, i in expected]


def test_a_clock_that_stepped_back_does_not_reorder_its_own_tape(tmp_path: Path) -> None:
    a, b = tape_of(tmp_path / "a.dope", [5, 3, 9], session="a"), tape_of(tmp_path / "b.dope", [4, 6], session="b")
    assert [frame.data[:8] for frame in merge([a, b])] == [b"b.dope 0", b"a.dope 0", b"a.dope 1", b"b.dope 1", b"a.dope 2"]


def test_connection_epochs_of_different_sessions_stay_apart(tmp_path: Path) -> None:
    a = tape_of(tmp_path / "a.dope", [1, 3], session="a")
    b = tape_of(tmp_path / "b.dope", [2, 4], session="b")
    write_tape(tmp_path / "c.dope", Meta("live", 1, session="a", part=2), [Frame(5, "okx", 1, DATA, b"c"), Frame(5, "", 0, TICK, b"0")])
    merged = merge([a, b, Tape(tmp_path / "c.dope")])
    assert [frame.conn for frame in merged] == [1, 2, 1, 2, 1, 0], "parts of one session share theirs; a tick has none"


def test_one_session_is_replayed_as_it_was(tmp_path: Path) -> None:
    frames = [Frame(1, "okx", 41, DATA, b"x"), Frame(2, "okx", 7, DATA, b"y")]
    write_tape(tmp_path / "a.dope", META, frames[:1])
    write_tape(tmp_path / "b.dope", META, frames[1:])
    assert list(merge([Tape(tmp_path / "a.dope"), Tape(tmp_path / "b.dope")])) == frames
    assert list(merge([Tape(tmp_path / "a.dope")])) == frames[:1]
    assert list(merge([])) == []
