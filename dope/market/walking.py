"""The depth walk of ``market/walk.py``, compiled, over books where they lie: to the last bit what it says, without its fills."""

from __future__ import annotations

from typing import Any

import numpy as np

from dope.market import kernel
from dope.market.compiled import jit
from dope.market.lane import Q_ASK, Q_BID, UNIT, in_base, quote_leads
from dope.market.walk import DUST

EXACT = float(2**53)  #: beyond it a float holds no half
SPLIT = float(2**27 + 1)
PICO = 1e12


@jit
def rounded(value: float) -> float:
    """``round(value, 12)`` of a number that is not below zero: decimals rounded exactly, halves to even."""
    scaled = value * PICO
    if not scaled < EXACT:
        return value
    # what the product lost: both factors in halves whose products are exact
    high = value * SPLIT - (value * SPLIT - value)
    unit = PICO * SPLIT - (PICO * SPLIT - PICO)
    low, rest = value - high, PICO - unit
    lost = ((high * unit - scaled) + high * rest + low * unit) + low * rest
    whole = np.floor(scaled)
    part = scaled - whole
    if part > 0.5 or (part == 0.5 and (lost > 0.0 or (lost == 0.0 and whole % 2.0 == 1.0))):
        whole += 1.0
    return float(whole / PICO)


@jit
def read_side(slot: int, bid_side: bool, kept: float, books: tuple[Any, ...], out: np.ndarray) -> int:
    """``Book.levels`` into ``out`` (price, base size), as many as fit; sizes times ``kept``. Their number."""
    levels, state, touch = books[0], books[1], books[2]
    unit, row, room = touch[slot, UNIT], 0 if bid_side else 2, out.shape[0]
    leads, quote = quote_leads(slot, state), Q_BID if bid_side else Q_ASK
    best, size = touch[slot, quote], touch[slot, quote + 1]
    count = 0
    if leads and best > 0.0 and size > 0.0:
        out[0, 0], out[0, 1] = best, in_base(size, best, unit) * kept
        count = 1
    n = levels[slot, 4, kernel.N_BID if bid_side else kernel.N_ASK]
    scale = kernel.FPOW[levels[slot, 4, kernel.SCALE]]
    for k in range(n - 1, -1, -1):
        if count == room:
            break
        key = levels[slot, row, k]
        price = (key if bid_side else -key) / scale
        if leads and not (price < best if bid_side else price > best):
            continue
        out[count, 0], out[count, 1] = price, in_base(kernel.unpacked(levels[slot, row + 1, k]), price, unit) * kept
        count += 1
    return count


@jit
def _walk(
    asks: np.ndarray, na: int, bids: np.ndarray, nb: int, fees: tuple[float, float], most: float, most_quote: float, fill_all: bool
) -> tuple[float, float, float]:
    """Levels are taken while they pay, or all of them, up to ``most`` base and a cost of ``most_quote``: (quantity, paid, got)."""
    i = j = 0
    qty = paid = got = 0.0
    fee_buy, fee_sell = fees
    ask_left = asks[0, 1] if na > 0 else 0.0
    bid_left = bids[0, 1] if nb > 0 else 0.0
    while i < na and j < nb:
        ask, bid = asks[i, 0], bids[j, 0]
        unit_cost = ask * (1.0 + fee_buy)
        if not fill_all and bid * (1.0 - fee_sell) - unit_cost <= 0.0:
            break
        room = most - qty
        if most_quote < np.inf:
            room = min(room, (most_quote - paid * (1.0 + fee_buy)) / unit_cost)
        if room <= qty * DUST:
            break
        take = min(ask_left, bid_left, room)
        qty += take
        paid += take * ask
        got += take * bid
        ask_left -= take
        bid_left -= take
        if take == room:
            break
        rest = take * DUST
        if ask_left <= rest:
            i += 1
            ask_left = asks[i, 1] if i < na else 0.0
        if bid_left <= rest:
            j += 1
            bid_left = bids[j, 1] if j < nb else 0.0
    return qty, paid, got


@jit
def _in_lots(
    asks: np.ndarray, na: int, bids: np.ndarray, nb: int, fees: tuple[float, float], lot: float, most_quote: float, fill_all: bool
) -> tuple[float, float, float]:
    """The same in whole lots."""
    qty, paid, got = _walk(asks, na, bids, nb, fees, np.inf, most_quote, fill_all)
    if lot > 0.0 and qty > 0.0:
        floored = np.floor(qty / lot + 1e-9) * lot
        if floored <= 0.0:
            return 0.0, 0.0, 0.0
        if floored < qty:
            qty, paid, got = _walk(asks, na, bids, nb, fees, rounded(floored), np.inf, fill_all)
    return qty, paid, got


@jit
def _net_bps(paid: float, got: float, fees: tuple[float, float], transfer: float) -> float:
    """What is earned, in bps of the cost of the buy with its fee."""
    cost = paid * (1.0 + fees[0])
    net = got * (1.0 - fees[1]) - cost
    if transfer != 0.0:
        net -= transfer
    return net / cost * 1e4


@jit
def best_of(
    asks: np.ndarray, na: int, bids: np.ndarray, nb: int, fees: tuple[float, float], lot: float, transfer: float
) -> tuple[float, float, float]:
    """``two_book`` without limits: (quantity, cost, net in bps of it) of the best size; quantity 0.0 = nothing pays."""
    qty, paid, got = _in_lots(asks, na, bids, nb, fees, lot, np.inf, False)
    if qty <= 0.0:
        return 0.0, 0.0, 0.0
    return qty, paid * (1.0 + fees[0]), _net_bps(paid, got, fees, transfer)


@jit
def order_of(
    asks: np.ndarray, na: int, bids: np.ndarray, nb: int, fees: tuple[float, float], lot: float, transfer: float, most_quote: float
) -> tuple[float, float, float]:
    """``two_book`` of all of an order of ``most_quote``, also at a loss: (average buy and sell price, net in bps); 0.0 = no size."""
    qty, paid, got = _in_lots(asks, na, bids, nb, fees, lot, most_quote, True)
    if qty <= 0.0:
        return 0.0, 0.0, 0.0
    return paid / qty, got / qty, _net_bps(paid, got, fees, transfer)
