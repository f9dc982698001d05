"""Bars of what was recorded, for the time that memory does not hold: from before this run, and from before its oldest bar kept.

Memory and recordings are parted per venue at one moment: trades before it are read from the recording, those from then on stand in the
bars in memory, so that none counts twice and none is left out, also in the bar that the program was started in. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from dope.detectors.bars import TradeBar
from dope.store.cut import LOSSY
from dope.tables import History

NS = 1_000_000_000
MOST_NS = 8 * 86_400 * NS  #: of recordings that one answer looks through
Span = tuple[int, int]  #: [from, until) ns


class Kept(NamedTuple):
    """Bars of one venue in memory; ``parted`` = from when on they hold all trades that were heard, ``met`` = when the market was met."""

    bars: Sequence[TradeBar]
    parted: int
    met: int


def looked(start: int, end: int, bars: int, span: int) -> Span:
    """The part of [start, end) for which recordings are looked through: at most so many bars of ``span`` ns back from its end."""
    return max(start, end - bars * span, end - MOST_NS, 0), end


def joined(memory: Mapping[str, Kept], past: History, span: int, now: int) -> dict[str, list[TradeBar]]:
    """Bars of each venue, oldest first: those of memory, those recorded, and the two parts of one that both have a part of."""
    found = {venue: {bar.start: bar for bar in kept.bars} for venue, kept in memory.items()}
    for row in past.table.to_pylist():
        bars, earlier = found.setdefault(row["venue"], {}), _bar(row, span, now)
        bars[earlier.start] = _continued(earlier, bars[earlier.start]) if earlier.start in bars else earlier
    return {venue: [bar for _, bar in sorted(bars.items())] for venue, bars in found.items()}


def _bar(row: Mapping[str, Any], span: int, now: int) -> TradeBar:
    end = row["ts"] + span
    return TradeBar(
        row["ts"], end, row["first"], row["last"], row["open"], row["high"], row["low"], row["close"], row["volume"], row["bought"],
        row["value"], row["bought_value"], row["trades"], 1, now >= end, False,
    )  # fmt: skip


def _continued(a: TradeBar, b: TradeBar) -> TradeBar:
    """One bar of two parts of its time, of which ``a`` is the earlier."""
    return msgspec.structs.replace(
        a, last=b.last, high=max(a.high, b.high), low=min(a.low, b.low), close=b.close, volume=a.volume + b.volume,
        bought=a.bought + b.bought, value=a.value + b.value, bought_value=a.bought_value + b.bought_value, count=a.count + b.count,
        closed=b.closed,
    )  # fmt: skip


# -- what is missing ---------------------------------------------------------------------------------------------------
def concerning(gaps: pa.Table, venues: Iterable[str]) -> list[dict[str, Any]]:
    """Those of the gaps in which trades of one of these venues may be missing; a book that was not known to be right misses none."""
    wanted = {"", *venues}
    return [row for row in gaps.to_pylist() if row["what"] != "book" and row["venue"] in wanted]


def missing(gaps: Sequence[Mapping[str, Any]], memory: Mapping[str, Kept], venues: Iterable[str], started: int, now: int) -> list[Span]:
    """When trades of these venues may be missing in the bars, apart from each other and in order.

    What is not recorded is missing only where the recording is read: the bars in memory do not need it.
    """
    spans = []
    for venue in venues:
        kept = memory.get(venue)
        for row in gaps:
            until = now if row["until"] is None else row["until"]
            if row["venue"] in ("", venue):
                spans.append((row["ts"], min(until, kept.parted) if kept is not None and row["what"] in LOSSY else until))
        if kept is not None:
            spans.append((started, kept.met))
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        elif since < until:
            found.append((since, until))
    return found


def missing_in(bar: TradeBar, spans: Sequence[Span], now: int) -> float:
    """s of a bar's time, as far as it has passed, in which trades may be missing."""
    end = min(bar.end, now)
    return sum(max(min(end, until) - max(bar.start, since), 0) for since, until in spans) / NS
