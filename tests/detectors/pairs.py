"""Two markets of one price, or of two: changes of a price that both tell, at unequal rates, one later than the other."""

from __future__ import annotations

import random

import numpy as np

from dope.detectors.contrast import Series, changes_only, last_per_time

SPAN_MS = 300_000
Walk = list[tuple[int, float]]


def walk(rand: random.Random, per_s: float = 8.0) -> Walk:
    """A price in bps that moves at random moments, now and then by much: (ms, price)."""
    found, t, price = [], 0.0, 0.0
    while t < SPAN_MS:
        found.append((int(t), price))
        t += rand.expovariate(per_s / 1e3)
        price += rand.choice((-1, 1)) * (0.3 if rand.random() < 0.99 else 3.0)
    return found


def told(price: Walk, rand: random.Random, *, lag_ms: int = 0, tick: float = 0.3, jitter_ms: int = 1) -> Series:
    """What a market with that tick says of it, so much later: the coarser its tick, the rarer it moves."""
    rows = [(t + lag_ms + rand.randint(0, jitter_ms), round((value + rand.gauss(0, 0.02)) / tick) * tick) for t, value in price]
    rows.sort(key=lambda row: row[0])
    return changes_only(*last_per_time(np.array([row[0] for row in rows], dtype=np.int64), np.array([row[1] for row in rows])))
