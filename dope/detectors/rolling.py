"""Rolling mean, standard deviation, minimum and maximum of the last n samples, one sample at a time."""

from __future__ import annotations

from collections import deque

WINDOW = 600  #: samples (10 minutes at one per second)


class Rolling:
    """A bounded window of numbers; sums are made anew each ``WINDOW`` samples so that rounding never piles up."""

    __slots__ = ("_fed", "_sum", "_sum2", "window")

    def __init__(self, size: int = WINDOW) -> None:
        self.window: deque[float] = deque(maxlen=size)
        self._sum = self._sum2 = 0.0
        self._fed = 0

    def add(self, x: float) -> None:
        """One more sample."""
        window = self.window
        if len(window) == window.maxlen:
            old = window[0]
            self._sum -= old
            self._sum2 -= old * old
        window.append(x)
        self._sum += x
        self._sum2 += x * x
        self._fed += 1
        if self._fed % WINDOW == 0:
            self._sum, self._sum2 = sum(window), sum(v * v for v in window)

    def stats(self) -> tuple[float, float, float, float, float, int] | None:
        """(mean, sd, current, min, max, n), None before the first sample; sd is the sample standard deviation."""
        n = len(self.window)
        if not n:
            return None
        mean = self._sum / n
        variance = max(self._sum2 / n - mean * mean, 0.0) * n / (n - 1) if n > 1 else 0.0
        return mean, variance**0.5, self.window[-1], min(self.window), max(self.window), n
