"""Triangles: every way round three markets of a venue is known, what pays is found to its full depth, and nothing else is."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors import Arbitrage, Cost, Rules, Triangles
from dope.detectors.opportunity import Leg, Role
from dope.detectors.triangles import Triangle
from dope.market.loops import BUY, SELL, walk_round
from dope.market.loops import Leg as Edge
from dope.types import Event, Setting
from tests.detectors.floor import Floor
from tests.oracle.plain_loops import best, loops_of, spend, sums, take

BTC, CROSS, ETH = "a:BTC-USDT", "a:ETH-BTC", "a:ETH-USDT"


def floor(fee: float = 0.001, currency: str = "base") -> tuple[Floor, Triangles]:
    arbitrage = Arbitrage({(venue, "spot"): Cost(fee, currency) for venue in "ab"}, Rules(min_notional=1.0))
    triangles = Triangles(arbitrage)
    return Floor(arbitrage, triangles), triangles


def told(events: list[Event]) -> list[tuple[str, tuple[str, ...]]]:
    return [(event.state, event.path) for event in events if isinstance(event, Triangle)]


def fair(desk: Floor, eth: float = 2500.0) -> None:
    desk.touch(BTC, 49_995.0, 50_000.0)
    desk.touch(CROSS, 0.04995, 0.05, size=100.0)
    desk.touch(ETH, eth, eth + 0.5, size=30.0)


def test_a_planted_triangle_is_found_to_its_depth_and_closed_when_it_is_gone() -> None:
    desk, triangles = floor()
    fair(desk)
    assert not told(desk.tick()) and len(triangles.ways) == 2
    fair(desk, eth=2520.0)  # 1/50000/0.05·2520·0.999³ = 1.004977
    (found,) = [event for event in desk.tick() if isinstance(event, Triangle)]
    assert found.path == ("USDT", "BTC", "ETH", "USDT") and found.sides == ("buy", "buy", "sell")
    assert found.profit_bps == pytest.approx(49.79022992)
    assert found.start == pytest.approx(30 / 0.999 / 0.999 * 0.05 * 50_000), "as many as can be sold for USDT"
    assert found.profit == pytest.approx(found.end - found.start)
    assert triangles.rows()[0].id == found.id
    fair(desk)
    later = [event for _ in range(20) for event in desk.tick()]
    assert told(later) == [("closed", found.path)] and not triangles.rows()
    assert "opened" in found.line(str)[0] and "closed after" in later[0].line(str)[0]  # type: ignore[attr-defined]


def test_the_other_way_round_is_found_when_the_price_is_off_to_the_other_side() -> None:
    desk, _ = floor()
    fair(desk, eth=2480.0)
    assert told(desk.tick()) == [("open", ("USDT", "ETH", "BTC", "USDT"))]


def test_what_the_fees_eat_is_none_and_stands_among_the_nearest() -> None:
    desk, triangles = floor(fee=0.002)
    fair(desk, eth=2512.0)
    assert not told(desk.tick())
    first, second = triangles.nearest(desk.market, 5)
    assert first["path"] == ["USDT", "BTC", "ETH", "USDT"] and not first["open"] and -20.0 < first["net_bps"] < 0.0
    assert first["fees_bps"] == pytest.approx(60.0) and second["net_bps"] < first["net_bps"]


def test_markets_of_two_venues_are_no_triangle() -> None:
    desk, triangles = floor()
    fair(desk)
    desk.touch("b:ETH-USDT", 3000.0, 3000.5)
    assert not told(desk.tick()) and len(triangles.ways) == 2


@pytest.mark.parametrize("lost", [BTC, CROSS, ETH])
def test_a_life_ends_as_stale_with_any_of_its_books(lost: str) -> None:
    desk, triangles = floor()
    fair(desk, eth=2520.0)
    assert told(desk.tick())
    assert [event.state for event in desk.loses(lost) if isinstance(event, Triangle)] == ["stale"]
    assert not told(desk.tick()) and not triangles.rows() and len(triangles.over) == 1


def test_a_book_that_has_not_spoken_for_long_makes_no_triangle() -> None:
    desk, _ = floor()
    desk.touch(CROSS, 0.04995, 0.05, size=100.0)
    for _ in range(60):
        desk.touch(BTC, 49_995.0, 50_000.0)
        desk.touch(ETH, 2500.0, 2500.5)
        desk.tick(100)
    fair_but_old = [desk.touch(BTC, 49_995.0, 50_000.0), desk.touch(ETH, 2520.0, 2520.5)]
    assert fair_but_old and not told(desk.tick())
    desk.touch(CROSS, 0.04995, 0.05, size=100.0)
    assert told(desk.tick())


def test_less_than_a_venue_takes_as_an_order_is_none() -> None:
    desk, _ = floor()
    desk.lists(CROSS, lot=40.0)
    fair(desk, eth=2520.0)
    assert not told(desk.tick()), "30 ETH are less than one lot of 40"


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["taker", "maker"]), st.sampled_from(["taker", "maker"]),
    st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from(["buy", "sell"]), st.sampled_from(["taker", "maker"]))),
    st.sampled_from(["base", "quote"]), st.sampled_from([None, 0.0002, -0.0001]), st.integers(2400, 2600),
)  # fmt: skip
def test_each_leg_pays_the_fee_of_its_role_as_a_plain_reckoning_says(
    buy_as: Role, sell_as: Role, roles: dict[str, dict[Leg, Role]], currency: str, maker: float | None, eth: int
) -> None:
    """Both ways round by the touches, in fractions."""
    rules = Rules(min_notional=0.0, buy_as=buy_as, sell_as=sell_as, roles=roles)
    arbitrage = Arbitrage({("a", "spot"): Cost(0.001, currency, maker=maker)}, rules)
    triangles = Triangles(arbitrage)
    desk = Floor(arbitrage, triangles)
    fair(desk, eth=float(eth))
    opened = {event.path: event for event in desk.tick() if isinstance(event, Triangle)}
    here = {"buy": buy_as, "sell": sell_as} | roles.get("a", {})
    fee = {leg: Fraction(maker if role == "maker" and maker is not None else 0.001) for leg, role in here.items()}

    def after(amount: Fraction, price: float, side: str) -> Fraction:
        if side == "sell":
            return amount * Fraction(price) * (1 - fee["sell"])
        return amount * (1 - fee["buy"]) / Fraction(price) if currency == "base" else amount / (Fraction(price) * (1 + fee["buy"]))

    prices = {BTC: (49_995.0, 50_000.0), CROSS: (0.04995, 0.05), ETH: (float(eth), eth + 0.5)}
    for way in triangles.nearest(desk.market, 2):
        back = Fraction(1)
        for key, side in zip(way["markets"], way["sides"], strict=True):
            back = after(back, prices[key][side == "buy"], side)
        assert way["net_bps"] == pytest.approx(float((back - 1) * 10_000), abs=1e-8)
        assert way["roles"] == [here[side] for side in way["sides"]]
        assert way["fees_bps"] == pytest.approx(float(sum(fee[side] for side in way["sides"]) * 10_000))
        assert (tuple(way["path"][:3]) in {path[:3] for path in opened}) == (back > 1), "told as open by the same fees"
    for told in opened.values():
        assert told.roles == tuple(here[side] for side in told.sides)
        assert told.fees_bps == pytest.approx([float(fee[side] * 10_000) for side in told.sides])
        back = Fraction(told.start)
        for key, side in zip(told.markets, told.sides, strict=True):
            back = after(back, prices[key][side == "buy"], side)
        assert told.end == pytest.approx(float(back)), "one level a book: all of it at the touch"


def test_another_role_opens_a_triangle_at_the_next_tick() -> None:
    desk, triangles = floor(fee=0.002)
    arbitrage = triangles.arbitrage
    arbitrage.costs[("a", "spot")] = Cost(0.002, "base", maker=0.0)
    fair(desk, eth=2512.0)
    assert not told(desk.tick())
    desk.hear([Setting(desk.now, arbitrage.terms(Rules(min_notional=1.0, roles={"a": {"buy": "maker"}})))])
    (found,) = [event for event in desk.tick() if isinstance(event, Triangle)]
    assert found.roles == ("maker", "maker", "taker") and found.fees_bps == pytest.approx((0.0, 0.0, 20.0))


COINS = ("USD", "BTC", "ETH", "SOL")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(90, 110)), min_size=6, max_size=6), st.permutations(range(6)))
def test_exhaustive_search_on_small_graphs_equals_the_engine(chosen: list[tuple[bool, int]], order: list[int]) -> None:
    """Four currencies, all markets between them in either direction, at any prices and listed in any order."""
    arbitrage = Arbitrage({("a", "spot"): Cost(0.001)}, Rules(min_notional=0.0))
    triangles = Triangles(arbitrage)
    desk = Floor(arbitrage, triangles)
    pairs = []
    for k in order:
        (one, two), (turned, price) = list(combinations(COINS, 2))[k], chosen[k]
        base, quote = (one, two) if turned else (two, one)
        pairs.append((base, quote))
        desk.touch(f"a:{base}-{quote}", price / 100 - 0.001, price / 100 + 0.001, size=1000.0)
    touch = {(b.instrument.base, b.instrument.quote): b.touch() for b in desk.market.books.values()}
    wanted = set()
    for way in loops_of(pairs):
        back = Fraction(1)
        for base, quote, sold in way:
            bid, _, ask, _ = touch[(base, quote)]
            back *= Fraction(bid) * Fraction(999, 1000) if sold else 1 / (Fraction(ask) * Fraction(1001, 1000))
        if back > 1:
            wanted.add(frozenset((f"a:{base}-{quote}", "sell" if sold else "buy") for base, quote, sold in way))
    found = {frozenset(zip(e.markets, e.sides, strict=True)) for e in desk.tick() if isinstance(e, Triangle)}
    assert found == wanted and len(triangles.ways) == 8


SIDES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=5)


@settings(max_examples=70, deadline=None)
@given(SIDES, SIDES, SIDES, st.tuples(*[st.integers(0, 30)] * 3), st.booleans())
def test_the_walk_is_the_best_of_all_sizes(
    first: list[tuple[int, int]], second: list[tuple[int, int]], third: list[tuple[int, int]], bps: tuple[int, int, int], on_top: bool
) -> None:
    """Buy, buy, sell; brute force at every start at which a level of any book is used up, in fractions."""

    def side(steps: list[tuple[int, int]], start: float, by: float) -> list[tuple[float, float]]:
        out, price = [], start
        for gap, size in steps:
            price += gap * by
            out.append((price, float(size)))
        return out

    books = side(first, 9.9, 0.01), side(second, 1.99, 0.002), side(third, 20.6, -0.02)
    fees = [Fraction(each, 10_000) for each in bps]
    legs = [Edge(BUY, books[0], bps[0] / 1e4, on_top), Edge(BUY, books[1], bps[1] / 1e4, on_top), Edge(SELL, books[2], bps[2] / 1e4)]
    found = walk_round(legs)
    top, held = (1 + fees[0], Fraction(1)) if on_top else (Fraction(1), 1 - fees[0])
    top2, held2 = (1 + fees[1], Fraction(1)) if on_top else (Fraction(1), 1 - fees[1])

    def forward(start: Fraction) -> Fraction | None:
        one = spend(books[0], start / top)
        two = None if one is None else spend(books[1], one * held / top2)
        end = None if two is None else take(books[2], two * held2)
        return None if end is None else end * (1 - fees[2])

    def profit(start: Fraction) -> Fraction | None:
        end = forward(start)
        return None if end is None else end - start

    ends_of_second = [take(books[1], size) * top2 / held for size in sums(books[1])]  # type: ignore[operator]
    ends_of_third = [take(books[1], size / held2) for size in sums(books[2])]
    inputs = [*sums(books[0]), *ends_of_second, *(amount * top2 / held for amount in ends_of_third if amount is not None)]
    starts = [take(books[0], amount) for amount in inputs]
    brute = best(profit, [start * top for start in starts if start is not None])
    assert found.profit == pytest.approx(float(brute), abs=1e-8)
    if found.start:
        assert forward(Fraction(found.start) * (1 - Fraction(1, 10**12))) == pytest.approx(found.end, rel=1e-9)
