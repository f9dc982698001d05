"""The one definition of fresh: how old a book is known to be, and how old it may be to count.

Receive times come from one monotonic clock; a venue's own stamps only measure *excess delay*: how much later than its
best case a message arrived. Clocks of venues and recorders may be off by any amount (1.27 s were seen): only
differences to the rolling minimum are used, so negative latencies are as good as any.

A venue's clock may be set. Forwards, the minimum follows with the first message. Backwards, everything looks late, as it does when
messages wait somewhere; but what waits keeps its order, and only a clock that was set back stamps a message of a stream *before* the
one before it. By so much it was set back at least, so by so much the minimum may rise, and nothing late looks fresh for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dope.market.compiled import jit

NS = 1_000_000_000
MIN_LIMIT_S, MAX_LIMIT_S = 0.25, 5.0
HALF_LIFE_S = 60.0
_DECAY = 0.5 ** (1.0 / HALF_LIFE_S)


# state of one venue's delays, an int64 array
MINUTE = 60_000_000_000
WINDOW_MINUTES = 5
RING = 512  #: a power of two
MINUTE_END, MINUTE_MIN, DELAY_FLOOR, LAST_LATE, DELAYS_SEEN, MINUTES_SEEN = range(6)
# a step back that shows: by how much at least (0 = none), since when, and how many messages before it; those that were taken so far, and
# by how much the last one was
BACK, BACK_SINCE, BACK_FROM, STEPS, LAST_STEP, MINUTES = range(6, 12)
RING_AT = MINUTES + WINDOW_MINUTES
NEVER = np.int64(2**62)
LEAST_BACK_NS = 50_000_000  #: stamps of a stream that fall by less are the venue's disorder
SURE_NS, SURE_MESSAGES = NS, 4  #: a clock is believed to have been set back when so much later nothing tells the time of before


def new_delays() -> np.ndarray:
    """State of a venue that has not sent anything yet."""
    state = np.zeros(RING_AT + RING, dtype=np.int64)
    state[MINUTE_END], state[MINUTE_MIN] = -NEVER, -NEVER
    state[MINUTES:RING_AT] = NEVER
    return state


@jit
def _begin_anew(delays: np.ndarray) -> None:
    """The venue's clock was set back: what was measured by the one before says nothing, and what came meanwhile was not late."""
    back = delays[BACK]
    floor = delays[DELAY_FLOOR] + back
    for m in range(WINDOW_MINUTES):
        delays[MINUTES + m] = NEVER
    delays[MINUTES + delays[MINUTES_SEEN] % WINDOW_MINUTES] = floor
    delays[MINUTE_MIN] = delays[DELAY_FLOOR] = floor
    seen = delays[DELAYS_SEEN]
    for i in range(max(delays[BACK_FROM], seen - RING), seen):
        at = RING_AT + (i & (RING - 1))
        delays[at] = max(delays[at] - back, 0)
    delays[STEPS] += 1
    delays[LAST_STEP], delays[BACK] = back, 0


@jit
def _set_back(delays: np.ndarray, ts: int, delay: int, back: int) -> None:
    """Whether the venue's clock was set back, of which this message's stamp shows ``back`` ns."""
    if back > LEAST_BACK_NS:
        if delays[BACK] == 0:
            delays[BACK_SINCE], delays[BACK_FROM] = ts, delays[DELAYS_SEEN]
        delays[BACK] = max(delays[BACK], back)
    if delay < delays[DELAY_FLOOR] + delays[BACK] // 2:
        delays[BACK] = 0  # the time of before is still told: one message was out of order, or its stamp was wrong
    elif ts - delays[BACK_SINCE] >= SURE_NS and delays[DELAYS_SEEN] - delays[BACK_FROM] >= SURE_MESSAGES:
        _begin_anew(delays)


@jit
def late_in(delays: np.ndarray, ts: int, ts_exch: int, streams: np.ndarray, slot: int, column: int, conn: int) -> int:
    """``late_by`` for a message of a stream, whose newest stamp and its connection stand in ``streams[slot, column:column + 2]``."""
    last = streams[slot, column] if streams[slot, column + 1] == conn else 0
    streams[slot, column], streams[slot, column + 1] = ts_exch, conn
    return late_by(delays, ts, ts_exch, last - ts_exch if last != 0 else 0)


@jit
def late_by(delays: np.ndarray, ts: int, ts_exch: int, back: int) -> int:
    """Feed one pair of stamps (ns); how late this message was against the best case of the last five minutes, ≥ 0.

    ``back`` = by how much its stamp is before that of the message before it of the same stream and connection; ≤ 0 = it is not.
    """
    delay = ts - ts_exch
    if back > LEAST_BACK_NS or delays[BACK] > 0:
        _set_back(delays, ts, delay, back)
    if ts >= delays[MINUTE_END] or delay < delays[MINUTE_MIN]:
        if ts >= delays[MINUTE_END]:
            delays[MINUTE_END] = (ts // MINUTE + 1) * MINUTE
            delays[MINUTES_SEEN] += 1
        delays[MINUTES + delays[MINUTES_SEEN] % WINDOW_MINUTES] = delay
        delays[MINUTE_MIN] = delay
        best = NEVER
        for m in range(WINDOW_MINUTES):
            best = min(best, delays[MINUTES + m])
        delays[DELAY_FLOOR] = best
    late = delay - delays[DELAY_FLOOR]
    delays[LAST_LATE] = late
    delays[RING_AT + (delays[DELAYS_SEEN] & (RING - 1))] = late
    delays[DELAYS_SEEN] += 1
    return late


UNITS = tuple(10**exponent for exponent in range(9, -1, -1))  #: ns, from a second down


def resolution_ns(stamps: np.ndarray) -> int | None:
    """The step that a venue's stamps keep to, a power of ten of ns; None for fewer than two different ones. 0 is no stamp."""
    told = np.unique(stamps[stamps != 0])
    if len(told) < 2:
        return None
    return next(unit for unit in UNITS if not np.any(told % unit))


class Spread(NamedTuple):
    """How receive − exchange times lie, ms, of any sign: where our clock is behind, all are negative."""

    min: float
    p1: float
    median: float
    p99: float
    max: float


def spread_ms(received: np.ndarray, stamped: np.ndarray) -> Spread | None:
    """Of times in ns, one pair per message; stamps of 0 are none. None without any."""
    told = stamped != 0
    if not np.any(told):
        return None
    return Spread(*(float(q) for q in np.percentile((received[told] - stamped[told]) / 1e6, (0, 1, 50, 99, 100))))


class DelayFloor:
    """Rolling 5-minute minimum of receive − exchange time of one venue, and the excess above it (kernel state)."""

    def __init__(self) -> None:
        self.state = new_delays()

    def excess(self, ts: int, ts_exch: int) -> int:
        """Feed one pair of stamps (ns); how late this message was against the best case, ≥ 0."""
        return int(late_by(self.state, ts, ts_exch, 0))

    def heard(self, ts: int, ts_exch: int, stream: tuple[np.ndarray, int, int], conn: int) -> int:
        """The same for a message of ``stream`` = (streams, slot, column), see ``late_in``: only so a clock that is set back is noticed."""
        return int(late_in(self.state, ts, ts_exch, *stream, conn))

    @property
    def steps(self) -> tuple[int, int]:
        """How often the venue's clock was set back so far, and by how much at least the last time, ns."""
        return int(self.state[STEPS]), int(self.state[LAST_STEP])

    @property
    def floor(self) -> int | None:
        """The smallest receive − exchange time of the last five minutes, ns, of any sign; None before the first stamp."""
        return int(self.state[DELAY_FLOOR]) if self.state[DELAYS_SEEN] else None

    @property
    def minutes(self) -> list[int]:
        """The smallest of each of the last minutes with stamps, ns, oldest first, at most five: how far the floor itself moves."""
        newest = int(self.state[MINUTES_SEEN])
        kept = (int(self.state[MINUTES + at % WINDOW_MINUTES]) for at in range(newest - WINDOW_MINUTES + 1, newest + 1))
        return [delay for delay in kept if delay != NEVER]

    def ended(self, minute: int) -> int | None:
        """The smallest delay of the newest minute with stamps before ``minute`` (of our clock), ns; None when that was longer ago."""
        newest, until = int(self.state[MINUTES_SEEN]), int(self.state[MINUTE_END]) // MINUTE
        running = until > minute  # messages of the minute that runs have come already
        if newest <= running or (not running and until < minute):
            return None
        smallest = int(self.state[MINUTES + (newest - running) % WINDOW_MINUTES])
        return None if smallest == NEVER else smallest

    @property
    def last(self) -> int:
        """Excess of the newest stamped message, ns."""
        return int(self.state[LAST_LATE])

    def percentiles(self) -> tuple[float, float] | None:
        """(p50, p99) of the last excess delays in ms; None before the first."""
        seen = int(self.state[DELAYS_SEEN])
        if not seen:
            return None
        ring = sorted(self.state[RING_AT : RING_AT + min(seen, RING)].tolist())
        return ring[len(ring) // 2] / 1e6, ring[min(len(ring) - 1, len(ring) * 99 // 100)] / 1e6


SIMULTANEOUS_MS = 500.0  #: legs whose ages differ by more were not there at the same time


def simultaneous(age_ms: float, other_ms: float) -> bool:
    """Whether two quotes of these confirmed ages may be compared: further apart, the price may have moved meanwhile."""
    return abs(age_ms - other_ms) <= SIMULTANEOUS_MS


def age_limit_ns(wall_bps: float, sigma_bps: float, cap_s: float = MAX_LIMIT_S) -> int:
    """Oldest a leg may be: the time in which a 3-sigma move stays inside the fee wall, 250 ms … 5 s.

    ``sigma_bps`` in bps per sqrt(second); a quote of age A fakes a gap of sigma·sqrt(A) by itself.
    """
    seconds = MAX_LIMIT_S if sigma_bps <= 0.0 else (wall_bps / (3.0 * sigma_bps)) ** 2
    return int(min(max(seconds, MIN_LIMIT_S), cap_s, MAX_LIMIT_S) * NS)


RHYTHM = 6.0  #: times its usual age: a leg that is so old is silent beyond its habit
RHYTHM_LOOKS = 600  #: looks that make a habit, ten a second


class Rhythm:
    """How old a book usually is when it is looked at, ns, learnt over a minute; what is silent for much longer has probably gone silent.

    A look at a random moment meets long pauses more often than short ones, so feeds that speak in bursts get the patience they need.
    """

    __slots__ = ("looks", "usual")

    def __init__(self) -> None:
        self.looks, self.usual = 0, 0.0

    def look(self, age: int) -> None:
        """One look; an age beyond the limit counts as the limit, so that a silence does not make itself usual."""
        self.looks = min(self.looks + 1, RHYTHM_LOOKS)
        self.usual += (min(age, self.limit_ns()) - self.usual) / self.looks

    def limit_ns(self) -> int:
        """Oldest that fits the habit, 250 ms … 5 s; 5 s before the first look."""
        return int(min(max(self.usual * RHYTHM, MIN_LIMIT_S * NS), MAX_LIMIT_S * NS)) if self.looks else int(MAX_LIMIT_S * NS)


def next_sigma(sigma: float, last_mid: float, mid: float) -> float:
    """Volatility after one more second: exponentially weighted root mean square of 1 s returns, in bps."""
    if last_mid <= 0.0:
        return sigma
    move = (mid / last_mid - 1.0) * 1e4
    return float((_DECAY * sigma * sigma + (1.0 - _DECAY) * move * move) ** 0.5)
