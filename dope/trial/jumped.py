"""Compares the jumps that were told with those that the published mids hold by a plain reckoning, one by one.

  due     a jump that the mids of a market hold, at any time, planted or not, while its book could be read
  found   one was told of that market, in its direction, detected in the same step
  off     found, but its size is another one
  false   told, and the mids hold none then
  unsure  any of these, but around it the market told of its levels in several messages of one step: between them nobody knows the truth

After a fault at a market the session has measured another volatility than its published mids say. From then on a jump is found within
a second, and a move that is less than SURE times as large as it must be decides nothing. So it is everywhere where time goes by: a mid that
is heard some ms after it was published may belong to another cell of the grid, stand within the window or not, and make a move longer or
not. Sizes may differ by SHARE there, and what our own loop was late for decides nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator

from dope.detectors.jumps import MAJORS, Jump, JumpParameters, Jumps
from dope.engines import detector_of
from dope.sim.listings import STEP_MS, ListingSpec
from dope.sim.truth_log import DEPTH
from dope.trial.doubts import Unreadable
from dope.trial.finding import Finding, when
from dope.trial.plain_jumps import Figures, Held, PlainJumps
from dope.trial.seen import Seen
from dope.trial.stage import MS, Played

NEAR_MS = 1_000  #: a loss of the book so near may have hidden a jump or made one
SURE = 1.25
EXACT = 1e-6  #: share by which a size may differ: logarithms in floating point
SHARE = 0.10  #: the same where time goes by


LEFT, KNOWN = 0, 1  #: what is told of a book


class Jumped:
    """All of one play, market by market."""

    def __init__(self, played: Played, seen: Seen) -> None:
        self._played, self._seen = played, seen
        self._parameters: JumpParameters = detector_of(played.session.engine, Jumps).parameters
        self._unreadable = Unreadable(played)
        pieces = Counter((row.key, row.step) for row in played.world.log.rows() if row.channel == DEPTH)
        self._torn: dict[str, list[int]] = {}
        for (key, step), count in sorted(pieces.items(), key=lambda each: each[0][1]):
            if count > 1:
                self._torn.setdefault(key, []).append(played.at_ms[step])

    def held(self, spec: ListingSpec) -> list[Held]:
        """What the published mids of a market hold, while the session knew its book."""
        plain, steps = PlainJumps(_figures(self._parameters, spec)), self._played.at_ms
        for at, kind, mid in sorted(self._told_of(spec.key), key=lambda each: each[:2]):
            if plain.due is not None and (tick := bisect_left(steps, plain.due)) < len(steps) and steps[tick] <= at:
                plain.clock(steps[tick])  # the clock ticks before anybody speaks
            if kind == LEFT:
                plain.leave(at)
            else:
                plain.price(at, mid)
        if plain.due is not None and plain.due <= self._played.end_ms:
            plain.clock(plain.due)
        return plain.held

    def _told_of(self, key: str) -> Iterator[tuple[int, int, float]]:
        """(ms, LEFT or KNOWN, mid) of all times at which the session knew this book."""
        times, mids = self._seen.mid_ms.get(key, []), self._seen.mids.get(key, [])
        since = None
        states = [(state.ts // MS, state.state) for state in self._played.witness.states if state.key == key]
        for at, state in [*states, (self._played.end_ms + 1, "")]:
            if since is not None and state != "LIVE":
                first = bisect_right(times, since)
                if first:
                    yield since, KNOWN, mids[first - 1]
                for place in range(first, bisect_right(times, at)):
                    yield times[place], KNOWN, mids[place]
                yield at, LEFT, 0.0
                since = None
            elif since is None and state == "LIVE":
                since = at

    def compare(self, finding: Finding, spec: ListingSpec, told: list[Jump]) -> None:
        """What was told of one market against what it holds."""
        played, left = self._played, list(told)
        for held in self.held(spec):
            if held.detect <= played.ready_ms or held.final > played.end_ms - STEP_MS:
                continue
            where = f"{spec.key} {when(played, held.detect)}: {held.way * held.bps:+.2f} bps"
            near = NEAR_MS if self._touched(spec.key, held.final) else STEP_MS
            found = next((one for one in left if one.dir == held.way and abs(one.t_detect // MS - held.detect) < near), None)
            if found is not None:
                left.remove(found)
            same = found is not None and abs(found.bps - held.bps) <= (EXACT if played.stepped else SHARE) * held.bps
            if not same and (self._murky(spec.key, held.detect, held.final) or self._doubtful(spec.key, held.final, held.bps / held.least)):
                finding.unsure += 1
                continue
            finding.due += 1
            finding.detected += found is not None
            if found is None:
                finding.missed.append(where)
            elif not same:
                finding.off.append(f"{where}, told as {found.bps:.2f}")
        for one in left:
            start, end = one.t_detect // MS, one.t_final // MS
            unsure = self._murky(spec.key, start, end) or self._doubtful(spec.key, end, one.bps / one.threshold)
            if end > played.end_ms - STEP_MS or unsure:
                finding.unsure += 1
            else:
                finding.false.append(f"{spec.key} at {when(played, start)}: {one.dir * one.bps:+.2f} bps, and its mids hold none")

    def _touched(self, key: str, at: int) -> bool:
        """Whether the session may know other mids than those that were published, or at other times: a fault came to this market before."""
        return not self._played.stepped or self._unreadable.within(key, self._played.at_ms[0], at)

    def _doubtful(self, key: str, at: int, times: float) -> bool:
        """Whether a move so many times as large as it must be may have been one for the session alone, or for the published mids alone."""
        return times < SURE and self._touched(key, at)

    def _murky(self, key: str, start: int, end: int) -> bool:
        """Whether it cannot be said what the session saw of this market then, and in the time before that counts."""
        start -= round(self._parameters.window_ms) + NEAR_MS
        torn = self._torn.get(key, [])
        broken = any(since < end and until > start for since, until in self._unreadable.left.get(key, ()))
        late = any(since < end + NEAR_MS and until > start for since, until in self._played.stalls)
        return bisect_left(torn, start) < bisect_right(torn, end) or broken or late or self._unreadable.within(key, start, end)


def _figures(p: JumpParameters, spec: ListingSpec) -> Figures:
    least = p.min_bps_majors if spec.base in MAJORS else p.min_bps
    window, grid, settle, longest = (round(ms) for ms in (p.window_ms, p.grid_ms, p.settle_ms, p.max_ms))
    return Figures(window, grid, p.halflife_ms, least, p.k_sigma, p.warmup, p.floor_bps, p.cap, settle, longest)
