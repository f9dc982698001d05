"""How long messages of one venue are on their way: the smallest delay of the last minutes, and a clock of the venue that is set. Compiled.

A delay is the receive time less the venue's own stamp, of any sign, because both clocks may be off. Set back, a clock makes everything
look late, as it does when messages wait somewhere; but what waits keeps its order, and only a clock that was set back stamps a message
of a stream *before* the one before it. By so much it was set back at least, so by so much the minimum may rise, and nothing late
looks fresh for it.

Set forward, it makes messages come sooner than the soonest so far; the minimum follows with the first of them. So it does where all
that came before had waited, and nothing waits any more. But then what was sent meanwhile comes, too, in its order; a clock that was set
forward leaves a time out, and no message is ever stamped within it. It is believed when the venue is never silent for so long.

One stamp proves nothing: it may be wrong by itself. Messages that come much sooner than any before move the minimum when SURE_MESSAGES
of them agree within a minute, and none of their streams told the time of before again meanwhile; and a minimum that fewer than so many
messages share is no time from which a clock could have been set back. Until then such a message is not late, and changes nothing.
"""

from __future__ import annotations

import numpy as np

from dope.market.compiled import jit

NS = 1_000_000_000
MINUTE = 60_000_000_000
WINDOW_MINUTES = 5
RING = 512  #: a power of two
# state of one venue, an int64 array
MINUTE_END, MINUTE_MIN, DELAY_FLOOR, LAST_LATE, DELAYS_SEEN, MINUTES_SEEN = range(6)
# a step back that shows: by how much at least (0 = none), since when, and how many messages before it
BACK, BACK_SINCE, BACK_FROM = range(6, 9)
# a time that was left out, by its stamps (LEFT_TO 0 = none); since when, how many messages before it, and the smallest delay before it
LEFT_FROM, LEFT_TO, LEFT_SINCE, LEFT_SEEN, LEFT_FLOOR = range(9, 14)
# the newest stamp, and how far it usually goes on at a time; steps that were taken so far, and the last one (< 0 = back)
NEWEST, PACE, STEPS, LAST_STEP = range(14, 18)
# messages much sooner than the smallest delay: how many, since when, the largest and the smallest delay of them
SOONER, SOONER_SINCE, SOONER_MOST, SOONER_LEAST = range(18, 22)
SHARED, MINUTES = range(22, 24)  # how many messages have had the smallest delay, or nearly
RING_AT = MINUTES + WINDOW_MINUTES
NEVER = np.int64(2**62)
LEAST_NS = 50_000_000  #: stamps of a stream that fall by less, and delays that do, are the venue's disorder
SURE_NS, SURE_MESSAGES = 900_000_000, 4  #: a clock is believed to have been set when so much later nothing tells the time of before
PACE_MESSAGES = 64  #: that make a habit
SILENT = 10  #: times the usual pace: in so long a time a venue says something


def new_delays() -> np.ndarray:
    """State of a venue that has not sent anything yet."""
    state = np.zeros(RING_AT + RING, dtype=np.int64)
    state[MINUTE_END], state[MINUTE_MIN] = -NEVER, -NEVER
    state[MINUTES:RING_AT] = NEVER
    return state


@jit
def _begin_anew(delays: np.ndarray, floor: int, step: int, stamp: int) -> None:
    """The venue's clock was set by ``step``: what was measured by the one before says nothing."""
    for m in range(WINDOW_MINUTES):
        delays[MINUTES + m] = NEVER
    delays[MINUTES + delays[MINUTES_SEEN] % WINDOW_MINUTES] = floor
    delays[MINUTE_MIN] = delays[DELAY_FLOOR] = floor
    delays[STEPS] += 1
    delays[LAST_STEP], delays[NEWEST] = step, stamp
    delays[BACK] = delays[LEFT_TO] = delays[SOONER] = 0


@jit
def _set_back(delays: np.ndarray, ts: int, delay: int, back: int) -> None:
    """Whether the venue's clock was set back, of which this message's stamp shows ``back`` ns."""
    if back > LEAST_NS:
        if delays[BACK] == 0:
            delays[BACK_SINCE], delays[BACK_FROM] = ts, delays[DELAYS_SEEN]
        delays[BACK] = max(delays[BACK], back)
    seen = delays[DELAYS_SEEN]
    if delay < delays[DELAY_FLOOR] + delays[BACK] // 2:
        delays[BACK] = 0  # the time of before is still told: one message was out of order, or its stamp was wrong
    elif ts - delays[BACK_SINCE] >= SURE_NS and seen - delays[BACK_FROM] >= SURE_MESSAGES:
        by, steps, last = delays[BACK], delays[STEPS], delays[LAST_STEP]
        for i in range(max(delays[BACK_FROM], seen - RING), seen):  # what came meanwhile was not late
            at = RING_AT + (i & (RING - 1))
            delays[at] = max(delays[at] - by, 0)
        _begin_anew(delays, delays[DELAY_FLOOR] + by, -by, ts - delay)
        if delays[SHARED] < SURE_MESSAGES:  # not the clock: what it was measured from were wrong stamps
            delays[STEPS], delays[LAST_STEP] = steps, last


@jit
def _set_forward(delays: np.ndarray, ts: int, delay: int, back: int) -> None:
    """Whether the venue's clock was set forward: this message came sooner than any before it, or another one did."""
    stamp, seen = ts - delay, delays[DELAYS_SEEN]
    if back > LEAST_NS and delays[SOONER] > 0 and delay >= delays[DELAY_FLOOR] - LEAST_NS:
        delays[LEFT_TO] = delays[SOONER] = 0  # its stream tells the time of before again: the stamp before it was wrong
    if delay >= delays[DELAY_FLOOR] - LEAST_NS and delays[LEFT_TO] == 0:
        return
    if delays[LEFT_TO] == 0:
        sooner = (delays[SOONER_LEAST] if delays[SOONER] > 0 else delays[DELAY_FLOOR]) - delay
        left = stamp - delays[NEWEST]
        # its stream goes on over this connection, and the time left out is none in which nothing came either
        if seen >= PACE_MESSAGES and sooner > max(LEAST_NS, SILENT * delays[PACE]) and left <= 2 * sooner and back < -LEAST_NS:
            delays[LEFT_FROM], delays[LEFT_TO], delays[LEFT_FLOOR] = delays[NEWEST], stamp, delays[DELAY_FLOOR]
            delays[LEFT_SINCE], delays[LEFT_SEEN] = ts, seen
        return
    edge = (delays[LEFT_TO] - delays[LEFT_FROM]) // 4
    if delays[LEFT_FROM] + edge < stamp < delays[LEFT_TO] - edge:
        delays[LEFT_TO], delays[NEWEST] = 0, stamp  # it was not left out: something had waited, or one stamp was wrong
    elif ts - delays[LEFT_SINCE] >= SURE_NS and seen - delays[LEFT_SEEN] >= SURE_MESSAGES:
        if delays[LEFT_FLOOR] - delays[DELAY_FLOOR] > LEAST_NS:
            _begin_anew(delays, delays[DELAY_FLOOR], delays[LEFT_FLOOR] - delays[DELAY_FLOOR], stamp)
        else:
            delays[LEFT_TO] = 0  # too few messages have agreed


@jit
def _agreed(delays: np.ndarray, ts: int, delay: int) -> bool:
    """Whether, with this message that is much sooner than the smallest delay, as many were so as it takes."""
    if delays[SOONER] == 0 or ts - delays[SOONER_SINCE] > MINUTE:
        delays[SOONER], delays[SOONER_SINCE], delays[SOONER_MOST], delays[SOONER_LEAST] = 0, ts, delay, delay
    delays[SOONER] += 1
    delays[SOONER_MOST], delays[SOONER_LEAST] = max(delays[SOONER_MOST], delay), min(delays[SOONER_LEAST], delay)
    return bool(delays[SOONER] >= SURE_MESSAGES)


@jit
def _late(delays: np.ndarray, late: int) -> int:
    """Keep how late a message was."""
    delays[LAST_LATE] = late
    delays[RING_AT + (delays[DELAYS_SEEN] & (RING - 1))] = late
    delays[DELAYS_SEEN] += 1
    return late


@jit
def late_in(delays: np.ndarray, ts: int, ts_exch: int, streams: np.ndarray, slot: int, column: int, conn: int) -> int:
    """``late_by`` for a message of a stream, whose newest stamp and its connection stand in ``streams[slot, column:column + 2]``."""
    last = streams[slot, column] if streams[slot, column + 1] == conn else 0
    streams[slot, column], streams[slot, column + 1] = ts_exch, conn
    return late_by(delays, ts, ts_exch, last - ts_exch if last != 0 else 0)


@jit
def late_by(delays: np.ndarray, ts: int, ts_exch: int, back: int) -> int:
    """Feed one pair of stamps (ns); how late this message was against the best case of the last five minutes, ≥ 0.

    ``back`` = by how much its stamp is before that of the message before it of the same stream and connection; < 0 = after it,
    0 = there was none.
    """
    delay = ts - ts_exch
    if back > LEAST_NS or delays[BACK] > 0:
        _set_back(delays, ts, delay, back)
    if delay < delays[DELAY_FLOOR] - LEAST_NS or delays[LEFT_TO] > 0 or delays[SOONER] > 0:
        _set_forward(delays, ts, delay, back)
    if delays[DELAYS_SEEN] > 0 and delay < delays[DELAY_FLOOR] - LEAST_NS:
        if not _agreed(delays, ts, delay):
            return _late(delays, 0)
        delay = delays[SOONER_MOST]  # all of them came so soon at least
        delays[SOONER], delays[SHARED] = 0, SURE_MESSAGES
    elif delay <= delays[DELAY_FLOOR] + LEAST_NS:
        delays[SHARED] += 1
    on = ts_exch - delays[NEWEST]
    if on > 0:
        delays[NEWEST] = ts_exch
        delays[PACE] += (on - delays[PACE]) // PACE_MESSAGES if delays[DELAYS_SEEN] > 0 else 0
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
    return _late(delays, max(delay - delays[DELAY_FLOOR], 0))


class DelayFloor:
    """Rolling 5-minute minimum of receive − exchange time of one venue, and the excess above it (kernel state)."""

    def __init__(self) -> None:
        self.state = new_delays()

    def excess(self, ts: int, ts_exch: int) -> int:
        """Feed one pair of stamps (ns); how late this message was against the best case, ≥ 0."""
        return int(late_by(self.state, ts, ts_exch, 0))

    def heard(self, ts: int, ts_exch: int, stream: tuple[np.ndarray, int, int], conn: int) -> int:
        """The same for a message of ``stream`` = (streams, slot, column), see ``late_in``: only so a clock that is set is noticed."""
        return int(late_in(self.state, ts, ts_exch, *stream, conn))

    @property
    def steps(self) -> tuple[int, int]:
        """How often the venue's clock was set so far, and by how much the last time, ns: back (< 0) at least, or forward about."""
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
        ring = np.sort(self.state[RING_AT : RING_AT + min(seen, RING)])
        return float(ring[len(ring) // 2]) / 1e6, float(ring[min(len(ring) - 1, len(ring) * 99 // 100)]) / 1e6
