"""When to try again: full-jitter back-off that never gives up, a circuit breaker, and what each kind of failure means."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

BASE_S = 1.0  #: upper bound of the first delay
CAP_S = 60.0  #: upper bound of any delay
RESET_AFTER_S = 60.0  #: good data for this long forgets earlier failures
OPEN_AFTER = 5  #: consecutive failures that open the breaker
SLOW_S = 60.0  #: retry period where trying harder cannot help (blocked, refused, maintenance)
REFUSED_MOST_S = 3600.0  #: longest wait where no subscription is taken


class Backoff:
    """Delays drawn uniformly from [0, min(60, 2**n)] s ("full jitter": clients cut off together come back apart).

    Success alone does not reset it: a venue that accepts and then drops would be hammered. Only ``held`` does.
    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, rng: random.Random, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._rng = rng
        self._base_s = base_s
        self._cap_s = cap_s
        self.failures = 0

    def bound(self) -> float:
        """Upper bound of the next delay, s."""
        return min(self._cap_s, self._base_s * 2.0 ** min(self.failures, 30))

    def next(self) -> float:
        """Count one more failure and draw the delay before the next attempt, s."""
        delay = self._rng.uniform(0.0, self.bound())
        self.failures += 1
        return delay

    def held(self, good_s: float, needed_s: float = RESET_AFTER_S) -> None:
        """A connection has ended that delivered good data for ``good_s``; long enough, and the past is forgotten."""
        if good_s >= needed_s:
            self.failures = 0


class Breaker:
    """One per venue: after five failures in a row nobody tries until the cool-down is over, then one may (half-open).

    The cool-down is drawn from [cap/2, cap], so that a venue is back within ``CAP_S`` of its return.
    """

    def __init__(
        self, now: Callable[[], int], rng: random.Random, *, threshold: int = OPEN_AFTER, cap_s: float = CAP_S
    ) -> None:
        self._now = now
        self._rng = rng
        self._threshold = threshold
        self._cap_s = cap_s
        self.state = "closed"
        self.failures = 0
        self.until = 0  #: ns, end of the cool-down while open
        self._rests = 0  # ns, until when the venue wants to hear of nobody

    def wait_s(self) -> float:
        """s until an attempt is allowed: 0 = now, infinite while another connection is probing."""
        if self.state == "closed":
            return 0.0
        if self.state == "half-open":
            return float("inf")
        return max(0.0, (self.until - self._now()) / 1e9)

    def attempt(self) -> None:
        """Somebody tries now; call only when ``wait_s()`` is 0."""
        if self.state == "open":
            self.state = "half-open"

    def success(self) -> None:
        """A connection is up and delivering; one that came in before the venue wanted nobody any more says nothing against that."""
        self.failures = 0
        if self._now() >= self._rests:
            self.state = "closed"

    def failure(self) -> None:
        """An attempt failed, or a connection ended that should not have."""
        self.failures += 1
        if self.state == "half-open" or self.failures >= self._threshold:
            self.state = "open"
            self.until = max(self._rests, self._now() + int(self._rng.uniform(self._cap_s / 2, self._cap_s) * 1e9))

    def rest(self, seconds: float) -> None:
        """The venue wants to hear of nobody for so long: a little longer, since others were told the same. Shortens no earlier rest."""
        self.state = "open"
        self._rests = max(self._rests, self._now() + int(seconds * self._rng.uniform(1.0, 1.1) * 1e9))
        self.until = max(self.until, self._rests)

    def abandon(self) -> None:
        """The probe was given up by us and proved nothing: the next one may try."""
        if self.state == "half-open":
            self.state, self.until = "open", self._now()

    def hurry(self) -> None:
        """A person asks to try now: the cool-down is over."""
        self.until = self._rests = self._now()


class Trouble(msgspec.Struct, frozen=True):
    """Why a connection is not there, in plain words, and how patient to be.

    ``state`` is what the venue table shows: "down", "blocked", "refused" or "maintenance". ``wait_s`` is the least
    time before the next attempt, of all connections to the venue where ``all`` are meant.
    """

    words: str
    state: str = "down"
    wait_s: float = 0.0
    all: bool = False


def of_status(status: int, words: str, retry_after_s: float = 0.0) -> Trouble:
    """What an HTTP status in place of a WebSocket means; ``status`` 0 = no HTTP answer at all."""
    if status in (403, 451):
        return Trouble(f"blocked by the venue (HTTP {status}): not served from this network or country", "blocked", SLOW_S)
    if status in (418, 429):
        least = max(retry_after_s, SLOW_S if status == 418 else 1.0)
        return Trouble(f"too many connections (HTTP {status}), told to wait {least:.0f} s", "down", least, all=True)
    if status == 503:
        return Trouble("under maintenance (HTTP 503)", "maintenance", max(retry_after_s, SLOW_S / 2))
    if 300 <= status < 500:
        return Trouble(f"refused the connection (HTTP {status})", "refused", max(retry_after_s, SLOW_S))
    return Trouble(words, "down", retry_after_s)


def of_refusal(before: int, words: str) -> Trouble:
    """The venue took no subscription, as on so many links in a row ``before``: the wait doubles, up to an hour."""
    return Trouble(words, "refused", min(SLOW_S * 2.0 ** min(before, 30), REFUSED_MOST_S))


def of_close(code: int, reason: str) -> Trouble:
    """What a WebSocket close code means; 1008 and 4xxx are about our own request: trying harder cannot help."""
    words = f"closed by the venue ({code}{': ' + reason if reason else ''})" if code != 1006 else reason or "connection lost"
    if code == 1008 or 4000 <= code < 5000:
        return Trouble(words, "refused", SLOW_S)
    if code == 1013:
        return Trouble(words, "maintenance", SLOW_S / 2)
    return Trouble(words)
