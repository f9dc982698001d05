"""Compares what the session told with what is known to be true of the market: found, missed, false, and how well described.

The truth: the log of what was published, the twin of the seed that says what it was, and the exact arithmetic over both.

  due      an opportunity that lived for DUE_MS above the enter level while both markets could be read
  found    the session told an opportunity of the same two markets that overlaps it within NEAR_MS
  false    the session told one that overlaps none
  unsure   it cannot be said: the session's began in a step of 10 ms in which a venue told of a market's levels in several messages,
           and between two of them nobody knows what was true; or, where time goes by, in which both venues spoke, in an unknown order
  stale    found, but begun late or closed early, when nothing had confirmed the book of a leg for OLD_MS; or not told at all,
           because the book of a leg comes each SLOW_MS or less often
  late     as off, but our own loop stood still meanwhile (it came 20 ms late or more)
  off      found, but size or net by more than one lot or one tick of the price away, or a lifetime by more than NEAR_MS
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Protocol

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.engines import costs
from dope.sim.exact import FEES, Exact, Figure, Leg, Levels, Life, Rules
from dope.sim.journal import Planted
from dope.sim.kinds import KINDS
from dope.sim.market import STEP_MS
from dope.sim.quoting import Fill
from dope.sim.truth_log import DEPTH, TOUCH, Published
from dope.trial.stage import MS, Played, Sample

DUE_MS = 50
NEAR_MS = 20
RECOVERY_MS = 30_000  #: after a fault, in which a book may leave once more
UNHEARD = 3  #: looks
FLOAT = 1e-12  #: share by which a large size in floating point may be off
OLD_MS = 250  #: nothing younger may be held stale
SLOW_MS = 2_000  #: a venue whose books come less often: between two of them they may be too old to be used, and rightly so


class Finding(msgspec.Struct):
    """One kind of planted thing: how many there were, and what became of them. ``latency_ms`` of the found ones."""

    kind: str
    injected: int = 0
    due: int = 0
    detected: int = 0
    missed: list[str] = []
    false: list[str] = []
    off: list[str] = []
    unsure: int = 0
    stale: int = 0
    late: int = 0
    latency_ms: list[float] = []


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


def reread(played: Played, *readers: Reader, traded: Callable[[str, Sequence[Fill], int], None] | None = None) -> None:
    """All that was published once more, in its order, to all of these; ``traded`` hears the trades of each step of each market."""
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


def faults_of(played: Played) -> list[Planted]:
    """What was done to the venues, oldest first."""
    return [entry for entry in played.world.journal.entries if entry.kind in KINDS]


def lasted(played: Played, entry: Planted) -> tuple[int, int]:
    """From when to when a fault was there."""
    over = entry.id not in played.world.faults.active
    return played.at(entry.start_ms), played.at(entry.end_ms or entry.start_ms + STEP_MS) if over else played.end_ms


class Unreadable:
    """When which market could not be read by anybody: from a planted fault until the session has its book again."""

    def __init__(self, played: Played) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}
        left: dict[str, list[tuple[int, int]]] = {}
        since: dict[str, int] = {}
        for state in played.witness.states:
            if state.state == "LIVE":
                left.setdefault(state.key, []).append((since.pop(state.key, 0), state.ts // MS))
            else:
                since.setdefault(state.key, state.ts // MS)
        for key, start in since.items():
            left.setdefault(key, []).append((start, played.end_ms))
        self.left = left  #: key → spans in which its book was not LIVE
        for entry in faults_of(played):
            for key, market in played.world.sample.markets.items():
                if entry.venue == market.spec.venue and entry.symbol in ("", market.spec.symbol):
                    start, end = lasted(played, entry)
                    ends = [stop for since, stop in left.get(key, ()) if since <= end + RECOVERY_MS and stop >= start]
                    self._spans.setdefault(key, []).append((start, max([end, *ends])))

    def within(self, key: str, start_ms: int, end_ms: int) -> bool:
        """Whether some of this time was such."""
        return any(start < end_ms and end > start_ms for start, end in self._spans.get(key, ()))


class Silence:
    """When which venue was silent, from the log of what it published."""

    def __init__(self, played: Played) -> None:
        book, venue = dict[str, list[int]](), dict[str, list[int]]()
        for row in played.world.log.rows():
            at = played.at_ms[row.step]
            if row.channel == DEPTH and not row.lost:
                book.setdefault(row.key, []).append(at)
            if not row.lost:
                venue.setdefault(row.key.partition(":")[0], []).append(at)
        slow = {key for key, at in book.items() if len(at) > 1 and median(b - a for a, b in pairwise(at)) >= SLOW_MS}
        self._spoke = {key: book[key] if key in slow else venue[key.partition(":")[0]] for key in book}
        self.slow = slow  #: markets whose levels come so seldom that they grow old in between

    def excuses(self, keys: Iterable[str], at_ms: int) -> bool:
        """Whether one of these could rightly be held too old at this instant."""
        return any(at_ms - self._spoke[key][bisect_right(self._spoke[key], at_ms) - 1] >= OLD_MS for key in keys if key in self._spoke)


class Torn:
    """Whether an opportunity began in a step of which the order of what was published is not known."""

    def __init__(self, played: Played) -> None:
        self._played = played
        self._depth = Counter((row.key, row.step) for row in played.world.log.rows() if row.channel == DEPTH)
        self._any = {(row.key, row.step) for row in played.world.log.rows() if row.channel in (DEPTH, TOUCH)}

    def __call__(self, claim: Told) -> bool:
        newest = bisect_right(self._played.at_ms, claim.start_ms) - 1
        for step in range(newest if self._played.stepped else newest - 1, newest + 1):
            if any(self._depth[key, step] > 1 for key in (claim.buy, claim.sell)):
                return True
            if not self._played.stepped and (claim.buy, step) in self._any and (claim.sell, step) in self._any:
                return True
        return False


def arbitrage(played: Played, lives: list[Life]) -> Finding:
    """Opportunities: those of the truth against those that were told."""
    unreadable, silence, torn = Unreadable(played), Silence(played), Torn(played)
    claims = told(played)
    finding = Finding("arbitrage", injected=len(lives))
    of_pair: dict[tuple[str, str], list[Told]] = {}
    for claim in claims:
        of_pair.setdefault((claim.buy, claim.sell), []).append(claim)
    samples = _by_life(played.samples)
    matched: set[int] = set()
    for life in lives:
        end = played.end_ms if life.end_ms is None else life.end_ms
        hits = [c for c in of_pair.get((life.buy, life.sell), ()) if _overlap(life.start_ms, end, c, played.end_ms)]
        matched.update(claim.id for claim in hits)
        dark = any(unreadable.within(key, life.start_ms, end) for key in (life.buy, life.sell))
        due = life.above_ms >= DUE_MS and life.start_ms >= played.ready_ms and played.end_ms - life.start_ms >= DUE_MS and not dark
        finding.due += due
        if hits:
            finding.detected += due
            keys = (life.buy, life.sell)
            too_old = hits[0].start_ms > life.start_ms + NEAR_MS and silence.excuses(keys, life.start_ms)
            excused = too_old or any(hit.reason == "stale" and silence.excuses(keys, hit.end_ms or 0) for hit in hits)
            if not excused:
                finding.latency_ms.append(max(0, hits[0].start_ms - life.start_ms))
            if excused:
                finding.stale += due
            elif due and hits[0].start_ms < life.start_ms and torn(hits[0]):
                finding.unsure += 1
            elif due and (problem := _differences(life, hits, samples, played, end)):
                if any(start <= end + NEAR_MS and stop >= life.start_ms - NEAR_MS for start, stop in played.stalls):
                    finding.late += 1
                else:
                    finding.off.append(problem)
        elif due and silence.slow & {life.buy, life.sell}:
            finding.due -= 1
            finding.stale += 1
        elif due:
            finding.missed.append(f"{_named(life.buy, life.sell)} {span(played, life.start_ms, life.end_ms)}: {_worth(life)}")
    for claim in claims:
        if claim.id in matched:
            continue
        if torn(claim):
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


def _differences(
    life: Life, hits: list[Told], samples: Mapping[tuple[str, str], list[Sample]], played: Played, end: int
) -> str:  # fmt: skip
    """How what was told of a life differs from what it was; "" = not at all."""
    where = f"{_named(life.buy, life.sell)} {span(played, life.start_ms, life.end_ms)}"
    last = played.end_ms if hits[-1].end_ms is None else hits[-1].end_ms
    if abs(hits[0].start_ms - life.start_ms) > NEAR_MS or abs(last - end) > NEAR_MS:
        pieces = ", ".join(f"{span(played, hit.start_ms, hit.end_ms)} {hit.reason}".rstrip() for hit in hits)
        return f"{where}: told as {pieces}"
    lot, tick = steps(played, life)
    starts = [since for since, _ in life.looks]
    for sample in samples.get((life.buy, life.sell), ()):
        place = bisect_right(starts, sample.ms) - 1
        if place < 0 or not life.start_ms <= sample.ms < end:
            continue
        # where time goes by, the newest messages may not have been heard yet
        near = [life.looks[k][1] for k in range(place if played.stepped else max(0, place - UNHEARD), place + 1)]
        problems = [_apart(sample, figure, lot, tick) for figure in near]
        if all(problems):
            return f"{where}: at {when(played, sample.ms)} {problems[-1]}"
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
    found = Finding("dislocation")
    sample = played.world.sample
    claims = told(played)
    wanted: Callable[[str, int, int], bool] = Unreadable(played).within
    for planted in sample.planted:
        start, end = (played.at(sample.epoch_ms + step * STEP_MS) for step in (planted.start, planted.end))
        if end <= played.ready_ms or start >= played.end_ms:
            continue
        found.injected += 1
        last = min(end, played.end_ms - DUE_MS)
        due = [
            life for life in lives
            if planted.key in (life.buy, life.sell) and life.above_ms >= DUE_MS and start <= life.start_ms < last
            and life.start_ms >= played.ready_ms
            and not any(wanted(key, life.start_ms, life.end_ms or played.end_ms) for key in (life.buy, life.sell))
        ]  # fmt: skip
        if not due:
            continue
        found.due += 1
        hits = [c.start_ms for c in claims if planted.key in (c.buy, c.sell) and start - NEAR_MS <= c.start_ms <= end + NEAR_MS]
        if hits:
            found.detected += 1
            found.latency_ms.append(max(0, min(hits) - min(life.start_ms for life in due)))
        else:
            found.missed.append(f"event {planted.id} {planted.key} {span(played, start, end)}: {planted.bps:+.1f} bps")
    return found


# -- words -------------------------------------------------------------------------------------------------------------
def when(played: Played, ms: int) -> str:
    """A time as it is told: seconds since every book was LIVE."""
    return f"{(ms - played.ready_ms) / 1000:.2f} s"


def span(played: Played, start_ms: int, end_ms: int | None) -> str:
    """From when to when."""
    return f"{when(played, start_ms)} … {'end' if end_ms is None else when(played, end_ms)}"


def _named(buy: str, sell: str) -> str:
    return f"buy {buy} sell {sell}"


def _worth(life: Life) -> str:
    figure = life.at(life.peak_ms)
    size = f", {float(figure.qty):.6g} for a net of {float(figure.net):.2f}" if figure is not None else ""
    return f"peak {float(life.peak_bps):.2f} bps{size}, {life.above_ms} ms above the level"
