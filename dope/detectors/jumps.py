"""Jumps: the mid of one market moves farther within a second than its own volatility explains.

Definition: with low and high of the mid over the last ``window`` and sigma by bipower variation over cells of ``grid``, a jump opens
when the larger of price − low and high − price reaches max(least bps, k · sigma · sqrt(window/grid)). Its size is followed while it
goes on; it ends ``settle`` after its peak, ``longest`` after its detection, or when the book leaves LIVE. One signal per jump, at
its end, with its full size. The simple form, a rolling window against a fixed threshold, is ``PLAIN``: no sigma, no warm-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from dope.format import bps, number
from dope.market import jumping
from dope.market.columns import calls
from dope.market.jumping import Jumping
from dope.market.lane import RING
from dope.market.market import Market
from dope.types import SENTINEL, Event, Instrument, Listed, Signal, Tick

MS = 1_000_000
MAJORS = ("BTC", "ETH")  #: bases whose mids are calm enough for the smaller least size
WITHOUT_A_BOOK = ("reference", SENTINEL)
NEVER = 2**62


class JumpParameters(msgspec.Struct, frozen=True):
    """What makes a move a jump."""

    window_ms: Annotated[float, Meta(ge=10, le=60_000, title="ms", description="a move counts within this time")] = 1000.0
    grid_ms: Annotated[
        float, Meta(ge=10, le=60_000, title="ms", description="cells of time that the volatility is taken over; best the window")
    ] = 1000.0
    halflife_ms: Annotated[
        float, Meta(ge=1000, le=3_600_000, title="ms", description="after which a cell counts half in the volatility")
    ] = 60_000.0
    min_bps: Annotated[float, Meta(ge=0.1, le=1000, title="bps", description="a jump has at least this size")] = 5.0
    min_bps_majors: Annotated[float, Meta(ge=0.1, le=1000, title="bps", description="the same for BTC and ETH")] = 3.0
    k_sigma: Annotated[
        float, Meta(ge=0, le=100, title="× sigma", description="and so many times its volatility over the window; 0 = the plain form")
    ] = 5.0
    warmup: Annotated[float, Meta(ge=0, le=3600, title="cells", description="before which nothing is a jump")] = 30.0
    floor_bps: Annotated[float, Meta(ge=0.001, le=100, title="bps", description="the volatility of a cell is at least this")] = 0.05
    cap: Annotated[float, Meta(ge=1, le=100, title="× sigma", description="what a cell may add to the volatility is cut here")] = 4.0
    settle_ms: Annotated[float, Meta(ge=10, le=60_000, title="ms", description="without a new extreme: the jump is over")] = 300.0
    max_ms: Annotated[float, Meta(ge=10, le=60_000, title="ms", description="after its detection a jump is over in any case")] = 2000.0


PLAIN = JumpParameters(k_sigma=0.0, warmup=0.0)  #: the plain form: a rolling window against a fixed threshold


class Jump(Signal, frozen=True):
    """One jump that is over. Times ns, received; ``stamp`` = the venue's own time of the detecting quote, 0 = none.

    ``t_start`` = when the mid stood at the extreme that the jump began from; ``bps`` = its full size, above zero, ``dir`` +1 up, −1 down;
    ``z`` = the size at detection over the volatility of the window; ``threshold`` = the size in bps from which it was one.
    """

    KIND = "jump"

    key: str
    venue: str
    symbol: str
    base: str
    t_start: int
    t_detect: int
    t_peak: int
    t_final: int
    stamp: int
    dir: int
    bps: float
    z: float
    threshold: float

    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        way, tone = ("up", "pos") if self.dir > 0 else ("down", "neg")
        took = number((self.t_peak - self.t_start) / MS)
        text = f"{self.symbol} on {label(self.venue)} jumped {way} within {took} ms (z {number(self.z, 1)})"
        return text, f"{bps(self.dir * self.bps)} bps", tone


class Jumps:
    """All markets with books. A jump is found at the next clock tick; its times are those of the quotes."""

    PARAMETERS = JumpParameters
    KINDS = (Listed, Tick)

    def __init__(self, parameters: JumpParameters | None = None) -> None:
        self.parameters = parameters or JumpParameters()
        self._jumping = Jumping()
        self._instruments: dict[int, Instrument] = {}  # slot → its market
        self.take(self.parameters)

    @property
    def lost(self) -> int:
        """Touches that were overwritten before they were looked at."""
        return int(self._jumping.lost.sum())

    def pending(self) -> int:
        """When the earliest jump that is not over yet was detected, ns; ``NEVER`` = none is open."""
        state = self._jumping.state
        open_ones = state[state[:, jumping.OPEN] != 0, jumping.T_DETECT]
        return int(open_ones.min()) if len(open_ones) else NEVER

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if type(event) is Tick:
            return self._tick(event.ts, market)
        if isinstance(event, Listed):
            self._list(event.instrument, market)
        return ()

    def _list(self, instrument: Instrument, market: Market) -> None:
        if instrument.kind in WITHOUT_A_BOOK:
            return
        slot = market.books[instrument.key].slot
        self._jumping.grow(slot + 1)
        self._instruments[slot] = instrument
        self._jumping.least[slot] = self._least(instrument)

    def _least(self, instrument: Instrument) -> float:
        return self.parameters.min_bps_majors if instrument.base in MAJORS else self.parameters.min_bps

    def take(self, new: JumpParameters) -> None:
        """Judge by these from now on."""
        old, self.parameters, own = self.parameters, new, self._jumping
        set_up(own, new)
        for slot, instrument in self._instruments.items():
            own.least[slot] = self._least(instrument)
        if (old.grid_ms, old.window_ms) != (new.grid_ms, new.window_ms):
            own.begin_anew()  # what was measured over other cells says nothing

    def _tick(self, now: int, market: Market) -> Sequence[Jump]:
        own, slots = self._jumping, market.slots
        counts = calls(partial(own.advance, slots.ring_t, slots.ring, slots.ring_n, now), own.full)
        found = [jump for count in counts if count for jump in self._read(count, now)]
        return sorted(found, key=lambda jump: (jump.t_final, jump.t_detect, jump.key))

    def _read(self, count: int, now: int) -> list[Jump]:
        own, found = self._jumping, []
        for numbers, figures in zip(own.numbers[:count].tolist(), own.figures[:count].tolist(), strict=True):
            slot, start, detect, peak, final, way, stamp = numbers
            i = self._instruments[slot]
            found.append(Jump(now, i.key, i.venue, i.symbol, i.base, start, detect, peak, final, stamp, way, *figures))
        return found


def set_up(own: Jumping, p: JumpParameters, *, standing: bool = True) -> None:
    """Put parameters into the compiled form; the least sizes are per slot and not touched. ``standing``: see ``jumps_in``."""
    own.spans[:] = [*(int(ms * MS) for ms in (p.window_ms, p.grid_ms, p.settle_ms, p.max_ms)), standing]
    own.rates[jumping.K_SIGMA], own.rates[jumping.WARMUP] = p.k_sigma, p.warmup
    own.rates[jumping.LAMBDA] = 1.0 - 0.5 ** (p.grid_ms / p.halflife_ms)
    own.rates[jumping.FLOOR], own.rates[jumping.CAP] = p.floor_bps, p.cap


def jumps_in(times: Any, mids: Any, p: JumpParameters, *, standing: bool = True) -> list[dict[str, Any]]:
    """The jumps of one series of mids (times ns, ascending), as the detector finds them; an open one at the end is left out.

    ``standing``: each mid stands until the next one, as in the rings, which hold changes only; False = it is known at its time alone, and
    the series has one entry per observation, repeated ones too. ``min_bps`` is the least size, whatever the market. Keys as in ``Jump``.
    """
    own, n = Jumping(), len(times)
    own.grow(1)
    own.least[0] = p.min_bps
    set_up(own, p, standing=standing)
    found: list[dict[str, Any]] = []
    ring_t, ring = np.zeros((1, RING, 2), dtype=np.int64), np.zeros((1, RING, 4))
    names = ("t_start", "t_detect", "t_peak", "t_final", "dir", "stamp")
    for first in range(0, n, RING // 2):
        part = np.arange(first, min(first + RING // 2, n))
        at = part & RING - 1
        ring_t[0, at, 0], ring[0, at, 0], ring[0, at, 2] = np.asarray(times)[part], np.asarray(mids)[part], np.asarray(mids)[part]
        ends = np.array([part[-1] + 1])
        for count in calls(partial(own.advance, ring_t, ring, ends, 0), own.full):
            for numbers, (size, z, threshold) in zip(own.numbers[:count].tolist(), own.figures[:count].tolist(), strict=True):
                found.append({**dict(zip(names, numbers[1:], strict=True)), "bps": size, "z": z, "threshold": threshold})
    return found


def plain_jumps(times: Any, mids: Any, *, window_ms: float, threshold_bps: float) -> list[dict[str, Any]]:
    """The plain form on one series: a rolling window against a fixed threshold. Arguments and result as ``jumps_in``."""
    return jumps_in(times, mids, msgspec.structs.replace(PLAIN, window_ms=window_ms, grid_ms=window_ms, min_bps=threshold_bps))
