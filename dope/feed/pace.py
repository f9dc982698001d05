"""Staying below published limits: connection attempts and request weight, counted in sliding windows."""

from __future__ import annotations

import email.utils
from collections import deque
from collections.abc import Callable

from dope.types import Limits

FIVE_MINUTES = 300 * 1_000_000_000
MINUTE = 60 * 1_000_000_000
LONGEST_WAIT_S = 3 * 86_400.0  #: the longest ban that a venue publishes


class ConnectPace:
    """At most ``connects_per_s`` and ``connects_per_5min`` connection attempts of one venue, from anybody here."""

    def __init__(self, limits: Limits, now: Callable[[], int]) -> None:
        self._now = now
        self._gap = int(1e9 / limits.connects_per_s)
        self._taken: deque[int] = deque(maxlen=max(1, limits.connects_per_5min))

    def reserve(self) -> float:
        """Take the next free moment for one attempt and return the s to wait for it. Never given back."""
        at = self._now()
        if self._taken:
            at = max(at, self._taken[-1] + self._gap)
        if len(self._taken) == self._taken.maxlen:
            at = max(at, self._taken[0] + FIVE_MINUTES)
        self._taken.append(at)
        return (at - self._now()) / 1e9


class WeightPace:
    """Request weight in any 60 s stays within the venue's budget, and nothing is asked while a ban lasts."""

    def __init__(self, per_minute: int, now: Callable[[], int]) -> None:
        self._now = now
        self._budget = per_minute
        self._spent: deque[tuple[int, int]] = deque()  # bounded: every entry weighs at least 1
        self.banned_until = 0

    def wait_s(self, weight: int) -> float:
        """s until ``weight`` may be spent: 0 = now. A single request above the budget counts as the whole budget."""
        now = self._now()
        while self._spent and self._spent[0][0] <= now - MINUTE:
            self._spent.popleft()
        if now < self.banned_until:
            return (self.banned_until - now) / 1e9
        excess = sum(w for _, w in self._spent) + min(max(weight, 1), self._budget) - self._budget
        for at, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            now = at + MINUTE
        return max(0.0, (now - self._now()) / 1e9)

    def spend(self, weight: int) -> None:
        """A request leaves now."""
        self._spent.append((self._now(), min(max(weight, 1), self._budget)))

    def ban(self, seconds: float) -> None:
        """The venue wants to hear nothing for ``seconds``; never shortens an earlier ban."""
        self.banned_until = max(self.banned_until, self._now() + int(seconds * 1e9))


def retry_after_s(value: str | None, utc_s: float) -> float:
    """Seconds of an HTTP Retry-After header, given as a number or as a date; 0.0 when absent or unreadable."""
    if not value:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - utc_s
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), LONGEST_WAIT_S)
