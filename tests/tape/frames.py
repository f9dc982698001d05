"""Frames for the tape's tests: numbered ones, whose order can be checked, and arbitrary ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from dope.tape.format import Meta
from dope.tape.read import Tape
from dope.types import DATA, KIND_NAMES, Frame

START = 1_795_238_000_000_000_000
META = Meta("live", START, "0.1.0", ("okx",), "digest", "session-1")

any_frame = st.builds(
    Frame,
    ts=st.integers(-(2**63), 2**63 - 1),
    venue=st.sampled_from(["", "okx", "binance_spot", "наименование"]),
    conn=st.integers(0, 2**40),
    kind=st.integers(0, len(KIND_NAMES) - 1),
    data=st.binary(max_size=300),
)


def numbered(begin: int, end: int, *, gap_ns: int = 1_000_000, size: int = 40) -> list[Frame]:
    """Frame n was received n·gap_ns after START and says its number first."""
    return [Frame(START + n * gap_ns, "okx", 1, DATA, (b"%d " % n).ljust(size, b"x")) for n in range(begin, end)]


def numbers(frames: list[Frame]) -> list[int]:
    return [int(frame.data.split(b" ")[0]) for frame in frames]


def on_disk(folder: Path) -> list[Frame]:
    """All frames of a folder's tapes, in the order of the files."""
    return [frame for path in sorted(folder.glob("*.dope")) for frame in Tape(path)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; gives up after a time far beyond any that is needed."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.002)
