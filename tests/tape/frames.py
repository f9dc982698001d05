"""Frames for the tape's tests: numbered ones, whose order can be checked, and arbitrary ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

from dope import tables
from dope.tape.format import Meta, Rows
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


_text = st.text(st.characters(codec="utf-8"), max_size=8)
_cell = {pa.int64(): st.integers(-(2**63), 2**63 - 1), pa.float64(): st.floats(allow_nan=False), pa.string(): _text}


@st.composite
def any_rows(draw: st.DrawFn) -> Rows:
    """One to five rows of any table; only ``ts`` is never null."""
    name = draw(st.sampled_from(sorted(tables.TABLES)))
    fields = list(tables.TABLES[name])
    kinds = {field.name: _cell.get(field.type, _text) for field in fields}
    row = st.fixed_dictionaries({key: kind if key == "ts" else st.none() | kind for key, kind in kinds.items()})
    return Rows(name, tables.batch(name, draw(st.lists(row, min_size=1, max_size=5))))


def trades(begin: int, end: int) -> pa.RecordBatch:
    """Row n was received n ms after START and has its number as id."""
    row = {"symbol": "BTC-USDT", "venue": "okx", "price": 1.0, "size": 2.0, "side": "buy"}
    return tables.batch("trade", [{**row, "ts": START + n * 1_000_000, "trade_id": str(n)} for n in range(begin, end)])


def trade_numbers(folder: Path) -> list[int]:
    """The numbers of all such rows on a folder's tapes, in the order of the files."""
    batches = [batch for path in sorted(folder.glob("*.dope")) for _, batch in Tape(path).rows("trade")]
    return [int(number) for batch in batches for number in batch.column("trade_id").to_pylist()]


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
