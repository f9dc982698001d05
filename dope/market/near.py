"""Which changes of a book somebody has to look at: those with which the life of a pair begins or ends. The others are looked at here.

A pair is looked at when its touches bring it near to paying, and as long as its life is open; while it is watched, also when levels
behind the touch change. The compiled look is that of ``detectors/arbitrage.py`` to the last bit, for as long as nothing is to be told: it
counts, moves the peak, remembers what it saw. Otherwise it changes nothing of the life and says that the pair is due.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market import pairs
from dope.market.compiled import jit
from dope.market.delays import LAST_LATE
from dope.market.freshness import limit_in
from dope.market.lane import DELAYS, HABIT, IS_LIVE, LATE, OWN_TS, PAIRED, QUOTE_TS, SEAT, SIGMA, remember
from dope.market.memory import get
from dope.market.pairs import BUY, DUE, FELL, LAST, NO_TIME, OPEN, PEAK, PEAK_T, ROOM, SELL, TOLD, UPDATES, WALL, WATCHED
from dope.market.walking import best_of, read_side

UNUSABLE = -1  #: as the limit of both legs


@jit
def _is_near(number: int, prices: np.ndarray, near: tuple[Any, ...]) -> bool:
    """Whether gross minus wall of this pair reaches the level, by ``prices`` (best bid and ask of each slot)."""
    _, numbers, figures, rules = near
    ask, bid = prices[numbers[number, BUY], 1], prices[numbers[number, SELL], 0]
    found: bool = ask > 0.0 and bid > 0.0 and (bid / ask - 1.0) * 1e4 - figures[number, WALL] >= rules[pairs.NEAR]
    return found


@jit
def follow(number: int, on: bool, numbers: np.ndarray, state: np.ndarray) -> None:
    """Have changes behind the touch of both its books looked at for this pair, or no longer."""
    if (numbers[number, WATCHED] > 0) == on:
        return
    step = 1 if on else -1
    numbers[number, WATCHED] = 1 if on else 0
    state[numbers[number, BUY], PAIRED] += step
    state[numbers[number, SELL], PAIRED] += step


@jit
def age(slot: int, now: int, state: np.ndarray, heard: np.ndarray) -> int:
    """``Market.age`` of this book."""
    shared = heard[state[slot, SEAT]]
    if shared != 0:
        shared -= get(state[slot, DELAYS], LAST_LATE)
    old: int = now - max(state[slot, OWN_TS] - state[slot, LATE], shared)
    return old


@jit
def _seen(
    number: int, now: int, ages: tuple[int, int, int], sides: tuple[int, int], books: tuple[Any, ...], watch: tuple[Any, ...]
) -> None:
    """Into the pair's room: what the row of its life is made of; whether anybody will read it, nobody knows yet."""
    state, prices = books[1], books[3]
    (_, numbers, figures, _), (rooms, room_figures, kept, scratch) = watch
    buy, sell, room = numbers[number, BUY], numbers[number, SELL], numbers[number, ROOM]
    rooms[room, pairs.NEWS], rooms[room, pairs.TS] = 1, now
    rooms[room, pairs.PEAK_AT], rooms[room, pairs.COUNT] = numbers[number, PEAK_T], numbers[number, UPDATES]
    rooms[room, pairs.FADING] = 1 if numbers[number, FELL] != NO_TIME else 0
    rooms[room, pairs.BUY_AGE], rooms[room, pairs.SELL_AGE], rooms[room, pairs.LIMIT] = ages
    spoke = max(state[buy, OWN_TS], state[buy, QUOTE_TS]) - max(state[sell, OWN_TS], state[sell, QUOTE_TS])
    rooms[room, pairs.SKEW] = abs(spoke)
    rooms[room, pairs.ASKS], rooms[room, pairs.BIDS], rooms[room, pairs.FADED] = sides[0], sides[1], 0
    room_figures[room, pairs.PEAK_BPS] = figures[number, PEAK]
    room_figures[room, pairs.BUY_BID], room_figures[room, pairs.BUY_ASK] = prices[buy, 0], prices[buy, 1]
    room_figures[room, pairs.SELL_BID], room_figures[room, pairs.SELL_ASK] = prices[sell, 0], prices[sell, 1]
    for side in range(2):
        for k in range(sides[side]):
            kept[room, side, k, 0], kept[room, side, k, 1] = scratch[side, k, 0], scratch[side, k, 1]


@jit
def _goes_on(number: int, now: int, net: float, near: tuple[Any, ...]) -> bool:
    """``Lifecycle.update`` of an open life that nothing ends; False = something does, and nothing changed."""
    _, numbers, figures, rules = near
    fell = numbers[number, FELL]
    if now - numbers[number, LAST] > rules[pairs.MAX_GAP] or (fell != NO_TIME and now - fell > rules[pairs.DEBOUNCE]):
        return False
    numbers[number, LAST] = now
    numbers[number, UPDATES] += 1
    if net < rules[pairs.LEAVE]:
        if fell == NO_TIME:
            numbers[number, FELL] = now
        return True
    numbers[number, FELL] = NO_TIME
    if net > figures[number, PEAK]:
        figures[number, PEAK], numbers[number, PEAK_T] = net, now
    return True


@jit
def legs(number: int, now: int, books: tuple[Any, ...], watch: tuple[Any, ...]) -> tuple[int, int, int]:
    """``Arbitrage.usable`` of this pair: ages of both legs and the oldest that they may be, ns; that is ``UNUSABLE`` where they are not."""
    _, state, touch, _, _, heard = books
    _, numbers, figures, rules = watch[0]
    buy, sell = numbers[number, BUY], numbers[number, SELL]
    if state[buy, IS_LIVE] == 0 or state[sell, IS_LIVE] == 0:
        return 0, 0, UNUSABLE
    limit = limit_in(figures[number, WALL], max(touch[buy, SIGMA], touch[sell, SIGMA]), rules[pairs.MAX_AGE_S])
    buy_age, sell_age = age(buy, now, state, heard), age(sell, now, state, heard)
    if buy_age > min(limit, state[buy, HABIT]) or sell_age > min(limit, state[sell, HABIT]):
        return buy_age, sell_age, UNUSABLE
    return buy_age, sell_age, limit


@jit
def _look(number: int, now: int, books: tuple[Any, ...], watch: tuple[Any, ...]) -> bool:
    """One look at a pair; True = it is due."""
    state, prices = books[1], books[3]
    near, (rooms, _, _, scratch) = watch
    _, numbers, figures, rules = near
    buy, sell = numbers[number, BUY], numbers[number, SELL]
    is_open: bool = numbers[number, OPEN] != 0
    ages = legs(number, now, books, watch)
    if ages[2] == UNUSABLE:
        return is_open
    follow(number, True, numbers, state)
    asks = read_side(buy, False, figures[number, pairs.KEPT], books, scratch[0])
    bids = read_side(sell, True, 1.0, books, scratch[1])
    fees = figures[number, pairs.FEE_BUY], figures[number, pairs.FEE_SELL]
    lot, transfer = figures[number, pairs.LOT], figures[number, pairs.TRANSFER]
    qty, cost, net = best_of(scratch[0], asks, scratch[1], bids, fees, lot, transfer)
    takes = qty > 0.0 and cost >= figures[number, pairs.LEAST_COST] and qty >= figures[number, pairs.LEAST_QTY] * (1.0 - 1e-9)
    if not takes:
        ask, bid = prices[buy, 1], prices[sell, 0]
        net = -np.inf
        if qty <= 0.0 and ask > 0.0 and bid > 0.0:
            net = min((bid * (1.0 - fees[1]) / (ask * (1.0 + fees[0])) - 1.0) * 1e4, -1e-9)
    if not is_open:
        enters: bool = net >= rules[pairs.ENTER]
        return enters
    if numbers[number, OPEN] != TOLD or not _goes_on(number, now, net, near):
        return True
    if takes:
        _seen(number, now, ages, (asks, bids), books, watch)
    elif qty <= 0.0:
        room = numbers[number, ROOM]
        rooms[room, pairs.FADED], rooms[room, pairs.FADED_COUNT] = now, numbers[number, UPDATES]
    return False


@jit
def glance(slot: int, now: int, books: tuple[Any, ...], watch: tuple[Any, ...]) -> bool:
    """Look at all pairs of a slot that changed which are near or open; whether one of them is due. ``watch`` = ``Pairs.watch``."""
    state, prices = books[1], books[3]
    near = watch[0]
    of, numbers, _, _ = near
    found = False
    for k in range(of.shape[1]):
        number = of[slot, k]
        if number < 0:
            break
        if numbers[number, OPEN] == 0 and not _is_near(number, prices, near):
            follow(number, False, numbers, state)
        elif _look(number, now, books, watch):
            numbers[number, DUE] = 1
            found = True
    return found


@jit
def remember_near(
    slot: int, ts: int, stamp: int, bid: float, bid_size: float, ask: float, ask_size: float,
    seen: tuple[Any, ...], rings: tuple[Any, ...], near: tuple[Any, ...],
) -> bool:  # fmt: skip
    """``remember`` this touch, whose prices stand in the slots from now on; whether a pair of this slot is near or watched.

    ``seen``, ``rings`` = those of ``Slots``; ``near`` = ``Pairs.near``.
    """
    state, prices = seen
    of = near[0]
    remember(slot, ts, stamp, bid, bid_size, ask, ask_size, rings)
    prices[slot, 0], prices[slot, 1] = bid, ask
    if state[slot, PAIRED] > 0:
        return True
    for k in range(of.shape[1]):
        number = of[slot, k]
        if number < 0:
            break
        if _is_near(number, prices, near):
            return True
    return False
