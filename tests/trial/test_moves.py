"""Jumps, bursts and links that were planted are told at every market, as they were; none is told where none was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dope.detectors.bursts import Bursts
from dope.detectors.jumps import Jump, Jumps
from dope.engines import detector_of
from dope.settings import Settings
from dope.sim.journal import Fault
from dope.trial.finding import Finding
from dope.trial.judge import reread
from dope.trial.moves import SOON_MS, Moves
from dope.trial.seen import Seen
from dope.trial.stage import MS, Case, Played, Witness, play, ready
from tests.trial.test_recall import played

SYMBOLS = ("BTC-USDT", "ETH-USDT")
FEW = ("binance_spot", "okx")
ONSET_MS = 1000
SIZE = 0.10  #: share of the planted size by which what is told may be off


def jump(at_s: float, asset: str, bps: float) -> Fault:
    return Fault(kind="jump", at_s=at_s, params={"asset": asset, "bps": bps})


def burst(at_s: float, asset: str, side: str, duration_s: float = 1.5) -> Fault:
    return Fault(kind="burst", at_s=at_s, duration_s=duration_s, params={"asset": asset, "factor": 150.0, "side": side})


def judged(done: Played) -> dict[str, Finding]:
    seen = Seen()
    reread(done, seen, traded=seen.traded)
    moves = Moves(done, seen)
    return {finding.kind: finding for finding in (moves.jumps(), moves.links(), moves.bursts())}


def entries(done: Played, kind: str) -> list[Any]:
    """What was asked for; what came by chance before it was calm is left out."""
    return [entry for entry in done.world.journal.entries if entry.kind == kind and done.at(entry.start_ms) > done.ready_ms + 1000]


def markets(done: Played, asset: str) -> set[str]:
    return {key for key, book in done.session.engine.market.books.items() if book.instrument.base == asset and book.trades}


def assert_told(done: Played, smallest: float = SIZE) -> None:
    """Every planted jump and burst once at every market of its asset, and nothing else."""
    jumps, bursts = list(done.witness.jumps), list(done.witness.bursts)
    for entry in entries(done, "jump"):
        bps, at = float(entry.params["bps"]), done.at(entry.start_ms)
        due = [one for one in jumps if one.base == entry.params["asset"] and 0 <= one.t_detect // MS - at <= ONSET_MS]
        assert sorted(one.key for one in due) == sorted(markets(done, str(entry.params["asset"]))), (entry, due)
        for one in due:
            assert one.dir == (1 if bps > 0 else -1) and abs(one.bps - abs(bps)) <= smallest * abs(bps), (entry, one)
            jumps.remove(one)
    for entry in entries(done, "burst"):
        at = done.at(entry.start_ms)
        due_bursts = [one for one in bursts if one.base == entry.params["asset"] and -50 < one.start // MS - at <= SOON_MS]
        assert {one.key for one in due_bursts} == markets(done, str(entry.params["asset"])), (entry, bursts)
        for told in due_bursts:
            assert told.side == entry.params["side"], told
            bursts.remove(told)
    assert jumps == [] and bursts == [], "none was planted there"
    found = judged(done)
    for finding in found.values():
        assert not finding.missed and not finding.false and not finding.off, finding
        assert finding.detected == finding.due > 0, finding
    assert found["burst"].unsure == 0


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A calm market of two venues."""
    faults = jump(33.0, "BTC", 12.0), jump(33.2, "ETH", -14.0), burst(37.0, "BTC", "buy"), burst(37.5, "ETH", "sell")
    return played(Case(5, 41.5, FEW, faults, "calm"), tmp_path_factory.mktemp("moves"), symbols=SYMBOLS)


def test_planted_jumps_bursts_and_links_are_told_at_every_market_and_nothing_else_is_in_a_calm_market(done: Played) -> None:
    assert_told(done)
    assert {link.leader_venue for link in done.witness.links_of_jumps if link.resolved} == {"binance_spot"}, "it hears of prices first"
    assert detector_of(done.session.engine, Jumps).lost == detector_of(done.session.engine, Bursts).lost == 0


def heard(done: Played, **other: object) -> dict[str, Finding]:
    """What the judge says when the session told something else."""
    witness = Witness()
    for name, kept in vars(done.witness).items():
        setattr(witness, name, other.get(name, kept))
    return judged(msgspec.structs.replace(done, witness=witness))


def test_what_was_not_told_is_missed_and_what_was_not_there_is_false(done: Played) -> None:
    nothing = heard(done, jumps=[], bursts=[])
    assert len(nothing["jump"].missed) == nothing["jump"].due == 4 and "binance_spot:BTC-USDT" in nothing["jump"].missed[0]
    assert len(nothing["burst"].missed) == nothing["burst"].due >= 3
    assert len(heard(done, links_of_jumps=[])["link"].missed) == 2
    first, then = done.witness.jumps[0], 20_000 * MS
    other = msgspec.structs.replace(first, t_start=first.t_start - then, t_detect=first.t_detect - then)
    assert len(heard(done, jumps=[*done.witness.jumps, other])["jump"].false) == 1
    turned = heard(done, jumps=[msgspec.structs.replace(first, dir=-first.dir), *done.witness.jumps[1:]])["jump"]
    assert len(turned.missed) == 1 and first.key in turned.missed[0]
    assert len(heard(done, jumps=[msgspec.structs.replace(first, bps=first.bps * 1.3), *done.witness.jumps[1:]])["jump"].off) == 1
    one = next(each for each in done.witness.bursts if each.key == "binance_spot:BTC-USDT")
    others = [each for each in done.witness.bursts if each is not one]
    for change in ({"side": "sell" if one.side == "buy" else "buy"}, {"start": one.start - 10_000 * MS, "end": one.end - 10_000 * MS}):
        found = heard(done, bursts=[msgspec.structs.replace(one, **change), *others])["burst"]  # type: ignore[arg-type]
        assert len(found.missed) == 1 and len(found.false) == 1, found
    late = msgspec.structs.replace(one, start=one.start + 300 * MS)
    assert len(heard(done, bursts=[late, *others])["burst"].missed) == 1, "too late"
    link = next(each for each in done.witness.links_of_jumps if each.resolved)
    before = msgspec.structs.replace(link, dt=link.dt + 700 * MS)
    assert len(heard(done, links_of_jumps=[before])["link"].false) == 1
    leader, follower = (next(j for j in done.witness.jumps if j.key == key and j.base == link.base) for key in (link.leader, link.follower))
    swapped = [
        msgspec.structs.replace(leader, t_detect=follower.t_detect), msgspec.structs.replace(follower, t_detect=leader.t_detect),
        *(each for each in done.witness.jumps if each not in (leader, follower)),
    ]  # fmt: skip
    turned_round = msgspec.structs.replace(link, leader=link.follower, follower=link.leader, bps=leader.bps)
    (words,) = heard(done, jumps=swapped, links_of_jumps=[turned_round])["link"].false
    assert "hears of prices later" in words


def changed(done: Played, jumps: list[Jump]) -> Finding:
    witness = Witness()
    vars(witness).update(vars(done.witness) | {"jumps": jumps})
    return judged(msgspec.structs.replace(done, witness=witness))["jump"]


def test_as_time_goes_by_a_jump_may_be_heard_a_little_later_and_be_of_nearly_the_same_size_and_no_more(done: Played) -> None:
    going = msgspec.structs.replace(done, stepped=False)
    first, *others = done.witness.jumps
    right = judged(going)["jump"]
    assert right.due == right.detected == len(done.witness.jumps) and not right.missed and not right.false and not right.off
    later = msgspec.structs.replace(first, t_detect=first.t_detect + 15 * MS)
    larger = msgspec.structs.replace(first, bps=first.bps * 1.05)
    for nearly in (later, larger):
        assert not (found := changed(going, [nearly, *others])).missed and not found.false and not found.off
        assert (found := changed(done, [nearly, *others])).missed or found.off, "where time is ours nothing is left to a margin"
    assert len(changed(going, others).missed) == 1
    assert len(changed(going, [msgspec.structs.replace(first, bps=first.bps * 1.3), *others]).off) == 1
    turned = changed(going, [msgspec.structs.replace(first, dir=-first.dir), *others])
    assert len(turned.missed) == len(turned.false) == 1
    then = 20_000 * MS
    never = msgspec.structs.replace(first, **{name: getattr(first, name) - then for name in ("t_start", "t_detect", "t_final")})
    assert len(changed(going, [*done.witness.jumps, never]).false) == 1
    stalled = msgspec.structs.replace(going, stalls=[(first.t_detect // MS - 50, first.t_detect // MS + 50)])
    found = changed(stalled, others)
    assert not found.missed and found.unsure >= 1, "what our own loop was late for decides nothing"


@pytest.mark.full
def test_jumps_are_told_as_time_goes_by(tmp_path: Path) -> None:
    faults = jump(33.0, "BTC", 12.0), jump(33.2, "ETH", -14.0), jump(37.0, "BTC", -30.0)
    played: list[Played] = []

    async def run() -> None:
        chosen = Settings(_env_file=None, data_dir=tmp_path, model_dir=tmp_path, symbols=SYMBOLS)  # type: ignore[call-arg]
        played.append(await play(Case(5, 41.0, FEW, faults, "calm"), chosen))

    ready()
    asyncio.run(run())
    found = judged(played[0])["jump"]
    assert not found.missed and not found.false and not found.off, found
    assert found.detected == found.due and found.due + found.unsure >= 6


@pytest.mark.full
@pytest.mark.parametrize("seed", [5, 6])
def test_planted_jumps_and_bursts_are_told_at_every_venue(tmp_path: Path, seed: int) -> None:
    faults = (
        jump(34.0, "BTC", 12.0), jump(34.0, "ETH", -15.0), jump(38.0, "BTC", -13.0), jump(38.2, "ETH", 45.0), burst(43.0, "BTC", "sell"),
        burst(43.2, "ETH", "buy"), burst(49.0, "BTC", "buy"),
    )  # fmt: skip
    assert_told(played(Case(seed, 53.0, ("binance_spot", "binance_usdm", "okx", "bybit"), faults, "calm"), tmp_path,
                       symbols=(*SYMBOLS, "BTC-USDT-PERP", "ETH-USDT-PERP")))  # fmt: skip
