"""Each scenario does what it is to do, in the market and at the venues, and another can be played at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import get_args

import pytest

from dope.errors import UnknownName
from dope.settings import Scenarios
from dope.sim import events
from dope.sim.kinds import KINDS
from dope.sim.market import Truth
from dope.sim.scenarios import SCENARIOS
from dope.sim.world import World
from tests.program import ROOT

THREE = ("binance_spot", "binance_usdm", "okx")


def world(name: str, venues: tuple[str, ...] = THREE) -> World:
    return World(7, venues=venues, speed=0.0, clock=lambda: 0.0, scenario=name)


def passing(made: World, seconds: float) -> Iterator[float]:
    """Virtual time in the market's steps; gives the seconds since the world began."""
    for _ in range(round(seconds * 100)):
        made.advance()
        yield made.sample.steps / 100


def kinds(made: World) -> list[str]:
    return [entry.kind for entry in made.journal.entries]


def price(made: World, key: str) -> float:
    market = made.sample.markets[key]
    return market.book.best(0) * market.spec.tick_e6 / 1e6


def test_every_scenario_has_a_sentence_and_a_timeline_that_can_be_planted() -> None:
    assert set(SCENARIOS) == set(get_args(Scenarios))
    for scenario in SCENARIOS.values():
        assert scenario.see.endswith(".") and len(scenario.see) < 160
        for fault in scenario.timeline:
            assert fault.kind in KINDS or fault.kind in events.KINDS
            assert not scenario.every_s or fault.at_s + fault.duration_s < scenario.every_s, "over before it comes round again"
        assert f"| `{scenario.id}` | {scenario.see} |" in (ROOT / "README.md").read_text()
    with pytest.raises(UnknownName, match="calm"):
        world("clam")


def test_nothing_happens_when_it_is_calm_and_much_when_it_is_busy() -> None:
    calm, busy, usual = world("calm"), world("busy"), world("usual")
    for made in (calm, busy, usual):
        made.advance(2_000)
    assert kinds(calm) == []
    assert kinds(busy).count("dislocation") > 2 * kinds(usual).count("dislocation") > 4
    changes = [max(m.book.seq for m in made.sample.markets.values() if m.spec.venue == "binance_usdm") for made in (calm, usual, busy)]
    assert changes[0] < changes[1] < changes[2]


def test_the_timeline_of_a_scenario_comes_round_again_in_the_market() -> None:
    made, lows = world("flash-crash"), []
    start = price(made, "okx:BTC-USDT")
    for _ in passing(made, 96):
        lows.append(price(made, "okx:BTC-USDT") / start - 1)
    crash, between, again = lows[1_300:1_700], lows[4_000:6_900], lows[7_300:7_700]
    assert min(crash) < -0.055 and min(again) < -0.055 and min(between) > -0.02
    assert kinds(made).count("crash") == 2


def test_a_coin_without_its_peg_drives_prices_in_it_and_in_dollars_apart() -> None:
    made = world("de-peg", ("okx", "kraken"))
    apart = [price(made, "kraken:BTC-USDT") / price(made, "kraken:BTC-USD") - 1 for second in passing(made, 50) if second > 45]
    assert 0.025 < min(apart) < max(apart) < 0.036
    assert price(made, "kraken:USDT-USD") < 0.975


def test_a_burst_brings_many_times_the_trades() -> None:
    made, trades = world("burst"), [0, 0]
    for second in passing(made, 28):
        trades[5 < second <= 15] += sum(len(market.fills) for market in made.sample.markets.values())
    assert trades[1] > 4 * trades[0]


@pytest.mark.parametrize(
    ("name", "venue", "kind"),
    [
        ("venue-freeze", "okx", "freeze"), ("clock-step", "binance_usdm", "clock_step"), ("maintenance", "okx", "maintenance"),
        ("reconnect-storm", "okx", "kick_all"), ("liar-checksum", "kraken", "checksum_liar"),
    ],
)  # fmt: skip
def test_faults_of_venues_begin_and_end_in_virtual_time_and_stand_in_the_journal(name: str, venue: str, kind: str) -> None:
    async def run() -> None:
        made = world(name, (*THREE, "kraken"))
        fault = next(fault for fault in SCENARIOS[name].timeline if (fault.venue, fault.kind) == (venue, kind))
        await made.start()
        for _ in range(4):
            made.advance(700)
            await made.faults.settle()
        entry = next(entry for entry in made.journal.entries if (entry.venue, entry.kind) == (venue, kind))
        assert entry.start_ms - made.sample.epoch_ms == fault.at_s * 1000
        assert entry.end_ms - entry.start_ms == fault.duration_s * 1000
        await made.stop()

    asyncio.run(run())


def test_another_scenario_heals_what_the_last_one_did_and_the_twin_still_knows_every_book() -> None:
    async def run() -> None:
        made = world("venue-freeze")
        await made.start()
        truth = Truth.of(made.sample)
        made.advance(1_000)
        assert made.servers["okx"].port.frozen and made.scenario.id == "venue-freeze"
        made.play("de-peg")
        assert not made.servers["okx"].port.frozen
        made.advance(2_000)
        assert made.sample.assets["USDT"].price < 990_000
        made.play("calm")
        made.advance(300)
        assert made.sample.assets["USDT"].price > 998_000, "what was planted fades"
        twin = truth.at_step(made.sample.steps)
        assert {k: m.book.levels for k, m in twin.markets.items()} == {k: m.book.levels for k, m in made.sample.markets.items()}
        assert kinds(made).count("scenario") == 2
        with pytest.raises(UnknownName):
            made.play("quiet")
        assert made.scenario.id == "calm"
        await made.stop()

    asyncio.run(run())
