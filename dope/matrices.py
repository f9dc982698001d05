"""What every venue pays against every other, as matrices: one for each base, quote and kind, drawn a few cells at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dope.detectors.arbitrage import Arbitrage
from dope.detectors.spreads import Spreads
from dope.engine import Engine

CELLS = 24  #: cells that are drawn before the engine may step again: every one walks two books
NS = 1_000_000_000
EVERY_NS = NS // 4  #: from one drawing to the next
SHARE = 4  #: and at least so many times as long as the last one took, so that many venues leave time for everything else

Cell = tuple[float | None, float | None, float | None, float | None, str]  #: gross, net, z, wall, state


class Matrices:
    """All matrices of one engine."""

    def __init__(self, engine: Engine, arbitrage: Arbitrage, spreads: Spreads) -> None:
        self.engine, self.arbitrage, self.spreads = engine, arbitrage, spreads
        self.drawn = False  #: at least once
        self._new: list[dict[str, Any]] | None = None
        self._steps: Iterator[list[dict[str, Any]] | None] | None = None
        self._began, self._took = -NS, 0  # ns, of the newest drawing

    def step(self, now: Callable[[], int], hidden: frozenset[str]) -> bool:
        """Draw a few cells, without the markets of the keys ``hidden``; False = nothing is to be drawn for now."""
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
        self._began, self._took, self._steps = -NS, 0, None

    def _drawing(self, now: Callable[[], int], hidden: frozenset[str]) -> Iterator[list[dict[str, Any]] | None]:
        matrices: list[dict[str, Any]] = []
        drawn = 0
        for group, keys in self._groups(hidden):
            rows = []
            for buy in keys:
                if drawn >= CELLS:
                    drawn = 0
                    yield None
                at = now()
                rows.append([self._cell(buy, sell, at) for sell in keys])
                drawn += len(keys)
            matrices.append(self._matrix(group, keys, rows))
        yield matrices

    def _groups(self, hidden: frozenset[str]) -> list[tuple[tuple[str, str, str], list[str]]]:
        """((base, quote, kind), keys) of all markets that are comparable with another one."""
        groups: dict[tuple[str, str, str], list[str]] = {}
        for key in self.arbitrage.of:
            if key in hidden:
                continue
            i = self.engine.market.books[key].instrument
            groups.setdefault((i.base, i.quote, i.kind), []).append(key)
        return [(group, keys) for group, keys in groups.items() if len(keys) > 1]

    def _matrix(self, group: tuple[str, str, str], keys: list[str], rows: list[list[Cell]]) -> dict[str, Any]:
        base, quote, kind = group
        tables: tuple[list[Any], ...] = ([], [], [], [], [])
        for cells in rows:
            for table, column in zip(tables, zip(*cells, strict=True), strict=True):
                table.append(list(column))
        venues = [key.partition(":")[0] for key in keys]
        gross, net, z, wall, state = tables
        labels = [self.engine.venues[v].SHORT for v in venues]
        return {
            "id": f"{base}-{quote}-{kind}", "base": base, "quote": quote, "kind": kind, "venues": venues, "labels": labels,
            "gross": gross, "net": net, "z": z, "wall": wall, "state": state,
        }  # fmt: skip

    def _cell(self, buy: str, sell: str, now: int) -> Cell:
        """Gross at the user's order size, the same minus the pair's fee wall, z-score of the mid spread over an hour, wall, state."""
        if buy == sell:
            return None, None, None, None, "self"
        pair = self.arbitrage.pairs[(buy, sell)]
        if not self.arbitrage.usable(pair, self.engine.market, now):
            return None, None, None, pair.wall_bps, "stale"
        walk = pair.walk(pair.sides(self.engine.market), max_quote=self.arbitrage.rules.order_size, fill_all=True)
        if walk.buy_vwap is None or walk.sell_vwap is None or walk.net_bps is None:
            return None, None, None, pair.wall_bps, "stale"
        gross = (walk.sell_vwap / walk.buy_vwap - 1.0) * 1e4
        return short(gross), short(walk.net_bps), short(self._z(buy, sell)), pair.wall_bps, "ok"

    def _z(self, buy: str, sell: str) -> float | None:
        a, b = sorted((buy, sell))
        z = self.spreads.pairs.z(a, b)
        return z if z is None or buy != a else -z


def short(bps: float | None) -> float | None:
    """As finely as anybody can read it: what nobody sees would be most of what is sent."""
    return None if bps is None else round(bps, 4)
