"""Compares jumps, bursts and links that the session told with what was planted and with what the markets published.

  jump    all that the published mids hold, by a plain reckoning, and nothing else (``jumped.py``)
  burst   due: one that was planted with a side, in a market where within LOUD_MS what was traded on it stood out by SURE times what makes
          a burst. Found: told of that side, beginning within SOON_MS of it. False: neither was one planted there, nor did what was
          traded on that side stand out; unsure: none was planted, but it did.
  link    due: each jump of an event but the first one, where one alike came before. False: its leader did not jump then, or hears of
          prices later by more than quotes may linger; unsure: its jumps are of two events.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dope.detectors.bursts import Burst, Bursts
from dope.detectors.jumps import Jump, Jumps
from dope.detectors.linker import JumpLink
from dope.engines import detector_of
from dope.sim.events import RAMP
from dope.sim.journal import Planted
from dope.sim.listings import STEP_MS, ListingSpec
from dope.trial.doubts import Unreadable
from dope.trial.finding import Finding, when
from dope.trial.jumped import Jumped
from dope.trial.seen import Loud, Restless, Seen
from dope.trial.stage import MS, Played

ONSET_MS = 1_000
SURE = 1.25  #: a move this many times as large as a jump is at least is one, however its market's noise falls
WAITS_MS = 3_000  #: a link is told when no earlier jump can come any more, so long after its own at most
CLEAR = 2.0  #: where both jumps are so much larger than they must be, noise does not decide which is seen first
ALONE_MS = 3_500  #: with other causes so near, nobody can say how large which was
SOON_MS = 250
BUCKET_MS = 50
LOUD_MS = 200
OVER_MS = 2_000  #: a burst is told when it is over: the second that its last trades are in, and a little more
NEARLY = 0.75  #: of what makes a burst: what stands out so far may have been taken for one
KNOWN_S = 31  #: from then on the session knows what is usual
LINGER_MS = 20  #: quotes follow a clear jump so much later at most, besides the lag of their market
FADE_MS = RAMP * STEP_MS  #: a displacement goes within this time
MOVING = ("jump", "dislocation", "crash", "depeg")  #: and bursts with a side


class Hit(NamedTuple):
    """A jump that was told, and what it was of: an entry of the journal, or none."""

    told: Jump
    of: int | None


def way_of(entry: Planted, spec: ListingSpec) -> int:
    """Which way a jump of an asset moves a market: +1, −1 where prices are in that asset, and against it; 0 = it does not."""
    if entry.params.get("asset") not in (spec.asset, spec.currency) or spec.asset == spec.currency:
        return 0
    return (1 if float(entry.params["bps"]) > 0 else -1) * (1 if entry.params["asset"] == spec.asset else -1)


class Moves:
    """All of one play. ``seen`` must have read what was published before anything is asked."""

    def __init__(self, played: Played, seen: Seen) -> None:
        self.played, self.seen = played, seen
        self._restless = Restless(seen, detector_of(played.session.engine, Jumps))
        self._loud = Loud(seen, detector_of(played.session.engine, Bursts))
        self._unreadable = Unreadable(played)
        self._specs = {key: market.spec for key, market in played.world.sample.markets.items()}
        moving = (entry for entry in played.world.journal.entries if entry.kind in MOVING or "side" in entry.params)
        self._causes = [self._span(entry) for entry in moving]
        self._hits: list[Hit] = []

    def _span(self, entry: Planted) -> tuple[int, int, Planted]:
        start = self.played.at(entry.start_ms)
        return start, self.played.at(entry.end_ms) if entry.end_ms else start, entry

    def watched(self) -> Iterator[ListingSpec]:
        """The markets that the session has books of."""
        books = self.played.session.engine.market.books
        return (spec for key, spec in self._specs.items() if key in books)

    def planted_jumps(self) -> Iterator[tuple[int, Planted]]:
        """Those of the journal, also what came by chance: (when, ms; which)."""
        return ((start, entry) for start, _, entry in self._causes if entry.kind == "jump")

    def _concerns(self, entry: Planted, spec: ListingSpec) -> bool:
        if entry.venue:
            return (entry.venue, entry.symbol) == (spec.venue, spec.symbol)
        return entry.params.get("asset") in (spec.asset, spec.currency)

    def _around(self, spec: ListingSpec, start_ms: int, end_ms: int) -> Iterator[Planted]:
        """What moved this market in this time, or did so shortly before: a displacement does so where it begins and where it ends."""
        for start, end, entry in self._causes:
            if start > end_ms or not self._concerns(entry, spec):
                continue
            edges = ((start, start), (end - FADE_MS, end)) if entry.kind in ("jump", "dislocation") else ((start, end),)
            if any(edge[0] <= end_ms and edge[1] + ONSET_MS >= start_ms for edge in edges):
                yield entry

    # -- jumps -----------------------------------------------------------------------------------------------------------
    def jumps(self) -> Finding:
        """Those that the published mids hold against those that were told; how soon, of those of the journal."""
        played, finding = self.played, Finding("jump")
        left = [told for told in played.witness.jumps if told.t_detect // MS > played.ready_ms]
        of: dict[str, list[Jump]] = {}
        for told in left:
            of.setdefault(told.key, []).append(told)
        taken: dict[int, int] = {}  # id() of what was told → entry
        for start, entry in self.planted_jumps():
            finding.injected += 1
            for spec in self.watched():
                way = way_of(entry, spec)
                hits = [each for each in of.get(spec.key, ()) if start <= each.t_detect // MS <= start + ONSET_MS and each.dir == way]
                taken |= {id(hit): entry.id for hit in hits}
                if hits:
                    finding.latency_ms.append(hits[0].t_detect / MS - start)
        self._hits = [Hit(told, taken.get(id(told))) for told in left]
        jumped = Jumped(played, self.seen)
        for spec in self.watched():
            jumped.compare(finding, spec, of.get(spec.key, []))
        return finding

    def _clear(self, spec: ListingSpec, entry: Planted, start: int, way: int) -> bool:
        """Whether this jump must be told of this market, however its noise falls."""
        least = self._restless.least_bps(spec, start)
        if least is None or self._size(spec.key, start, way) < SURE * least:
            return False
        others = any(each.id != entry.id for each in self._around(spec, start - ALONE_MS, start + ALONE_MS))
        return not others and self._readable(spec.key, start) and not self._late(start)

    def shown_ms(self, spec: ListingSpec, entry: Planted, start: int) -> int | None:
        """When the published mid of this market had gone so far with this jump that it was one; None where that is not clear."""
        way = way_of(entry, spec)
        if not way or not self._clear(spec, entry, start, way):
            return None
        least = self._restless.least_bps(spec, start) or 0.0
        before = self.seen.between(spec.key, int(start - self._restless.parameters.window_ms) + 1, start - 1)
        times, mids = self.seen.mid_ms[spec.key], self.seen.mids[spec.key]
        stood = min(before) if way > 0 else max(before)
        after = range(bisect_left(times, start), bisect_right(times, start + ONSET_MS))
        return next((times[n] for n in after if way * math.log(mids[n] / stood) * 1e4 >= least), None)

    def _size(self, key: str, at: int, way: int, *, lasts_ms: int = ONSET_MS) -> float:
        """By how much the published mid went that way from this instant on, bps, from where it stood in the time before that counts."""
        p = self._restless.parameters
        before = self.seen.between(key, int(at - p.window_ms) + 1, at - 1)
        after = self.seen.between(key, at - 1, at + lasts_ms)[1:]
        if not before or not after:
            return 0.0
        low, high = (min(before), max(after)) if way > 0 else (max(before), min(after))
        return way * math.log(high / low) * 1e4

    def _readable(self, key: str, at: int) -> bool:
        played = self.played
        known = at - max(played.at_ms[0], self.seen.mid_ms.get(key, [at])[0]) >= KNOWN_S * 1000
        in_time = played.ready_ms <= at <= played.end_ms - 2 * ONSET_MS
        start, end = at - ALONE_MS, at + ALONE_MS
        broken = any(since < end and until > start for since, until in self._unreadable.left.get(key, ()))
        return known and in_time and not broken and not self._unreadable.within(key, start, end)

    def _late(self, at: int) -> bool:
        """Whether our own loop stood still around this instant."""
        return any(start - ONSET_MS <= at <= stop + ONSET_MS for start, stop in self.played.stalls)

    # -- bursts ----------------------------------------------------------------------------------------------------------
    def bursts(self) -> Finding:
        """Those that were planted with a side against those that were told, and what was told against what was traded."""
        played, finding = self.played, Finding("burst")
        books = played.session.engine.market.books
        told = [each for each in played.witness.bursts if each.start // MS > played.ready_ms]
        planted = [(self._span(entry), entry) for entry in played.world.journal.entries if entry.kind == "burst"]
        for (start, end, _), entry in planted:
            finding.injected += 1
            side = str(entry.params.get("side", ""))
            told_by_then = end <= played.end_ms - OVER_MS
            for spec in self.watched():
                if not side or not self._burst_of(entry, spec) or not books[spec.key].trades:
                    continue
                stands_out = self._loud.greatest((spec.key, side), start, start + LOUD_MS + BUCKET_MS) >= SURE * self._loud.parameters.z
                due = stands_out and told_by_then and self._readable(spec.key, start) and not self._late(start)
                hits = [e for e in told if e.key == spec.key and e.side == side and -BUCKET_MS < e.start // MS - start <= SOON_MS]
                finding.due += due
                if hits:
                    finding.detected += due
                    finding.latency_ms.append(max(0.0, hits[0].start / MS + BUCKET_MS - start))
                elif due and not self._going(told, (spec.key, side), start):
                    finding.missed.append(f"event {entry.id} burst at {spec.key} {when(played, start)}: nobody saw that side {side}")
                elif due:
                    finding.due -= 1
                    finding.unsure += 1
        for each in told:
            at, side, spec = each.start // MS, each.side, self._specs[each.key]
            spans = [(start, end, str(e.params.get("side", ""))) for (start, end, _), e in planted if self._burst_of(e, spec)]
            if any(start - BUCKET_MS <= at <= end + ONSET_MS and of in ("", side) for start, end, of in spans):
                continue
            if self._loud.greatest((each.key, side), at, each.end / MS + 2 * BUCKET_MS) >= NEARLY * self._loud.parameters.z:
                finding.unsure += 1
            else:
                finding.false.append(f"{each.key} at {when(played, at)}: that side {side} traded no more than usual (z {each.peak_z:.1f})")
        return finding

    @staticmethod
    def _burst_of(entry: Planted, spec: ListingSpec) -> bool:
        return entry.params.get("asset") == spec.asset or (entry.venue, entry.symbol) == (spec.venue, spec.symbol)

    @staticmethod
    def _going(told: Sequence[Burst], side: tuple[str, str], at: int) -> bool:
        """Whether one was going on already, of which this becomes a part."""
        return any((each.key, each.side) == side and each.start // MS <= at <= each.end // MS + SOON_MS for each in told)

    # -- links -----------------------------------------------------------------------------------------------------------
    def links(self) -> Finding:
        """What was told of pairs of jumps; ``jumps`` must have been asked before."""
        played, finding = self.played, Finding("link")
        links: dict[str, list[JumpLink]] = {}
        for link in played.witness.links_of_jumps:
            links.setdefault(link.follower, []).append(link)
        groups: dict[int | None, list[Jump]] = {}
        for hit in sorted(self._hits, key=lambda hit: hit.told.t_detect):
            groups.setdefault(hit.of, []).append(hit.told)
        for entry, jumps in groups.items():
            for n, jump in enumerate(jumps):
                finding.injected += bool(n and entry is not None)
                about = [link for link in links.get(jump.key, ()) if link.bps == jump.bps and 0 <= link.ts - jump.ts <= WAITS_MS * MS]
                self._link(finding, jump, jumps[:n], about, entry)
        return finding

    def _link(self, finding: Finding, jump: Jump, before: Sequence[Jump], links: Sequence[JumpLink], entry: int | None) -> None:
        where = f"{jump.key} at {when(self.played, jump.t_detect // MS)}"
        alike = [one for one in before if (one.base, one.dir) == (jump.base, jump.dir) and 0.6 < jump.bps / one.bps < 1.6]
        due = entry is not None and bool(alike)
        finding.due += due
        if due and links:
            finding.detected += 1
            finding.latency_ms.append(links[0].dt / MS)
        elif due:
            finding.missed.append(f"{where}: it followed {alike[0].key}, and nobody said so")
        for link in links:
            at = link.leader, jump.t_detect - link.dt
            if not any((hit.told.key, hit.told.t_detect) == at for hit in self._hits):
                finding.false.append(f"{where}: {link.leader} did not jump {link.dt / MS:.0f} ms before it")
            elif entry is None or not (leaders := [one for one in before if (one.key, one.t_detect) == at]):
                finding.unsure += 1
            elif link.resolved and self._behind_ms(link) > LINGER_MS and all(one.bps >= CLEAR * one.threshold for one in (jump, *leaders)):
                finding.false.append(f"{where}: {link.leader} is said to lead, and hears of prices later")

    def _behind_ms(self, link: JumpLink) -> float:
        """How much later the leader hears of prices than the follower, ms."""
        leader, follower = self._specs[link.leader], self._specs[link.follower]
        return (leader.lag - follower.lag - follower.pace) * STEP_MS
