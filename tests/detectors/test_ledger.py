"""The ledger adds up to the last digit, each term is what plain fractions say, and the fees' slack is exactly that."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from dope.detectors import Cost, Rules
from dope.detectors.ledger import TERMS, UNIT, of_opportunity, of_walk
from dope.detectors.pair import Pair
from dope.detectors.pair_memory import Sides
from dope.market.pairs import WALL
from dope.market.walk import NOTHING, Walk
from dope.types import Instrument
from tests.detectors.test_arbitrage import Desk, open_one

ROWS = 2000
BUY = Instrument("here", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot", lot=0.001)
SELL = Instrument("there", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot", lot=0.001)


def drawn(rng: random.Random) -> tuple[Pair, Sides, Walk]:
    """A pair with books, fees and rules by chance, and the walk of its best size, or of an order size at a loss."""
    costs = tuple(Cost(rng.choice((0.0, 0.0005, 0.001, 0.0006, -0.0001)), rng.choice(("base", "quote"))) for _ in range(2))
    rules = Rules(transfer=rng.choice((0.0, round(rng.uniform(0, 3), 2))), buffer_bps=rng.choice((0.0, 1.5, 4.0)))
    pair = Pair(BUY, SELL, (costs[0], costs[1]), rules)
    scale = rng.choice((1e-4, 1.0, 600.0))
    asks = [(round(scale * (100 + 0.1 * n), 6), round(rng.uniform(0.001, 3), 3)) for n in range(rng.randint(1, 8))]
    bids = [(round(scale * (100 + rng.choice((0.2, 1.0)) - 0.1 * n), 6), round(rng.uniform(0.001, 3), 3)) for n in range(rng.randint(1, 8))]
    if costs[0].currency == "base":
        asks = [(price, size * (1.0 - costs[0].fee)) for price, size in asks]
    sides = asks, bids
    walk = pair.walk(sides)
    return pair, sides, walk if walk is not NOTHING else pair.walk(sides, max_quote=100.0 * scale, fill_all=True)


def exact(pair: Pair, walk: Walk) -> dict[str, Fraction]:
    """Every term from the fills and the fees, in fractions."""
    fills = [tuple(map(Fraction, fill)) for fill in walk.fills]
    paid, got, qty = (sum(value) for value in zip(*((ask * q, bid * q, q) for ask, bid, q in fills), strict=True))
    fee = Fraction(pair.cost_buy.fee)
    fee_buy = paid * (fee / (1 - fee) if pair.cost_buy.currency == "base" else fee)
    touch = (fills[0][1] - fills[0][0]) * qty
    costs = {
        "depth": touch - (got - paid), "fee_buy": fee_buy, "fee_sell": got * Fraction(pair.cost_sell.fee), "conversion": Fraction(0),
        "transfer": Fraction(pair.transfer), "buffer": got * Fraction(pair.buffer),
    }  # fmt: skip
    return {"touch": touch, **{term: -cost for term, cost in costs.items()}, "net": touch - sum(costs.values())}


def test_a_ledger_adds_up_to_the_last_digit_and_every_term_is_exact() -> None:
    rng, seen = random.Random(8), 0
    for _ in range(ROWS):
        pair, _sides, walk = drawn(rng)
        entries = {entry.term: entry for entry in of_walk(pair, walk)}
        if not entries:
            continue
        seen += 1
        assert tuple(entries) == TERMS
        assert sum(entry.units for term, entry in entries.items() if term != "net") == entries["net"].units
        for term, want in exact(pair, walk).items():
            assert abs(entries[term].units - want * UNIT) <= 6 + abs(float(want)) * 1e-13 * UNIT, term
            assert Fraction(entries[term].amount) * UNIT == entries[term].units
    assert seen > ROWS * 0.8


def test_the_row_of_an_opportunity_alone_tells_its_ledger() -> None:
    for rules in (Rules(min_notional=1.0), Rules(min_notional=1.0, transfer=0.7, buffer_bps=3.0)):
        desk, row = open_one(rules)
        pair = desk.arbitrage.pairs[(row.buy, row.sell)]
        entries = of_opportunity(row)
        assert [entry.term for entry in entries] == list(TERMS)
        assert sum(entry.units for entry in entries[:-1]) == entries[-1].units == round(row.net * UNIT)
        assert entries == of_walk(pair, pair.walk(pair.sides(desk.engine.market)))
        assert row.gross - row.fees - row.transfer - row.buffer == pytest.approx(row.net, abs=1e-9)
        assert (row.transfer, row.buffer) == (rules.transfer, pytest.approx(3.0 * 102.0 * rules.buffer_bps / 1e4))


def test_fixed_costs_and_the_buffer_keep_out_what_they_eat() -> None:
    for changes, opens in (
        ({"transfer": 5.3}, True), ({"transfer": 5.5}, False), ({"buffer_bps": 170.0}, True), ({"buffer_bps": 190.0}, False),
    ):  # fmt: skip
        desk = Desk(Rules(**changes))
        desk.binance(("99.99", "5"), ("100.00", "5"))
        assert bool(desk.okx(("102.00", "3"), ("102.01", "3"))) == opens, changes  # 5.40 after fees, 176 bps


def test_the_role_of_a_leg_decides_its_fee() -> None:
    costs = {("binance_spot", "spot"): Cost(0.001, "base", maker=0.0), ("okx", "spot"): Cost(0.001, "base", maker=-0.0001)}
    nets = {}
    for buy in ("taker", "maker"):
        for sell in ("taker", "maker"):
            desk = Desk(Rules(min_notional=1.0, buy_as=buy, sell_as=sell), costs)  # type: ignore[arg-type]
            desk.binance(("99.99", "5"), ("100.00", "5"))
            (row,) = desk.okx(("102.00", "3"), ("102.01", "3"))
            nets[(buy, sell)] = row.net
            assert (row.fee_buy_bps, row.fee_sell_bps) == ({"taker": 10.0, "maker": 0.0}[buy], {"taker": 10.0, "maker": -1.0}[sell])
    assert nets[("maker", "taker")] == pytest.approx(3.0 * (102.0 * 0.999 - 100.0))
    assert nets[("taker", "maker")] == pytest.approx(3.0 * (102.0 * 1.0001 - 100.0 / 0.999))
    assert Cost(0.001).of("maker").fee == 0.001, "a maker's fee that nobody knows is not a small one"


def test_a_venue_may_have_roles_of_its_own_and_each_leg_its_own() -> None:
    costs = {("binance_spot", "spot"): Cost(0.001, "base", maker=0.0), ("okx", "spot"): Cost(0.001, "base", maker=-0.0001)}
    for roles, fees, told in (
        ({"okx": {"sell": "maker"}}, (10.0, -1.0), ("taker", "maker")),
        ({"okx": {"buy": "maker"}}, (10.0, 10.0), ("taker", "taker")),  # it sells there
        ({"binance_spot": {"buy": "maker", "sell": "taker"}}, (0.0, 10.0), ("maker", "taker")),
    ):
        desk = Desk(Rules(min_notional=1.0, roles=roles), costs)  # type: ignore[arg-type]
        desk.binance(("99.99", "5"), ("100.00", "5"))
        (row,) = desk.okx(("102.00", "3"), ("102.01", "3"))
        assert ((row.fee_buy_bps, row.fee_sell_bps), (row.buy_as, row.sell_as)) == (fees, told)
    assert Rules(buy_as="maker", roles={"okx": {"buy": "taker"}}).role("okx", "buy") == "taker", "also back to what is usual elsewhere"
    assert Rules(buy_as="maker", roles={"okx": {"sell": "taker"}}).role("okx", "buy") == "maker"


@pytest.mark.parametrize(
    ("fee_buy", "currency", "fee_sell", "slack"),
    [(0.0, "quote", 0.0, 2.0 / 102.0), (0.001, "quote", 0.001, (102.0 * 0.999 - 100.1) / 102.0), (0.0, "base", 0.0, 2.0 / 102.0),
     (0.001, "base", 0.0, 0.999 - 100.0 / 102.0)],
)  # fmt: skip
def test_the_slack_of_the_fees_by_hand(fee_buy: float, currency: str, fee_sell: float, slack: float) -> None:
    pair = Pair(BUY, SELL, (Cost(fee_buy, currency), Cost(fee_sell)), Rules())
    assert pair.slack_bps(pair.walk(([(100.0, 3.0)], [(102.0, 3.0)]))) == pytest.approx(slack * 1e4, abs=1e-6)


def test_fees_higher_by_the_slack_on_either_leg_leave_nothing_and_no_less() -> None:
    rng, seen = random.Random(9), 0
    for _ in range(300):
        pair, _sides, walk = drawn(rng)
        if not walk.net > 0.01 * walk.cost / 1e4:
            continue
        seen += 1
        slack = pair.slack_bps(walk) / 1e4
        left = [net_of(pair, walk, *more) for more in ((slack, 0.0), (0.0, slack))]
        assert min(left) == pytest.approx(0.0, abs=1e-9 * walk.cost) and max(left) > -1e-9 * walk.cost
    assert seen > 100


def net_of(pair: Pair, walk: Walk, more_buy: float, more_sell: float) -> float:
    """Net of the same fills under higher fees."""
    paid, got = sum(ask * q for ask, _, q in walk.fills), sum(bid * q for _, bid, q in walk.fills)
    fee = pair.cost_buy.fee + more_buy
    cost = paid / (1 - fee) if pair.cost_buy.currency == "base" else paid * (1 + fee)
    return got * (1 - pair.cost_sell.fee - more_sell - pair.buffer) - cost - pair.transfer


def test_costs_that_are_changed_hold_for_the_pairs_that_stand() -> None:
    desk, row = open_one()
    pair = desk.arbitrage.pairs[(row.buy, row.sell)]
    wall = pair.wall_bps
    desk.arbitrage.set_rules(Rules(min_notional=1.0, transfer=2.0, buffer_bps=10.0), desk.engine.market)
    assert (pair.transfer, pair.buffer) == (2.0, pytest.approx(0.001)) and pair.wall_bps > wall + 9.9
    assert pair.memory is not None
    assert desk.engine.market.slots.pairs.figures[pair.memory.number, WALL] == pair.wall_bps, "the compiled look knows the new wall"
    desk.okx(("102.00", "2"), ("102.01", "3"))
    assert desk.arbitrage.rows()[0].net == pytest.approx(2 * (102 * 0.998 - 100 / 0.999) - 2.0)
