"""Mending a tape: a fresh copy of every sound block, byte for byte, with a hole where damage was, closed in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from dope.errors import TapeError
from dope.tape.files import Files, RealFiles
from dope.tape.format import (
    BLOCK_HEAD,
    END,
    FRAMES,
    HOLE,
    Block,
    BlockHead,
    Hole,
    Meta,
    check_payload,
    pack_hole,
    parse_name,
    read_head,
    unpack_frames,
)
from dope.tape.read import next_block, read_meta
from dope.tape.segment import DRAFT, Segment
from dope.types import SENTINEL

NOT_CLOSED = "the recorder ended without closing its tape"


class Mended(msgspec.Struct, frozen=True):
    """``damaged`` = stretches that were stepped over, ``cut`` = bytes of the torn tail, ``header`` = it had to be made anew."""

    frames: int
    damaged: int
    cut: int
    header: bool


def mend(path: Path, copy: Path, *, end: str = NOT_CLOSED, files: Files | None = None) -> Mended:
    """Write ``copy``, which has its name only when it is whole; ``end`` is what it says where no end was recorded.

    A tape whose header is lost gets one made from its name and its frames. Raises TapeError if nothing can be saved or
    the disk refuses.
    """
    files = files or RealFiles()
    damaged = cut = 0
    ended, last = False, 0
    try:
        with path.open("rb") as file:
            meta, start, lost_header = _meta(file, path)
            files.remove(copy.with_name(copy.name + DRAFT))
            segment = Segment(copy, meta, files)
            try:
                for head, data, size in _blocks(file, start):
                    if head is None and not data:
                        cut = size
                    elif data and head is not None and head.kind != END:
                        segment.append(Block(head.kind, head.count, head.first, head.last, data))
                    elif head is None or head.kind != END:
                        damaged += 1
                        span = (head.first, head.last) if head else (last, last)
                        segment.append(pack_hole(Hole(head.count if head and head.kind in (FRAMES, HOLE) else 0, *span, "damaged")))
                    ended = ended or (head is not None and head.kind == END)
                    last = max(last, head.last) if head is not None and head.kind == FRAMES else last
                if not ended:
                    segment.append(pack_hole(Hole(0, last or meta.created, last or meta.created, end)))
                segment.finish()
                files.rename(copy.with_name(copy.name + DRAFT), copy)
            except BaseException:
                segment.discard()
                raise
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror or error}") from error
    return Mended(segment.totals.frames, damaged, cut, lost_header)


def _meta(file: IO[bytes], path: Path) -> tuple[Meta, int, bool]:
    """Description, offset of the first block, and whether the header was lost."""
    try:
        return *read_meta(file, path), False
    except TapeError:
        size = file.seek(0, 2)
        start = next_block(file, 0, size)
        if start is None:
            raise
    venues: set[str] = set()
    first = 0
    for head, data, _ in _blocks(file, start):
        if head is not None and head.kind == FRAMES and data:
            frames = unpack_frames(head, data[BLOCK_HEAD:])
            venues |= {frame.venue for frame in frames if frame.venue and not frame.venue.startswith(SENTINEL)}
            first = first or head.first
    named = parse_name(path.name)
    return Meta(named[0] if named else "import", first, venues=tuple(sorted(venues)), session=path.stem), start, True


def _blocks(file: IO[bytes], at: int) -> Iterator[tuple[BlockHead | None, bytes, int]]:
    """(head, all its bytes, their number) of each block; no bytes = its payload is damaged.

    Without head: a stretch in which nothing is sound; without bytes too: the torn tail.
    """
    size = file.seek(0, 2)
    while at < size:
        file.seek(at)
        raw = file.read(BLOCK_HEAD)
        head = read_head(raw)
        if head is not None and at + BLOCK_HEAD + head.length <= size:
            payload = file.read(head.length)
            try:
                check_payload(head, payload)
            except ValueError:
                if next_block(file, at + 1, size) is None:
                    break
                yield head, b"", BLOCK_HEAD + head.length
            else:
                yield head, raw + payload, BLOCK_HEAD + head.length
            at += BLOCK_HEAD + head.length
            if head.kind == END:
                break
            continue
        further = next_block(file, at + 1, size)
        if further is None:
            break
        yield None, raw, further - at
        at = further
    if at < size:
        yield None, b"", size - at
