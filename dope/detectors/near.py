"""Why not: the pairs closest to paying that do not, each with the one term that blocks it and by how much.

Definition: the first of these that holds. ``state``: a leg is not LIVE. ``age``: a leg is too old, by ``amount`` ms. ``prices``:
they do not even cross before fees, the sale would have to be dearer by ``amount`` bps. ``fees``: both fees together would have to be
lower by ``amount`` bps, on whichever leg, for the best size to reach the level. ``transfer``: fixed costs would have to be lower by
``amount`` of the quote currency. ``size``: what pays is worth less than the least size, by ``amount`` of the quote currency; ``lot``: it is
less than what the venues take, by ``amount`` of the base currency. Amounts are rounded up: lowered by them the pair opens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.opportunity import MS
from dope.detectors.pair import Pair
from dope.detectors.pair_memory import Sides
from dope.market.market import Market
from dope.market.pairs import BUY, SELL, WALL
from dope.market.walk import NOTHING, two_book
from dope.types import SENTINEL


class Block(msgspec.Struct, frozen=True):
    """The term that blocks; ``amount`` in ``unit``, None where there is nothing to measure; ``text`` for people."""

    term: str
    amount: float | None
    unit: str
    text: str


def near_misses(arbitrage: Arbitrage, market: Market, now: int, count: int) -> list[dict[str, Any]]:
    """The ``count`` pairs closest to the enter level without an open life, and the term that blocks each."""
    rows: list[dict[str, Any]] = []
    for pair in _nearest_first(arbitrage, market):
        buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
        ask, bid = buy.touch()[2], sell.touch()[0]
        if pair.life.life is None and ask > 0.0 and bid > 0.0 and pair.buy.kind != SENTINEL:
            gross, net = (bid / ask - 1.0) * 1e4, pair.net_touch_bps(ask, bid)
            rows.append(_row(arbitrage, market, now, pair, gross=gross, net=net))
            if len(rows) == count:
                break
    return rows


def _nearest_first(arbitrage: Arbitrage, market: Market) -> Iterator[Pair]:
    """All pairs of which both sides were ever there, by what their last touches would earn after fees."""
    pairs, prices, store = list(arbitrage.pairs.values()), market.slots.prices, market.slots.pairs
    numbers = arbitrage.numbers()
    asks, bids = prices[store.numbers[numbers, BUY], 1], prices[store.numbers[numbers, SELL], 0]
    known = np.flatnonzero((asks > 0.0) & (bids > 0.0))
    worth = bids[known] / (asks[known] * (1.0 + store.figures[numbers[known], WALL] / 1e4))
    return (pairs[at] for at in known[np.argsort(-worth, kind="stable")].tolist())


def _row(arbitrage: Arbitrage, market: Market, now: int, pair: Pair, *, gross: float, net: float) -> dict[str, Any]:
    block = blocks(arbitrage, market, now, pair)
    return {
        "symbol": pair.buy.symbol, "kind": pair.buy.kind, "buy": pair.buy.key, "sell": pair.sell.key,
        "buy_venue": pair.buy.venue, "sell_venue": pair.sell.venue,
        "gross_bps": gross, "fees_bps": gross - net, "net_bps": net, "blocks": block.text, "term": block.term,
        "amount": block.amount, "unit": block.unit,
    }  # fmt: skip


def blocks(arbitrage: Arbitrage, market: Market, now: int, pair: Pair) -> Block:
    """What keeps this pair from being an opportunity now; "nothing" does when it pays."""
    for leg in (pair.buy, pair.sell):
        book = market.books[leg.key]
        if book.state != "LIVE":
            text = f"{leg.venue} is {book.state}"
            return Block("state", None, "", f"{text}: {book.reason}" if book.reason else text)
    if not arbitrage.usable(pair, market, now):
        books = [market.books[leg.key] for leg in (pair.buy, pair.sell)]
        limit = arbitrage.limit_ns(pair, market)
        over = max(market.age(book, now) - min(limit, book.rhythm.limit_ns()) for book in books)
        least = min(limit, *(book.rhythm.limit_ns() for book in books))
        return Block("age", over / MS, "ms", f"a leg is older than {least / MS:.0f} ms")
    return _of_prices(pair, pair.sides(market), arbitrage.rules.enter)


def _of_prices(pair: Pair, sides: Sides, enter: float) -> Block:
    asks, bids = sides
    if not asks or not bids:
        return Block("state", None, "", "one side of a book is empty")
    (ask, _), (bid, _) = asks[0], bids[0]
    gross, level = (bid / ask - 1.0) * 1e4, max(enter, 0.0)
    net = pair.net_touch_bps(ask, bid)
    if gross <= 0.0:
        short = up(((1.0 + level / 1e4) * ask * (1.0 + pair.fee_buy) / (bid * (1.0 - pair.fee_sell)) - 1.0) * 1e4)
        return Block("prices", short, "bps", f"prices do not cross: {-gross:.1f} bps apart, and fees of {gross - net:.1f} bps")
    if (short := _fees_short(pair, sides, level)) > 0.0:
        more = f"needs {short:.2f} bps more; fees take {gross - net:.1f} of {gross:.1f}"
        return Block("fees", short, "bps", more if net < level else f"{more}: {net:.1f} at the first levels alone")
    walk = pair.walk(sides)
    if walk is not NOTHING and walk.net < level / 1e4 * walk.cost:
        short = up(level / 1e4 * walk.cost - walk.net)
        return Block("transfer", short, pair.buy.quote, f"fixed costs of {pair.transfer:g} {pair.buy.quote} are {short:.2f} too much")
    if walk is NOTHING or walk.qty < pair.min_size:
        least = max(pair.lot, pair.min_size)
        return Block("lot", least - walk.qty, pair.buy.base, f"what pays is less than the least size of {least:g} {pair.buy.base}")
    if walk.cost < pair.min_notional:
        text = f"size below the minimum of {pair.min_notional:g} {pair.buy.quote}: {walk.cost:.2f}"
        return Block("size", up(pair.min_notional - walk.cost), pair.buy.quote, text)
    return Block("nothing", None, "", "it pays: it opens when one of the two books moves")


def _fees_short(pair: Pair, sides: Sides, level: float) -> float:
    """By how many bps both fees together would have to be lower for the best size to reach ``level`` bps; 0 = they are low enough.

    Lower fees make further levels pay, which earn less than those before them: for each number of levels, so much lower that these
    together reach the level, if the next one does not pay yet by then.
    """
    asks, bids = sides
    dearer, kept, worth = 1.0 + pair.fee_buy, 1.0 - pair.fee_sell, 1.0 + level / 1e4
    if level <= 0.0:  # the first unit decides
        asks, bids = asks[:1], bids[:1]
    steps = two_book(asks, bids, pair.fee_buy, pair.fee_sell, fill_all=True).fills
    lacks = [(ask * dearer - bid * kept) / bid for ask, bid, _ in steps]  # part of the sale that each step lacks, rising
    leg = max(bids[0][0] / asks[0][0], 1.0)  # a fee of the sale is of more than one of the buy
    if lacks[0] < 0.0 and level <= 0.0:
        return 0.0
    cost = proceeds = got = 0.0
    found = math.inf
    for k, (ask, bid, qty) in enumerate(steps):
        cost, proceeds, got = cost + ask * dearer * qty, proceeds + bid * kept * qty, got + bid * qty
        lower = max((worth * cost - proceeds) / got, lacks[k])
        if lower < 0.0 or (lower == 0.0 and level > 0.0 and lacks[k] < 0.0):
            lower = 0.0  # already
        else:
            lower = up(lower * leg * 1e4)
        if k + 1 == len(steps) or lower / 1e4 <= lacks[k + 1]:
            found = min(found, lower)
    return found


def up(value: float) -> float:
    """Rounded up to the next hundredth, also from a whole one: at the edge itself nothing pays."""
    return (math.floor(value * 100.0 + 1e-9) + 1) / 100.0
