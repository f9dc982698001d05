"""What the compiled look finds is what a plain detector finds that looks at every change: each signal and row, to the last bit."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from dope.detectors import Arbitrage, Cost, Rules
from dope.detectors.arbitrage import NEAR_BPS
from dope.detectors.opportunity import Opportunity
from dope.detectors.pair import Pair
from dope.market.market import Market
from dope.types import BookUpdate, DepthChange, Event, Gap, Instrument, Listed, Quote, Tick

MS = 1_000_000
T0 = 1_700_000_000_000_000_000
COSTS = {
    ("a", "perp"): Cost(0.0004, "base"), ("b", "perp"): Cost(0.0005), ("c", "perp"): Cost(-0.0001), ("d", "perp"): Cost(0.0002, "base"),
}  # fmt: skip
MARKETS = (
    Instrument("a", "X-Q-PERP", "X", "X", "Q", "perp", 1.0, lot=0.01, min_size=0.05),
    Instrument("b", "X-Q-PERP", "X", "X", "Q", "perp", 0.1),
    Instrument("c", "X-Q-PERP", "X", "X", "Q", "perp", 10.0, True),
    Instrument("d", "X-Q-PERP", "X", "X", "Q", "perp", 1.0, lot=0.003),
)
RULES = (
    Rules(enter=1.0, leave=0.0, debounce=20 * MS, min_notional=20.0),
    Rules(enter=3.0, leave=-2.0, debounce=5 * MS, min_notional=1.0, transfer=0.01, buffer_bps=0.5),
    Rules(enter=-4.0, leave=-6.0, debounce=10 * MS, min_notional=150.0, max_age_s=0.3),
)


class Plain(Arbitrage):
    """Told of every touch and every change behind it; all that it looks at, it looks at in Python."""

    looks = 0

    def __init__(self, *terms: object) -> None:
        super().__init__(*terms)  # type: ignore[arg-type]
        self.followed: set[Pair] = set()

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is DepthChange and not self.followed.intersection(self.of[event.key]):
            return ()
        found = super().on(event, market)
        for pair in self.pairs.values():
            pair.memory = None
        return found

    def _moved(self, key: str, market: Market, now: int) -> list[Opportunity]:
        out: list[Opportunity] = []
        for pair in self.of[key]:
            ask, bid = market.books[pair.buy.key].touch()[2], market.books[pair.sell.key].touch()[0]
            near = ask > 0.0 and bid > 0.0 and (bid / ask - 1.0) * 1e4 - pair.wall_bps >= self.rules.enter - NEAR_BPS
            if pair.life.life is None and not near:
                self.followed.discard(pair)
                continue
            if self.usable(pair, market, now):
                self.followed.add(pair)
            out += self._look(pair, market, now)
        return out

    def _look(self, pair: Pair, market: Market, now: int) -> list[Opportunity]:
        self.looks += 1
        return super()._look(pair, market, now)


class Quick(Arbitrage):
    """The detector as it is, its looks in Python counted."""

    looks = 0

    def _look(self, pair: Pair, market: Market, now: int) -> list[Opportunity]:
        self.looks += 1
        return super()._look(pair, market, now)


class World:
    """A market with one of the two behind it."""

    def __init__(self, detector: Plain | Quick) -> None:
        self.market, self.detector, plain = Market(), detector, isinstance(detector, Plain)
        self.market.every_touch = plain
        for market in MARKETS:
            self.market.open_book(market, T0, "", 5.0)
            self.hear([Listed(T0, market)])
            if plain:
                self.market.watch(market.key, True)

    def hear(self, events: Sequence[Event]) -> list[Event]:
        kinds = Arbitrage.KINDS
        return [signal for event in events if type(event) in kinds for signal in self.detector.on(event, self.market)]


class Script:
    """Events of a market that moves, falls silent, comes late and breaks; the same ones for each world."""

    def __init__(self, seed: int) -> None:
        self.rand, self.now, self.seq = random.Random(seed), T0, 1
        self.shift = dict.fromkeys((market.key for market in MARKETS), 0.0)
        self.conn = {market.key: number for number, market in enumerate(MARKETS, 1)}
        self.silent: dict[str, int] = {}

    def levels(self, key: str, sign: int, count: int, gone: float = 0.0) -> bytes:
        rand, out = self.rand, []
        size = {"c": 40.0, "b": 30.0}.get(key[0], 3.0)
        for k in range(count):
            price = 100.0 * (1.0 + self.shift[key] / 1e4) + sign * (0.01 + k * 0.01)
            out.append(f'["{price:.2f}","{0 if rand.random() < gone else round(rand.uniform(0.02, 1.0) * size, 3)}"]')
        return ("[" + ",".join(out) + "]").encode()

    def next(self, world: World, what: str, key: str, lot: tuple[float, int, bytes, bytes, int]) -> list[Event]:
        """Do one thing to one world; all that is drawn has been drawn before."""
        market, (odds, late, bids, asks, quoted) = world.market, lot
        conn, now = self.conn[key], self.now
        market.now = now
        if what in ("book", "levels"):
            market.conn_ts[conn] = now
            return world.hear(market.apply(BookUpdate(now, key, now - late, what == "book", self.seq, bids, asks), conn))
        if what == "quote":
            bid = round(100.0 * (1.0 + self.shift[key] / 1e4) + quoted / 100, 2)
            return world.hear(market.quote(Quote(now, key, now - late, self.seq + (odds < 0.5), bid, 1.5, bid + 0.02, 2.5), conn))
        if what == "beat":
            market.conn_ts[conn] = now
        elif what == "gap":
            return world.hear(market.gap(Gap(now, key, "sequence")))
        elif what == "end":
            market.slots.end(conn)
        elif what == "rules":
            world.detector.set_rules(RULES[quoted % len(RULES)], market)
        elif what == "relist":
            old = next(one for one in MARKETS if one.key == key)
            return world.hear([Listed(now, msgspec.structs.replace(old, lot=0.02 * (quoted % 3)))])
        return world.hear([*market.tick(now), Tick(now, 0)])

    def draw(self) -> tuple[str, str, tuple[float, int, bytes, bytes, int]]:
        rand = self.rand
        self.seq += 1
        key = rand.choice([key for key in self.shift if self.silent.get(key, 0) <= self.now] or list(self.shift))
        what = rand.choices(("book", "levels", "quote", "beat", "tick", "gap", "end", "rules", "relist"),
                            (30, 50, 20, 5, 12, 0.3, 0.4, 0.5, 0.3))[0]  # fmt: skip
        self.now += rand.choice((0, 1, 3)) * MS
        if rand.random() < 0.004:
            self.silent[key] = self.now + rand.choice((400, 1500)) * MS
        if rand.random() < 0.002:
            self.now += rand.choice((200, 1100)) * MS
        self.shift[key] = 0.98 * self.shift[key] + rand.gauss(0.0, 1.2)
        late = rand.choice((0, 1, 2, 400 if rand.random() < 0.05 else 3)) * MS
        counts = [rand.choice((3, 20, 60)) if what == "book" else rand.randint(0, 3) for _ in range(2)]
        bids, asks = (self.levels(key, sign, count, 0.0 if what == "book" else 0.4) for sign, count in zip((-1, 1), counts, strict=True))
        return what, key, (rand.random(), late, bids, asks, rand.randint(-8, 8))


@pytest.mark.parametrize("seed", range(6))
def test_it_finds_what_a_plain_look_at_every_change_finds(seed: int) -> None:
    script, worlds = Script(seed), (World(Plain(COSTS, RULES[seed % 3])), World(Quick(COSTS, RULES[seed % 3])))
    seen = Counter[str]()
    for _ in range(3_000):
        what, key, lot = script.draw()
        plain, quick = (script.next(world, what, key, lot) for world in worlds)
        assert quick == plain, (what, key)
        seen.update(o.state for o in plain if isinstance(o, Opportunity))
        if script.rand.random() < 0.1:
            rows = worlds[0].detector.rows()
            assert worlds[1].detector.rows() == rows
            seen.update("row " + row.state for row in rows)
    assert min(seen["open"], seen["closed"], seen["stale"], seen["row open"], seen["row fading"]) > 3, seen
    assert worlds[1].detector.looks < 0.5 * worlds[0].detector.looks, (worlds[1].detector.looks, worlds[0].detector.looks)
