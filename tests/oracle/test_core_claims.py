"""The core claims on recordings of our own, with the truth from plain books and fractions: they need nothing beside this repository.

``make.py`` says what happens in them. Book right, gap found, nothing false opens, what opens is exact, and the same again the same.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dope.detectors.arbitrage import Opportunity
from dope.engine import Engine
from dope.session import build_engine
from dope.settings import Settings
from dope.tape.importing import import_lines
from dope.tape.read import Tape, merge
from dope.types import DATA, REPLY, BookState, Event, Frame, Gap
from dope.venues import make as make_venue
from tests.few import PINNED
from tests.oracle import make
from tests.program import ROOT

VENUES = ("okx", "binance_spot", "binance_usdm")
SPOT = ("okx", "binance_spot")
KEYS = {"okx": "okx:BTC-USDT", "binance_spot": "binance_spot:BTC-USDT", "binance_usdm": "binance_usdm:BTC-USDT-PERP"}
TRUTH: dict[str, Any] = json.loads(gzip.decompress((make.VECTORS / "truth.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The three recordings as tapes."""
    folder = tmp_path_factory.mktemp("oracle")
    for venue in VENUES:
        machine = make_venue(venue, ("BTC-USDT", "BTC-USDT-PERP"))
        report = import_lines([make.VECTORS / f"{venue}.jsonl.gz"], machine, folder / f"{venue}.dope")
        assert report.problems == [] and report.data == make.STEPS - 1
    return [folder / f"{venue}.dope" for venue in VENUES]


@pytest.fixture(scope="module")
def frames(tapes: list[Path]) -> list[Frame]:
    return list(merge([Tape(path) for path in tapes]))


def engine() -> Engine:
    """All three venues, every fee as the vectors have it."""
    bps = float(make.FEE) * 1e4
    settings = Settings(_env_file=None, venues=VENUES, fees={venue: {"spot": bps, "perp": bps} for venue in VENUES})
    return build_engine(settings, VENUES, {})


def test_the_vectors_are_what_the_script_makes(tmp_path: Path) -> None:
    make.main(tmp_path)
    made = {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.iterdir()}
    assert made == {path.name: gzip.decompress(path.read_bytes()) for path in make.VECTORS.iterdir()}


def test_every_book_is_right_whenever_it_is_live_and_live_whenever_it_can_be(frames: list[Frame]) -> None:
    wanted = {(venue, check["ts"]): check for venue in VENUES for check in TRUTH["markets"][venue]["checks"]}
    running, looked = engine(), 0
    for frame in frames:
        running.step(frame)
        check = wanted.get((frame.venue, frame.ts)) if frame.kind in (DATA, REPLY) else None
        if check is None:
            continue
        book = running.market.books[KEYS[frame.venue]]
        assert (book.state == "LIVE") == check["live"], (frame.venue, (frame.ts - make.T0) / 1e9, book.state, book.reason)
        if check["live"]:
            for side in ("bid", "ask"):
                assert book.levels(side, make.LEVELS) == [(float(price), float(size)) for price, size in check[f"{side}s"]]
            looked += 1
    assert looked > 140
    assert running.market.books[KEYS["okx"]].checksums_ok > 400 and running.market.books[KEYS["okx"]].checksum_mismatches == 0


def test_every_lost_message_is_found_at_the_first_one_that_shows_it_and_nothing_else_is_taken_for_one(frames: list[Frame]) -> None:
    running = engine()
    found: list[Event] = [event for frame in frames for event in running.step(frame)]
    gaps = {venue: [gap.ts for gap in found if isinstance(gap, Gap) and gap.key == KEYS[venue]] for venue in VENUES}
    assert gaps == {venue: TRUTH["markets"][venue]["gaps"] for venue in VENUES} and all(len(each) == 1 for each in gaps.values())
    live = [event.key for event in found if isinstance(event, BookState) and event.state == "LIVE"]
    assert sorted(live) == sorted([*KEYS.values(), *KEYS.values()]), "once at the start, once after the gap"


def test_what_pays_opens_at_its_message_with_its_exact_size_and_profit_and_nothing_else_ever_opens(frames: list[Frame]) -> None:
    running = engine()
    seen = [event for frame in frames for event in running.step(frame)]
    lives = [event for event in seen if isinstance(event, Opportunity) and event.closed is None]
    assert [(o.ts, o.buy_venue, o.sell_venue) for o in lives] == [(o["ts"], o["buy"], o["sell"]) for o in TRUTH["opened"]]
    assert len(lives) == 2
    for life, want in zip(lives, TRUTH["opened"], strict=True):
        assert life.qty == pytest.approx(want["qty"], abs=2e-5) and life.net == pytest.approx(want["net"], abs=0.01)


def test_old_prices_of_a_blind_book_would_have_paid() -> None:
    """The vectors are a trap: whoever goes on using a book after its gap finds profits that are none."""
    spot, okx = (TRUTH["markets"][venue]["checks"] for venue in ("binance_spot", "okx"))
    blind = [check["ts"] for check in spot if not check["live"] and check["ts"] > make.T0 + 50 * make.STEP_MS * make.MS]
    old = [check for check in spot if check["live"] and check["ts"] < blind[0]][-1]
    new = [check for check in okx if check["live"] and check["ts"] < blind[-1]][-1]
    assert float(new["bids"][0][0]) > float(old["asks"][0][0]) * 1.002


def test_the_digest_is_the_same_for_any_grouping_and_in_processes_of_other_hash_seeds(frames: list[Frame], tapes: list[Path]) -> None:
    one = engine()
    for frame in frames:
        one.step(frame)
    rng, many, at = random.Random(4), engine(), 0
    while at < len(frames):
        size = rng.choice((1, 7, 64, 500))
        many.step_many(frames[at : at + size])
        many.drain()
        at += size
    assert one.digest() == many.digest()
    said = set()
    for seed in ("0", "1"):
        line = [sys.executable, str(ROOT / "app.py"), "replay", *map(str, tapes), "--json"]
        own = {name: value for name, value in os.environ.items() if not name.startswith("DOPE_") or name in PINNED}
        fees = json.dumps({venue: {"spot": float(make.FEE) * 1e4, "perp": float(make.FEE) * 1e4} for venue in VENUES})
        done = subprocess.run(line, capture_output=True, text=True, env=own | {"PYTHONHASHSEED": seed, "DOPE_FEES": fees}, check=True)
        told = json.loads(done.stdout)
        said.add(told["digest"])
        assert told["opportunities"]["opened"] == 2
    assert said == {one.digest()}
