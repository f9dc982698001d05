"""What one self-test lays out: two books, a price that runs away and comes back; and what must be found, by exact arithmetic.

All numbers are drawn from a seed in whole ticks and lots. What is expected is reckoned in fractions from the levels alone and
shares nothing with the detector that is to find it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from dope.detectors import Rules
from dope.venues.sentinel import LOT, SENTINELS, TICK

BPS = Fraction(1, 10_000)
PRICE, SIZE = Fraction(TICK), Fraction(LOT)
MOST_BPS, MOST_NOTIONAL, LEAST_AGE_S, MOST_DEBOUNCE_NS = 2000.0, 1e6, 0.25, 2_000_000_000  #: rules beyond these cannot be served

Levels = Sequence[tuple[int, int]]  #: (price in ticks, size in lots), best first


class Fee(msgspec.Struct, frozen=True):
    """What a venue takes: a share of the notional, of a buy in base or in quote."""

    share: Fraction
    in_base: bool


class Expected(msgspec.Struct, frozen=True):
    """What has to be found: which way, how much (base), and what it costs, pays and leaves (quote)."""

    buy: str
    sell: str
    qty: Fraction
    cost: Fraction
    fees: Fraction
    net: Fraction

    @property
    def net_bps(self) -> Fraction:
        return self.net / self.cost / BPS


class Scene(msgspec.Struct, frozen=True):
    """One self-test. ``books`` = the whole book of each venue; then ``moved`` of venue ``mover``, and ``back``."""

    number: int
    venues: tuple[str, str]
    books: tuple[str, str]
    mover: int
    moved: str
    back: str
    expected: Expected


FEES = tuple(Fee(Fraction(str(venue.FEES[0].taker_bps)) * BPS, venue.FEES[0].currency == "base") for venue in SENTINELS)
IDS = (SENTINELS[0].ID, SENTINELS[1].ID)


def out_of_reach(rules: Rules) -> str:
    """Why no self-test can be laid out that these rules would let through, "" = one can."""
    if rules.enter > MOST_BPS or rules.leave < -MOST_BPS:
        return f"opportunities open at {rules.enter:g} bps and close at {rules.leave:g} bps: farther than ±{MOST_BPS:g}"
    if rules.min_notional > MOST_NOTIONAL:
        return f"the least size is {rules.min_notional:g}: more than {MOST_NOTIONAL:g}"
    if rules.max_age_s < LEAST_AGE_S:
        return f"a leg may be {rules.max_age_s:g} s old: less than {LEAST_AGE_S:g}"
    if rules.debounce > MOST_DEBOUNCE_NS:
        return f"an opportunity closes after {rules.debounce / 1e9:g} s: later than {MOST_DEBOUNCE_NS / 1e9:g}"
    return ""


def draw(seed: int, number: int, rules: Rules) -> Scene:
    """The ``number``-th self-test of this seed, far enough above these rules to open and below them to close."""
    rng = random.Random(f"{seed}:{number}")
    mid, mover, up = rng.randint(100_00, 100_000_00), rng.randrange(2), rng.random() < 0.5
    enter, leave = max(Fraction(rules.enter), Fraction(0)), min(Fraction(rules.leave), Fraction(0))
    half = max(1, int(mid * BPS * (rng.randint(1, 5) - leave / 2)))  # half the spread at rest: neither way pays
    notional = Fraction(rng.randint(200, 20_000)) + 2 * Fraction(max(rules.min_notional, 0.0))  # of any one level, at least
    rest = tuple(_side_pair(rng, mid, half, notional) for _ in range(2))
    surplus = Fraction(rng.randint(8, 60))
    while True:
        away = _runaway(rest[mover], rest[1 - mover], up, enter + surplus)
        books = (away, rest[1]) if mover == 0 else (rest[0], away)
        sell = mover if up else 1 - mover
        expected = walk(books[1 - sell][1], books[sell][0], 1 - sell, sell)
        if expected is not None and expected.net_bps >= enter + 2:
            break
        surplus *= 2
    text = [_whole(book) for book in rest]
    return Scene(
        number, IDS, (text[0], text[1]), mover, _change(rest[mover], away), _change(away, rest[mover]), expected
    )  # fmt: skip


Book = tuple[Levels, Levels]  #: bids, asks


def _side_pair(rng: random.Random, mid: int, half: int, notional: Fraction) -> Book:
    """A book around ``mid``: two to six levels a side, each of ``notional`` or some times as much."""
    sides = []
    for way in (-1, 1):
        price, levels = mid + way * half, []
        for _ in range(rng.randint(2, 6)):
            size = max(1, int(notional * rng.randint(100, 400) / 100 / (price * PRICE) / SIZE))
            levels.append((price, size))
            price += way * max(1, int(mid * BPS * rng.randint(2, 15) / 10))
        sides.append(tuple(levels))
    return sides[0], sides[1]


def _runaway(mine: Book, other: Book, up: bool, surplus_bps: Fraction) -> Book:
    """The same book so far up (or down) that its best level pays the fees of both and ``surplus_bps``."""
    share = (1 + FEES[0].share + FEES[1].share + surplus_bps * BPS) / (1 - FEES[0].share - FEES[1].share)
    by = int(other[1][0][0] * share) + 1 - mine[0][0][0] if up else int(other[0][0][0] / share) - mine[1][0][0]
    return tuple((price + by, size) for price, size in mine[0]), tuple((price + by, size) for price, size in mine[1])


def walk(asks: Levels, bids: Levels, buy: int, sell: int) -> Expected | None:
    """The largest profit of buying at venue ``buy`` what venue ``sell`` takes, in whole lots; None = there is none."""
    paid, taken = FEES[buy], FEES[sell].share
    kept = 1 - paid.share if paid.in_base else Fraction(1)  # of what is bought
    dearer = 1 / kept if paid.in_base else 1 + paid.share  # cost of a unit that arrives, in prices
    offers = [(price * PRICE, size * SIZE * kept) for price, size in asks]
    wanted = [(price * PRICE, size * SIZE) for price, size in bids]
    steps: list[tuple[Fraction, Fraction, Fraction]] = []  # ask, bid, qty
    while offers and wanted and wanted[0][0] * (1 - taken) > offers[0][0] * dearer:
        (ask, there), (bid, here) = offers[0], wanted[0]
        qty = min(there, here)
        steps.append((ask, bid, qty))
        offers[0], wanted[0] = (ask, there - qty), (bid, here - qty)
        offers, wanted = [each for each in offers if each[1]], [each for each in wanted if each[1]]
    left = sum((qty for _, _, qty in steps), Fraction(0)) // SIZE * SIZE
    if not left:
        return None
    total, paid_out, got = left, Fraction(0), Fraction(0)
    for ask, bid, qty in steps:
        qty = min(qty, left)
        paid_out, got, left = paid_out + qty * ask, got + qty * bid, left - qty
    cost, proceeds = paid_out * dearer, got * (1 - taken)
    return Expected(IDS[buy], IDS[sell], total, cost, (cost - paid_out) + (got - proceeds), proceeds - cost)


# -- as the venue writes it --------------------------------------------------------------------------------------------
def beat(n: int) -> str:
    """Nothing changed."""
    return json.dumps({"n": n})


def numbered(text: str, n: int) -> str:
    """A change as the ``n``-th message of its connection."""
    return json.dumps(json.loads(text) | {"n": n})


def _whole(book: Book) -> str:
    return json.dumps({"n": 1, "book": {"bids": _rows(book[0]), "asks": _rows(book[1])}})


def _change(old: Book, new: Book) -> str:
    """What turns one book into the other; numbers are given when it is sent."""
    sides = []
    for before, after in zip(old, new, strict=True):
        gone = [(price, 0) for price, _ in before if price not in dict(after)]
        sides.append(_rows([*gone, *after]))
    return json.dumps({"bids": sides[0], "asks": sides[1]})


def _rows(levels: Levels) -> list[list[str]]:
    return [[f"{price // 100}.{price % 100:02d}", f"{size // 1000}.{size % 1000:03d}" if size else "0"] for price, size in levels]
