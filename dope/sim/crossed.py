"""Which opportunities across two quote currencies the published books really held: exact arithmetic in fractions, through three books.

Knows nothing of the code that it judges. Buy asks for one currency, sell into bids for another, and exchange the one for the other in
the market of both whose touch is the cheapest after its fee: at its asks where its base is paid with, at its bids where it is received.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import lcm

from dope.sim.exact import BPS, FEES, PRICES, Figure, Leg, Levels, Life, Pair, Rules
from dope.sim.listings import DOLLARS

BASE = 10**16  #: lots of a leg are counted in parts of it
SURE = 1e-9  #: what floating point may be wrong by, where it only says that nothing is near

Books = dict[str, tuple[Levels, Levels]]  #: key → (bids, asks)


def currencies(leg: Leg) -> tuple[str, str]:
    """(base, quote) of a market."""
    base, quote = leg.symbol.split("-")[:2]
    return base, quote


def paid(leg: Leg) -> Fraction:
    """What a unit that arrives costs, as a multiple of the price."""
    return Fraction(FEES, FEES - leg.fee) if leg.in_base else Fraction(FEES + leg.fee, FEES)


class Exchange:
    """The markets of one pair of currencies, and through which of them their base is bought and sold now: (market, its side)."""

    def __init__(self, vias: list[Leg]) -> None:
        self.vias = vias
        self.buying: tuple[Leg, Levels] | None = None
        self.selling: tuple[Leg, Levels] | None = None

    def choose(self, books: Books) -> None:
        """The cheapest ones of the books as they are, the first of equal ones."""
        bought: list[tuple[Fraction, Leg, Levels]] = []
        sold: list[tuple[Fraction, Leg, Levels]] = []
        for via in self.vias:
            bids, asks = books.get(via.key, ((), ()))
            if bids and asks:
                bought.append((asks[0][0] * via.tick * paid(via), via, asks))
                sold.append((Fraction(bids[0][0] * via.tick * (FEES - via.fee)), via, bids))
        self.buying = min(bought, key=lambda each: each[0])[1:] if bought else None
        self.selling = max(sold, key=lambda each: each[0])[1:] if sold else None


class Crossing(Pair):
    """One pair of markets in two currencies and what exchanges them."""

    def __init__(self, buy: Leg, sell: Leg, exchange: Exchange, rules: Rules) -> None:
        super().__init__(buy, sell, rules)
        self.exchange = exchange
        self.buys_coin = currencies(buy)[1] == currencies(exchange.vias[0])[0]
        self.lot = lcm(buy.lot, sell.lot) if buy.lot and sell.lot else max(buy.lot, sell.lot)
        self._wall = float(self.paid / self.got)

    @property
    def via(self) -> tuple[Leg, Levels] | None:
        """What it goes through now, and that one's side."""
        return self.exchange.buying if self.buys_coin else self.exchange.selling

    def crossed(self, asks: Levels, bids: Levels) -> bool:
        """Whether the touches alone earn something."""
        if self.via is None or not asks or not bids:
            return False
        leg, side = self.via
        rate = side[0][0] * leg.tick / PRICES
        rough = bids[0][0] * self.sell.tick * (1.0 if self.buys_coin else rate) - asks[0][0] * self.buy.tick * self._wall * (
            rate if self.buys_coin else 1.0
        )
        return rough > -SURE * asks[0][0] * self.buy.tick and self.touch_bps(asks, bids) > 0

    def touch_bps(self, asks: Levels, bids: Levels) -> Fraction:
        """Net of the touches, bps of the buy cost."""
        if self.via is None:
            return Fraction(-BPS)
        leg, side = self.via
        rate = Fraction(side[0][0] * leg.tick, PRICES)
        rate *= paid(leg) if self.buys_coin else Fraction(FEES - leg.fee, FEES)
        in_, out = asks[0][0] * self.buy.tick * self.paid, bids[0][0] * self.sell.tick * self.got
        return (out / (in_ * rate) - 1) * BPS if self.buys_coin else (out * rate / in_ - 1) * BPS

    def figure(self, asks: Levels, bids: Levels) -> Figure | None:
        """The size of the largest profit, in whole lots; None = no lot earns anything, or nothing exchanges the currencies."""
        if self.via is None:
            return None
        most = sum((size for *_, size in self._pieces(asks, bids, None)), Fraction(0))
        lot = Fraction(self.lot, BASE)
        qty = most // lot * lot if lot else most
        if not qty:
            return None
        cost = got = spent = earned = Fraction(0)
        for unit, proceeds, ask, bid, size in self._pieces(asks, bids, qty):
            cost, got, spent, earned = cost + unit * size, got + proceeds * size, spent + ask * size, earned + bid * size
        return Figure(qty, cost, got - cost, (got / cost - 1) * BPS, spent / qty, earned / qty)

    def _pieces(
        self, asks: Levels, bids: Levels, most: Fraction | None
    ) -> Iterator[tuple[Fraction, Fraction, Fraction, Fraction, Fraction]]:
        """(cost and proceeds of a unit in money, ask, bid, size) of the profitable levels, or of the first ``most``."""
        assert self.via is not None
        leg, side = self.via
        kept = Fraction(FEES - self.buy.fee, FEES) if self.buy.in_base else Fraction(1)
        coins_kept = Fraction(FEES - leg.fee, FEES) if leg.in_base and self.buys_coin else Fraction(1)
        i = j = k = 0
        lefts = [Fraction(0)] * 3
        total = Fraction(0)
        while i < len(asks) and j < len(bids) and k < len(side) and (most is None or total < most):
            levels = (asks[i], self.buy, kept), (bids[j], self.sell, Fraction(1)), (side[k], leg, coins_kept)
            ask, bid, rate = (Fraction(level[0] * of.tick, PRICES) for level, of, _ in levels)
            cost, proceeds = ask * self.paid, bid * self.got
            coins = cost if self.buys_coin else proceeds  # that are exchanged for each unit
            if self.buys_coin:
                cost *= rate * paid(leg)
            else:
                proceeds *= rate * Fraction(FEES - leg.fee, FEES)
            if proceeds <= cost and most is None:
                return
            for n, (level, of, share) in enumerate(levels):
                lefts[n] = lefts[n] or Fraction(level[1] * of.unit, BASE) * share
            size = min(lefts[0], lefts[1], lefts[2] / coins)
            size = size if most is None else min(size, most - total)
            yield cost, proceeds, ask, bid, size
            total += size
            lefts = [lefts[0] - size, lefts[1] - size, lefts[2] - size * coins]
            i, j, k = i + (not lefts[0]), j + (not lefts[1]), k + (not lefts[2])


class Crossed:
    """All pairs of spot markets of one base in two currencies; told of every published book that changes, it gives the lives that were."""

    def __init__(self, legs: Iterable[Leg], rules: Rules) -> None:
        spots = [leg for leg in legs if leg.symbol.count("-") == 1 and not leg.face]
        self._books: Books = {}
        self._of: dict[str, list[Crossing]] = {}
        self.pairs: list[Crossing] = []
        vias: dict[tuple[str, str], Exchange] = {}
        for leg in spots:
            if set(currencies(leg)) <= set(DOLLARS):
                vias.setdefault(currencies(leg), Exchange([])).vias.append(leg)
        for buy in spots:
            for sell in spots:
                (base, one), (other_base, other) = currencies(buy), currencies(sell)
                through = vias.get((one, other)) or vias.get((other, one))
                if base == other_base and one != other and through:
                    pair = Crossing(buy, sell, through, rules)
                    self.pairs.append(pair)
                    for key in {buy.key, sell.key, *(via.key for via in through.vias)}:
                        self._of.setdefault(key, []).append(pair)
        self.lives: list[Life] = []
        used = {id(pair.exchange) for pair in self.pairs}
        self._exchanges = {leg.key: via for leg in spots if (via := vias.get(currencies(leg))) is not None and id(via) in used}

    def moved(self, key: str, bids: Levels, asks: Levels) -> None:
        """The published book of this market from now on."""
        self._books[key] = bids, asks
        if key in self._exchanges:
            self._exchanges[key].choose(self._books)

    def judge(self, key: str, now_ms: int) -> None:
        """Look at every pair that this market is a part of."""
        for pair in self._of.get(key, ()):
            buy, sell = self._books.get(pair.buy.key), self._books.get(pair.sell.key)
            if buy is not None and sell is not None and (over := pair.look(now_ms, buy[1], sell[0])) is not None:
                self.lives.append(over)

    def finish(self, now_ms: int) -> list[Life]:
        """All lives, in the order of their beginnings; those still open have no end."""
        self.lives += [life for pair in self.pairs if (life := pair.finish(now_ms)) is not None]
        return sorted(self.lives, key=lambda life: (life.start_ms, life.buy, life.sell))
