"""Whether memory grows with the messages: a straight line through samples of a whole run."""

from __future__ import annotations

import math

SAMPLES = 600  #: of the memory's size; when they are full every second one goes and the pace is halved


class Slope:
    """How fast memory grows with the messages: least squares over samples of the whole run but its first third."""

    def __init__(self) -> None:
        self._at: list[tuple[float, float]] = []  # (million messages, MiB)
        self._every = self._turn = 0

    def add(self, messages: int, mib: float) -> None:
        """One sample; kept, or not when samples are kept at a slower pace by now."""
        self._turn += 1
        if self._turn <= self._every:
            return
        self._turn = 0
        self._at.append((messages / 1e6, mib))
        if len(self._at) >= SAMPLES:
            self._at[:] = self._at[::2]
            self._every = 2 * self._every + 1

    def found(self) -> tuple[float, float, int, int]:
        """MiB per million messages, half of its 95 % interval (infinite for too few), million messages spanned, samples."""
        used = self._at[len(self._at) // 3 :]
        n = len(used)
        if n < 10 or used[-1][0] <= used[0][0]:
            return 0.0, math.inf, 0, n
        mean_x, mean_y = math.fsum(x for x, _ in used) / n, math.fsum(y for _, y in used) / n
        spread = math.fsum((x - mean_x) ** 2 for x, _ in used)
        slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in used) / spread
        rest = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in used) / (n - 2)
        return slope, 1.96 * math.sqrt(rest / spread), int((used[-1][0] - used[0][0]) * 1e6), n
