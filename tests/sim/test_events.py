"""What is planted in the sample market happens as asked, is in the journal, and its twin re-runs it; a silent market has nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dope.errors import BadFault, UnknownName
from dope.sim.character import SILENT, Character
from dope.sim.events import Slope, cheapest_wall_bp
from dope.sim.journal import Fault
from dope.sim.listings import TAKER_BP
from dope.sim.market import SampleMarket, Truth
from dope.sim.venue import listings
from dope.venues import VENUES
from tests.program import ROOT

EVERY = tuple(venue.ID for venue in VENUES if venue.BOOKS)
FEW = ("binance_spot", "okx", "kraken")
SPOT = "binance_spot:BTC-USDT"
SCHEDULE = (
    (0, Fault(kind="dislocation", venue="okx", symbol="ETH-USDT", at_s=0.5, duration_s=1.0, params={"bps": 40})),
    (0, Fault(kind="crash", at_s=1.0, duration_s=2.0, params={"asset": "BTC", "bps": 300, "fall_s": 0.5, "recover_s": 1})),
    (50, Fault(kind="burst", at_s=0.2, duration_s=1.0, params={"asset": "SOL", "factor": 30})),
    (50, Fault(kind="halt", venue="okx", symbol="SOL-USDT", duration_s=0.7)),
    (120, Fault(kind="depeg", duration_s=2.0, params={"asset": "USDT", "bps": 150})),
    (130, Character(volatility=300, flow=200, spread=150, depth=50)),
    (200, Fault(kind="jump", params={"asset": "ETH", "bps": -60})),
    (320, None),
)


def silent(venues: tuple[str, ...] = FEW, seed: int = 7) -> SampleMarket:
    return SampleMarket(seed, listings(venues), character=SILENT)


def mid(sample: SampleMarket, key: str) -> float:
    """In units of the quote currency."""
    bid, _, ask, _ = sample.markets[key].book.touch()
    return (bid + ask) / 2 * sample.markets[key].spec.tick_e6 / 1e6


def run(sample: SampleMarket, steps: int) -> Iterator[int]:
    for _ in range(steps):
        sample.step()
        yield sample.steps


def bps(now: float, before: float) -> float:
    return (now / before - 1) * 1e4


# -- kinds -------------------------------------------------------------------------------------------------------------
def test_a_dislocation_stands_out_by_its_size_from_its_start_to_its_end_and_nowhere_else() -> None:
    sample, alone = silent(), silent()
    planted = sample.plant(Fault(kind="dislocation", venue="okx", symbol="BTC-USDT", at_s=1.0, duration_s=2.0, params={"bps": -35.0}))
    assert (planted.start_ms - sample.epoch_ms, planted.end_ms - sample.epoch_ms) == (1_010, 3_010)
    for step in run(sample, 400):
        alone.step()
        off = bps(mid(sample, "okx:BTC-USDT"), mid(alone, "okx:BTC-USDT"))
        if 106 <= step < 296:
            assert off == pytest.approx(-35.0, abs=1.2), "a fraction of a basis point is the market's own"
        elif step < 101 or step > 310:
            assert abs(off) < 1.5
        assert mid(sample, SPOT) == mid(alone, SPOT), "no other market is touched"


def test_a_jump_moves_every_market_of_the_asset_after_its_lag_and_stays() -> None:
    sample = silent()
    sample.step()
    before = {key: mid(sample, key) for key in sample.markets}
    sample.plant(Fault(kind="jump", params={"asset": "BTC", "bps": 80.0}))
    first: dict[str, int] = {}
    for step in run(sample, 40):
        for key in before:
            if bps(mid(sample, key), before[key]) > 40:
                first.setdefault(key, step)
    for key, market in sample.markets.items():
        assert (key in first) == (market.spec.asset == "BTC")
        if key in first:
            late = first[key] - 2 - market.spec.lag
            assert 0 <= late < market.spec.pace, "it shows after the lag, when the market acts next"
            assert bps(mid(sample, key), before[key]) == pytest.approx(80.0, abs=5.0)


def test_a_crash_falls_recovers_thins_the_books_and_widens_the_spreads() -> None:
    sample = silent()
    sample.plant(Fault(kind="crash", duration_s=9.0, params={"asset": "BTC", "bps": 500.0, "fall_s": 2.0, "recover_s": 5.0}))
    market = sample.markets[SPOT]
    start, lows, spreads, sizes = mid(sample, SPOT), [], [], []
    for _ in run(sample, 1_200):
        bid, bid_lots, ask, _ = market.book.touch()
        lows.append(bps(mid(sample, SPOT), start))
        spreads.append(ask - bid)
        sizes.append(bid_lots)
    assert min(lows) == pytest.approx(-500, abs=15) and 190 <= lows.index(min(lows)) < 420
    assert abs(lows[-1]) < 15, "it comes back"
    worst, after = slice(200, 400), slice(1_000, 1_200)
    assert sum(spreads[worst]) > 2.5 * sum(spreads[after]) and sum(sizes[worst]) < 0.6 * sum(sizes[after])
    assert abs(bps(mid(sample, "binance_spot:ETH-USDT"), 3_100 / 0.9996)) < 50, "another asset does not fall"


def test_a_coin_that_loses_its_peg_takes_every_price_in_it_along_and_all_markets_still_agree() -> None:
    sample = silent(EVERY)
    before = {key: mid(sample, key) for key in sample.markets}
    sample.plant(Fault(kind="depeg", duration_s=60.0, params={"asset": "USDT", "bps": 200.0, "fall_s": 5.0}))
    for _ in run(sample, 1_000):
        pass
    coin = sample.assets["USDT"].price / 999_600 - 1
    assert coin == pytest.approx(-0.02, abs=0.001)
    for key, market in sample.markets.items():
        base, quote = market.spec.asset, market.spec.currency
        factor = sample.assets[base].price / sample.assets[base].spec.start_e6
        factor /= sample.assets[quote].price / sample.assets[quote].spec.start_e6 if quote != "USD" else 1.0
        assert bps(mid(sample, key), before[key] * factor) == pytest.approx(0, abs=6.0), key
    for step in range(2):
        assert cross_rate_error(sample) < 3.0, step


def cross_rate_error(sample: SampleMarket) -> float:
    """How far USDC-USDT at Kraken is from USDC-USD over USDT-USD there, and BTC-USDT from BTC-USD over USDT-USD; the worse one, bp."""
    usdt, usdc = mid(sample, "kraken:USDT-USD"), mid(sample, "kraken:USDC-USD")
    errors = bps(mid(sample, "kraken:USDC-USDT"), usdc / usdt), bps(mid(sample, "kraken:BTC-USDT"), mid(sample, "kraken:BTC-USD") / usdt)
    return max(map(abs, errors))


@pytest.mark.parametrize("where", ["asset", "market"])
def test_a_burst_multiplies_what_is_traded_while_it_lasts(where: str) -> None:
    sample, trades = silent(), {"before": 0, "within": 0, "after": 0}
    named = {"params": {"asset": "BTC", "factor": 20}} if where == "asset" else {"venue": "binance_spot", "symbol": "BTC-USDT"}
    sample.plant(Fault(kind="burst", at_s=10.0, duration_s=10.0, **({"params": {"factor": 20}} | named)))  # type: ignore[arg-type]
    for step in run(sample, 3_000):
        trades["before" if step <= 1_000 else "within" if step <= 2_000 else "after"] += len(sample.markets[SPOT].fills)
    assert 10 < trades["within"] / trades["before"] < 40 and trades["after"] < 2 * trades["before"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_burst_with_a_side_is_traded_on_it_from_its_first_moment_on(side: str) -> None:
    sample = silent()
    planted = sample.plant(
        Fault(kind="burst", at_s=5.0, duration_s=3.0, params={"asset": "BTC", "factor": 60, "side": side})
    )
    traded: list[tuple[int, bool]] = []
    for _ in run(sample, 1_200):
        traded += [(sample.now_ms, fill.buy) for fill in sample.markets[SPOT].fills]
    within = [(ms, buy) for ms, buy in traded if planted.start_ms <= ms < planted.end_ms]
    assert len(within) > 100 and {buy for _, buy in within} == {side == "buy"}
    assert within[0][0] - planted.start_ms <= 50
    assert {buy for ms, buy in traded if ms < planted.start_ms} == {buy for ms, buy in traded if ms >= planted.end_ms} == {True, False}


def test_a_halted_market_stands_still_until_its_time_is_over_or_it_is_resumed() -> None:
    sample = silent()
    sample.plant(Fault(kind="halt", venue="okx", symbol="BTC-USDT", duration_s=1.0))
    sample.plant(Fault(kind="halt", venue="okx", symbol="ETH-USDT"))
    sample.plant(Fault(kind="resume", venue="okx", symbol="ETH-USDT", at_s=2.0))
    moved: dict[str, set[int]] = {"okx:BTC-USDT": set(), "okx:ETH-USDT": set()}
    for step in run(sample, 500):
        for key, steps in moved.items():
            if sample.markets[key].book.changes:
                steps.add(step)
    assert 101 <= min(moved["okx:BTC-USDT"]) < 150 and 201 <= min(moved["okx:ETH-USDT"]) < 250


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="quake"), "market event"),
        (Fault(kind="crash", params={"asset": "DOGE", "bps": 10}), "asset"),
        (Fault(kind="crash", params={"asset": "USDT", "bps": 10}), "asset"),
        (Fault(kind="depeg", params={"asset": "BTC", "bps": 10}), "asset"),
        (Fault(kind="dislocation", venue="okx", symbol="BTC-USD", params={"bps": 10}), "market"),
        (Fault(kind="jump", params={"asset": "BTC"}), "bps"),
        (Fault(kind="jump", params={"asset": "BTC", "bps": 1e9}), "bps"),
        (Fault(kind="jump", params={"asset": "BTC", "bps": "much"}), "bps"),
        (Fault(kind="burst", params={"asset": "BTC", "factor": 0}), "factor"),
        (Fault(kind="burst", params={"asset": "BTC", "side": "both"}), "side"),
        (Fault(kind="jump", at_s=-1.0, params={"asset": "BTC", "bps": 1}), "at_s"),
    ],
    ids=str,
)
def test_what_cannot_be_planted_is_refused_in_words_and_nothing_is_entered(fault: Fault, words: str) -> None:
    sample = silent()
    with pytest.raises((UnknownName, BadFault), match=words):
        sample.plant(fault)
    assert not sample.journal.entries and not sample.schedule


def test_a_slope_ended_early_fades_from_where_it_is_without_a_step() -> None:
    slope = Slope(100, 1_000, 50, 500, 7_000)
    assert [slope.at(step) for step in (99, 100, 149, 500, 501, 999, 1_000)] == [0, 140, 7_000, 7_000, 6_986, 14, 0]
    ended = slope.ended(124)
    assert ended.at(124) == slope.at(124) == 3_500 and ended.at(224) == 1_750 and ended.at(324) == 0


# -- the journal and the twin ------------------------------------------------------------------------------------------
def test_all_that_happens_by_chance_is_in_the_journal_with_its_size_and_time() -> None:
    sample = SampleMarket(7, listings(FEW), character=Character(jumps_per_minute=30, bursts_per_minute=10))
    price = {name: asset.price for name, asset in sample.assets.items()}
    jumps = 0
    for _ in run(sample, 3_000):
        for name, asset in sample.assets.items():
            if abs(bps(asset.price, price[name])) > 1.5:  # no diffusion of one step comes near
                jumps += 1
                (entry,) = [
                    e for e in sample.journal.entries if e.kind == "jump" and e.params["asset"] == name and e.start_ms == sample.now_ms
                ]
                assert entry.params["bps"] == pytest.approx(bps(asset.price, price[name]), abs=0.6)
            price[name] = asset.price
    kinds = [entry.kind for entry in sample.journal.entries]
    assert jumps == kinds.count("jump") > 20 and kinds.count("burst") >= kinds.count("jump") * 0.9
    displaced = [entry for entry in sample.journal.entries if entry.kind == "dislocation"]
    assert [(f"{e.venue}:{e.symbol}", e.params["bps"], (e.start_ms - sample.epoch_ms) // 10) for e in displaced] == [
        (p.key, p.bps, p.start) for p in sample.planted
    ]


def test_the_twin_re_runs_whatever_was_asked_of_the_market_while_it_ran() -> None:
    sample, orders = SampleMarket(5, listings(FEW)), list(SCHEDULE)
    truth, books = Truth.of(sample), {}
    for _ in range(500):
        while orders and orders[0][0] == sample.steps:
            sample.obey(orders.pop(0)[1])
        sample.step()
        if sample.steps % 70 == 0:
            books[sample.steps] = {key: (m.book.seq, dict(m.book.levels[0]), dict(m.book.levels[1])) for key, m in sample.markets.items()}
            twin = truth.at_step(sample.steps)
            assert {key: (m.book.seq, *m.book.levels) for key, m in twin.markets.items()} == books[sample.steps]
    for step in (490, 70, 280):
        assert {key: (m.book.seq, *m.book.levels) for key, m in truth.at_step(step).markets.items()} == books[step]
    assert list(truth.at_step(500).journal.entries) == list(sample.journal.entries)


SAID = """
import sys
from dope.sim.world import World
from tests.sim.aloud import Aloud
from tests.sim.test_events import EVERY, SCHEDULE
world = World(int(sys.argv[1]), venues=EVERY, speed=0.0, clock=lambda: 0.0)
aloud, orders = Aloud(world), list(SCHEDULE)
for _ in range(400):
    while orders and orders[0][0] == world.sample.steps:
        world.sample.obey(orders.pop(0)[1])
    world.advance()
assert min(aloud.per_venue.values()) > 30, aloud.per_venue
for venue, digest in aloud.digests.items():
    print(venue, aloud.per_venue[venue], digest.hexdigest())
"""


def test_one_seed_and_one_schedule_are_the_same_bytes_of_all_servers_in_every_process() -> None:
    def said(hash_seed: str, seed: str) -> str:
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", SAID, seed], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said("1", "3") == said("2", "3") != said("1", "4")


# -- silence -----------------------------------------------------------------------------------------------------------
def worst_margin(sample: SampleMarket, steps: int) -> tuple[float, str]:
    """How near the touches of any two markets of one symbol ever came to the fees: (gross − fees in bp, which), over so many steps."""
    groups: dict[str, list[str]] = {}
    for key, market in sample.markets.items():
        groups.setdefault(market.spec.symbol, []).append(key)
    worst = (-1e9, "")
    for step in run(sample, steps):
        for symbol, keys in groups.items() if step % 2 else ():
            touches = []
            for key in keys:
                book, tick = sample.markets[key].book, sample.markets[key].spec.tick_e6
                fee = TAKER_BP[sample.markets[key].spec.venue][sample.markets[key].spec.perpetual]
                touches.append((book.best(0) * tick * (1 - fee / 1e4), book.best(1) * tick * (1 + fee / 1e4)))
            dearest, cheapest = max(bid for bid, _ in touches), min(ask for _, ask in touches)
            worst = max(worst, (bps(dearest, cheapest), symbol))
    return worst


def test_a_silent_market_has_nothing_at_any_time_that_beats_the_fees_of_any_two_venues() -> None:
    margin, symbol = worst_margin(silent(EVERY), 4_000)
    assert -15.0 < margin < -2.0, symbol
    assert worst_margin(SampleMarket(7, listings(EVERY)), 1_500)[0] > 0, "and one that is not silent has"


def test_the_fees_that_the_market_reckons_with_are_those_of_the_venues() -> None:
    for venue in VENUES:
        for fee in venue.FEES if venue.BOOKS else ():
            assert TAKER_BP[venue.ID][fee.kind == "perp"] == fee.taker_bps, venue.ID
    sample = silent(EVERY)
    walls = {key: cheapest_wall_bp(market, list(sample.markets.values())) for key, market in sample.markets.items()}
    assert (walls["okx:BTC-USDT"], walls["kraken:BTC-USD"], walls["hyperliquid:BTC-USDC-PERP"]) == (15.0, 60.0, 10.0)


def test_chance_displaces_markets_by_as_much_as_their_fees_ask_for() -> None:
    sample = SampleMarket(7, listings(EVERY), character=Character(dislocations_per_minute=600))
    for _ in run(sample, 2_000):
        pass
    walls = {key: cheapest_wall_bp(market, list(sample.markets.values())) for key, market in sample.markets.items()}
    near = [entry for entry in sample.planted if walls[entry.key] <= 60.0]
    strong = [entry for entry in near if abs(entry.bps) > walls[entry.key]]
    assert len(near) > 40 and 0.7 < len(strong) / len(near) < 0.95
    assert all(4.0 <= abs(entry.bps) - walls[entry.key] <= 22.0 for entry in strong)
    assert all(abs(entry.bps) < 42.1 for entry in sample.planted if walls[entry.key] > 60.0), "where fees are far away nobody goes so far"
