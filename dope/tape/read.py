"""Reading tapes: what a file holds, its frames in order, from any moment on; several tapes as one stream."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa

from dope import tables
from dope.errors import TapeError
from dope.tape.format import (
    BLOCK_HEAD,
    END,
    FILE_HEAD,
    FRAMES,
    HOLE,
    MAX_META,
    ROWS,
    SYNC,
    BlockHead,
    Hole,
    Meta,
    check_payload,
    read_head,
    table_name,
    unpack_frames,
    unpack_hole,
    unpack_meta,
    unpack_rows,
)
from dope.types import Frame

SEARCH_BYTES = 1 << 20  #: read at once while looking for the next sound block behind damage


class _Place(msgspec.Struct, frozen=True):
    """One block of the file, or, without ``head``, a damaged stretch of it."""

    at: int  #: of the block header
    head: BlockHead | None


class Tape:
    """One tape file. Strict by default: damage in its middle raises TapeError naming file and byte when it is reached.

    ``Tape(path, tolerant=True)`` steps over damage instead; ``problems`` then says what was missed. A torn tail (crash,
    or a recording still running) is never an error: the tape ends with its last good block and ``torn`` counts the
    bytes behind it. A tape that is being written is read as far as it was when opened.
    """

    def __init__(self, path: Path | str, *, tolerant: bool = False) -> None:
        """Reads the block headers, not the frames. Raises TapeError if the file is absent or no tape of ours."""
        self.path = Path(path)
        self.tolerant = tolerant
        self.problems: list[str] = []  #: in words: damaged stretches met so far
        self.torn = 0  #: bytes behind the last good block
        self.end: BlockHead | None = None
        self._places: list[_Place] = []
        self._from: int | None = None
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                self.meta, start = read_meta(file, self.path)
                self._scan(file, start, size)
        except OSError as error:
            raise TapeError(f"{self.path}: {error.strerror or error}") from error
        heads = [place.head for place in self._places if place.head is not None and place.head.kind == FRAMES]
        self.count = sum(head.count for head in heads)  #: frames
        self.first = min((head.first for head in heads), default=0)  #: ns UTC, 0 = empty
        self.last = max((head.last for head in heads), default=0)
        self.complete = self.end is not None  #: closed in order, nothing cut off

    # -- what is in it ---------------------------------------------------------------------------------------------
    def _scan(self, file: IO[bytes], at: int, size: int) -> None:
        """Walk from header to header. Stops at END, at the file's end, or where nothing sound follows."""
        while at < size and self.end is None:
            file.seek(at)
            head = read_head(file.read(BLOCK_HEAD))
            if head is not None and at + BLOCK_HEAD + head.length <= size:
                self._places.append(_Place(at, head))
                at += BLOCK_HEAD + head.length
                self.end = head if head.kind == END else None
                continue
            further = next_block(file, at + 1, size)
            if further is None:
                break
            self._places.append(_Place(at, None))
            at = further
        if self.end is None:
            at = self._cut_bad_end(file, at)
        self.torn = size - at

    def _cut_bad_end(self, file: IO[bytes], at: int) -> int:
        """Without END the last blocks may have a header on disk and not their bytes: they belong to the torn tail."""
        while self._places:
            place = self._places[-1]
            if place.head is not None:
                try:
                    check_payload(place.head, _payload(file, place))
                    return at
                except ValueError:
                    pass  # the file ends before this block
            at = self._places.pop().at
        return at

    def holes(self) -> list[Hole]:
        """Where frames were lost while recording, as the recorder noted it."""
        with self.path.open("rb") as file:
            places = [place for place in self._places if place.head is not None and place.head.kind == HOLE]
            return [hole for place in places if isinstance(hole := self._load(file, place), Hole)]

    def harm(self) -> Iterator[Hole]:
        """What ``rows`` cannot tell, because it reads no frames: blocks of frames that are damaged, and an end that is missing."""
        with self.path.open("rb") as file:
            for place in self._places:
                head = place.head
                if head is not None and head.kind == FRAMES and not _sound(file, place):
                    yield Hole(head.count, head.first, head.last, f"frames are damaged at byte {place.at} of {self.path.name}")
        if not self.complete:
            at = self.last or self.meta.created
            yield Hole(0, at, at, "the recorder ended without closing its tape")

    def verify(self) -> list[str]:
        """Read everything; what is wrong with the file, in words, naming the byte. Empty = nothing."""
        copy = Tape(self.path, tolerant=True)
        for _ in itertools.chain(copy.records(), copy.rows()):
            pass
        if copy.torn:
            copy.problems.append(f"{copy.path} at byte {copy.path.stat().st_size - copy.torn}: torn tail of {copy.torn} bytes")
        return copy.problems

    # -- its frames ------------------------------------------------------------------------------------------------
    def seek(self, ts: int) -> Tape:
        """From now on begin with the first frame received at or after ``ts``. Gives the tape itself back."""
        self._from = ts
        return self

    def __iter__(self) -> Iterator[Frame]:
        return itertools.chain.from_iterable(self.batches())

    def batches(self) -> Iterator[list[Frame]]:
        """The frames block by block: the quickest way through."""
        for record in self.records():
            if isinstance(record, list):
                yield record

    def records(self) -> Iterator[list[Frame] | Hole]:
        """Blocks of frames and, at their place, holes; of damage too, when tolerant (``lost`` 0 = not known)."""
        wanted = self._from
        start = 0 if wanted is None else self._place_of(wanted)
        with self.path.open("rb") as file:
            for place in self._places[start:]:
                record = self._load(file, place)
                if isinstance(record, list) and wanted is not None:
                    begin = next((i for i, frame in enumerate(record) if frame.ts >= wanted), None)
                    if begin is None:
                        continue
                    record, wanted = record[begin:], None
                if record is not None:
                    yield record

    def _place_of(self, ts: int) -> int:
        """The first block that may hold a frame at or after ``ts``."""
        reached = list(itertools.accumulate((p.head.last if p.head and p.head.kind != ROWS else 0 for p in self._places), max))
        return bisect_left(reached, ts)

    # -- its rows --------------------------------------------------------------------------------------------------
    def rows(self, table: str = "") -> Iterator[tuple[str, pa.RecordBatch]]:
        """(table, rows) of all ROWS blocks, or of those of one table, in order; frames are not read for it.

        Holes come as rows of ``gap`` at their place, so that nobody needs to look for both; so does damage, when tolerant.
        """
        with self.path.open("rb") as file:
            for at, place in enumerate(self._places):
                kind = None if place.head is None else place.head.kind
                if kind == ROWS:
                    if table and table_name(_payload(file, place, 256)) != table:
                        continue
                elif kind in (FRAMES, END) or table not in ("", "gap"):
                    continue
                yield self._load_rows(file, at)

    def _load_rows(self, file: IO[bytes], at: int) -> tuple[str, pa.RecordBatch]:
        place = self._places[at]
        head = place.head
        try:
            if head is None:
                raise ValueError("no readable block")
            if head.kind == ROWS:
                return unpack_rows(head, _payload(file, place))
            hole = unpack_hole(head, _payload(file, place))
            return "gap", tables.batch("gap", [tables.gap(hole.first, hole.last, "recording", hole.reason, lost=hole.lost or None)])
        except ValueError as error:
            self._trouble(place, error)
        if head is not None:
            row = tables.gap(head.first, head.last, "rows" if head.kind == ROWS else "recording", "damaged", lost=head.count)
        else:
            row = tables.gap(*self._around(at), "file", "damaged")
        return "gap", tables.batch("gap", [row])

    def _around(self, at: int) -> tuple[int, int]:
        """From the last frame before a damaged stretch to the first one behind it, ns."""
        before = max((p.head.last for p in self._places[:at] if p.head and p.head.kind == FRAMES), default=self.meta.created)
        behind = next((p.head.first for p in self._places[at:] if p.head and p.head.kind == FRAMES), before)
        return before, behind

    def _load(self, file: IO[bytes], place: _Place) -> list[Frame] | Hole | None:
        head = place.head
        try:
            if head is None:
                raise ValueError("no readable block")
            if head.kind == FRAMES:
                return unpack_frames(head, _payload(file, place))
            return unpack_hole(head, _payload(file, place)) if head.kind == HOLE else None
        except ValueError as error:
            self._trouble(place, error)
            return Hole(0, 0, 0, "damaged") if head is None else Hole(head.count, head.first, head.last, "damaged")

    def _trouble(self, place: _Place, error: ValueError) -> None:
        """Raises TapeError unless tolerant; then each damaged place is named once."""
        problem = f"{self.path} at byte {place.at}: {error}"
        if not self.tolerant:
            raise TapeError(problem) from error
        if problem not in self.problems:
            self.problems.append(problem)


def read_meta(file: IO[bytes], path: Path) -> tuple[Meta, int]:
    """The description in a file's header and the offset of its first block. Raises TapeError."""
    file.seek(0)
    try:
        return unpack_meta(file.read(FILE_HEAD + MAX_META))
    except ValueError as error:
        raise TapeError(f"{path} at byte 0: {error}") from error


def _payload(file: IO[bytes], place: _Place, most: int | None = None) -> bytes:
    assert place.head is not None
    file.seek(place.at + BLOCK_HEAD)
    return file.read(place.head.length if most is None else min(most, place.head.length))


def _sound(file: IO[bytes], place: _Place) -> bool:
    assert place.head is not None
    try:
        check_payload(place.head, _payload(file, place))
    except ValueError:
        return False
    return True


def next_block(file: IO[bytes], at: int, size: int) -> int | None:
    """Offset of the next block that is sound in header and payload, at or behind ``at``."""
    while at + BLOCK_HEAD <= size:
        file.seek(at)
        window = file.read(SEARCH_BYTES)
        found = window.find(SYNC)
        while found >= 0:
            file.seek(at + found)
            head = read_head(file.read(BLOCK_HEAD))
            if head is not None and at + found + BLOCK_HEAD + head.length <= size:
                try:
                    check_payload(head, file.read(head.length))
                    return at + found
                except ValueError:
                    pass  # looked like a header, is none: go on looking
            found = window.find(SYNC, found + 1)
        if len(window) < SEARCH_BYTES:
            return None
        at += len(window) - len(SYNC) + 1
    return None


def merge(tapes: Sequence[Tape]) -> Iterator[Frame]:
    """One stream by (ts, argument order, position).

    Connection epochs are numbered anew where the tapes come from different sessions, so that they stay unique;
    the parts of one session share theirs. A tape's own order is never changed, even if its clock stepped back.
    """
    if len({_session(tape) for tape in tapes}) <= 1:
        streams: list[Iterable[Frame]] = list(tapes)
    else:
        numbers: dict[tuple[str, int], int] = {}
        streams = [_renumbered(tape, numbers) for tape in tapes]
    return iter(streams[0]) if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("ts"))


def _session(tape: Tape) -> str:
    return tape.meta.session or str(tape.path)


def _renumbered(tape: Tape, numbers: dict[tuple[str, int], int]) -> Iterator[Frame]:
    """``numbers`` is shared by all tapes of a merge: (session, conn) → the conn given out."""
    session = _session(tape)
    for frame in tape:
        if not frame.venue:
            yield frame
            continue
        conn = numbers.setdefault((session, frame.conn), len(numbers) + 1)
        yield Frame(frame.ts, frame.venue, conn, frame.kind, frame.data)
