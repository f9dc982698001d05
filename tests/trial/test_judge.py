"""The judge itself: it says what was missed, what was false and what was off, and it sees faults that nobody noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dope.sim.journal import Journal
from dope.trial.alarms import alarms
from dope.trial.finding import Finding
from dope.trial.judge import arbitrage, truth
from dope.trial.report import report, table
from dope.trial.stage import Case, Played, Witness
from tests.trial.test_recall import LOW, played

VENUES = ("binance_spot", "okx", "kraken", "bybit")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder: Path = tmp_path_factory.mktemp("trial")
    from dope.trial.faults import parse

    faults = parse("gap@okx:BTC-USDT:0.5, close@kraken:2")
    yield played(Case(3, 3.0, VENUES, faults), folder, fees=LOW)


def heard(done: Played, **other: object) -> Played:
    """The same play, but the witness heard something else."""
    witness = Witness()
    for name, kept in vars(done.witness).items():
        setattr(witness, name, other.get(name, kept))
    return msgspec.structs.replace(done, witness=witness, samples=other.get("samples", done.samples))


def found(done: Played) -> Finding:
    return arbitrage(done, truth(done))


def test_what_was_planted_is_found_and_the_table_says_so(done: Played) -> None:
    said = report(done)
    assert said["ok"], said["words"]
    rows = {row["kind"]: row for row in said["kinds"]}
    assert rows["arbitrage"]["due"] >= 3
    assert (rows["gap"]["due"], rows["gap"]["detected"], rows["close"]["due"], rows["close"]["detected"]) == (1, 1, 1, 1)
    assert table(said).endswith("all is well") and "arbitrage" in table(said)


def test_an_opportunity_that_was_not_told_is_missed_and_named(done: Played) -> None:
    nothing = found(heard(done, opportunities=[]))
    assert nothing.detected == 0 and len(nothing.missed) == nothing.due >= 3
    pairs = {f"buy {told.buy} sell {told.sell}" for told in done.witness.opportunities}
    assert all(any(pair in line for pair in pairs) and "bps" in line for line in nothing.missed)
    assert not report(heard(done, opportunities=[]))["ok"]


def test_an_opportunity_that_never_was_is_false(done: Played) -> None:
    real = done.witness.opportunities[0]
    never = msgspec.structs.replace(real, id=9_999, buy=real.sell, sell=real.buy)
    false = found(heard(done, opportunities=[*done.witness.opportunities, never])).false
    assert len(false) == 1 and f"opportunity 9999 buy {real.sell} sell {real.buy}" in false[0]


@pytest.mark.parametrize(("change", "word"), [({"qty": 1.5}, "size"), ({"net": 1.5}, "net"), ({"sell_vwap": 1.001}, "price")])
def test_a_size_net_or_price_that_differs_is_off(done: Played, change: dict[str, float], word: str) -> None:
    worse = [
        msgspec.structs.replace(sample, **{name: getattr(sample, name) * by for name, by in change.items()}) for sample in done.samples
    ]
    off = found(heard(done, samples=worse)).off
    assert off and word in off[0]


def test_a_life_that_was_told_shorter_is_off(done: Played) -> None:
    shorter = [
        msgspec.structs.replace(told, closed=told.closed - 60_000_000) if told.closed else told for told in done.witness.opportunities
    ]
    assert any("told as" in line for line in found(heard(done, opportunities=shorter)).off)


def test_a_fault_that_nobody_noticed_is_missed_and_an_alarm_without_a_fault_is_false(done: Played) -> None:
    deaf = {row.kind: row for row in alarms(heard(done, gaps=[], states=[], links=[]))}
    assert deaf["gap"].missed and deaf["close"].missed
    journal, world = done.world.journal, done.world
    try:
        world.journal = Journal()
        (alarm,) = alarms(done)
        assert any("okx:BTC-USDT" in line and "gap" in line for line in alarm.false) and any("kraken" in line for line in alarm.false)
    finally:
        world.journal = journal
