"""Our own clock and the venues': a step of the system clock is told at once, and the smallest delays of each minute are kept for an hour.

Receive times come from a monotonic clock that was anchored to UTC once, so a step of the system clock changes no time, age or order here:
it shows as the distance between the two, which each tick carries. A venue's clock cannot be read; what can be known is the smallest
receive − stamp time, of any sign, and how it moves: that is its error plus the shortest way of a message, which nothing tells apart.
Only when it is set, its own stamps show it (``market/delays.py``): that is told, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from dope.market.delays import MINUTE, DelayFloor
from dope.market.market import Market
from dope.types import SENTINEL, Event, Signal, Tick

MS = 1_000_000
NS = 1_000_000_000
HOUR_MINUTES = 60
STEPS = 20  #: steps that are remembered
DRIFT_MINUTES = 5  #: fewer say nothing about drift


class ClockParameters(msgspec.Struct, frozen=True):
    """What counts as a step of the system clock."""

    step_ms: Annotated[float, Meta(ge=1.0, le=3_600_000.0, title="ms", description="the system clock jumped by more than this")] = 100.0
    skew_ms: Annotated[float, Meta(ge=1.0, le=3_600_000.0, title="ms", description="our times are off by more: every page says so")] = 250.0


class ClockStep(Signal, frozen=True):
    """A clock was set by ``step_ms``: the system clock between two ticks, which now stands ``offset_ms`` from ours, or that of ``venue``.

    A venue's is below zero when it was set back, by so much at least; ``offset_ms`` is then its smallest receive − stamp time.
    """

    KIND = "clock"

    step_ms: float
    offset_ms: float
    venue: str = ""

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        if self.venue:
            way = "forward" if self.step_ms > 0 else "back"
            return f"The clock of {label(self.venue)} was set {way}; its delays are measured anew", f"{self.step_ms:+.0f} ms", "warn"
        way = "forwards" if self.step_ms > 0 else "backwards"
        return f"The system clock was set {way}; times here go on as before", f"{self.step_ms:+.0f} ms", "warn"


class Clocks:
    """Read through ``offset_ns``, ``steps`` and ``minima`` (venue → (minute, smallest receive − stamp time in ns), oldest first)."""

    PARAMETERS = ClockParameters
    KINDS = (Tick,)

    def __init__(self, parameters: ClockParameters | None = None) -> None:
        self.parameters = parameters or ClockParameters()
        self.offset_ns: int | None = None
        self.steps: deque[ClockStep] = deque(maxlen=STEPS)
        self.minima: dict[str, deque[tuple[int, int]]] = {}
        self._minute = self._second = 0
        self._set: dict[str, int] = {}  # venue → how often its clock was set so far

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if not isinstance(event, Tick):
            return ()
        before, self.offset_ns = self.offset_ns, event.wall_offset
        found: list[ClockStep] = []
        if event.ts // NS != self._second:
            self._second = event.ts // NS
            if event.ts // MINUTE != self._minute:
                self._minute = event.ts // MINUTE
                self._keep(market)
            found = self._of_venues(event.ts, market)
        if before is not None and abs(event.wall_offset - before) > self.parameters.step_ms * MS:
            step = ClockStep(event.ts, (event.wall_offset - before) / MS, event.wall_offset / MS)
            self.steps.append(step)
            found.append(step)
        return found

    def _of_venues(self, now: int, market: Market) -> list[ClockStep]:
        """Venues whose clocks were set since the last look."""
        found = []
        for venue, delay in market.delays.items():
            count, step = delay.steps
            if count != self._set.get(venue, 0) and not venue.startswith(SENTINEL):
                self._set[venue] = count
                self.minima.pop(venue, None)  # how its clock drifts is learnt from one piece of it
                found.append(ClockStep(now, step / MS, (delay.floor or 0) / MS, venue))
        return found

    def _keep(self, market: Market) -> None:
        """The minute that has just ended, of every venue that sent stamps in it."""
        for venue, delay in market.delays.items():
            if venue.startswith(SENTINEL):
                continue
            if (smallest := delay.ended(self._minute)) is not None:
                self.minima.setdefault(venue, deque(maxlen=HOUR_MINUTES)).append((self._minute - 1, smallest))

    def drift(self, venue: str) -> tuple[float, int] | None:
        """(ms per hour, minutes used): the median slope between the smallest delays of the last hour's minutes; None for too few."""
        kept = self.minima.get(venue, ())
        if len(kept) < DRIFT_MINUTES:
            return None
        minutes, smallest = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
        first, second = np.triu_indices(len(kept), 1)
        slopes = (smallest[second] - smallest[first]) / (minutes[second] - minutes[first])
        return float(np.median(slopes)) * 60.0 / MS, len(kept)

    def trouble(self, market: Market) -> str:
        """What is wrong with our clock, in a sentence for every page; empty while it is well."""
        far, off = self.parameters.skew_ms, (self.offset_ns or 0) / MS
        if abs(off) > far:
            return f"Clock skew: the system clock has been set by {_rounded(off)} s since the start. Times here still follow the old one."
        floors = sorted(floor / MS for venue, delay in market.delays.items() if (floor := _floor(venue, delay)) is not None)
        middle = floors[len(floors) // 2] if floors else 0.0
        if middle < -far:
            return f"Clock skew: our clock is behind those of the venues by {_rounded(-middle)} s or more. Ages and lags do not need it."
        return ""


def _floor(venue: str, delay: DelayFloor) -> int | None:
    return None if venue.startswith(SENTINEL) else delay.floor


def _rounded(ms: float) -> str:
    """Seconds to a tenth: a sentence that stands must not flicker."""
    return f"{ms / 1e3:.1f}"


def wander_ms(delay: DelayFloor) -> float | None:
    """How far the smallest delays of the last minutes lie apart: what is known of a venue's clock is no surer. None for one minute."""
    minutes = delay.minutes
    return (max(minutes) - min(minutes)) / MS if len(minutes) > 1 else None
