"""The tape's file format: a header, then checksummed blocks of frames, in the order in which the engine saw them.

All numbers little-endian. One file::

    header   "DOPETAPE" · u16 version · u16 0 · u32 length of meta · u32 CRC32 of all that and of meta · meta (JSON)
    block    48-byte block header · payload
    block    …

    block header   "\\xd0PE\\n" · u8 kind · u8 codec · u16 0 · u32 payload length · u32 unpacked length · u64 count
                   · i64 first ts · i64 last ts · u32 CRC32 of the payload · u32 CRC32 of the 44 bytes before

``first`` and ``last`` are the smallest and the largest ``ts`` in the block, ns UTC. Kinds of block:

* FRAMES: payload = one MessagePack array of ``[ts, venue, conn, kind, data]``; ``count`` frames. Codec 1: zstd of it;
  codec 0: as it is, written under pressure.
* HOLE: ``count`` frames were lost here, first and last as given (recording was paused and the memory bound was
  reached); payload = the reason as UTF-8. No frame is ever invented for a hole: a reader reports it.
* ROWS (since version 2): ``count`` rows of one table of ``dope/tables.py``, as collected from the running engine;
  first and last are of their column ``ts``. Payload = u8 length of the table's name · the name · one Arrow IPC stream with
  one record batch, without descriptions of the columns; codec and unpacked length are those of the stream.
* END: no payload; ``count``, ``first``, ``last`` are those of the whole tape, "unpacked length" = frames lost, capped at
  2³²−1. Always the last block of a tape that was closed in order, so the last 48 bytes of such a file are its summary.

Every bit of a file is under one of the checksums. A file without END was cut by a crash or is still being written:
whatever stands behind its last good block is a torn tail. Sync marks let a tolerant reader step over damage.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import msgspec
import pyarrow as pa
import zstandard

from dope.errors import TapeError
from dope.tables import TABLES
from dope.types import Frame

VERSION = 2  #: written; all versions up to this are read
MAGIC = b"DOPETAPE"
SYNC = b"\xd0PE\n"
FRAMES, HOLE, END, ROWS = 1, 2, 3, 4
RAW, ZSTD = 0, 1
LEVEL = 1  #: of zstd: higher levels cost more than they save here
MAX_META = 1 << 16  #: bytes of the JSON in the header
MAX_BLOCK = 256 << 20  #: bytes of one block, packed or unpacked: what a damaged or hostile file may make us allocate
BLOCK_BYTES = 1 << 20  #: unpacked, before a new block is begun
FRAME_COST = 160  #: bytes that a frame in memory takes besides its data
SOURCES = ("live", "sim", "import")

_FILE = struct.Struct("<8sHHI")
_BLOCK = struct.Struct("<4sBBHIIQqqI")
_CRC = struct.Struct("<I")
FILE_HEAD = _FILE.size + _CRC.size
BLOCK_HEAD = _BLOCK.size + _CRC.size

_TAPE_NAME = re.compile(r"\d{8}T\d{4}Z-(live|sim|import)-(\d{4,})\.dope")
_BARE = {name: pa.schema([field.remove_metadata() for field in schema]) for name, schema in TABLES.items()}
_encoder = msgspec.msgpack.Encoder()
_frames = msgspec.msgpack.Decoder(list[Frame])


class Meta(msgspec.Struct, frozen=True):
    """Who recorded what. ``source`` is fixed per tape: simulated and live data never share one.

    ``created`` ns UTC; ``settings`` = digest of the settings in force; the ``part``-th file of recording ``session``:
    connection epochs are unique within a session. ``origin`` = names of the files that were imported.
    """

    source: str
    created: int
    software: str = ""
    venues: tuple[str, ...] = ()
    settings: str = ""
    session: str = ""
    part: int = 1
    origin: tuple[str, ...] = ()


class Hole(msgspec.Struct, frozen=True):
    """``lost`` frames are missing here (0 = not known how many), received between ``first`` and ``last``."""

    lost: int
    first: int
    last: int
    reason: str
    ticket: int = 0  #: as of ``Rows``; not written


class Rows(msgspec.Struct, frozen=True):
    """Rows of one table on their way to the tape. ``ticket`` names them until they are there, ``cost`` = bytes in memory."""

    table: str
    batch: pa.RecordBatch
    ticket: int = 0
    cost: int = 0


class Bundle(msgspec.Struct, frozen=True, gc=False):
    """Many frames, encoded already: the payload of a FRAMES block before compression. ``cost`` as of ``Rows``."""

    raw: bytes
    count: int
    first: int
    last: int
    cost: int = 0


Record = Frame | Bundle | Hole | Rows


class BlockHead(msgspec.Struct, frozen=True, gc=False):
    """A block header that passed its checksum."""

    kind: int
    codec: int
    length: int  #: bytes of the payload in the file
    raw: int  #: bytes unpacked
    count: int
    first: int
    last: int
    crc: int


class Block(msgspec.Struct, frozen=True, gc=False):
    """One packed block, ready to be written: ``data`` = header and payload; ``cost`` = bytes its content took in memory."""

    kind: int
    count: int
    first: int
    last: int
    data: bytes
    cost: int = 0
    ticket: int = 0  #: of rows


def pack_meta(meta: Meta) -> bytes:
    """The file header. Raises TapeError for an unknown source or too much of it."""
    if meta.source not in SOURCES:
        raise TapeError(f"a tape's source is one of {', '.join(SOURCES)}, not {meta.source!r}")
    text = msgspec.json.encode(meta)
    if len(text) > MAX_META:
        raise TapeError(f"the description of a tape takes at most {MAX_META} bytes, not {len(text)}")
    head = _FILE.pack(MAGIC, VERSION, 0, len(text))
    return head + _CRC.pack(crc32(text, crc32(head))) + text


def unpack_meta(data: bytes) -> tuple[Meta, int]:
    """Meta and the offset of the first block, from the start of a file. Raises ValueError in plain words."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("not a tape: the file does not begin with DOPETAPE")
    if len(data) < FILE_HEAD:
        raise ValueError("the file ends inside its header")
    _, version, _, length = _FILE.unpack_from(data)
    end = FILE_HEAD + length
    if version > VERSION:
        raise ValueError(f"written by a newer version (format {version}; this program reads up to {VERSION})")
    if length > MAX_META or len(data) < end:
        raise ValueError("the file ends inside its header")
    text = data[FILE_HEAD:end]
    if crc32(text, crc32(data[: _FILE.size])) != _CRC.unpack_from(data, _FILE.size)[0]:
        raise ValueError("the header does not match its checksum")
    try:
        return msgspec.json.decode(text, type=Meta), end
    except msgspec.DecodeError as error:
        raise ValueError(f"the header cannot be understood: {error}") from error


def pack(records: Iterable[Record], block_bytes: int = BLOCK_BYTES, *, compress: bool = True) -> Iterator[Block]:
    """Blocks in the order of the records, a new one after ``block_bytes``; a bundle, a hole or rows end a block and keep their place."""
    batch: list[Frame] = []
    cost = 0
    add = batch.append
    for record in records:
        if type(record) is Frame:
            add(record)
            cost += len(record.data) + FRAME_COST
            if cost < block_bytes:
                continue
        if batch:
            yield pack_frames(batch, cost, compress=compress)
            batch, cost = [], 0
            add = batch.append
        if isinstance(record, Bundle):
            yield pack_bundle(record, compress=compress)
        elif isinstance(record, Hole):
            yield pack_hole(record)
        elif isinstance(record, Rows):
            yield pack_rows(record, compress=compress)
    if batch:
        yield pack_frames(batch, cost, compress=compress)


def pack_frames(frames: Sequence[Frame], cost: int = 0, *, compress: bool = True) -> Block:
    """One FRAMES block. Raises TapeError above MAX_BLOCK. Not compressed it takes four times the room and a fifth of the time."""
    return pack_bundle(bundle(frames, cost), compress=compress)


def bundle(frames: Sequence[Frame], cost: int = 0) -> Bundle:
    """Encode frames now: a fifth of the work, and cheapest while they are still in the processor's cache."""
    times = [frame.ts for frame in frames]
    return Bundle(_encoder.encode(frames), len(frames), min(times), max(times), cost)


def pack_bundle(made: Bundle, *, compress: bool = True) -> Block:
    """The FRAMES block of a bundle. Raises TapeError above MAX_BLOCK."""
    raw = made.raw
    if len(raw) > MAX_BLOCK:
        raise TapeError(f"a block of {len(raw)} bytes is above the limit of {MAX_BLOCK}")
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(raw) if compress else raw
    codec = ZSTD if compress else RAW
    return _block(FRAMES, made.count, (made.first, made.last), packed, raw=len(raw), codec=codec, cost=made.cost)


def pack_hole(hole: Hole) -> Block:
    text = hole.reason.encode()[:1000]
    return msgspec.structs.replace(_block(HOLE, hole.lost, (hole.first, hole.last), text, raw=len(text), codec=RAW), ticket=hole.ticket)


def pack_rows(rows: Rows, *, compress: bool = True) -> Block:
    """One ROWS block. Raises TapeError for an unknown table or other columns than its own."""
    schema = _BARE.get(rows.table)
    if schema is None or not rows.batch.schema.equals(schema):
        raise TapeError(f"these are no rows of a table {rows.table!r}")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.RecordBatch.from_arrays(rows.batch.columns, schema=schema))
    raw = sink.getvalue()
    if len(raw) > MAX_BLOCK:
        raise TapeError(f"a block of {len(raw)} bytes is above the limit of {MAX_BLOCK}")
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(raw) if compress else raw.to_pybytes()
    times = rows.batch.column("ts").to_numpy()
    span = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    name = rows.table.encode()
    block = _block(
        ROWS, len(rows.batch), span, bytes((len(name),)) + name + packed,
        raw=len(raw), codec=ZSTD if compress else RAW, cost=rows.cost,
    )  # fmt: skip
    return msgspec.structs.replace(block, ticket=rows.ticket)


def pack_end(*, frames: int, lost: int, first: int, last: int) -> Block:
    return _block(END, frames, (first, last), b"", raw=min(lost, 0xFFFFFFFF), codec=RAW)


def _block(kind: int, count: int, span: tuple[int, int], payload: bytes | bytearray, *, raw: int, codec: int, cost: int = 0) -> Block:
    head = _BLOCK.pack(SYNC, kind, codec, 0, len(payload), raw, count, *span, crc32(payload))
    return Block(kind, count, *span, head + _CRC.pack(crc32(head)) + payload, cost)


def read_head(data: bytes) -> BlockHead | None:
    """The block header at the start of ``data``; None when there is no sound one."""
    if len(data) < BLOCK_HEAD or data[:4] != SYNC or crc32(data[: _BLOCK.size]) != _CRC.unpack_from(data, _BLOCK.size)[0]:
        return None
    _, kind, codec, _, length, raw, count, first, last, crc = _BLOCK.unpack_from(data)
    return BlockHead(kind, codec, length, raw, count, first, last, crc)


def check_payload(head: BlockHead, payload: bytes) -> None:
    """Raises ValueError, in plain words, when ``payload`` is not what ``head`` promised."""
    if len(payload) != head.length or crc32(payload) != head.crc:
        raise ValueError("the block does not match its checksum")


def unpack_frames(head: BlockHead, payload: bytes) -> list[Frame]:
    """The frames of one block; each owns its bytes. Raises ValueError, in plain words, for anything wrong."""
    check_payload(head, payload)
    try:
        frames = _frames.decode(_unpacked(head, payload))
    except msgspec.DecodeError as error:
        raise ValueError(f"the block cannot be unpacked: {error}") from error
    if len(frames) != head.count:
        raise ValueError(f"the block holds {len(frames)} frames, its header says {head.count}")
    return frames


def _unpacked(head: BlockHead, packed: bytes) -> bytes:
    size = len(packed) if head.codec == RAW else zstandard.frame_content_size(packed) if head.codec == ZSTD else -1
    if size != head.raw or size > MAX_BLOCK:
        raise ValueError("the block's size or codec is not what its header says")
    try:
        return packed if head.codec == RAW else zstandard.ZstdDecompressor().decompress(packed, max_output_size=head.raw)
    except zstandard.ZstdError as error:
        raise ValueError(f"the block cannot be unpacked: {error}") from error


def table_name(payload: bytes) -> str:
    """The table of a ROWS block, from the beginning of its payload (256 bytes are enough). Not covered by ``check_payload``."""
    return payload[1 : 1 + payload[0]].decode(errors="replace") if payload else ""


def unpack_rows(head: BlockHead, payload: bytes) -> tuple[str, pa.RecordBatch]:
    """(table, rows) of one block; rows of a table that this program knows have its columns. Raises ValueError, in plain words."""
    check_payload(head, payload)
    table = table_name(payload)
    raw = _unpacked(head, payload[1 + payload[0] :] if payload else b"")
    try:
        with pa.ipc.open_stream(raw) as stream:
            (batch,) = list(stream)
        batch.validate(full=True)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ValueError(f"the block cannot be unpacked: {error}") from error
    if len(batch) != head.count:
        raise ValueError(f"the block holds {len(batch)} rows, its header says {head.count}")
    if table in TABLES and batch.schema.equals(TABLES[table]):
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=TABLES[table])
    return table, batch


def unpack_hole(head: BlockHead, payload: bytes) -> Hole:
    """Raises ValueError when the block is damaged."""
    check_payload(head, payload)
    return Hole(head.count, head.first, head.last, payload.decode(errors="replace"))


def tape_name(stamp: str, source: str, number: int) -> str:
    """``20261121T0512Z-live-0001.dope``: UTC minute of creation, source, and a number that rises within the folder."""
    return f"{stamp}-{source}-{number:04d}.dope"


def parse_name(name: str) -> tuple[str, int] | None:
    """(source, number) of a name that a journal gave; None for any other file, which is then never touched."""
    found = _TAPE_NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else None
