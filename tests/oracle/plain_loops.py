"""Loops of three markets the slow way: exact fractions, every size at which anything changes tried, no walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate, permutations

Levels = Sequence[tuple[float, float]]


def take(levels: Levels, amount: Fraction) -> Fraction | None:
    """Value of the first ``amount`` of base in the levels; None when they do not hold as much."""
    value = Fraction(0)
    for price, size in levels:
        part = min(amount, Fraction(size))
        value += part * Fraction(price)
        amount -= part
    return None if amount > 0 else value


def spend(levels: Levels, amount: Fraction) -> Fraction | None:
    """Base that this amount of quote buys; None when the levels do not cost as much."""
    got = Fraction(0)
    for price, size in levels:
        part = min(amount, Fraction(price) * Fraction(size))
        got += part / Fraction(price)
        amount -= part
    return None if amount > 0 else got


def best(profit: Callable[[Fraction], Fraction | None], sizes: Sequence[Fraction]) -> Fraction:
    """The largest profit at any of these sizes, at least nothing."""
    return max([Fraction(0), *(found for size in sizes if (found := profit(size)) is not None)])


def sums(levels: Levels) -> list[Fraction]:
    """Sizes at which a level is used up."""
    return list(accumulate((Fraction(size) for _, size in levels), initial=Fraction(0)))


def loops_of(pairs: Sequence[tuple[str, str]]) -> set[tuple[tuple[str, str, bool], ...]]:
    """All ways round three markets (base, quote), each as ((base, quote, sold), …) from its least beginning: every order is tried."""
    found = set()
    for three in permutations(pairs, 3):
        for code in range(8):
            sold = [bool(code >> k & 1) for k in range(3)]
            gives = [pair[0] if sells else pair[1] for pair, sells in zip(three, sold, strict=True)]
            takes = [pair[1] if sells else pair[0] for pair, sells in zip(three, sold, strict=True)]
            if all(takes[k] == gives[(k + 1) % 3] for k in range(3)) and len(set(gives)) == 3:
                way = [(*pair, sells) for pair, sells in zip(three, sold, strict=True)]
                turns = [tuple(way[k:] + way[:k]) for k in range(3)]
                found.add(min(turns))
    return found
