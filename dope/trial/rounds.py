"""Compares what the session told of ways round three markets with what the published books held: found, missed, false, how large."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

from dope.detectors.triangles import Triangle, Triangles
from dope.engines import detector_of
from dope.sim.exact import Life, Rules
from dope.sim.rounds import Rounds
from dope.trial.judge import DUE_MS, NEAR_MS, Finding, Silence, Told, Torn, Unreadable, legs, reread
from dope.trial.stage import MS, Played

LOOKS = 4  #: of the truth, before the moment at which it was told, that its size and profit may be those of: ticks come each 10 ms
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


def triangles(played: Played, lives: list[Life]) -> Finding:
    """Those of the truth against those that were told."""
    finding = Finding("triangle", injected=len(lives))
    unreadable, silence, torn = Unreadable(played), Silence(played), Torn(played)
    claims: dict[int, list[Triangle]] = {}
    for each in played.witness.triangles:
        claims.setdefault(each.id, []).append(each)
    matched: set[int] = set()
    for life in lives:
        end = played.end_ms if life.end_ms is None else life.end_ms
        hits = [rows for rows in claims.values() if named(rows[0]) == (life.buy, life.sell) and _overlaps(rows, life, end, played)]
        matched.update(rows[0].id for rows in hits)
        keys = keys_of(played, life)
        dark = any(unreadable.within(key, life.start_ms, end) for key in keys)
        due = life.above_ms >= DUE_MS and life.start_ms >= played.ready_ms and played.end_ms - life.start_ms >= DUE_MS and not dark
        finding.due += due
        where = f"{life.buy} {life.sell} from {life.start_ms - played.ready_ms} ms for {end - life.start_ms} ms"
        if hits:
            finding.detected += due
            finding.latency_ms.append(max(0, hits[0][0].opened // MS - life.start_ms))
            if due and (problem := _differs(life, hits[0][0])):
                finding.off.append(f"{where}: {problem}")
        elif due and silence.excuses(keys, life.start_ms):
            finding.due -= 1
            finding.stale += 1
        elif due:
            finding.missed.append(f"{where}: {float(life.peak_bps):.2f} bps")
    for rows in claims.values():
        first = rows[0]
        if first.id in matched:
            continue
        at = first.opened // MS
        if any(torn(Told(first.id, one, other, at, None, "")) for one, other in pairwise(first.markets)):
            finding.unsure += 1
        else:
            finding.false.append(f"triangle {first.id} {' '.join(named(first))}: the books held none")
    return finding


def named(told: Triangle) -> tuple[str, str]:
    """As the truth names it."""
    return told.venue, "→".join(told.path)


def keys_of(played: Played, life: Life) -> list[str]:
    """The markets on this way."""
    path = life.sell.split("→")
    pairs = {frozenset(pair) for pair in pairwise(path)}
    specs = {key: market.spec for key, market in played.world.sample.markets.items() if market.spec.venue == life.buy}
    return [key for key, spec in specs.items() if not spec.perpetual and frozenset((spec.base, spec.currency)) in pairs]


def _overlaps(rows: list[Triangle], life: Life, end: int, played: Played) -> bool:
    last = rows[-1].closed
    return rows[0].opened // MS <= end + NEAR_MS and (played.end_ms if last is None else last // MS) >= life.start_ms - NEAR_MS


def _differs(life: Life, told: Triangle) -> str:
    """How size or profit at the opening differ from all that were true just then; "" = they do not."""
    place = bisect_right([since for since, _ in life.looks], told.opened // MS) - 1
    problems = []
    for _, figure in life.looks[max(0, place - LOOKS) : place + 1]:
        start, profit = float(figure.qty), float(figure.net)
        if abs(told.start - start) <= EXACT * start and abs(told.profit - profit) <= EXACT * (start + profit):
            return ""
        problems.append(f"{told.start:.8g} gives {told.profit:.8g}, and not {start:.8g} {profit:.8g}")
    return problems[-1] if problems else ""
