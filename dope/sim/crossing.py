"""A venue whose bids reach its asks for a while: one level too many in every message about a book, and then gone again."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from decimal import Decimal
from typing import Any

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Client, Said
from dope.sim.edits import BIDS, is_bid
from dope.sim.effects import UPDATE, Act, Doing
from dope.sim.quoting import Market
from dope.sim.wires import Raw, Wire, fields, levels, like, packed_like, read, renumbered, unpacked, written

WHOLE = ("levels",)  #: sides of venues whose every message is a whole book: what is not in the next one is gone
WORDS = {"updates": ("side", "bid", "offer"), "changes": (0, "buy", "sell")}  #: where levels of both sides stand together


class Level:
    """The level that is too many: its side, tick and lots."""

    def __init__(self, bid: bool, tick: int, lots: int) -> None:
        self.bid, self.tick, self.lots = bid, tick, lots


class Crossed(Doing):
    """For ``ms`` a level stands ``bps`` beyond the best of the other side, 0 = at it; afterwards messages tell how that price really is.

    Where a message has one level (Bitfinex), that one comes in a message of its own.

    When the market has moved past it, it is gone, too, and the next message has another. It ends by
    itself; ended before, it cuts the connections: no message would take the level away.
    """

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act
        self._market: Market | None = act.market
        self._until = 0.0  # virtual ms, 0 = it has not begun
        self._standing: dict[Client, Level] = {}

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        act = self._act
        about = act.about(said.topic)
        if about is None or about is not (self._market or about) or not act.concerns(said, UPDATE):
            return (said,)
        over = bool(self._until) and act.sample.now_ms >= self._until
        level = self._standing.get(client)
        gone = over or (level is not None and not _reaches(about, level))
        if level is None and (over or not act.happens()):
            return (said,)
        text = unpacked(said.payload)
        value = None if text is None else read(text)
        if value is None or (gone and act.wire.sides == WHOLE):
            self._standing.pop(client, None)
            return (said,)
        if level is not None and _is_checksum(act.wire, value):
            value[1:3] = ["hb"]  # the venue's own book has that level, and so has its checksum: instead, it beats
            return (said._replace(payload=written(value)),)
        level = level or self._beyond(about, value)
        lots = about.book.levels[BID if level.bid else ASK].get(level.tick, 0) if gone else level.lots
        alone, more = act.wire.sides == (), None
        if alone and (gone or client not in self._standing or _is_about(act.wire, value, about, level)):
            more = _alone(act.wire, value, about, level, lots)
        if level.lots == 0 or not (more is not None if alone else _put(act.wire, value, about, level, lots)):
            return (said,)
        self._begin(about)
        self._standing[client] = level
        if gone:
            del self._standing[client]
        if more is None:
            return (said._replace(payload=packed_like(said.payload, written(value))),)
        client.ahead += 1
        return (said, said._replace(payload=written(more)))

    def _beyond(self, market: Market, value: Any) -> Level:
        """On the side on which this message has a level; without lots where it has none."""
        found = levels(value, self._act.wire)
        if not found:
            return Level(False, 0, 0)
        bid = is_bid(self._act, value, found[0])
        best = market.book.best(ASK if bid else BID)
        tick = best + (1 if bid else -1) * int(best * self._act.number("bps") // 10_000)
        return Level(bid, tick, market.book.touch()[1])

    def _begin(self, market: Market) -> None:
        if not self._until:
            self._act.did()
            self._market, self._until = market, self._act.sample.now_ms + self._act.number("ms")

    def step(self) -> None:
        for client in [client for client in self._standing if client not in self._act.port.clients]:
            del self._standing[client]
        if self._until and self._act.sample.now_ms > self._until and not self._standing:
            self._act.over = True

    def stop(self) -> Awaitable[None] | None:
        return self._act.port.kick(1006) if self._standing else None


def _reaches(market: Market, level: Level) -> bool:
    """Whether it still stands at the other side or beyond."""
    best = market.book.best(ASK if level.bid else BID)
    return level.tick >= best if level.bid else level.tick <= best


def _put(where: Wire, value: Any, market: Market, level: Level, lots: int) -> bool:
    """One more level in a message, the last word on its price; False where there is no place for it."""
    found = levels(value, where)
    side = next((each for name, each in fields(value) if name in where.sides and _fits(name, each, level.bid)), None)
    if side is None or not found:
        return False
    new = found[0].copy()
    spec = market.spec
    if where.sides[0] in WORDS:
        place, buy, sell = WORDS[where.sides[0]]
        new[place] = buy if level.bid else sell
    new[where.price] = like(new[where.price], f"{Decimal(level.tick * spec.tick_e6) / 10**6:f}")
    new[where.size] = like(new[where.size], f"{Decimal(lots * spec.lot_e8) / 10**8:f}")
    if where.sides == WHOLE:
        side[0 if level.bid else 1].insert(0, new)
    else:
        side.append(new)
    return True


def _alone(where: Wire, value: Any, market: Market, level: Level, lots: int) -> Any:
    """A message with this level, to follow another with one level; None where that has none."""
    if not levels(value, where):
        return None
    spec = market.spec
    price, size = (f"{Decimal(n) / 10**digits:f}" for n, digits in ((level.tick * spec.tick_e6, 6), ((lots or 1) * spec.lot_e8, 8)))
    more = [value[0], [Raw(price), Raw(1 if lots else 0), Raw(size if level.bid else f"-{size}")], *value[2:]]
    renumbered(more, where, lambda number: number + 1)
    return more


def _is_about(where: Wire, value: Any, market: Market, level: Level) -> bool:
    """Whether a message is about the price of this level."""
    return any(Decimal(each[0]) * 10**6 == level.tick * market.spec.tick_e6 for each in levels(value, where))


def _is_checksum(where: Wire, value: Any) -> bool:
    """Whether it is a message of its own."""
    return where.sides == () and len(value) > 2 and value[1] == where.checksum


def _fits(name: str, side: Any, bid: bool) -> bool:
    """Whether levels of this side stand there."""
    return isinstance(side, list) and (name in WORDS or name in WHOLE or (name in BIDS) == bid)
