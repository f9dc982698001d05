"""What every venue pays against every other, as matrices: one for each base, quote and kind, drawn one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.market.orders import order_bps
from dope.market.pairs import WALL

CELLS = 100  #: cells that are drawn before the engine may step again: every one walks two books
NS = 1_000_000_000
EVERY_NS = NS // 4  #: from one drawing to the next
SHARE = 4  #: and at least so many times as long as the last one took, so that many venues leave time for everything else
DIGITS = 4  #: of bps, as finely as anybody can read it: what nobody sees would be most of what is sent


class Sheet(NamedTuple):
    """What does not change of one matrix; rows buy, columns sell."""

    about: dict[str, Any]
    pairs: np.ndarray  #: numbers of the pairs in the market's memory, (n, n); -1 where a market meets itself
    couples: np.ndarray  #: rows of the same among the couples of ``Spreads``, (n, n); -1 = none
    signs: np.ndarray  #: of z, (n, n): a couple is the first key less the second, a cell is who sells less who buys


class Matrices:
    """All matrices of one engine."""

    def __init__(self, engine: Engine, arbitrage: Arbitrage, spreads: Spreads) -> None:
        self.engine, self.arbitrage, self.spreads = engine, arbitrage, spreads
        self.drawn = False  #: at least once
        self._new: list[dict[str, Any]] | None = None
        self._steps: Iterator[list[dict[str, Any]] | None] | None = None
        self._began, self._took = -NS, 0  # ns, of the newest drawing
        self._sheets: list[Sheet] = []
        self._known = (-1, -1)  # how many markets and couples they know of

    def step(self, now: Callable[[], int], hidden: frozenset[str]) -> bool:
        """Draw a few matrices, without the markets of the keys ``hidden``; False = nothing is to be drawn for now."""
        if self._steps is None:
            if 0 <= now() - self._began < max(EVERY_NS, SHARE * self._took):
                return False
            self._began, self._steps = now(), self._drawing(now, hidden)
        found = next(self._steps)
        if found is not None:
            self.drawn, self._new, self._steps, self._took = True, found, None, max(now() - self._began, 0)
        return True

    def take(self) -> list[dict[str, Any]] | None:
        """The ``matrix`` section of the newest whole drawing, once; None = there is no newer one."""
        found, self._new = self._new, None
        return found

    def again(self) -> None:
        """Other markets are shown from now on: what is half drawn is given up, and drawn at once."""
        self._began, self._took, self._steps, self._known = -NS, 0, None, (-1, -1)

    def _drawing(self, now: Callable[[], int], hidden: frozenset[str]) -> Iterator[list[dict[str, Any]] | None]:
        matrices: list[dict[str, Any]] = []
        drawn = 0
        for sheet in self._all(hidden):
            if drawn >= CELLS:
                drawn = 0
                yield None
            matrices.append(self._matrix(sheet, now()))
            drawn += sheet.pairs.size
        yield matrices

    def _all(self, hidden: frozenset[str]) -> list[Sheet]:
        known = len(self.arbitrage.of), len(self.spreads.pairs.number)
        if known != self._known:
            self._known = known
            self._sheets = [self._sheet(group, keys) for group, keys in self._groups(hidden)]
        return self._sheets

    def _groups(self, hidden: frozenset[str]) -> list[tuple[tuple[str, str, str], list[str]]]:
        """((base, quote, kind), keys) of all markets that are comparable with another one."""
        groups: dict[tuple[str, str, str], list[str]] = {}
        for key in self.arbitrage.of:
            if key in hidden:
                continue
            i = self.engine.market.books[key].instrument
            groups.setdefault((i.base, i.quote, i.kind), []).append(key)
        return [(group, keys) for group, keys in groups.items() if len(keys) > 1]

    def _sheet(self, group: tuple[str, str, str], keys: list[str]) -> Sheet:
        base, quote, kind = group
        venues = [key.partition(":")[0] for key in keys]
        labels = [self.engine.venues[v].SHORT for v in venues]
        about = {"id": f"{base}-{quote}-{kind}", "base": base, "quote": quote, "kind": kind, "venues": venues, "labels": labels}
        memories = [[self.arbitrage.pairs[(buy, sell)].memory if buy != sell else None for sell in keys] for buy in keys]
        pairs = np.array([[-1 if memory is None else memory.number for memory in line] for line in memories], dtype=np.int64)
        of = self.spreads.pairs.number
        couples = np.array([[of.get((min(buy, sell), max(buy, sell)), -1) for sell in keys] for buy in keys], dtype=np.int64)
        return Sheet(about, pairs, couples, np.array([[-1.0 if buy < sell else 1.0 for sell in keys] for buy in keys]))

    def _matrix(self, sheet: Sheet, now: int) -> dict[str, Any]:
        """Gross at the user's order size, the same minus the pair's fee wall, wall, state, and z:
        how many deviations the mid of who sells lies further above that of who buys than in the mean of the hour."""
        market, shape = self.engine.market, sheet.pairs.shape
        market.write()
        slots, size = market.slots, self.arbitrage.rules.order_size
        bps = order_bps(sheet.pairs.ravel(), now, size, slots.books, slots.pairs.watch).round(DIGITS)
        gross, net = bps[:, 0].reshape(shape), bps[:, 1].reshape(shape)
        known, off = ~np.isnan(gross), sheet.pairs >= 0
        z = np.where(known, (sheet.signs * self.spreads.pairs.z(sheet.couples)).round(DIGITS), np.nan)
        wall = np.where(off, slots.pairs.figures[sheet.pairs, WALL].round(DIGITS), np.nan)
        state = np.where(known, "ok", np.where(off, "stale", "self"))
        tables = {"gross": gross, "net": net, "z": z, "wall": wall}
        return {**sheet.about, **{name: _or_none(table) for name, table in tables.items()}, "state": state.tolist()}


def _or_none(table: np.ndarray) -> list[list[float | None]]:
    """The same with None for what is not a number."""
    return [[None if value != value else value for value in line] for line in table.tolist()]


def short(bps: float | None) -> float | None:
    """As finely as anybody can read it."""
    return None if bps is None else round(bps, DIGITS)
