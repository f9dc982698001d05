"""Columns of numbers with a row per slot: how they get room for more slots, and how what a compiled call found is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np


def widen(of: object, names: Sequence[str], have: int, slots: int) -> int:
    """Room for so many slots in the columns of these names, which have ``have``; how many rows came new, all zeros (0 = there was room)."""
    if slots <= have:
        return 0
    more = max(slots, 16)  # twice as many at least: one by one would copy all of them each time
    for name in names:
        old = getattr(of, name)
        setattr(of, name, np.concatenate([old, np.zeros((more, *old.shape[1:]), dtype=old.dtype)]))
    return more


def calls(advance: Callable[[], int], full: Callable[[int], bool]) -> Iterator[int]:
    """How many each call of ``advance`` found, the last one being the first that was not ``full``."""
    count = advance()
    yield count
    while full(count):
        count = advance()
        yield count
