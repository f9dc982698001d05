"""Real recordings, imported and replayed by the command line: every message understood, every book right to the last digit."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dope.errors import TapeError
from dope.replay import replay, summary
from dope.settings import Settings
from dope.tape.format import Meta
from dope.tape.importing import import_lines
from dope.tape.segment import write_tape
from dope.venues import make
from tests.frames import play, spot_script
from tests.oracle.make import VECTORS
from tests.program import SHARED, command, present

WIRE = SHARED / "wire"
RAW = SHARED / "market" / "binance_3venue"


class Recording(NamedTuple):
    """Where it is, whose messages they are, and what is known of it."""

    path: Path
    venue: str
    updates: int  #: book messages, the snapshot among them
    checksums: int
    touch: tuple[float, float] | None


RECORDINGS = (
    Recording(WIRE / "binance_spot" / "hft_20240808_btcusdt.jsonl.gz", "binance_spot", 3450, 0, (61685.99, 61686.00)),
    Recording(WIRE / "binance_usdm" / "hft_20240808_btcusdt.jsonl.gz", "binance_usdm", 6548, 0, (61659.7, 61659.8)),
    Recording(RAW / "raw_spot_btcusdt_20240808.gz", "binance_spot", 3450, 0, (61685.99, 61686.00)),
    Recording(RAW / "raw_usdm_btcusdt_20240808.gz", "binance_usdm", 6548, 0, (61659.7, 61659.8)),
    Recording(WIRE / "okx" / "cf_20220228_tbt_books_trades.jsonl.gz", "okx", 3679, 3679, None),
    Recording(WIRE / "okx" / "cf_20220513_books_trades_tickers.jsonl.gz", "okx", 290, 290, None),
    Recording(WIRE / "gate" / "cf_20210422_spot_v4_A.jsonl.gz", "gate", 93, 0, None),
    Recording(WIRE / "coinbase_exchange" / "cf_20210417_level2_ticker_matches_A.jsonl.gz", "coinbase_exchange", 5027, 0, None),
    Recording(WIRE / "kucoin" / "cf_20210425_l2_match_candles_A.jsonl.gz", "kucoin", 2840, 0, None),
    Recording(WIRE / "kraken_v2" / "dc_20260816_btcusd_d10_first6s.jsonl.gz", "kraken", 54, 54, None),
    Recording(WIRE / "bitfinex" / "cf_20210417_seqall.jsonl.gz", "bitfinex", 1600, 0, None),
)

#: made by tests/oracle/make.py: the same ten seconds at two venues
OWN = tuple(Recording(VECTORS / f"{venue}.jsonl.gz", venue, 499, 0, None) for venue in ("binance_spot", "binance_usdm"))


def imported(recording: Recording, folder: Path) -> Path:
    """The recording as a tape."""
    tape = folder / f"{recording.venue}.dope"
    done = command(folder, "import", recording.path, "--venue", recording.venue, "--out", tape)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
    return tape


def replayed(folder: Path, *tapes: Path) -> dict[str, Any]:
    """What ``replay --json`` prints."""
    done = command(folder, "replay", *tapes, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert set(found) >= {"instruments", "signals", "opportunities", "digest"}
    assert set(found["opportunities"]) == {"opened", "closed"}
    return found


@pytest.mark.parametrize(
    "recording",
    [
        *present((RECORDINGS[0], RECORDINGS[5]), lambda each: each.path),
        *(pytest.param(each, marks=pytest.mark.full) for each in RECORDINGS[1:5] if each.path.exists()),
    ],
    ids=lambda each: f"{each.venue}-{each.path.name}",
)
def test_a_real_recording_is_understood_without_a_gap(tmp_path: Path, recording: Recording) -> None:
    assert_understood(replayed(tmp_path, imported(recording, tmp_path)), recording)


@pytest.mark.parametrize("recording", present(RECORDINGS[6:], lambda each: each.path), ids=lambda each: f"{each.venue}-{each.path.name}")
def test_a_real_recording_of_a_further_venue_is_understood_too(tmp_path: Path, recording: Recording) -> None:
    """The same without a process for each step: what the command line adds is seen above."""
    tape = tmp_path / "a.dope"
    assert import_lines([recording.path], make(recording.venue, ()), tape).problems == []
    assert_understood(summary(*asyncio.run(replay([tape], Settings(_env_file=None)))), recording)


def assert_understood(found: dict[str, Any], recording: Recording) -> None:
    rows = found["instruments"].values()
    assert sum(row["book_updates"] for row in rows) == recording.updates
    assert sum(row["checksums_ok"] for row in rows) == recording.checksums
    for row in rows:
        assert (row["gaps"], row["faults"], row["crossed"], row["checksum_mismatches"]) == (0, 0, 0, 0)
        assert row["state"] == "LIVE" and row["snapshots"] >= 1 and row["frames"] >= row["book_updates"]
    assert found["faults"] == {} and found["lost"] == 0
    if recording.touch is not None:
        (row,) = rows
        assert (row["bid"], row["ask"]) == recording.touch
        assert row["live_seconds"] > 340


@pytest.mark.full
def test_two_venues_of_the_same_minutes_are_merged_by_time(tmp_path: Path) -> None:
    spot, usdm = (imported(recording, tmp_path) for recording in OWN)
    both, apart = replayed(tmp_path, spot, usdm), replayed(tmp_path, spot)
    assert set(both["instruments"]) == {"binance_spot:BTC-USDT", "binance_usdm:BTC-USDT-PERP"}
    same = both["instruments"]["binance_spot:BTC-USDT"]
    assert {**same, "live_seconds": 0} == {**apart["instruments"]["binance_spot:BTC-USDT"], "live_seconds": 0}
    assert both["opportunities"] == {"opened": 0, "closed": 0}, "spot against perpetual is basis, never an opportunity"
    assert both["digest"] != apart["digest"]


def stamped_lines() -> bytes:
    """A recording of ours in the other form: receive time and message on one line."""
    times, texts = (gzip.decompress((VECTORS / f"okx.{end}.gz").read_bytes()).splitlines() for end in ("recv_ns", "jsonl"))
    return b"".join(b"%s %s\n" % line for line in zip(times, texts, strict=True))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("hft.jsonl.gz", b"", "no receive times"),
        ("cut.gz", None, "is cut off or damaged after line"),
        ("notes.txt", b"dear diary\n", "no receive times"),
    ],
)
def test_a_recording_that_is_no_good_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(stamped_lines())[:5_000] if content is None else content)
    done = command(tmp_path, "import", name, "--venue", "binance_spot", "--out", "new.dope")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_tape_that_was_cut_is_replayed_as_far_as_it_goes_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "whole.dope"
    frames = [frame for n in range(40) for frame in play("binance_spot", spot_script(), conn=n + 1, start=10**18 + n * 10**9)]
    write_tape(path, Meta("import", 1, venues=("binance_spot",)), frames)
    whole = path.read_bytes()
    path.with_name("torn.dope").write_bytes(whole[:-30])  # only the closing block is cut
    engine, _ = asyncio.run(replay([path.with_name("torn.dope")], Settings(_env_file=None)))
    assert engine.frames == len(frames)
    middle = len(whole) // 2
    path.with_name("bad.dope").write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    with pytest.raises(TapeError, match=r"bad\.dope at byte \d+"):
        asyncio.run(replay([path.with_name("bad.dope")], Settings(_env_file=None)))


def test_the_speed_of_a_replay_changes_nothing_in_what_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.dope"
    write_tape(path, Meta("import", 1, venues=("binance_spot",)), play("binance_spot", spot_script()))
    settings = Settings(_env_file=None)
    fast, slow = (summary(*asyncio.run(replay([path], settings, speed))) for speed in (math.inf, 2.0))
    assert fast == slow
    assert (fast["instruments"]["binance_spot:BTC-USDT"]["bid"], fast["instruments"]["binance_spot:BTC-USDT"]["ask"]) == (100.0, 100.5)
    with pytest.raises(TapeError, match="replay speed"):
        asyncio.run(replay([path], settings, 0.0))
