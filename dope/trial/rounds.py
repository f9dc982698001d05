"""Compares what the session told of ways round three markets with what the published books held: found, missed, false, how large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

from dope.detectors.triangles import Triangle, Triangles
from dope.engines import detector_of
from dope.sim.exact import Figure, Life, Rules
from dope.sim.rounds import Rounds
from dope.trial.finding import Finding
from dope.trial.judge import legs, reread
from dope.trial.lives import compared
from dope.trial.stage import Played

EXACT = 1e-6  #: share by which size and profit may differ: both are sums of products, one of them in floating point


def watcher(played: Played) -> Rounds:
    """Who finds them in the published books."""
    asked = detector_of(played.session.engine, Triangles).parameters
    least = Fraction(str(played.session.arbitrage.rules.min_notional))
    return Rounds(legs(played), Rules(Fraction(str(asked.enter)), Fraction(str(asked.leave)), round(asked.debounce), least))


def rounds(played: Played) -> list[Life]:
    """Every way round three markets that paid, by exact arithmetic."""
    exact = watcher(played)
    if exact.ways:
        reread(played, exact)
    return exact.finish(played.end_ms)


class Ways:
    """Ways round three markets of one venue."""

    name = "triangle"

    def __init__(self, played: Played) -> None:
        self._markets = played.world.sample.markets

    def named(self, claim: Triangle) -> tuple[str, str]:
        return claim.venue, "→".join(claim.path)

    def keys(self, life: Life) -> Sequence[str]:
        pairs = {frozenset(pair) for pair in pairwise(life.sell.split("→"))}
        specs = {key: market.spec for key, market in self._markets.items() if market.spec.venue == life.buy}
        return [key for key, spec in specs.items() if not spec.perpetual and frozenset((spec.base, spec.currency)) in pairs]

    def pairs(self, claim: Triangle) -> Iterable[tuple[str, str]]:
        return pairwise(claim.markets)

    def apart(self, life: Life, figure: Figure, claim: Triangle) -> str:
        start, profit = float(figure.qty), float(figure.net)
        if abs(claim.start - start) <= EXACT * start and abs(claim.profit - profit) <= EXACT * (start + profit):
            return ""
        return f"{claim.start:.8g} gives {claim.profit:.8g}, and not {start:.8g} {profit:.8g}"

    def said(self, claim: Triangle) -> str:
        return f"triangle {claim.id} {' '.join(self.named(claim))}"


def triangles(played: Played, lives: Sequence[Life]) -> Finding:
    """Those of the truth against those that were told."""
    return compared(played, Ways(played), lives, played.witness.triangles)
