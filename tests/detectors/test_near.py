"""Why not: the term that blocks a pair is named with its amount, and lowered by that amount the pair opens."""

from __future__ import annotations

import random

import msgspec
import pytest

from dope.detectors import Cost, Rules
from dope.detectors.near import near_misses
from tests.detectors.test_arbitrage import COSTS, Desk
from tests.frames import okx_book, reply, spot_diff

Book = tuple[list[tuple[float, float]], list[tuple[float, float]]]  #: bids, asks
HERE, THERE = ("binance_spot", "spot"), ("okx", "spot")


def desk_with(buy: Book, sell: Book, rules: Rules, costs: dict[tuple[str, str], Cost] = COSTS) -> Desk:
    """Both books as they are: it is bought at Binance and sold at OKX."""
    desk = Desk(rules, costs)
    text = [[[f"{price:.4f}", f"{size:.3f}"] for price, size in side] for book in (buy, sell) for side in book]
    desk.u += 10
    desk.engine.venues["binance_spot"].resync("BTC-USDT", desk.t)
    desk._step("binance_spot", 1, spot_diff(desk.u, desk.u + 1, [], []))
    desk._step("binance_spot", 1, reply("depth:BTCUSDT", {"lastUpdateId": desk.u + 1, "bids": text[0], "asks": text[1]}))
    desk.seq += 1
    desk._step("okx", 2, okx_book("snapshot", desk.seq, -1, text[2], text[3]))
    return desk


def miss(desk: Desk) -> dict:  # type: ignore[type-arg]
    """The near miss of buying at Binance."""
    rows = near_misses(desk.arbitrage, desk.engine.market, desk.t, 5)
    return next(row for row in rows if row["buy_venue"] == "binance_spot")


def opens(desk: Desk) -> bool:
    return any(row.buy_venue == "binance_spot" for row in desk.arbitrage.rows())


def ladder(rng: random.Random, best: float, step: float, least: float = 0.5) -> list[tuple[float, float]]:
    return [(round(best + n * step * 0.01, 4), round(rng.uniform(least, 3.0), 3)) for n in range(rng.randint(1, 6))]


def test_fees_lowered_by_the_named_amount_on_either_leg_open_it() -> None:
    rng, seen = random.Random(4), 0
    for _ in range(60):
        costs = {HERE: Cost(0.001, rng.choice(("base", "quote"))), THERE: Cost(rng.choice((0.001, 0.0008)))}
        rules = Rules(min_notional=1.0, enter=rng.choice((0.0, 0.0, 2.0, 5.0)))
        bid = round(100.0 + rng.uniform(0.01, 0.22), 4)
        books: tuple[Book, Book] = (ladder(rng, 99.9, -1), ladder(rng, 100.0, 1)), (ladder(rng, bid, -1), ladder(rng, bid + 0.05, 1))
        desk = desk_with(*books, rules, costs)
        if opens(desk):
            continue
        row = miss(desk)
        assert (row["term"], row["unit"]) == ("fees", "bps")
        assert f"needs {row['amount']:.2f} bps more" in row["blocks"]
        seen += 1
        for leg in (HERE, THERE) if rules.enter == 0.0 else (THERE,):
            for part, expected in ((1.0, True), (0.0, False)):
                lower = msgspec.structs.replace(costs[leg], fee=costs[leg].fee - part * row["amount"] / 1e4)
                assert opens(desk_with(*books, rules, {**costs, leg: lower})) == expected, (row, leg, rules.enter)
        if rules.enter == 0.0:  # and hardly less is not enough
            lower = msgspec.structs.replace(costs[THERE], fee=costs[THERE].fee - (row["amount"] - 0.03) / 1e4)
            assert not opens(desk_with(*books, rules, {**costs, THERE: lower}))
    assert seen > 30


def test_prices_apart_open_when_the_sale_is_dearer_by_the_named_amount() -> None:
    rng = random.Random(5)
    for _ in range(20):
        bid = round(100.0 - rng.uniform(0.0, 0.3), 4)
        buy: Book = ladder(rng, 99.6, -1), ladder(rng, 100.0, 1)
        desk = desk_with(buy, (ladder(rng, bid, -1), [(bid + 9, 1.0)]), Rules(min_notional=1.0))
        row = miss(desk)
        assert row["term"] == "prices" and "do not cross" in row["blocks"]
        for bps, expected in ((row["amount"], True), (row["amount"] - 0.02, False)):
            sell: Book = [(bid * (1 + bps / 1e4) + (5e-5 if expected else -5e-5), 2.0)], [(bid + 9, 1.0)]
            assert opens(desk_with(buy, sell, Rules(min_notional=1.0))) == expected


BUY: Book = [(99.9, 1.0)], [(100.0, 0.5)]
SELL: Book = [(102.0, 3.0)], [(103.0, 1.0)]


@pytest.mark.parametrize(
    ("rules", "term", "unit", "lowered"),
    [
        (Rules(transfer=1.25), "transfer", "USDT", "transfer"),
        (Rules(min_notional=80.0), "size", "USDT", "min_notional"),
        (Rules(min_notional=1.0, enter=200.0), "fees", "bps", "enter"),
    ],
)
def test_the_named_rule_lowered_by_the_named_amount_opens_it(rules: Rules, term: str, unit: str, lowered: str) -> None:
    desk = desk_with(BUY, SELL, rules)
    row = miss(desk)
    assert not opens(desk) and (row["term"], row["unit"]) == (term, unit) and row["amount"] > 0
    less = msgspec.structs.replace(rules, **{lowered: getattr(rules, lowered) - row["amount"]})
    assert opens(desk_with(BUY, SELL, less))
    hardly = msgspec.structs.replace(rules, **{lowered: getattr(rules, lowered) - row["amount"] + (6.0 if term == "fees" else 0.02)})
    assert not opens(desk_with(BUY, SELL, hardly))


def test_a_leg_that_is_too_old_says_by_how_much_and_a_word_from_it_opens() -> None:
    desk = Desk(Rules(min_notional=1.0, max_age_s=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    desk.tick(1100)
    desk.okx(("102.00", "3"), ("102.01", "3"))
    row = miss(desk)
    assert (row["term"], row["unit"]) == ("age", "ms") and 100.0 <= row["amount"] < 110.0
    desk.binance(("99.99", "5"), ("100.00", "4"))
    assert opens(desk)


def test_a_book_that_is_not_live_blocks_whatever_its_prices_are() -> None:
    desk = Desk(Rules(min_notional=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    desk.okx(("100.10", "3"), ("100.11", "3"))
    desk.tick(20_000)
    assert miss(desk)["term"] == "state" and "STALE" in miss(desk)["blocks"]


def test_less_than_a_venue_takes_is_named_in_base() -> None:
    desk = desk_with(([(99.9, 1.0)], [(100.0, 0.5)]), SELL, Rules(min_notional=1.0))
    pair = desk.arbitrage.pairs[("binance_spot:BTC-USDT", "okx:BTC-USDT")]
    desk.tick(6000)
    pair.min_size = 1.0
    desk.okx(("102.00", "3"), ("102.01", "3"))
    desk.binance(("99.99", "5"), ("100.00", "0.5"))
    assert not opens(desk)
    row = miss(desk)
    assert (row["term"], row["unit"], row["amount"]) == ("lot", "BTC", pytest.approx(0.5005))
