"""The sample market: one seed is one market, its books are sound, its dislocations are worth watching."""

from __future__ import annotations

import random

from dope.sim.binance import BinanceServer
from dope.sim.book import ASK, BID
from dope.sim.market import SampleMarket, Truth
from dope.sim.okx import OkxServer
from tests.sim.recipes import LISTED

MINUTE = 6000


class Everything:
    """A listener that wants every topic."""

    def __contains__(self, topic: object) -> bool:
        return True


def spoken(seed: int, steps: int) -> list[tuple[str, str]]:
    """All that the three venues would say in so many steps."""
    sample = SampleMarket(seed, LISTED)
    servers = [BinanceServer(sample, venue, clock=lambda: 0.0) for venue in ("binance_spot", "binance_usdm")]
    okx = OkxServer(sample, clock=lambda: 0.0)
    said: list[tuple[str, str]] = []
    for _ in range(steps):
        sample.step()
        for server in (*servers, okx):
            said += server.messages(Everything())
    return said


def gross_bps(sample: SampleMarket, one: str, other: str) -> float:
    """What selling on one market and buying on the other brings, the better direction."""
    touches = []
    for key in (one, other):
        market = sample.markets[key]
        bid, _, ask, _ = market.book.touch()
        touches.append((bid * market.spec.tick_e6, ask * market.spec.tick_e6))
    (bid_a, ask_a), (bid_b, ask_b) = touches
    return 1e4 * max(bid_a / ask_b, bid_b / ask_a) - 1e4


def pairs(sample: SampleMarket) -> list[tuple[str, str, float]]:
    """``(key, key, fees in bps)`` of every cross-venue pair."""
    spot = [(f"binance_spot:{asset}-USDT", f"okx:{asset}-USDT", 20.0) for asset in ("BTC", "ETH", "SOL")]
    return spot + [(f"binance_usdm:{asset}-USDT-PERP", f"okx:{asset}-USDT-PERP", 10.0) for asset in ("BTC", "ETH", "SOL")]


def test_the_same_seed_says_the_same_bytes_and_another_does_not() -> None:
    first = spoken(11, 700)
    random.seed(1)  # nobody else's randomness matters
    assert spoken(11, 700) == first
    assert spoken(12, 700) != first


def test_a_default_screen_gets_one_to_three_hundred_messages_a_second() -> None:
    default = ("depth@100ms", "bookTicker", "kline_1m", "markPrice@1s", "books:", "bbo-tbt:", "funding-rate:", "mark-price:", "trades:")
    said = [
        topic for topic, _ in spoken(7, 2000)
        if topic.partition("@")[2] in default or topic.partition(":")[0] + ":" in default or topic.endswith("@aggTrade")
    ]  # fmt: skip
    assert 100 * 20 < len(said) < 300 * 20


def test_no_book_is_ever_crossed_thin_or_without_size() -> None:
    sample = SampleMarket(3, LISTED)
    for _ in range(MINUTE):
        sample.step()
        for market in sample.markets.values():
            bid, bid_lots, ask, ask_lots = market.book.touch()
            assert bid < ask and bid_lots > 0 and ask_lots > 0
            assert all(25 <= len(market.book.side(side)) <= 200 for side in (BID, ASK))
            assert [tick for tick, _ in market.book.side(BID)] == sorted(market.book.levels[BID], reverse=True)
            assert [tick for tick, _ in market.book.side(ASK)] == sorted(market.book.levels[ASK])


def test_books_change_level_by_level_with_consecutive_numbers() -> None:
    sample = SampleMarket(5, LISTED)
    market = sample.markets["binance_spot:BTC-USDT"]
    copy = {(side, tick): lots for side in (BID, ASK) for tick, lots in market.book.side(side)}
    last = market.book.seq
    for _ in range(2000):
        sample.step()
        for side, tick, lots, seq in market.book.changes:
            assert seq == last + 1
            last = seq
            copy[side, tick] = lots
    assert {place: lots for place, lots in copy.items() if lots} == {
        (side, tick): lots for side in (BID, ASK) for tick, lots in market.book.side(side)
    }


def test_every_trade_takes_size_from_the_side_that_it_hits() -> None:
    sample = SampleMarket(2, LISTED)
    taken = 0
    for _ in range(2000):
        sample.step()
        for market in sample.markets.values():
            changed = {(side, tick) for side, tick, _, _ in market.book.changes}
            for fill in market.fills:
                taken += 1
                assert fill.lots > 0
                assert (ASK if fill.buy else BID, fill.tick) in changed
    assert taken > 200


def test_spreads_cross_the_fees_only_while_something_is_planted_and_most_of_the_time_nothing_is_open() -> None:
    sample = SampleMarket(7, LISTED)
    above: dict[str, int] = {}
    for _ in range(2 * MINUTE):
        sample.step()
        active = {planted.key for planted in sample.planted if planted.start <= sample.steps <= planted.end + 20}
        for one, other, wall in pairs(sample):
            if gross_bps(sample, one, other) > wall:
                assert one in active or other in active
                above[one] = above.get(one, 0) + 1
    assert above and max(above.values()) < 0.3 * 2 * MINUTE


def test_a_viewer_sees_several_opportunities_open_and_close_within_twenty_seconds() -> None:
    for seed in (7, 1, 2, 3):
        sample, opened, closed = SampleMarket(seed, LISTED), 0, 0
        was: dict[str, bool] = {}
        for _ in range(2000):
            sample.step()
            for one, other, wall in pairs(sample):
                is_open = gross_bps(sample, one, other) > wall
                opened += is_open and not was.get(one, False)
                closed += was.get(one, False) and not is_open
                was[one] = is_open
        assert opened >= 2 and closed >= 2, seed


def test_the_truth_tells_the_book_of_any_step_forwards_and_backwards() -> None:
    sample, truth = SampleMarket(9, LISTED), Truth(9, LISTED)
    seen = {}
    for step in range(1, 301):
        sample.step()
        if step % 100 == 0:
            market = sample.markets["okx:ETH-USDT"]
            seen[step] = (market.book.seq, market.book.side(BID), market.book.side(ASK))
    for step in (300, 100, 200):
        market = truth.at_step(step).markets["okx:ETH-USDT"]
        assert (market.book.seq, market.book.side(BID), market.book.side(ASK)) == seen[step]
        assert truth.at_seq("okx:ETH-USDT", seen[step][0]).book.side(BID) == seen[step][1]
    assert [entry.id for entry in truth.at_step(2000).planted] == list(range(1, len(truth.at_step(2000).planted) + 1))
