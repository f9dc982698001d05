"""Which ways round three markets of one venue the published books really held: exact arithmetic in fractions.

Knows nothing of the code that it judges. For every three currencies that a venue trades for each other, both ways round: buy the base of a
market at its asks, or sell it into its bids, as long as a further unit brings back more than it takes after three fees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations

from dope.sim.crossed import BASE, SURE, Books, currencies
from dope.sim.exact import BPS, FEES, PRICES, Figure, Leg, Levels, Life, Living, Rules
from dope.sim.listings import DOLLARS

CASH = {currency: rank for rank, currency in enumerate(("USD", "USDT", "USDC"))}  #: a way begins with the currency that stands first here


class Edge:
    """One market on the way: ``buys`` its base, or sells it."""

    def __init__(self, leg: Leg, held: str) -> None:
        """``held`` = the currency that goes in."""
        self.leg, self.buys = leg, currencies(leg)[1] == held
        fee = Fraction(leg.fee, FEES)
        self._keeps = 1 - fee if not self.buys or leg.in_base else Fraction(1)
        self._pays = 1 + fee if self.buys and not leg.in_base else Fraction(1)
        self.rough = float(self._keeps / self._pays)
        self.tick = leg.tick / PRICES

    def rate(self, level: tuple[int, int]) -> tuple[Fraction, Fraction]:
        """(what a unit that goes in becomes, how much this level can take of it)."""
        price, size = Fraction(level[0] * self.leg.tick, PRICES), Fraction(level[1] * self.leg.unit, BASE)
        if self.buys:
            return self._keeps / (price * self._pays), price * size * self._pays
        return price * self._keeps, size

    def order(self, amount: Fraction, level: tuple[int, int]) -> tuple[Fraction, Fraction]:
        """(base, value in quote currency) of an order with which so much goes in."""
        price = Fraction(level[0] * self.leg.tick, PRICES)
        return (amount / price, amount) if self.buys else (amount, amount * price)


class Round(Living):
    """One way round; what it earns is counted in the currency that it begins with."""

    def __init__(self, path: tuple[str, str, str], edges: tuple[Edge, Edge, Edge], rules: Rules) -> None:
        venue = edges[0].leg.key.partition(":")[0]
        super().__init__(venue, "→".join((*path, path[0])), rules, rules.least if path[0] in DOLLARS else Fraction(0))
        self.edges = edges

    def pays(self, sides: Sequence[Levels]) -> bool:
        if not all(sides):
            return False
        back = 1.0
        for edge, side in zip(self.edges, sides, strict=True):
            price = side[0][0] * edge.tick
            back *= edge.rough / price if edge.buys else edge.rough * price
        if back < 1.0 - SURE:
            return False
        exact = Fraction(1)
        for edge, side in zip(self.edges, sides, strict=True):
            exact *= edge.rate(side[0])[0]
        return exact > 1

    def worth(self, sides: Sequence[Levels]) -> Figure | None:
        """None also where a venue would not take one of the orders."""
        places, start, end = [0, 0, 0], Fraction(0), Fraction(0)
        amounts = [Fraction(0)] * 3
        left = [edge.rate(side[0])[1] for edge, side in zip(self.edges, sides, strict=True)]
        while all(place < len(side) for place, side in zip(places, sides, strict=True)):
            reach = [Fraction(1)]  # of a unit that goes in, what comes to each edge and out of the last one
            for edge, side, place in zip(self.edges, sides, places, strict=True):
                reach.append(reach[-1] * edge.rate(side[place])[0])
            if reach[-1] <= 1:
                break
            take = min(room / share for room, share in zip(left, reach, strict=False))
            start, end = start + take, end + take * reach[-1]
            for k, (edge, side) in enumerate(zip(self.edges, sides, strict=True)):
                amounts[k] += take * reach[k]
                left[k] -= take * reach[k]
                if not left[k]:
                    places[k] += 1
                    left[k] = edge.rate(side[places[k]])[1] if places[k] < len(side) else left[k]
        if not start or not all(self._taken(*each) for each in zip(self.edges, amounts, sides, strict=True)):
            return None
        return Figure(start, start, end - start, (end / start - 1) * BPS, Fraction(0), Fraction(0))

    @staticmethod
    def _taken(edge: Edge, amount: Fraction, side: Levels) -> bool:
        base, value = edge.order(amount, side[0])
        return base >= Fraction(edge.leg.lot, BASE) and value >= edge.leg.least


class Rounds:
    """All ways round; told of every published book that changes, it gives the lives that were: ``buy`` = the venue, ``sell`` = the way."""

    def __init__(self, legs: Iterable[Leg], rules: Rules) -> None:
        self._books: Books = {}
        self._of: dict[str, list[Round]] = {}
        self.ways: list[Round] = []
        here: dict[str, dict[frozenset[str], Leg]] = {}
        for leg in legs:
            if leg.symbol.count("-") == 1 and not leg.face:
                here.setdefault(leg.key.partition(":")[0], {})[frozenset(currencies(leg))] = leg
        for markets in here.values():
            for three in combinations(sorted(set().union(*markets)), 3):
                if all(frozenset(two) in markets for two in combinations(three, 2)):
                    first, *rest = sorted(three, key=lambda currency: (CASH.get(currency, len(CASH)), currency))
                    for path in ((first, rest[0], rest[1]), (first, rest[1], rest[0])):
                        self._add(path, markets, rules)
        self.lives: list[Life] = []

    def _add(self, path: tuple[str, str, str], markets: dict[frozenset[str], Leg], rules: Rules) -> None:
        one, two, three = (Edge(markets[frozenset((path[k], path[(k + 1) % 3]))], path[k]) for k in range(3))
        way = Round(path, (one, two, three), rules)
        self.ways.append(way)
        for edge in way.edges:
            self._of.setdefault(edge.leg.key, []).append(way)

    def moved(self, key: str, bids: Levels, asks: Levels) -> None:
        """The published book of this market from now on."""
        self._books[key] = bids, asks

    def judge(self, key: str, now_ms: int) -> None:
        """Look at every way through this market."""
        for way in self._of.get(key, ()):
            books = [self._books.get(edge.leg.key) for edge in way.edges]
            if not all(books):
                continue
            sides = [book[edge.buys] for book, edge in zip(books, way.edges, strict=True) if book is not None]
            if (over := way.look(now_ms, *sides)) is not None:
                self.lives.append(over)

    def finish(self, now_ms: int) -> list[Life]:
        """All lives, in the order of their beginnings; those still open have no end."""
        self.lives += [life for way in self.ways if (life := way.finish(now_ms)) is not None]
        return sorted(self.lives, key=lambda life: (life.start_ms, life.buy, life.sell))
