"""Compares what the session told with what is known to be true of the market: found, missed, false, and how well described.

The truth: the log of what was published, the twin of the seed that says what it was, and the exact arithmetic over both.

  due      an opportunity that lived for DUE_MS above the enter level while all markets of it could be read (``doubts.py``)
  found    the session told an opportunity of the same two markets that overlaps it within NEAR_MS
  false    the session told one that overlaps none
  unsure   it cannot be said: the session's began in a step of 10 ms in which a venue told of a market's levels in several messages,
           and between two of them nobody knows what was true; or, where time goes by, in which both venues spoke, in an unknown order
  stale    found, but begun late, interrupted or closed early, while the book of a leg could be held too old; or not told at all,
           because there was never enough time in which it could not
  late     as off, but our own loop stood still meanwhile (it came 20 ms late or more)
  off      found, but size or net by more than one lot or one tick of the price away, or a lifetime by more than NEAR_MS
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

import msgspec

from dope.detectors.arbitrage import RECHECK_NS, Opportunity
from dope.engines import costs
from dope.sim.exact import FEES, Exact, Figure, Leg, Levels, Life, Rules
from dope.sim.market import STEP_MS
from dope.sim.quoting import Fill
from dope.sim.truth_log import Published
from dope.trial.doubts import Due, Span, Torn
from dope.trial.finding import DUE_MS, NEAR_MS, Finding, span, when
from dope.trial.stage import MS, Played, Sample

UNHEARD = 3  #: looks
FLOAT = 1e-12  #: share by which a large size in floating point may be off
STALE = "stale"


class Told(msgspec.Struct, frozen=True):
    """One life of an opportunity as the session told it; virtual ms UTC, ``end_ms`` None = still open at the end."""

    id: int
    buy: str
    sell: str
    start_ms: int
    end_ms: int | None
    reason: str


def legs(played: Played) -> list[Leg]:
    """The markets as the truth knows them, with the fees that the session is told to reckon with."""
    session, found = played.session, []
    fees = costs(session.settings)
    books = session.engine.market.books
    for key, market in played.world.sample.markets.items():
        spec = market.spec
        cost = fees.get((spec.venue, "perp" if spec.perpetual else "spot"))
        if cost is None or key not in books:
            continue
        found.append(
            Leg(
                key, spec.symbol, spec.tick_e6, spec.lot_e8 * spec.contract_e8, round(cost.fee * FEES), cost.currency == "base",
                0 if spec.face else spec.lot_e8 * spec.contract_e8, Fraction(str(books[key].instrument.min_notional)), spec.face,
            )
        )  # fmt: skip
    return found


class Reader(Protocol):
    """Looks at published books: what this market is from now on, then what follows from it."""

    def moved(self, key: str, bids: Levels, asks: Levels) -> None: ...

    def judge(self, key: str, now_ms: int) -> None: ...


def reread(
    played: Played, *readers: Reader, traded: Callable[[str, Sequence[Fill], int], None] | None = None,
    over: Callable[[Published, int], None] | None = None,
) -> None:  # fmt: skip
    """All that was published once more, in its order, to all of these; ``traded`` hears the trades of each step of each market.

    ``over`` is told when all of a step was read.
    """
    published = Published(played.world.log.rows(), played.world.sample.twin())
    markets = list(published.twin.markets.items()) if traded is not None else []
    for at_ms in played.at_ms[1:]:
        for key in published.step():
            if (sides := published.shown[key].sides()) is not None:
                for reader in readers:
                    reader.moved(key, *sides)
                    reader.judge(key, at_ms)
        for key, market in markets:
            if market.fills and traded is not None:
                traded(key, market.fills, at_ms)
        if over is not None:
            over(published, at_ms)


def rules_of(played: Played) -> Rules:
    """Those that the session reckons with."""
    told = played.session.arbitrage.rules
    return Rules(Fraction(str(told.enter)), Fraction(str(told.leave)), told.debounce // MS, Fraction(str(told.min_notional)))


def truth(played: Played) -> list[Life]:
    """Every opportunity that was in the published books, by exact arithmetic."""
    exact = Exact(legs(played), rules_of(played))
    reread(played, exact)
    return exact.finish(played.end_ms)


def told(played: Played) -> list[Told]:
    """What the session told of pairs in one currency, one entry a life, in the order of their beginnings."""
    found: dict[int, Opportunity] = {}
    for each in played.witness.opportunities:
        if not each.via:
            found[each.id] = each
    lives = [
        Told(o.id, o.buy, o.sell, o.opened // MS, None if o.closed is None else o.closed // MS, o.reason) for o in found.values()
    ]
    return sorted(lives, key=lambda life: (life.start_ms, life.buy, life.sell))


def arbitrage(played: Played, lives: list[Life]) -> Finding:
    """Opportunities: those of the truth against those that were told."""
    due = Due(played)
    torn = Torn(played, due.silence)
    claims = told(played)
    finding = Finding("arbitrage", injected=len(lives))
    of_pair: dict[tuple[str, str], list[Told]] = {}
    for claim in claims:
        of_pair.setdefault((claim.buy, claim.sell), []).append(claim)
    samples = _by_life(played.samples)
    matched: set[int] = set()
    for life in lives:
        keys, end = (life.buy, life.sell), played.end_ms if life.end_ms is None else life.end_ms
        hits = [c for c in of_pair.get(keys, ()) if _overlap(life.start_ms, end, c, played.end_ms)]
        matched.update(claim.id for claim in hits)
        if not due.lived(life, keys):
            continue
        must = due.pieces(life, keys)
        if not hits:
            finding.due += bool(must)
            finding.stale += not must
            if must:
                finding.missed.append(f"{_named(*keys)} {span(played, life.start_ms, life.end_ms)}: {_worth(life)}")
            continue
        finding.due += 1
        finding.detected += 1
        lasted = _lasted(life, hits, must, due, played)
        if lasted != STALE:
            finding.latency_ms.append(max(0, hits[0].start_ms - life.start_ms))
        finding.stale += lasted == STALE
        problem = _figures(life, samples.get(keys, ()), played) if lasted in ("", STALE) else lasted
        if not problem:
            continue
        if hits[0].start_ms < life.start_ms and torn(*keys, hits[0].start_ms):
            finding.unsure += 1
        elif any(start <= end + NEAR_MS and stop >= life.start_ms - NEAR_MS for start, stop in played.stalls):
            finding.late += 1
        else:
            finding.off.append(f"{_named(*keys)} {span(played, life.start_ms, life.end_ms)}: {problem}")
    for claim in claims:
        if claim.id in matched:
            continue
        if torn(claim.buy, claim.sell, claim.start_ms):
            finding.unsure += 1
        else:
            where = f"opportunity {claim.id} {_named(claim.buy, claim.sell)} {span(played, claim.start_ms, claim.end_ms)}"
            finding.false.append(f"{where}: the published books held none")
    return finding


def _overlap(start: int, end: int, claim: Told, last: int) -> bool:
    return claim.start_ms <= end + NEAR_MS and (last if claim.end_ms is None else claim.end_ms) >= start - NEAR_MS


def _by_life(samples: Iterable[Sample]) -> Mapping[tuple[str, str], list[Sample]]:
    found: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.buy, sample.sell), []).append(sample)
    return found


def _lasted(life: Life, hits: list[Told], must: list[Span], due: Due, played: Played) -> str:
    """How the time for which it was told differs from that in which it was; STALE = as it may, because a leg could be held too old."""
    end, last = (played.end_ms if each is None else each for each in (life.end_ms, hits[-1].end_ms))
    if hits[-1].end_ms is None and last - end <= (played.session.arbitrage.rules.debounce + RECHECK_NS) // MS:
        last = end  # it faded so shortly before the end of all that this could not be told any more
    early, late = hits[0].start_ms - life.start_ms, last - end
    whole = abs(early) <= NEAR_MS and abs(late) <= NEAR_MS
    covered = all(any(_covers(hit, piece, played.end_ms) for hit in hits) for piece in must)
    if whole and covered:
        return ""
    begun = next((start for start, stop in life.above if stop - start > NEAR_MS), life.start_ms)
    old_then = hits[0].start_ms - begun <= NEAR_MS or due.silence.excuses((life.buy, life.sell), begun)
    old_at_last = -NEAR_MS <= late <= NEAR_MS or due.silence.excuses((life.buy, life.sell), last - 1)
    fading = played.session.arbitrage.rules.debounce // MS  # it is not over yet: a leg that is too old by then ends it
    if covered and early >= -NEAR_MS and late <= NEAR_MS + fading and old_then and old_at_last:
        return STALE
    return "told as " + ", ".join(f"{span(played, hit.start_ms, hit.end_ms)} {hit.reason}".rstrip() for hit in hits)


def _covers(hit: Told, piece: Span, last: int) -> bool:
    return hit.start_ms <= piece[0] + NEAR_MS and (last if hit.end_ms is None else hit.end_ms) >= piece[1] - NEAR_MS


def _figures(life: Life, samples: Iterable[Sample], played: Played) -> str:
    """How size, net or prices that were told of it differ from what they were; "" = not at all."""
    end = played.end_ms if life.end_ms is None else life.end_ms
    lot, tick = steps(played, life)
    starts = [since for since, _ in life.looks]
    for sample in samples:
        place = bisect_right(starts, sample.ms) - 1
        if place < 0 or not life.start_ms <= sample.ms < end:
            continue
        # where time goes by, the newest messages may not have been heard yet
        near = [life.looks[k][1] for k in range(place if played.stepped else max(0, place - UNHEARD), place + 1)]
        problems = [_apart(sample, figure, lot, tick) for figure in near]
        if all(problems):
            return f"at {when(played, sample.ms)} {problems[-1]}"
    return ""


def steps(played: Played, life: Life) -> tuple[float, float]:
    """(lot, tick): the coarser of both markets, in units of the asset and of price."""
    markets = played.world.sample.markets
    specs = markets[life.buy].spec, markets[life.sell].spec
    return max(spec.lot_e8 * spec.contract_e8 for spec in specs) / 1e16, max(spec.tick_e6 for spec in specs) / 1e6


def _apart(sample: Sample, figure: Figure, lot: float, tick: float) -> str:
    qty, net = float(figure.qty), float(figure.net)
    if abs(sample.qty - qty) > lot * 1.000001 + FLOAT * qty:
        return f"size {sample.qty:.8g} instead of {qty:.8g}"
    room = tick * qty + lot * abs(float(figure.sell_vwap - figure.buy_vwap)) + 1e-9
    if abs(sample.net - net) > room:
        return f"net {sample.net:.8g} instead of {net:.8g}"
    for name, mine, true in (("buy", sample.buy_vwap, figure.buy_vwap), ("sell", sample.sell_vwap, figure.sell_vwap)):
        if abs(mine - float(true)) > tick:
            return f"average {name} price {mine:.10g} instead of {float(true):.10g}"
    return ""


def dislocations(played: Played, lives: list[Life]) -> Finding:
    """Planted displacements: due are those that made an opportunity which was due, found those of which one was told."""
    found, due = Finding("dislocation"), Due(played)
    sample = played.world.sample
    claims = told(played)
    wanted = [life for life in lives if due.lived(life, keys := (life.buy, life.sell)) and due.pieces(life, keys)]
    for planted in sample.planted:
        start, end = (played.at(sample.epoch_ms + step * STEP_MS) for step in (planted.start, planted.end))
        if end <= played.ready_ms or start >= played.end_ms:
            continue
        found.injected += 1
        last = min(end, played.end_ms - DUE_MS)
        begun = [life.start_ms for life in wanted if planted.key in (life.buy, life.sell) and start <= life.start_ms < last]
        if not begun:
            continue
        found.due += 1
        hits = [c.start_ms for c in claims if planted.key in (c.buy, c.sell) and start - NEAR_MS <= c.start_ms <= end + NEAR_MS]
        if hits:
            found.detected += 1
            found.latency_ms.append(max(0, min(hits) - min(begun)))
        else:
            found.missed.append(f"event {planted.id} {planted.key} {span(played, start, end)}: {planted.bps:+.1f} bps")
    return found


# -- words -------------------------------------------------------------------------------------------------------------
def _named(buy: str, sell: str) -> str:
    return f"buy {buy} sell {sell}"


def _worth(life: Life) -> str:
    figure = life.at(life.peak_ms)
    size = f", {float(figure.qty):.6g} for a net of {float(figure.net):.2f}" if figure is not None else ""
    return f"peak {float(life.peak_bps):.2f} bps{size}, {life.above_ms} ms above the level"
