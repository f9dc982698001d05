"""Foreign recordings become tapes: every frame kept byte for byte, in order, with what the engine needs besides."""

from __future__ import annotations

import base64
import gzip
import json
import operator
from pathlib import Path

import msgspec
import pytest

from dope.errors import TapeError
from dope.tape.importing import ImportReport, import_lines, natives_of
from dope.tape.read import Tape, merge
from dope.types import DATA, OPEN, REPLY, SENT, TICK, Frame, OpenInfo, ReplyInfo
from dope.venues import make
from dope.venues.base import Venue
from tests.oracle.make import VECTORS
from tests.program import present

DATA_DIR = Path(__file__).resolve().parents[3] / "shared" / "data"
MS = 1_000_000
T0 = 1_723_161_254_000 * MS  # a multiple of 10 ms


def spot() -> Venue:
    return make("binance_spot", ("BTC-USDT",))


def diff(u: int, symbol: str = "BTCUSDT") -> str:
    return json.dumps(
        {"stream": f"{symbol.lower()}@depth@100ms", "data": {"e": "depthUpdate", "s": symbol, "U": u, "u": u, "b": [], "a": []}}
    )


SNAPSHOT = '{"lastUpdateId":5,"bids":[["1.0","2.0"]],"asks":[]}'
REST = "REST depth (url not recorded; limit 1000)"


def record(folder: Path, lines: list[str | bytes], times: list[int], side: list[str] | None = None, *, packed: bool = True) -> Path:
    """A recording of the three-file form; times in ms after T0."""
    end = ".gz" if packed else ""
    write = (lambda path, data: path.write_bytes(gzip.compress(data))) if packed else Path.write_bytes
    raw = [line.encode() if isinstance(line, str) else line for line in lines]
    write(folder / f"rec.jsonl{end}", b"".join(line + b"\n" for line in raw))
    write(folder / f"rec.recv_ns{end}", b"".join(b"%d\n" % (T0 + t * MS) for t in times))
    if side is not None:
        write(folder / f"rec.side.tsv{end}", "".join(row + "\n" for row in side).encode())
    return folder / f"rec.jsonl{end}"


def imported(path: Path, venue: Venue | None = None) -> tuple[list[Frame], ImportReport]:
    out = path.parent / "out.dope"
    report = import_lines([path], venue or spot(), out)
    tape = Tape(out)
    frames = list(tape)
    assert tape.complete and report.frames == len(frames)
    assert (tape.meta.source, tape.meta.origin) == ("import", (path.name,))
    return frames, report


def without_ticks(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.kind != TICK]


@pytest.mark.parametrize("packed", [True, False])
def test_a_small_recording_in_full(tmp_path: Path, packed: bool) -> None:
    side = [
        f"{T0}\topen\twss://x/stream\t",
        f"{T0 + 3 * MS}\tsent\twss://x/stream\t" + '{"method":"SUBSCRIBE"}',
        f"{T0 + 20 * MS}\thttp\thttps://x/api/v3/depth?symbol=BTCUSDT&limit=1000\t{SNAPSHOT}",
    ]
    frames, report = imported(record(tmp_path, [diff(4), diff(5), diff(6)], [5, 20, 31], side, packed=packed))
    told = [(f.kind, (f.ts - T0) // MS) for f in frames]
    assert told == [(OPEN, 0), (SENT, 3), (DATA, 5), (TICK, 10), (TICK, 20), (REPLY, 20), (DATA, 20), (TICK, 30), (DATA, 31)]
    assert msgspec.json.decode(frames[0].data, type=OpenInfo) == OpenInfo("import", "wss://x/stream", None)
    info, _, body = frames[5].data.partition(b"\n")
    assert msgspec.json.decode(info, type=ReplyInfo).key == "depth:BTCUSDT" and body == SNAPSHOT.encode()
    assert [f.data.decode() for f in frames if f.kind == DATA] == [diff(4), diff(5), diff(6)]
    assert all((f.venue, f.conn, f.data) == ("", 0, b"0") for f in frames if f.kind == TICK)
    assert {(f.venue, f.conn) for f in without_ticks(frames)} == {("binance_spot", 1)}
    assert (report.data, report.opens, report.sent, report.replies, report.ticks) == (3, 1, 1, 1, 3)
    assert (report.clamped, report.bad_lines, report.problems) == (0, 0, [])


def test_an_open_is_made_up_where_none_was_recorded_and_a_reply_without_url_finds_its_only_symbol(tmp_path: Path) -> None:
    frames, report = imported(record(tmp_path, [diff(4), diff(6)], [0, 9], [f"{T0 + 5 * MS}\thttp\t{REST}\t{SNAPSHOT}"]))
    assert [f.kind for f in frames] == [OPEN, DATA, REPLY, DATA]
    assert json.loads(frames[0].data) == {"plan": "import", "url": "", "symbols": None}
    assert msgspec.json.decode(frames[2].data.partition(b"\n")[0], type=ReplyInfo) == ReplyInfo("depth:BTCUSDT", 200, REST)
    assert report.opens == 1


def test_a_reply_without_url_in_a_recording_of_two_symbols_is_given_to_none(tmp_path: Path) -> None:
    path = record(tmp_path, [diff(4), diff(6, "ETHUSDT")], [0, 9], [f"{T0 + 5 * MS}\thttp\t{REST}\t{SNAPSHOT}"])
    frames, _ = imported(path)
    (reply,) = [f for f in frames if f.kind == REPLY]
    assert b'"key":"unknown"' in reply.data
    assert natives_of([path], spot()) == ("BTCUSDT", "ETHUSDT")


def test_names_given_by_the_caller_are_used_instead_of_those_found(tmp_path: Path) -> None:
    path = record(tmp_path, [diff(4), diff(6, "ETHUSDT")], [0, 9], [f"{T0 + 5 * MS}\thttp\t{REST}\t{SNAPSHOT}"])
    import_lines([path], spot(), tmp_path / "out.dope", natives=["ETHUSDT"])
    assert [b"depth:ETHUSDT" in f.data for f in Tape(tmp_path / "out.dope") if f.kind == REPLY] == [True]


def test_each_recorded_open_begins_a_new_epoch(tmp_path: Path) -> None:
    side = [f"{T0 + t * MS}\topen\twss://x\t" for t in (0, 5)]
    frames, report = imported(record(tmp_path, [diff(1), diff(2)], [1, 6], side))
    assert [(f.kind, f.conn) for f in frames] == [(OPEN, 1), (DATA, 1), (OPEN, 2), (DATA, 2)]
    assert report.opens == 2


def test_times_that_step_back_are_raised_and_counted_and_lines_keep_their_order(tmp_path: Path) -> None:
    frames, report = imported(record(tmp_path, [diff(n) for n in range(5)], [0, 8, 3, 2, 9]))
    data = [f for f in frames if f.kind == DATA]
    assert [(f.ts - T0) // MS for f in data] == [0, 8, 8, 8, 9]
    assert [f.data.decode() for f in data] == [diff(n) for n in range(5)]
    assert report.clamped == 2


def test_lines_that_are_not_json_are_counted_and_kept(tmp_path: Path) -> None:
    lines: list[str | bytes] = [diff(1), "pong", '{"cut":', "", b"\xff\xfe\x00"]
    frames, report = imported(record(tmp_path, lines, [0, 1, 2, 3, 4]))
    assert [f.data for f in frames if f.kind == DATA] == [diff(1).encode(), b"pong", b'{"cut":', b"", b"\xff\xfe\x00"]
    assert report.bad_lines == 4


def test_binary_frames_come_from_base64(tmp_path: Path) -> None:
    frames = [gzip.compress(b'{"ping":1}'), bytes(range(256))]
    (tmp_path / "rec.b64.gz").write_bytes(gzip.compress(b"".join(base64.b64encode(f) + b"\n" for f in frames) + b"not base64!\n"))
    (tmp_path / "rec.recv_ns.gz").write_bytes(gzip.compress(b"".join(b"%d\n" % (T0 + n) for n in range(3))))
    got, report = imported(tmp_path / "rec.b64.gz")
    assert [f.data for f in got if f.kind == DATA] == [*frames, b"not base64!"]
    assert report.bad_lines == 1


def test_lines_with_their_time_in_front(tmp_path: Path) -> None:
    path = tmp_path / "raw.gz"
    rows = [f"{T0} {diff(4)}", f"{T0 + 2 * MS} {SNAPSHOT}", "no time here", f"{T0 + 3 * MS} {diff(6)}", f"{T0 + MS} {diff(7)}"]
    path.write_bytes(gzip.compress("".join(row + "\n" for row in rows).encode()))
    frames, report = imported(path)
    assert [(f.kind, (f.ts - T0) // MS) for f in frames] == [(OPEN, 0), (DATA, 0), (REPLY, 2), (DATA, 2), (DATA, 3), (DATA, 3)]
    assert frames[2].data.endswith(b"\n" + SNAPSHOT.encode()) and b'"key":"depth:BTCUSDT"' in frames[2].data
    assert frames[3].data == b"no time here"
    assert (report.bad_lines, report.clamped, report.replies) == (1, 1, 1)


def test_a_truncated_file_is_imported_as_far_as_it_goes_and_then_reported(tmp_path: Path) -> None:
    path = record(tmp_path, [diff(n) for n in range(5000)], list(range(5000)))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TapeError, match=r"rec\.jsonl\.gz is cut off or damaged after line \d+") as caught:
        import_lines([path], spot(), tmp_path / "out.dope")
    data = [f for f in Tape(tmp_path / "out.dope") if f.kind == DATA]
    assert 1000 < len(data) < 5000 and [f.data.decode() for f in data] == [diff(n) for n in range(len(data))]
    assert f"{len(data)} received frames were imported" in str(caught.value)


@pytest.mark.parametrize(("lines", "times", "what"), [(3, 2, "recv_ns.gz ends after line 2"), (2, 3, "jsonl.gz ends after line 2")])
def test_unequal_numbers_of_lines_and_times_are_reported(tmp_path: Path, lines: int, times: int, what: str) -> None:
    path = record(tmp_path, [diff(n) for n in range(lines)], list(range(times)))
    with pytest.raises(TapeError, match=what):
        import_lines([path], spot(), tmp_path / "out.dope")
    assert sum(f.kind == DATA for f in Tape(tmp_path / "out.dope")) == 2


def test_what_cannot_be_imported_leaves_no_tape_and_says_why(tmp_path: Path) -> None:
    out = tmp_path / "out.dope"
    (tmp_path / "plain.txt").write_text("hello\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "lone.side.tsv").write_text("")
    cases: list[tuple[list[Path], str]] = [
        ([], "nothing to import"),
        ([tmp_path / "nowhere.jsonl.gz"], "no such file"),
        ([tmp_path / "plain.txt"], "no receive times"),
        ([tmp_path / "lone.side.tsv"], "own file .* is missing"),
        ([record(tmp_path / "empty", [], [])], "no frames in rec.jsonl.gz"),
    ]
    for paths, why in cases:
        with pytest.raises(TapeError, match=why):
            import_lines(paths, spot(), out)
        assert not out.exists()
    out.write_text("somebody's file")
    with pytest.raises(TapeError, match="File exists"):
        import_lines([record(tmp_path, [diff(1)], [0])], spot(), out)
    assert out.read_text() == "somebody's file"


def test_any_file_of_a_recording_names_it_and_it_is_imported_once(tmp_path: Path) -> None:
    record(tmp_path, [diff(1)], [0], [])
    report = import_lines(sorted(tmp_path.glob("rec.*")), spot(), tmp_path / "out.dope")
    assert report.data == 1


def test_several_recordings_are_one_tape_in_time_order_with_their_own_epochs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [record(tmp_path / "a", [diff(1), diff(3)], [0, 4]), record(tmp_path / "b", [diff(2)], [2])]
    import_lines(paths, spot(), tmp_path / "out.dope")
    frames = list(Tape(tmp_path / "out.dope"))
    assert [(f.kind, f.conn, (f.ts - T0) // MS) for f in frames] == [(OPEN, 1, 0), (DATA, 1, 0), (OPEN, 2, 2), (DATA, 2, 2), (DATA, 1, 4)]


def test_a_silence_of_days_does_not_become_a_flood_of_ticks(tmp_path: Path) -> None:
    frames, report = imported(record(tmp_path, [diff(1), diff(2)], [0, 40 * 24 * 3_600_000]))
    assert 360_000 <= report.ticks <= 360_002
    assert frames[-2].kind == TICK and frames[-2].ts <= frames[-1].ts < frames[-2].ts + 10 * MS


REAL = [
    ("binance_spot", "wire/binance_spot/hft_20240808_btcusdt.jsonl.gz", (41248, 1, 0, 1)),
    ("binance_usdm", "wire/binance_usdm/hft_20240808_btcusdt.jsonl.gz", (93953, 1, 0, 1)),
    ("okx", "wire/okx/cf_20220228_tbt_books_trades.jsonl.gz", (3777, 1, 3, 0)),
    ("okx", "wire/okx/cf_20220513_books_trades_tickers.jsonl.gz", (410, 1, 3, 0)),
    ("binance_spot", "wire/binance_spot/cf_20210417_10sym.jsonl.gz", (1228, 1, 0, 10)),
    ("binance_spot", "market/binance_3venue/raw_spot_btcusdt_20240808.gz", (41248, 1, 0, 1)),
]


@pytest.mark.parametrize("real", present(REAL, lambda real: DATA_DIR / real[1]), ids=operator.itemgetter(1))
def test_a_real_recording_is_kept_whole(tmp_path: Path, real: tuple[str, str, tuple[int, int, int, int]]) -> None:
    """Counts of the recordings' own README files."""
    venue, name, counts = real
    source = DATA_DIR / name
    out = tmp_path / "out.dope"
    report = import_lines([source], make(venue, ("BTC-USDT", "BTC-USDT-PERP")), out)
    assert (report.data, report.opens, report.sent, report.replies) == counts
    assert (report.clamped, report.bad_lines) == (0, 0)
    frames = list(Tape(out))
    assert [f.ts for f in frames] == sorted(f.ts for f in frames)
    ticks = [f.ts for f in frames if f.kind == TICK]
    assert ticks == list(range(ticks[0], frames[-1].ts + 1, 10 * MS))
    lines = gzip.decompress(source.read_bytes()).splitlines()
    if name.startswith("wire"):
        assert [f.data for f in frames if f.kind == DATA] == lines
    else:
        assert [b"%d %s" % (f.ts, f.data.partition(b"\n")[2] or f.data) for f in frames if f.kind in (DATA, REPLY)] == lines
    assert not any(b'"key":"unknown"' in f.data[:200] for f in frames if f.kind == REPLY)


def test_two_recordings_of_one_clock_merge_into_one_market(tmp_path: Path) -> None:
    names = [(venue, VECTORS / f"{venue}.jsonl.gz") for venue in ("binance_spot", "binance_usdm")]
    for venue, name in names:
        import_lines([name], make(venue, ("BTC-USDT", "BTC-USDT-PERP")), tmp_path / f"{venue}.dope")
    last, seen = 0, {}
    for frame in merge([Tape(tmp_path / f"{venue}.dope") for venue, _ in names]):
        assert frame.ts >= last
        last = frame.ts
        if frame.kind == DATA:
            seen[frame.venue, frame.conn] = seen.get((frame.venue, frame.conn), 0) + 1
    assert seen == {("binance_spot", 1): 499, ("binance_usdm", 2): 499}
