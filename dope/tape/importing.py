"""Importing foreign recordings: whatever somebody else wrote down becomes a tape that the engine cannot tell from ours.

Two forms, gzip or plain:

* ``NAME.jsonl[.gz]`` (one received frame per line, byte-exact) or ``NAME.b64[.gz]`` (the same, base64 of binary frames),
  with ``NAME.recv_ns[.gz]`` (one receive time per line) and, if there is one, ``NAME.side.tsv[.gz]``
  (``recv_ns, open|sent|http, url, text``: what the recorder did and what REST answered);
* lines ``<recv_ns> <json>``, where a REST book snapshot stands in the stream as a line ``{"lastUpdateId":…}``.

What the recording lacks and a tape needs is synthesised: an OPEN before the first frame where none was recorded (it
accepts whatever instrument comes) and a TICK at each 10 ms of recorded time. Order: by receive time; at the same
nanosecond ticks, then side rows, then data; data never leave their line order, so a time that steps back is raised to
the one before it and counted. Lines that are not JSON are counted and kept: they are data.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import heapq
import itertools
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from operator import attrgetter, itemgetter
from pathlib import Path

import msgspec

from dope.errors import TapeError
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from dope.types import DATA, OPEN, REPLY, SENT, TICK, Frame, OpenInfo, ReplyInfo
from dope.venues.base import Venue

TICK_NS = 10_000_000
MAX_SILENCE_NS = 3600 * 10**9  #: ticks go on for this long into a silence of the recording, then jump to its end
MAX_LINE = 64 << 20  #: bytes; a longer line is cut into several
MAX_TS = 2**63 - 1
PLAN = "import"
OK = 200

SIDE_KINDS = {b"open": OPEN, b"sent": SENT, b"http": REPLY}
SNAPSHOT = b'{"lastUpdateId"'
DATA_SUFFIXES = (".jsonl.gz", ".jsonl", ".b64.gz", ".b64")
SISTERS = (".recv_ns.gz", ".recv_ns", ".side.tsv.gz", ".side.tsv")

_STAMPED = re.compile(rb"\d{10,19} ")
_NATIVE = re.compile(rb'"(?:s|instId|symbol)":\s?"([^"@]{2,40})"|"stream":\s?"([^"@]{2,40})@|[?&]symbol=([A-Za-z0-9_-]{2,40})')

#: (ts, 0 = side row | 1 = data line, kind, url, payload)
Row = tuple[int, int, int, str, bytes]


class ImportReport(msgspec.Struct):
    """What was imported. ``frames`` counts all of the tape; ``problems`` = files cut short or of unequal length, in words."""

    path: str
    frames: int = 0
    data: int = 0
    opens: int = 0
    sent: int = 0
    replies: int = 0
    ticks: int = 0
    clamped: int = 0
    bad_lines: int = 0
    problems: list[str] = msgspec.field(default_factory=list)


def import_lines(
    paths: Sequence[Path | str], venue: Venue, out: Path, *, natives: Sequence[str] | None = None, software: str = ""
) -> ImportReport:
    """Import recordings of one venue into one new tape. ``natives`` = the venue's names in them; found out if None.

    A path may name any file of a recording; its sisters are found beside it. Raises TapeError: nothing to import, or
    ``out`` exists; and, *after* writing everything that could be read, for a truncated or incomplete file.
    """
    recordings = [_Recording(path, venue, natives) for path in _data_files(paths)]
    report = ImportReport(str(out))
    conns = itertools.count(1)
    streams = [recording.frames(conns, report) for recording in recordings]
    counts: Counter[int] = Counter()
    frames = _counted(_with_ticks(heapq.merge(*streams, key=attrgetter("ts"))), counts)
    origin = tuple(recording.path.name for recording in recordings)
    now = time.time_ns()
    meta = Meta("import", now, software, (venue.ID,), session=f"import-{now}", origin=origin)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_tape(out, meta, frames)
    report.frames, report.data, report.opens = counts.total(), counts[DATA], counts[OPEN]
    report.sent, report.replies, report.ticks = counts[SENT], counts[REPLY], counts[TICK]
    if not report.data:
        out.unlink()
        raise TapeError("; ".join(report.problems) or f"no frames in {', '.join(origin)}")
    if report.problems:
        raise TapeError(f"{'; '.join(report.problems)} ({report.data} received frames were imported into {out})")
    return report


def natives_of(paths: Sequence[Path | str], venue: Venue) -> tuple[str, ...]:
    """The venue's own instrument names in these recordings, sorted: from frames, sent texts and URLs."""
    found: set[bytes] = set()
    for path in _data_files(paths):
        for file in (path, _sister(path, ".side.tsv")):
            if file is not None:
                for line in _lines(file, []):
                    found.update(name for match in _NATIVE.findall(line) for name in match if name)
    return tuple(sorted({name for raw in found if (name := _known(raw.decode(errors="replace"), venue)) is not None}))


def _known(name: str, venue: Venue) -> str | None:
    return next((form for form in (name, name.upper()) if venue.instrument(form) is not None), None)


# -- files -----------------------------------------------------------------------------------------------------------
def _data_files(paths: Sequence[Path | str]) -> list[Path]:
    """The data file of each recording named, in order, each once. Raises TapeError if there is none or one is absent."""
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_file():
            raise TapeError(f"{path}: no such file")
        base = _stem(path, SISTERS)
        if base is not None:
            data = next((file for suffix in DATA_SUFFIXES if (file := path.with_name(base + suffix)).is_file()), None)
            if data is None:
                raise TapeError(f"{path}: the recording's own file ({base}.jsonl.gz) is missing")
            path = data
        if path not in files:
            files.append(path)
    if not files:
        raise TapeError("nothing to import")
    return files


def _stem(path: Path, suffixes: Sequence[str]) -> str | None:
    return next((path.name[: -len(suffix)] for suffix in suffixes if path.name.endswith(suffix)), None)


def _sister(path: Path, suffix: str) -> Path | None:
    stem = _stem(path, DATA_SUFFIXES)
    if stem is None:
        return None
    return next((file for end in (".gz", "") if (file := path.with_name(stem + suffix + end)).is_file()), None)


def _lines(path: Path, problems: list[str]) -> Iterator[bytes]:
    """Lines without their line feed; a gzip that ends too early is a problem noted, not an exception."""
    number = 0
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) if packed else raw as file:
            try:
                for line in iter(partial(file.readline, MAX_LINE), b""):
                    number += 1
                    yield line[:-1] if line.endswith(b"\n") else line
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                problems.append(f"{path} is cut off or damaged after line {number}: {error}")


# -- one recording ---------------------------------------------------------------------------------------------------
class _Recording:
    def __init__(self, path: Path, venue: Venue, natives: Sequence[str] | None) -> None:
        self.path = path
        self._venue = venue
        self._given = natives
        self._recv = _sister(path, ".recv_ns")
        self._side = _sister(path, ".side.tsv")
        if self._recv is None and not _STAMPED.match(next(_lines(path, []), b"")):
            raise TapeError(f"{path}: no receive times; expected lines '<ns> <json>', or {path.stem.split('.')[0]}.recv_ns.gz beside it")

    @cached_property
    def _natives(self) -> Sequence[str]:
        return natives_of([self.path], self._venue) if self._given is None else self._given

    def frames(self, conns: Iterator[int], report: ImportReport) -> Iterator[Frame]:
        """The frames in order, without ticks. Each recorded ``open`` begins a new connection epoch."""
        data = _in_order(self._stamped(report) if self._recv is None else self._paired(report), report)
        side = _in_order(self._side_rows(report), report)
        conn, venue = 0, self._venue.ID
        for ts, _, kind, url, payload in heapq.merge(side, data, key=itemgetter(0, 1)):
            if kind == OPEN or conn == 0:
                conn = next(conns)
                info = OpenInfo(PLAN, url if kind == OPEN else "")
                yield Frame(ts, venue, conn, OPEN, msgspec.json.encode(info))
            if kind == REPLY:
                answer = ReplyInfo(self._venue.reply_key(url, self._natives), OK, url)
                payload = msgspec.json.encode(answer) + b"\n" + payload
            if kind != OPEN:
                yield Frame(ts, venue, conn, kind, payload)

    def _paired(self, report: ImportReport) -> Iterator[Row]:
        """Line n of the data with line n of the receive times."""
        assert self._recv is not None
        binary = _stem(self.path, (".b64.gz", ".b64")) is not None
        cut: list[str] = []
        pairs = itertools.zip_longest(_lines(self.path, cut), _lines(self._recv, cut))
        for number, (line, stamp) in enumerate(pairs):
            if line is None or stamp is None:
                short, long = (self.path, self._recv) if line is None else (self._recv, self.path)
                report.problems += cut or [f"{short} ends after line {number}, {long.name} does not"]
                return
            payload = _payload(line, report) if binary else _checked(line, report)
            yield _time(stamp, report), 1, DATA, "", payload
        report.problems += cut

    def _stamped(self, report: ImportReport) -> Iterator[Row]:
        """``<ns> <json>``; a line without its time is kept whole."""
        for line in _lines(self.path, report.problems):
            if not _STAMPED.match(line):
                report.bad_lines += 1
                yield -1, 1, DATA, "", line
                continue
            stamp, _, payload = line.partition(b" ")
            kind = REPLY if payload.startswith(SNAPSHOT) else DATA
            yield _time(stamp, report), 1, kind, "", _checked(payload, report)

    def _side_rows(self, report: ImportReport) -> Iterator[Row]:
        for line in _lines(self._side, report.problems) if self._side is not None else ():
            stamp, kind, url, text = (line.split(b"\t", 3) + [b""] * 4)[:4]
            if kind not in SIDE_KINDS:
                report.bad_lines += 1
                continue
            yield _time(stamp, report), 0, SIDE_KINDS[kind], url.decode(errors="replace"), text


def _time(stamp: bytes, report: ImportReport) -> int:
    """ns, -1 (and counted) when it is no time."""
    if stamp.isdigit() and len(stamp) <= 19 and (ts := int(stamp)) <= MAX_TS:
        return ts
    report.bad_lines += 1
    return -1


def _checked(line: bytes, report: ImportReport) -> bytes:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        report.bad_lines += 1
    return line


def _payload(line: bytes, report: ImportReport) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        report.bad_lines += 1
        return line


def _in_order(rows: Iterator[Row], report: ImportReport) -> Iterator[Row]:
    """Rows with times that never fall. One without a time takes that of its forerunner, at the start of its follower."""
    waiting: list[Row] = []
    now = -1
    for row in rows:
        if row[0] < 0 and now < 0:
            waiting.append(row)
            continue
        if 0 <= row[0] < now:
            report.clamped += 1
        now = max(now, row[0])
        for early in waiting:
            yield (now, *early[1:])
        waiting.clear()
        yield (now, *row[1:])


# -- all of them -----------------------------------------------------------------------------------------------------
def _with_ticks(frames: Iterator[Frame]) -> Iterator[Frame]:
    """A TICK at each multiple of 10 ms, before what was received at or after it; no wall-clock offset is known."""
    due = 0
    for frame in frames:
        due = due or frame.ts // TICK_NS * TICK_NS + TICK_NS
        quiet = due + MAX_SILENCE_NS
        while due <= frame.ts:
            yield Frame(due, "", 0, TICK, b"0")
            due += TICK_NS
            if due > quiet:
                due = max(due, frame.ts // TICK_NS * TICK_NS)
                quiet = due + MAX_SILENCE_NS
        yield frame


def _counted(frames: Iterator[Frame], counts: Counter[int]) -> Iterator[Frame]:
    for frame in frames:
        counts[frame.kind] += 1
        yield frame
