"""Compares which markets the session said to lead with which of them published planted jumps first.

Two markets jumped together where a jump of the journal moved both in one direction. By how much one was first is known where the
published mids of both show it clearly (``moves``): it is the time between, by the log of what was published.

  planted  two markets of which one was first in so many of their clear jumps together that the session's own rule says "leads"
  due      such a pair, also if all their jumps together that are not clear, or nearer than the session's clock can tell, went against it
  found    the session, asked once a second, said so
  false    it was said of one that was not first in more than half of their clear jumps together; where these are fewer than ENOUGH,
           of one that hears of prices no earlier than the other
  unsure   it was first in most of them, but not in so many that the rule would say so
  off      found, but the median lag by more than NEAR_MS away from that of what was published
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

from dope.detectors.linker import LEADS_N, LEADS_P, Linker
from dope.engines import detector_of
from dope.sim.listings import STEP_MS, ListingSpec
from dope.trial.finding import Finding, when
from dope.trial.moves import KNOWN_S, Moves, way_of
from dope.trial.stage import Played

NEAR_MS = 5 + STEP_MS
ENOUGH = 5  #: clear jumps that say more of who is first than the lags of the markets: streams wait, too, until they speak

Order = tuple[str, str]  #: two markets


class Together(NamedTuple):
    """A jump of two markets: when the later one showed it, and by how much the first one of the pair was ahead; None = not clear."""

    ms: int
    lag_ms: int | None


def hears_ms(spec: ListingSpec) -> float:
    """How long after a change of the efficient price this market acts on it, on average."""
    return (spec.lag + (spec.pace - 1) / 2) * STEP_MS


def together(moves: Moves) -> dict[Order, list[Together]]:
    """The jumps of each two markets, in the order of their names; none from before the session can know what a jump is."""
    found: dict[Order, list[Together]] = {}
    for start, entry in moves.planted_jumps():
        if start - moves.played.at_ms[0] < KNOWN_S * 1000:
            continue
        groups: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
        for spec in moves.watched():
            if way := way_of(entry, spec):
                groups.setdefault((spec.base, way), []).append((spec.key, moves.shown_ms(spec, entry, start)))
        for group in groups.values():
            for (a, first), (b, then) in combinations(sorted(group), 2):
                lag = None if first is None or then is None else then - first
                found.setdefault((a, b), []).append(Together(max(first or start, then or start), lag))
    return found


def leads(ahead: int, n: int) -> bool:
    """Whether who was first ``ahead`` times of ``n`` is said to lead: a two-sided sign test, in whole numbers."""
    return n >= LEADS_N and 2 * ahead > n and 2 * sum(math.comb(n, k) for k in range(ahead, n + 1)) < LEADS_P * 2**n


class Leading:
    """All pairs of one play."""

    def __init__(self, played: Played, moves: Moves) -> None:
        self.played, self.together = played, together(moves)
        self._specs = {spec.key: spec for spec in moves.watched()}
        self._simul = detector_of(played.session.engine, Linker).parameters.simul_ms

    def finding(self) -> Finding:
        """Who leads by the journal against who was said to."""
        played, finding = self.played, Finding("leadlag")
        due: set[Order] = set()
        for a, b in self.together:
            for order in ((a, b), (b, a)):
                lags = self._lags(order)
                if not self._rule(lags):
                    continue
                finding.injected += 1
                if not self._rule(lags, least_ms=self._unclear_ms(order) + STEP_MS / 2):
                    continue
                due.add(order)
                if order in played.leads:
                    finding.detected += 1
                    finding.latency_ms.append(max(0, played.leads[order].since_ms - self._known_ms(order)))
                else:
                    n = sum(lag is not None for lag in lags)
                    finding.missed.append(f"{order[0]} leads {order[1]}: it was first in most of {n} jumps, and nobody said so")
        finding.due = len(due)
        for order in played.leads:
            self._claim(finding, order, due)
        return finding

    def _lags(self, order: Order) -> list[int | None]:
        """By how much the first of the two was ahead, jump by jump."""
        a, b = sorted(order)
        sign = 1 if order == (a, b) else -1
        return [None if each.lag_ms is None else sign * each.lag_ms for each in self.together.get((a, b), ())]

    def _rule(self, lags: Sequence[int | None], *, least_ms: float = 0.0) -> bool:
        """Whether the first one leads; what is less than ``least_ms`` apart, and not at once, and what is not clear, counts for nobody.

        With a ``least_ms`` above zero both count against it.
        """
        apart = [lag for lag in lags if lag is not None and abs(lag) > max(self._simul, least_ms)]
        against = sum(lag is None or self._simul < abs(lag) <= least_ms for lag in lags) if least_ms else 0
        return leads(sum(lag > 0 for lag in apart), len(apart) + against)

    def _unclear_ms(self, order: Order) -> float:
        """What a lag must reach to be one by the session's clock: links that are nearer count for nobody."""
        least: float = detector_of(self.played.session.engine, Linker).parameters.resolution_ms
        for key in order:
            known = self.played.session.engine.market.delays[self._specs[key].venue].percentiles()
            least = max(least, known[0] if known else 0.0)
        return least

    def _known_ms(self, order: Order) -> int:
        """When the rule could say so first."""
        lags, (a, b) = self._lags(order), sorted(order)
        n = next(n for n in range(LEADS_N, len(lags) + 1) if self._rule(lags[:n]))
        return self.together[a, b][n - 1].ms

    def _claim(self, finding: Finding, order: Order, due: set[Order]) -> None:
        """What one was said with."""
        score, (leader, follower) = self.played.leads[order].score, order
        where = f"{leader} is said to lead {follower} since {when(self.played, self.played.leads[order].since_ms)}"
        clear = [lag for lag in self._lags(order) if lag is not None]
        if len(clear) < ENOUGH:
            earlier = hears_ms(self._specs[follower]) - hears_ms(self._specs[leader])
            if earlier <= 0:
                finding.false.append(f"{where}: it hears of prices {-earlier:g} ms later")
        elif median(clear) <= 0:
            finding.false.append(f"{where}: of {len(clear)} jumps it was first in {sum(lag > 0 for lag in clear)}")
        elif not self._rule(clear):
            finding.unsure += 1
        elif order in due:
            true = median(lag for lag in clear if lag > self._simul and lag >= self._unclear_ms(order))
            if score.lag_ms is None or abs(score.lag_ms - true) > NEAR_MS:
                finding.off.append(f"{where}: by {score.lag_ms} ms instead of {true:g}")
