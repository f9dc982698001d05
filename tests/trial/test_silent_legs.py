"""A leg that was silent may be held too old, by the log of what was published alone; it excuses nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from dope.detectors.arbitrage import Opportunity
from dope.sim.exact import Life
from dope.sim.truth_log import DEPTH, TOUCH, TRADES, Row
from dope.sim.venue import module
from dope.trial import doubts
from dope.trial.doubts import OLD_MS, Due, Silence, Span, Torn
from dope.trial.faults import parse
from dope.trial.finding import DUE_MS, NEAR_MS, Finding
from dope.trial.judge import arbitrage, truth
from dope.trial.stage import MS, Case, Played
from tests.trial.test_judge import heard
from tests.trial.test_recall import LOW, played

VENUES = ("binance_spot", "okx", "htx", "coinbase_exchange")  #: one with its levels on a connection of their own, one that numbers nothing
STEP_MS = 10


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(Case(7, 12.0, VENUES), tmp_path_factory.mktemp("silent"), fees=LOW, symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT"))


def found(done: Played, opportunities: Sequence[Opportunity] | None = None) -> Finding:
    """What the judge says, of the same play in which the session told this instead."""
    return arbitrage(done if opportunities is None else heard(done, opportunities=list(opportunities)), truth(done))


def closed(done: Played) -> dict[int, Opportunity]:
    return {each.id: each for each in done.witness.opportunities if each.closed is not None}


def name(life: Life) -> tuple[str, str, int]:
    return life.buy, life.sell, life.start_ms


def musts(done: Played) -> dict[tuple[str, str, int], list[Span]]:
    """Lives of the truth that were there for long enough → when they had to be told."""
    due = Due(done)
    return {name(life): due.pieces(life, (life.buy, life.sell)) for life in truth(done) if due.lived(life, (life.buy, life.sell))}


def test_what_a_silent_leg_hides_is_told_as_stale_and_nothing_is_missed_or_off(done: Played) -> None:
    said = found(done)
    assert not said.missed and not said.false and not said.off, said
    assert said.due == said.detected >= 20 and said.stale >= 5


@pytest.mark.parametrize("switched_off", ["OLD_MS", "_beside"])
def test_without_the_excuse_the_same_play_would_be_wrong(done: Played, monkeypatch: pytest.MonkeyPatch, switched_off: str) -> None:
    """Neither the time after which a leg is too old may be left out nor what proves its book."""
    if switched_off == "OLD_MS":
        monkeypatch.setattr(doubts, "OLD_MS", 10**9)
    else:
        monkeypatch.setattr(doubts, "_beside", lambda played, venue: (DEPTH, TOUCH, TRADES))
    said = found(done)
    assert said.missed or said.off


def test_what_had_to_be_told_and_was_not_is_missed_even_where_a_leg_was_silent_for_a_while(done: Played) -> None:
    due = musts(done)
    partly = [life for life in truth(done) if (must := due.get(name(life))) and sum(b - a for a, b in must) < life.above_ms]
    assert partly, "there are such"
    for life in partly:
        others = [each for each in done.witness.opportunities if (each.buy, each.sell) != (life.buy, life.sell)]
        lines = [line for line in found(done, others).missed if f"buy {life.buy} sell {life.sell} " in line]
        assert len(lines) == len([1 for key, must in due.items() if key[:2] == (life.buy, life.sell) and must])


def test_what_never_had_to_be_told_is_not_missed(done: Played) -> None:
    nothing = found(done, ())
    assert nothing.due == len(nothing.missed) == sum(bool(must) for must in musts(done).values())
    assert nothing.stale == sum(not must for must in musts(done).values()) > 0


def test_a_beginning_that_is_late_and_a_hole_in_a_time_that_could_be_read_are_off(done: Played) -> None:
    due = {key: must for key, must in musts(done).items() if must and must[0][0] == key[2] and must[0][1] - must[0][0] >= 8 * NEAR_MS}
    told = next(each for each in closed(done).values() if (each.buy, each.sell, each.opened // MS) in due)
    start, end = due[told.buy, told.sell, told.opened // MS][0]
    others = [each for each in done.witness.opportunities if each.id != told.id]
    late = msgspec.structs.replace(told, opened=told.opened + 2 * NEAR_MS * MS)
    assert len(found(done, [*others, late]).off) == 1
    middle = (start + end) // 2
    before = msgspec.structs.replace(told, closed=(middle - NEAR_MS) * MS, reason="stale")
    after = msgspec.structs.replace(told, id=9_999, opened=(middle + NEAR_MS) * MS)
    assert len(found(done, [*others, before, after]).off) == 1


def test_the_times_that_can_be_read_are_those_in_which_all_was_proved_lately(done: Played) -> None:
    silence, keys = Silence(done), ("coinbase_exchange:BTC-USDT", "htx:BTC-USDT")
    span = done.ready_ms, done.end_ms
    pieces = silence.readable(keys, [span], range(*span, STEP_MS))
    assert pieces
    inside = {at for start, end in pieces for at in range(start, end, STEP_MS)}
    assert not any(silence.excuses(keys, at) for at in inside)
    run: list[int] = []
    for at in range(span[0], span[1] - OLD_MS, STEP_MS):
        run = [] if silence.excuses(keys, at) else [*run, at]
        if len(run) > (OLD_MS + DUE_MS) // STEP_MS:
            assert at in inside or not inside.isdisjoint(run), at


def test_a_message_that_nobody_was_sent_proves_nothing(done: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    key, rows = "coinbase_exchange:BTC-USDT", list(done.world.log.rows())
    said = [row for row in rows if row.key == key and row.channel == DEPTH]
    last = done.at_ms[said[-1].step]
    assert not Silence(done).excuses([key], last)
    lost = {*said[len(said) // 2 :]}
    told: list[Row] = [row._replace(lost=True) if row in lost else row for row in rows]
    monkeypatch.setattr(done.world.log, "rows", lambda: iter(told))
    assert Silence(done).excuses([key], last)


def test_after_a_silence_in_which_messages_were_lost_nobody_can_know_the_book_until_its_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(3, 3.2, ("binance_spot", "kraken", "okx"), parse("freeze@kraken:0.5:1"))
    done = played(case, tmp_path, fees=LOW, symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USD"))
    said = found(done)
    assert not said.missed and not said.false and not said.off and said.unsure >= 1, said
    monkeypatch.setattr(Torn, "_lost", lambda self, key, at_ms: False)
    assert len(found(done).false) == said.unsure, "and such is no excuse for anything else"


def test_what_comes_over_another_connection_proves_no_book_of_this_one(tmp_path: Path) -> None:
    """Bitfinex has room for eight markets on a connection."""
    specs = module("bitfinex").LISTINGS
    done = played(Case(7, 2.0, ("bitfinex",)), tmp_path, symbols=tuple(spec.symbol for spec in specs))
    lines = doubts._lines(done, "bitfinex")
    assert set(lines) == {spec.key for spec in specs} and len(set(lines.values())) == 2
    silence = Silence(done)
    told = {line: {key for key, of in lines.items() if of == line} for line in lines.values()}
    for keys in told.values():
        said = {done.at_ms[row.step] for row in done.world.log.rows() if row.key in keys}
        assert all(set(silence._proofs[key]) == said for key in keys)
