"""Compares what the session told of pairs in two currencies with what the published books held: found, missed, false, and how large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dope.detectors.arbitrage import Opportunity
from dope.sim.crossed import Crossed
from dope.sim.exact import Figure, Life
from dope.trial.finding import Finding
from dope.trial.judge import legs, reread, rules_of, steps
from dope.trial.lives import compared
from dope.trial.stage import Played


def crossed(played: Played) -> list[Life]:
    """Every opportunity in two currencies that was in the published books, by exact arithmetic."""
    exact = Crossed(legs(played), rules_of(played))
    if exact.pairs:
        reread(played, exact)
    return exact.finish(played.end_ms)


class CrossQuote:
    """Those of two markets that are quoted in two currencies."""

    name = "cross-quote"

    def __init__(self, played: Played) -> None:
        self._played = played
        specs = [market.spec for market in played.world.sample.markets.values()]
        self._specs = {spec.key: spec for spec in specs}
        self._vias: dict[frozenset[str], list[str]] = {}
        for spec in specs:
            if not spec.perpetual:
                self._vias.setdefault(frozenset((spec.base, spec.currency)), []).append(spec.key)

    def named(self, claim: Opportunity) -> tuple[str, str]:
        return claim.buy, claim.sell

    def keys(self, life: Life) -> Sequence[str]:
        """Both, and all that exchange their currencies: without the cheapest of them it goes through another one."""
        currencies = frozenset(self._specs[key].currency for key in (life.buy, life.sell))
        return life.buy, life.sell, *self._vias.get(currencies, ())

    def pairs(self, claim: Opportunity) -> Iterable[tuple[str, str]]:
        return [(claim.buy, claim.sell)]

    def apart(self, life: Life, figure: Figure, claim: Opportunity) -> str:
        lot, tick = steps(self._played, life)
        qty, net = float(figure.qty), float(figure.net)
        room = tick * qty + lot * abs(float(figure.cost / figure.qty)) * float(abs(figure.net_bps)) / 1e4 + 1e-9
        if abs(claim.qty - qty) > lot * 1.000001:
            return f"size {claim.qty:.8g} instead of {qty:.8g}"
        return f"net {claim.net:.8g} instead of {net:.8g}" if abs(claim.net - net) > room else ""

    def said(self, claim: Opportunity) -> str:
        return f"opportunity {claim.id} buy {claim.buy} sell {claim.sell} via {claim.via}"


def crossings(played: Played, lives: Sequence[Life]) -> Finding:
    """Opportunities of the kind cross-quote: those of the truth against those that were told."""
    return compared(played, CrossQuote(played), lives, [each for each in played.witness.opportunities if each.via])
