"""Compares what the session told of pairs in two currencies with what the published books held: found, missed, false, and how large."""

from __future__ import annotations

from bisect import bisect_right

from dope.detectors.arbitrage import Opportunity
from dope.sim.crossed import Crossed
from dope.sim.exact import Life
from dope.trial.judge import DUE_MS, NEAR_MS, Finding, Silence, Told, Torn, Unreadable, legs, reread, rules_of
from dope.trial.stage import MS, Played

LOOKS = 4  #: of the truth, before the moment at which it was told, that its size and net may be those of: ticks come each 10 ms


def crossed(played: Played) -> list[Life]:
    """Every opportunity in two currencies that was in the published books, by exact arithmetic."""
    exact = Crossed(legs(played), rules_of(played))
    if exact.pairs:
        reread(played, exact)
    return exact.finish(played.end_ms)


def crossings(played: Played, lives: list[Life]) -> Finding:
    """Opportunities of the kind cross-quote: those of the truth against those that were told."""
    finding = Finding("cross-quote", injected=len(lives))
    unreadable, silence, torn = Unreadable(played), Silence(played), Torn(played)
    claims: dict[int, list[Opportunity]] = {}
    for each in played.witness.opportunities:
        if each.via:
            claims.setdefault(each.id, []).append(each)
    matched: set[int] = set()
    for life in lives:
        end = played.end_ms if life.end_ms is None else life.end_ms
        keys = (life.buy, life.sell)
        hits = [rows for rows in claims.values() if (rows[0].buy, rows[0].sell) == keys and _overlaps(rows, life, end, played)]
        matched.update(rows[0].id for rows in hits)
        dark = any(unreadable.within(key, life.start_ms, end) for key in keys)
        due = life.above_ms >= DUE_MS and life.start_ms >= played.ready_ms and played.end_ms - life.start_ms >= DUE_MS and not dark
        finding.due += due
        where = f"buy {life.buy} sell {life.sell} from {life.start_ms - played.at_ms[0]} ms for {end - life.start_ms} ms"
        if hits:
            finding.detected += due
            finding.latency_ms.append(max(0, hits[0][0].opened // MS - life.start_ms))
            if due and (problem := _differs(life, hits[0][0], played)):
                finding.off.append(f"{where}: {problem}")
        elif due and silence.excuses(keys, life.start_ms):
            finding.due -= 1
            finding.stale += 1
        elif due:
            finding.missed.append(f"{where}: {float(life.peak_bps):.2f} bps")
    for rows in claims.values():
        first = rows[0]
        if first.id not in matched:
            if torn(Told(first.id, first.buy, first.sell, first.opened // MS, None, "")):
                finding.unsure += 1
            else:
                finding.false.append(f"opportunity {first.id} buy {first.buy} sell {first.sell} via {first.via}: the books held none")
    return finding


def _overlaps(rows: list[Opportunity], life: Life, end: int, played: Played) -> bool:
    last = rows[-1].closed
    return rows[0].opened // MS <= end + NEAR_MS and (played.end_ms if last is None else last // MS) >= life.start_ms - NEAR_MS


def _differs(life: Life, told: Opportunity, played: Played) -> str:
    """How size or net at the opening differ from all that were true just then; "" = they do not."""
    at = told.opened // MS
    place = bisect_right([since for since, _ in life.looks], at) - 1
    markets = played.world.sample.markets
    buy, sell = markets[life.buy].spec, markets[life.sell].spec
    lot = max(spec.lot_e8 * spec.contract_e8 for spec in (buy, sell)) / 1e16
    tick = max(buy.tick_e6, sell.tick_e6) / 1e6
    problems = []
    for _, figure in life.looks[max(0, place - LOOKS) : place + 1]:
        qty, net = float(figure.qty), float(figure.net)
        room = tick * qty + lot * abs(float(figure.cost / figure.qty)) * float(abs(figure.net_bps)) / 1e4 + 1e-9
        if abs(told.qty - qty) > lot * 1.000001:
            problems.append(f"size {told.qty:.8g} instead of {qty:.8g}")
        elif abs(told.net - net) > room:
            problems.append(f"net {told.net:.8g} instead of {net:.8g}")
        else:
            return ""
    return problems[-1] if problems else ""
