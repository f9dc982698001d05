"""Jumps and bursts that were planted are told at every market, of the right sign and size; none is told where none was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dope.detectors.bursts import Burst
from dope.detectors.jumps import Jump
from dope.detectors.linker import JumpLink
from dope.sim.journal import Fault
from dope.trial.stage import Case, Played
from tests.trial.test_recall import played

NS_MS = 1_000_000
ONSET_MS = 1000  #: a jump is detected so soon after it was planted
PLANTED_BPS = 30.0
SIZE = 0.10  #: share by which its size may be off: venues' own noise of one or two bps is part of their mids


def planted(*jumps: tuple[float, str, float]) -> tuple[Fault, ...]:
    return tuple(Fault(kind="jump", at_s=at_s, params={"asset": asset, "bps": bps}) for at_s, asset, bps in jumps)


def found(done: Played, kind: type[Any]) -> list[Any]:
    return [signal for signal in done.session.picture.signals if isinstance(signal, kind)]


def assert_told(done: Played) -> None:
    """Every planted jump once at every market of its asset, and nothing else."""
    left = found(done, Jump)
    every = [entry for entry in done.world.journal.entries if entry.kind == "jump"]
    entries = [entry for entry in every if abs(float(entry.params["bps"])) >= PLANTED_BPS]  # the others came by chance, before it was calm
    assert len(entries) == len(done.case.faults)
    for entry in entries:
        bps, asset = float(entry.params["bps"]), entry.params["asset"]
        markets = {key for key, book in done.session.engine.market.books.items() if book.instrument.base == asset and book.trades}
        due = [one for one in left if one.base == asset and 0 <= one.t_detect // NS_MS - done.at(entry.start_ms) <= ONSET_MS]
        assert {one.key for one in due} == markets and len(due) == len(markets), (entry, due)
        for one in due:
            assert one.dir == (1 if bps > 0 else -1) and abs(one.bps - abs(bps)) <= SIZE * abs(bps), (entry, one)
            left.remove(one)
    assert left == [], "none was planted there"


def test_planted_jumps_are_told_at_every_market_and_nothing_else_is_in_a_calm_market(tmp_path: Path) -> None:
    done = played(Case(5, 37.0, ("binance_spot", "okx"), planted((33.0, "BTC", 40.0), (34.5, "ETH", -45.0)), "calm"), tmp_path)
    assert_told(done)
    links = found(done, JumpLink)
    assert links and all(link.base in ("BTC", "ETH") and link.dt <= 500 * NS_MS for link in links)


@pytest.mark.full
@pytest.mark.parametrize("seed", [5, 6])
def test_planted_jumps_are_told_at_every_venue(tmp_path: Path, seed: int) -> None:
    jumps = planted((34.0, "BTC", 40.0), (37.0, "ETH", -45.0), (41.0, "SOL", 60.0), (45.0, "BTC", -50.0), (52.0, "ETH", 55.0))
    assert_told(played(Case(seed, 58.0, ("binance_spot", "binance_usdm", "okx", "bybit"), jumps, "calm"), tmp_path))


@pytest.mark.full
def test_a_planted_burst_is_told_at_every_market_with_trades(tmp_path: Path) -> None:
    fault = Fault(kind="burst", at_s=40.0, duration_s=4.0, params={"asset": "BTC", "factor": 20.0})
    done = played(Case(5, 50.0, ("binance_spot", "okx"), (fault,), "calm"), tmp_path)
    (entry,) = [entry for entry in done.world.journal.entries if entry.kind == "burst"]
    start, end = done.at(entry.start_ms), done.at(entry.end_ms)
    told = [one for one in found(done, Burst) if start <= one.start // NS_MS <= end]
    markets = {key for key, book in done.session.engine.market.books.items() if book.instrument.base == "BTC" and book.trades}
    assert {one.key for one in told if one.base == "BTC"} == markets
    assert min(one.start // NS_MS - start for one in told) <= 1000
