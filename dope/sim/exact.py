"""Which opportunities the published books really held: plain exact arithmetic in integers and fractions, no floating point.

Knows nothing of the code that it judges. For every ordered pair of markets of one symbol: buy asks here, sell into bids
there, as long as each further unit still earns something after both fees, then down to whole lots of both markets.
Prices count in 1e-6 of the quote currency, sizes in UNIT of the base currency.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

import msgspec

SIZES = 10**24  #: sizes per unit of base: 1e-16 as markets count, 1e-8 as fees in base are taken
FEES = 10**8  #: fees are exact to this part
PRICES = 10**6
BPS = 10_000
LOOKS = 400  #: figures kept of one life
TURNS = 20_000

Levels = Sequence[tuple[int, int]]  #: (tick, lots), best first


class Leg(msgspec.Struct, frozen=True):
    """One market: ``tick`` in 1e-6 quote, ``unit`` in 1e-16 base per lot, ``face`` = quote per contract of an inverse market, or 0.

    ``fee`` of taking, in 1e-8 of the notional; ``in_base`` = on a buy it is taken off what is received. ``lot`` in 1e-16 base,
    0 = any size; ``least`` = smallest order in quote currency.
    """

    key: str
    symbol: str
    tick: int
    unit: int
    fee: int
    in_base: bool = False
    lot: int = 0
    least: Fraction = Fraction(0)
    face: int = 0


class Rules(msgspec.Struct, frozen=True):
    """A life opens at ``enter`` bps net, and ends when it was below ``leave`` for longer than ``debounce_ms``."""

    enter: Fraction = Fraction(0)
    leave: Fraction = Fraction(-1)
    debounce_ms: int = 50
    least: Fraction = Fraction(10)


class Figure(msgspec.Struct, frozen=True):
    """What one pair is worth at one instant; money in quote, ``qty`` in base, all exact. ``net_bps`` of the buy cost with fee."""

    qty: Fraction
    cost: Fraction
    net: Fraction
    net_bps: Fraction
    buy_vwap: Fraction
    sell_vwap: Fraction


class Life(msgspec.Struct):
    """One opportunity: ``end_ms`` None while open; ``above`` = times at the enter level or above it, (from, to) in ms, the newest
    LOOKS; ``above_ms`` = the longest of all. ``turns`` = when a touch of it changed, ms, the newest TURNS."""

    buy: str
    sell: str
    start_ms: int
    peak_bps: Fraction
    peak_ms: int
    end_ms: int | None = None
    above_ms: int = 0
    above: list[tuple[int, int]] = []
    turns: list[int] = []
    looks: list[tuple[int, Figure]] = []  #: from when on, ms; the newest LOOKS

    def at(self, now_ms: int) -> Figure | None:
        """What held at this instant; None when that is not kept."""
        return next((figure for since, figure in reversed(self.looks) if since <= now_ms), None)


class Living(ABC):
    """Something that may pay, by the sides of some books, and the life that it is in. ``buy`` and ``sell`` name it."""

    def __init__(self, buy: str, sell: str, rules: Rules, least: Fraction) -> None:
        """``least`` = cost of the smallest that counts."""
        self.rules, self.least = rules, least
        self.life: Life | None = None
        self._names = buy, sell
        self._fell: int | None = None
        self._above: int | None = None
        self._touches: list[tuple[int, int]] = []

    @abstractmethod
    def pays(self, sides: Sequence[Levels]) -> bool:
        """Whether the touches alone earn something."""

    @abstractmethod
    def worth(self, sides: Sequence[Levels]) -> Figure | None:
        """The largest profit and its size; None = nothing is earned."""

    def loss_bps(self, sides: Sequence[Levels]) -> Fraction:
        """What the touches alone bring, bps, where nothing is earned: it says whether a life may go on."""
        return Fraction(-BPS)

    def look(self, now_ms: int, *sides: Levels) -> Life | None:
        """The books from this instant on. Returns the life that ended before it, if one did."""
        if self.life is None and not self.pays(sides):
            return None
        figure = self.worth(sides) if all(sides) else None
        rules = self.rules
        big_enough = figure is not None and figure.cost >= self.least
        good = figure is not None and big_enough and figure.net_bps >= rules.enter
        if figure is None:  # nothing is earned at any size: what the touch loses decides whether it fades
            stays = all(sides) and min(self.loss_bps(sides), Fraction(0)) >= rules.leave and rules.leave < 0
        else:
            stays = big_enough and figure.net_bps >= rules.leave
        over = self._over(now_ms)
        if over is not None or self.life is None:
            if good and figure is not None:
                self._begin(now_ms, figure)
            return over
        self._go_on(self.life, now_ms, figure if big_enough else None, stays=stays, good=good)
        if self._touches != (touches := [side[0] for side in sides if side]):
            self._touches = touches
            self.life.turns.append(now_ms)
            del self.life.turns[:-TURNS]
        return None

    def finish(self, now_ms: int) -> Life | None:
        """The end of all: a life that is still open is returned with ``end_ms`` None, one that had faded with its end."""
        over, life = self._over(now_ms), self.life
        if over is None and life is not None:
            self._mark_above(life, now_ms, good=False)
            self.life = None
        return over or life

    def _over(self, now_ms: int) -> Life | None:
        life, fell = self.life, self._fell
        if life is None or fell is None or now_ms - fell <= self.rules.debounce_ms:
            return None
        life.end_ms = fell
        self.life = self._fell = self._above = None
        return life

    def _begin(self, now_ms: int, figure: Figure) -> None:
        self.life = Life(*self._names, now_ms, figure.net_bps, now_ms, looks=[(now_ms, figure)])
        self._fell, self._above = None, now_ms

    def _go_on(self, life: Life, now_ms: int, figure: Figure | None, *, stays: bool, good: bool) -> None:
        self._mark_above(life, now_ms, good=good)
        if not stays:
            self._fell = now_ms if self._fell is None else self._fell
        else:
            self._fell = None
        if figure is None:
            return
        life.looks.append((now_ms, figure))
        del life.looks[:-LOOKS]
        if stays and figure.net_bps > life.peak_bps:
            life.peak_bps, life.peak_ms = figure.net_bps, now_ms

    def _mark_above(self, life: Life, now_ms: int, *, good: bool) -> None:
        if self._above is not None and not good:
            life.above_ms = max(life.above_ms, now_ms - self._above)
            life.above.append((self._above, now_ms))
            del life.above[:-LOOKS]
        self._above = (now_ms if self._above is None else self._above) if good else None


class Pair(Living):
    """Buy at one leg, sell at the other."""

    def __init__(self, buy: Leg, sell: Leg, rules: Rules) -> None:
        super().__init__(buy.key, sell.key, rules, max(rules.least, buy.least, sell.least))
        self.buy, self.sell = buy, sell
        # a fee f taken in base leaves 1 − f of what is bought, so a unit received costs 1 / (1 − f)
        self.paid = Fraction(FEES, FEES - buy.fee) if buy.in_base else Fraction(FEES + buy.fee, FEES)
        self.got = Fraction(FEES - sell.fee, FEES)
        self.kept = FEES - buy.fee if buy.in_base else FEES
        self.lot = lcm(buy.lot, sell.lot) * FEES if buy.lot and sell.lot else max(buy.lot, sell.lot) * FEES
        # of one tick each: ask × _ask < bid × _bid where a unit earns something
        self._ask = buy.tick * self.paid.numerator * self.got.denominator
        self._bid = sell.tick * self.got.numerator * self.paid.denominator

    def pays(self, sides: Sequence[Levels]) -> bool:
        return self.crossed(*sides)

    def worth(self, sides: Sequence[Levels]) -> Figure | None:
        return self.figure(*sides)

    def loss_bps(self, sides: Sequence[Levels]) -> Fraction:
        return self.touch_bps(*sides)

    def crossed(self, asks: Levels, bids: Levels) -> bool:
        """Whether the touches alone earn something."""
        return bool(asks and bids) and asks[0][0] * self._ask < bids[0][0] * self._bid

    def touch_bps(self, asks: Levels, bids: Levels) -> Fraction:
        """Net of the touches, bps of the buy cost."""
        return (Fraction(bids[0][0] * self._bid, asks[0][0] * self._ask) - 1) * BPS

    def figure(self, asks: Levels, bids: Levels) -> Figure | None:
        """The size of the largest profit, in whole lots, and what it earns; None = no lot earns anything."""
        most, _, _ = self._walk(asks, bids, None)
        qty = most // self.lot * self.lot if self.lot else most
        if not qty:
            return None
        _, paid, got = self._walk(asks, bids, qty)
        base, spent, earned = Fraction(qty) / SIZES, Fraction(paid) / (SIZES * PRICES), Fraction(got) / (SIZES * PRICES)
        cost, proceeds = spent * self.paid, earned * self.got
        return Figure(base, cost, proceeds - cost, (proceeds / cost - 1) * BPS, spent / base, earned / base)

    def _walk(self, asks: Levels, bids: Levels, most: int | Fraction | None) -> tuple[int | Fraction, int | Fraction, int | Fraction]:
        """(size, paid, got) before fees of the profitable levels, or of the first ``most`` of them."""
        i = j = 0
        qty: int | Fraction = 0
        paid: int | Fraction = 0
        got: int | Fraction = 0
        ask_left: int | Fraction = 0
        bid_left: int | Fraction = 0
        while i < len(asks) and j < len(bids) and asks[i][0] * self._ask < bids[j][0] * self._bid:
            ask_left = ask_left or self._size(self.buy, asks[i]) * self.kept
            bid_left = bid_left or self._size(self.sell, bids[j]) * FEES
            take = min(ask_left, bid_left) if most is None else min(ask_left, bid_left, most - qty)
            qty += take
            paid += take * asks[i][0] * self.buy.tick
            got += take * bids[j][0] * self.sell.tick
            ask_left, bid_left = ask_left - take, bid_left - take
            if qty == most:
                break
            i, j = i + (not ask_left), j + (not bid_left)
        return qty, paid, got

    @staticmethod
    def _size(leg: Leg, level: tuple[int, int]) -> int | Fraction:
        """Base in a level, 1e-16."""
        return Fraction(level[1] * leg.face * PRICES * 10**16, level[0] * leg.tick) if leg.face else level[1] * leg.unit


class Exact:
    """All pairs of comparable markets; told of every published book that changes, it gives the lives that were."""

    def __init__(self, legs: Iterable[Leg], rules: Rules) -> None:
        """Legs of one symbol are comparable: same base, quote currency and kind."""
        self._books: dict[str, tuple[Levels, Levels]] = {}
        self._of: dict[str, list[Pair]] = {}
        self.pairs: list[Pair] = []
        peers: dict[str, list[Leg]] = {}
        for leg in legs:
            for other in peers.setdefault(leg.symbol, []):
                for buy, sell in ((leg, other), (other, leg)):
                    pair = Pair(buy, sell, rules)
                    self.pairs.append(pair)
                    for key in (buy.key, sell.key):
                        self._of.setdefault(key, []).append(pair)
            peers[leg.symbol].append(leg)
        self.lives: list[Life] = []

    def moved(self, key: str, bids: Levels, asks: Levels) -> None:
        """The published book of this market from now on."""
        self._books[key] = bids, asks

    def judge(self, key: str, now_ms: int) -> None:
        """Look at every pair with this market."""
        for pair in self._of.get(key, ()):
            buy, sell = self._books.get(pair.buy.key), self._books.get(pair.sell.key)
            if buy is not None and sell is not None and (over := pair.look(now_ms, buy[1], sell[0])) is not None:
                self.lives.append(over)

    def finish(self, now_ms: int) -> list[Life]:
        """All lives, in the order of their beginnings; those still open have no end."""
        self.lives += [life for pair in self.pairs if (life := pair.finish(now_ms)) is not None]
        return sorted(self.lives, key=lambda life: (life.start_ms, life.buy, life.sell))
