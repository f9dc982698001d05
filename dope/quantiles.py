"""Durations counted in buckets: count, median, 99 % quantile and maximum of any number of them in a fixed amount of memory."""

from __future__ import annotations

STEPS = 8  #: buckets per doubling: a quantile is right within an eighth
_BITS = 3
_SIZE = 64 * STEPS


class Quantiles:
    """Of whole numbers ≥ 0, such as nanoseconds. One thread adds, any thread may read."""

    def __init__(self) -> None:
        self.count = 0
        self.max = 0
        self._buckets = [0] * _SIZE

    def add(self, value: int) -> None:
        """One more; a negative one counts as 0."""
        if value < STEPS:
            self._buckets[max(value, 0)] += 1
        else:
            shift = value.bit_length() - 1 - _BITS
            self._buckets[min((shift + 1) * STEPS + (value >> shift) - STEPS, _SIZE - 1)] += 1
        self.count += 1
        if value > self.max:
            self.max = value

    def at(self, share: float) -> int | None:
        """The value that this share of them does not exceed, rounded up to its bucket's end; None before the first."""
        if not self.count:
            return None
        wanted, seen = self.count * share, 0
        for n, many in enumerate(self._buckets):
            seen += many
            if many and seen >= wanted:
                return min(_end(n), self.max)
        return self.max


def _end(n: int) -> int:
    """The largest value of this bucket."""
    if n < STEPS:
        return n
    shift = n // STEPS - 1
    return ((n % STEPS + STEPS + 1) << shift) - 1
