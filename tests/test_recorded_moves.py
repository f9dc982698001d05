"""A real recording of three venues, replayed: the stated jumps, bursts and links come of it, however its frames are grouped."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dope.detectors.bursts import Burst
from dope.detectors.jumps import Jump
from dope.detectors.linker import JumpLink
from dope.engine import Engine
from dope.engines import build_engine
from dope.settings import Settings
from dope.tape.importing import import_lines
from dope.tape.read import Tape, merge
from dope.types import Event, Frame
from dope.venues import make
from tests.program import SHARED

RAW, STATED = SHARED / "market" / "binance_3venue", SHARED / "vectors" / "real_binance.json"
VENUES = {
    "binance_spot": ("spot", "raw_spot_btcusdt_20240808.gz"), "binance_usdm": ("usdm", "raw_usdm_btcusdt_20240808.gz"),
    "binance_coinm": ("coinm", "raw_coinm_btcusd_perp_20240808.gz"),
}  # fmt: skip
MS = 1_000_000
pytestmark = [
    pytest.mark.full, pytest.mark.skipif(not (RAW.exists() and STATED.exists()), reason="the recording lies beside the project, not in it"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    for venue, (_, file) in VENUES.items():
        assert import_lines([RAW / file], make(venue, ()), folder / f"{venue}.dope").problems == []
    return sorted(folder.glob("*.dope"))


def grouped(frames: Iterator[Frame], seed: int) -> Iterator[list[Frame]]:
    rng = random.Random(seed)
    while batch := list(itertools.islice(frames, 1 if not seed else rng.randint(1, 3000))):
        yield batch


def replayed(tapes: list[Path], seed: int) -> tuple[list[Event], Engine]:
    """Everything told, frame by frame (seed 0) or in groups of any size."""
    engine, told = build_engine(Settings(_env_file=None), tuple(sorted(VENUES)), {}), list[Event]()
    for batch in grouped(merge([Tape(path) for path in tapes]), seed):
        told += engine.step_many(batch)
        engine.drain()
    return told, engine


def name_of(venue: str) -> str:
    return VENUES[venue][0]


def test_the_stated_jumps_bursts_and_links_come_of_the_recording_however_it_is_played(tapes: list[Path]) -> None:
    told, engine = replayed(tapes, 3)
    again, other = replayed(tapes, 8)
    assert again == told and other.digest() == engine.digest()
    assert all((book.gaps, book.state) == (0, "LIVE") for book in engine.market.books.values() if book.instrument.venue in VENUES)
    stated: dict[str, Any] = json.loads(STATED.read_text(encoding="utf-8"))
    for venue, (name, _) in VENUES.items():
        jumps = [one for one in told if isinstance(one, Jump) and one.venue == venue]
        assert [(one.t_detect // MS, one.dir) for one in jumps] == [(one["t_detect"], one["dir"]) for one in stated["jumps"][name]]
        assert [one.bps for one in jumps] == pytest.approx([one["bps"] for one in stated["jumps"][name]], abs=1e-3)
        bursts = [one for one in told if isinstance(one, Burst) and one.venue == venue]
        told_of = sorted((one.start // MS, one.side, one.end // MS, one.buckets) for one in bursts)
        assert told_of == sorted((one["start"], one["side"], one["end"], one["buckets"]) for one in stated["bursts"][name]["bursts"])
    links = [one for one in told if isinstance(one, JumpLink)]
    found = sorted((name_of(one.leader_venue), name_of(one.follower_venue), one.dir, one.simultaneous) for one in links)
    assert found == sorted((*one["pair"], one["dir"], one["leader"] is None) for one in stated["links"])
    assert sorted(one.dt / MS for one in links) == pytest.approx(sorted(one["dt"] for one in stated["links"]), abs=1.0)
