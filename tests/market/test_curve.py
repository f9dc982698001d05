"""Profit against size: every point, the best size and the widest one are those of plain whole numbers, and the curve is concave."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from dope.market.curve import Curve, profit_curve
from dope.market.walk import two_book
from tests.oracle import plain_curve as plain

SOME, MANY = 2_000, 100_000


class Books:
    """Two random books in whole numbers, and the same as the program takes them."""

    def __init__(self, rng: random.Random) -> None:
        self.asks = self._side(rng, 9_900, 1)
        self.bids = self._side(rng, 10_100, -1)
        self.fee_buy, self.fee_sell = rng.choice((0, 500, 1000, -100)), rng.choice((0, 500, 1000, -100))
        self.lot = rng.choice((0, 0, 1, 10, 250))
        self.fixed = rng.choice((0, 0, rng.randrange(2 * plain.MONEY)))
        self.threshold = rng.choice((0, 0, rng.randrange(3000)))

    @staticmethod
    def _side(rng: random.Random, first: int, step: int) -> list[tuple[int, int]]:
        prices = sorted(rng.sample(range(150), rng.randint(1, 8)))
        return [(first + step * price, rng.randint(1, 3000)) for price in prices]

    def curve(self) -> Curve:
        return profit_curve(
            floats(self.asks), floats(self.bids), self.fee_buy / 1e6, self.fee_sell / 1e6, threshold_bps=self.threshold / 100,
            lot=self.lot / 1000, transfer=self.fixed / plain.MONEY,
        )  # fmt: skip


def floats(side: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(price / 100, size / 1000) for price, size in side]


def check(books: Books) -> None:
    curve, args = books.curve(), (books.asks, books.bids)
    fees = books.fee_buy, books.fee_sell
    quantities = plain.breakpoints(*args)
    assert [point.qty for point in curve.points] == pytest.approx([qty / 1000 for qty in quantities], abs=1e-9)
    nets = [plain.profit(*args, qty, *fees, books.fixed) / plain.MONEY for qty in quantities]
    assert max(abs(point.net - net) for point, net in zip(curve.points, nets, strict=True)) < 1e-9
    slopes = [(b.net - a.net) / (b.qty - a.qty) for a, b in pairwise(curve.points)]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(slopes)), "concave before fixed costs"
    walk = two_book(floats(books.asks), floats(books.bids), books.fee_buy / 1e6, books.fee_sell / 1e6, lot=books.lot / 1000,
                    transfer=books.fixed / plain.MONEY)  # fmt: skip
    best = min(plain.best(*args, *fees, books.lot), key=lambda qty: abs(qty / 1000 - walk.qty))
    most = plain.profit(*args, best, *fees, books.fixed) / plain.MONEY
    assert walk.qty == pytest.approx(best / 1000, abs=1e-9)
    if best == 0:
        assert curve.best is None
    else:
        assert curve.best is not None
        assert abs(curve.best.net - most) < 1e-9 and abs(walk.net - most) < 1e-9
        assert abs(curve.best.qty - best / 1000) < 1e-9 and curve.best.net_bps == pytest.approx(walk.net_bps, abs=1e-7)
        assert (curve.best.ask, curve.best.bid) == walk.fills[-1][:2], "the limits are the prices of the last unit"
    widest = plain.widest(*args, *fees, books.threshold, books.fixed)
    floor = widest // books.lot * books.lot if books.lot else widest
    if curve.widest is not None:
        assert curve.widest.qty == pytest.approx(float(floor) / 1000, abs=1e-7)
        assert curve.widest.net_bps >= books.threshold / 100 - 1e-6
        assert curve.best is None or books.threshold or curve.widest.qty >= curve.best.qty - 1e-9
    elif floor:
        assert plain.profit(*args, floor, *fees, books.fixed) < plain.worth(books.asks, floor) * (1e6 + fees[0]) * books.threshold / 1e6 + 1  # type: ignore[operator]


def test_the_curve_is_that_of_plain_whole_numbers_and_concave() -> None:
    rng = random.Random(31)
    for _ in range(SOME):
        check(Books(rng))


@pytest.mark.full
def test_the_same_on_a_hundred_thousand_pairs_of_books() -> None:
    rng = random.Random(32)
    for _ in range(MANY):
        check(Books(rng))


def test_a_curve_that_ends_with_the_book_says_at_least() -> None:
    one = profit_curve([(100.0, 1.0)], [(101.0, 2.0)], 0.001, 0.001)
    assert one.best is not None and one.widest is not None
    assert (one.best.qty, one.best.at_least, one.widest.at_least) == (1.0, True, True)
    two = profit_curve([(100.0, 1.0), (102.0, 9.0)], [(101.0, 2.0), (100.9, 9.0)], 0.001, 0.001)
    assert two.best is not None and two.widest is not None
    assert (two.best.qty, two.best.at_least, two.widest.at_least) == (1.0, False, False)
    assert two.widest.qty > two.best.qty and two.widest.net == pytest.approx(0.0, abs=1e-9)


def test_a_size_that_a_venue_does_not_take_is_marked() -> None:
    small = profit_curve([(100.0, 0.05)], [(101.0, 2.0)], 0.0, 0.0, least_cost=10.0)
    assert small.best is not None and not small.best.takes
    least = profit_curve([(100.0, 1.0)], [(101.0, 2.0)], 0.0, 0.0, least_cost=10.0, least_qty=1.0)
    assert least.best is not None and least.best.takes
    assert profit_curve([(100.0, 0.05)], [(101.0, 2.0)], 0.0, 0.0, lot=0.1).best is None


def test_fixed_costs_make_the_smallest_sizes_lose_and_leave_the_best_one() -> None:
    free, dear = (profit_curve([(100.0, 4.0)], [(101.0, 9.0)], 0.0, 0.0, transfer=fixed) for fixed in (0.0, 1.0))
    assert free.best is not None and dear.best is not None
    assert (dear.best.qty, dear.best.net) == (free.best.qty, free.best.net - 1.0)
    assert profit_curve([(100.0, 4.0)], [(101.0, 9.0)], 0.0, 0.0, transfer=5.0).widest is None


def test_books_that_do_not_cross_have_a_curve_and_no_size() -> None:
    curve = profit_curve([(101.0, 1.0)], [(100.0, 1.0)], 0.0, 0.0)
    assert (curve.best, curve.widest, len(curve.points)) == (None, None, 1) and curve.points[0].net == -1.0
    assert profit_curve([], [(100.0, 1.0)], 0.0, 0.0).points == ()
