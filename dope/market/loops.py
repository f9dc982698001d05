"""Loops of three markets that give back more than they take: a look at all of them by their touches, and the walk of one by its depth.

A loop has three edges. An edge turns what one holds into something else: it sells a market's base into its bids, or buys the base at
its asks. It is one market, or a *group* of markets of the same two currencies, of which the best counts. What a look finds is a
superset: the touch bounds what depth gives, and whether books are fresh is asked of those that are found only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dope.market.compiled import jit
from dope.market.lane import RING, Slots

SELL, BUY = 0, 1  #: what an edge does with the base of its market
EDGES = 3
MAX_FOUND = 1024  #: loops of one look; further ones wait for the next
BPS = 1e4

Level = tuple[float, float]
Edge = tuple[int, int]  #: (row of the rates: a slot, or a group behind all slots; SELL or BUY)
GONE = 1e-12  #: a level is used up when less than this part of it is left


@jit
def near_loops(
    ring: np.ndarray, ring_n: np.ndarray, keeps: np.ndarray, groups: np.ndarray, ends: np.ndarray, loops: np.ndarray,
    least: float, rates: np.ndarray, found: np.ndarray,
) -> int:  # fmt: skip
    """Numbers of the loops whose touches give back more than ``least`` times what they take, into ``found``; how many.

    ``ring``, ``ring_n`` are those of ``Slots``; ``keeps`` (slots, 2) what is left after the fee of (selling, buying), 0 = no such edge;
    ``groups`` the slots of all groups, one after the other, ``ends`` where each ends; ``loops`` (n, 6) row and side of each edge;
    ``rates`` (slots + groups, 2) is working space. A market that is not LIVE has the rate 0.
    """
    slots = len(keeps)
    for slot in range(slots):
        n = ring_n[slot]
        at = (n - 1) & (RING - 1)
        bid, ask = ring[slot, at, 0], ring[slot, at, 2]
        rates[slot, SELL] = bid * keeps[slot, SELL] if n > 0 and bid > 0.0 else 0.0
        rates[slot, BUY] = keeps[slot, BUY] / ask if n > 0 and ask > 0.0 else 0.0
    start = 0
    for g in range(len(ends)):
        sell = buy = 0.0
        for k in range(start, ends[g]):
            sell, buy = max(sell, rates[groups[k], SELL]), max(buy, rates[groups[k], BUY])
        rates[slots + g, SELL], rates[slots + g, BUY] = sell, buy
        start = ends[g]
    count = 0
    for i in range(len(loops)):
        back = rates[loops[i, 0], loops[i, 1]] * rates[loops[i, 2], loops[i, 3]] * rates[loops[i, 4], loops[i, 5]]
        if back > least and count < len(found):
            found[count] = i
            count += 1
    return count


def kept(fee: float, in_base: bool) -> tuple[float, float]:
    """What is left after the fee of (selling, buying): that of a buy is taken from what is received (``in_base``), or paid on top."""
    return 1.0 - fee, 1.0 - fee if in_base else 1.0 / (1.0 + fee)


class Loops:
    """All loops of one detector, ready to be looked at. Built anew when markets or fees change."""

    def __init__(
        self, keeps: dict[int, tuple[float, float]], groups: Sequence[Sequence[int]], loops: Sequence[Sequence[tuple[bool, int, int]]]
    ) -> None:
        """``keeps`` by slot, see ``kept``; ``groups`` = slots; an edge = (whether it is a group, number of the slot or group, side)."""
        slots = max(keeps, default=-1) + 1
        self._keeps = np.zeros((slots, 2))
        for slot, values in keeps.items():
            self._keeps[slot] = values
        self._groups = np.array([slot for group in groups for slot in group], dtype=np.int64)
        self._ends = np.cumsum(np.array([len(group) for group in groups], dtype=np.int64), dtype=np.int64)
        rows = [[value for grouped, number, side in loop for value in (number + slots * grouped, side)] for loop in loops]
        self._loops = np.array(rows, dtype=np.int64).reshape(-1, 2 * EDGES)
        self._rates = np.zeros((slots + len(groups), 2))
        self._found = np.zeros(MAX_FOUND, dtype=np.int64)

    def near(self, slots: Slots, net_bps: float) -> list[int]:
        """Numbers of the loops that give back more than ``net_bps`` by the newest touches, in their order, at most ``MAX_FOUND``."""
        if not len(self._loops):
            return []
        least = 1.0 + net_bps / BPS
        count = near_loops(
            slots.ring, slots.ring_n, self._keeps, self._groups, self._ends, self._loops, least, self._rates, self._found
        )  # fmt: skip
        found: list[int] = self._found[:count].tolist()
        return found

    def back_bps(self, number: int) -> float:
        """What this loop gave back at the last look, bps of what it takes; −10,000 when one of its markets was not LIVE."""
        (a, sa), (b, sb), (c, sc) = self._loops[number].reshape(EDGES, 2).tolist()
        return float((self._rates[a, sa] * self._rates[b, sb] * self._rates[c, sc] - 1.0) * BPS)


# -- depth --------------------------------------------------------------------------------------------------------------------
class Leg(NamedTuple):
    """One edge of a loop with its depth: ``levels`` (price, base size) best first, asks of a buy, bids of a sell.

    ``fee`` is a fraction, taken from what is received unless ``on_top`` (of a buy: paid besides).
    """

    side: int
    levels: Sequence[Level]
    fee: float
    on_top: bool = False


class Round(NamedTuple):
    """Once round a loop: ``start`` and ``end`` in the currency it begins with, ``profit_bps`` of the start, None = nothing is gained.

    ``amounts`` = what each leg takes in, in its own input currency; ``capped`` = some leg's levels were used up to the last one.
    """

    start: float
    end: float
    profit: float
    profit_bps: float | None
    amounts: tuple[float, ...] = ()
    capped: bool = False


NO_ROUND = Round(0.0, 0.0, 0.0, None)


def walk_round(legs: Sequence[Leg]) -> Round:
    """The largest profit of going round: levels are taken while the current ones give back more than they take.

    Rates never get better along a walk, so this is the exact optimum (before lots).
    """
    ways = [[_rate(leg, level) for level in leg.levels] for leg in legs]
    if any(not way for way in ways):
        return NO_ROUND
    at = [0] * len(ways)
    left = [way[0][1] for way in ways]
    taken = [0.0] * len(ways)
    start = end = 0.0
    capped = False
    while not capped:
        rates = [way[i][0] for way, i in zip(ways, at, strict=True)]
        passed = [1.0]  # of one unit of the start, what reaches each leg
        for rate in rates:
            passed.append(passed[-1] * rate)
        if passed[-1] <= 1.0:
            break
        amount = min(room / share for room, share in zip(left, passed, strict=False))
        start += amount
        end += amount * passed[-1]
        for k, way in enumerate(ways):
            taken[k] += amount * passed[k]
            left[k] -= amount * passed[k]
            if left[k] <= GONE * way[at[k]][1]:
                at[k] += 1
                if at[k] == len(way):
                    capped = True
                else:
                    left[k] = way[at[k]][1]
    if start <= 0.0:
        return NO_ROUND
    return Round(start, end, end - start, (end / start - 1.0) * BPS, tuple(taken), capped)


def _rate(leg: Leg, level: Level) -> tuple[float, float]:
    """(what one unit of the input becomes, how much of the input the level can take)."""
    price, size = level
    if leg.side == SELL:
        return price * (1.0 - leg.fee), size
    if leg.on_top:
        return 1.0 / (price * (1.0 + leg.fee)), price * size * (1.0 + leg.fee)
    return (1.0 - leg.fee) / price, price * size
