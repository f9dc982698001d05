"""Bars of trades of one market, or of all venues of a symbol together: from memory, and of what was recorded before that.

Asked with ``interval``, ``venue`` ("" = all together), ``recorded`` (False = memory alone); {symbol, venue, interval, interval_s,
kept: bars of each length in memory, lost: trades in no bar, rows: [{start, end (ms), open, high, low, close, volume, bought, value,
count, exchange_count, closed, partial, missing_s (None = recordings were not looked through)}], recorded: {start, end (ms)} looked through
or None, gaps: [{start, end (ms, None = still), venue, what, why}] in it, newest first, problems: [words]}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dope.detectors.bars import INTERVALS, KEPT, Bars, TradeBar, bars_of, together
from dope.engines import detector_of
from dope.errors import StoreError
from dope.readings.asked import Asked
from dope.readings.recorded_bars import Kept, Span, concerning, joined, looked, missing, missing_in
from dope.session import Session
from dope.tables import History
from dope.types import SENTINEL

MS, NS = 1_000_000, 1_000_000_000
GAPS = 200  #: told at most


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """The newest ``limit`` bars that begin in the range, oldest first."""
    interval, venue = asked.args.get("interval", "1m"), asked.args.get("venue", "")
    bars, started = detector_of(session.engine, Bars), session.picture.started_ns

    def copy() -> list[Any]:
        books = [book for book in session.engine.market.books.values() if book.instrument.symbol == asked.symbol]
        wanted = [book for book in books if venue in ("", book.instrument.venue) and book.instrument.kind != SENTINEL]
        return [
            (book.instrument.venue, bars.copy(book.slot, interval, asked.start, asked.end), bars.lost(book.slot)) for book in wanted
        ]  # fmt: skip

    copied = asked.between_turns(copy)
    memory = {name: Kept(bars_of(one), max(one.whole, started), one.since) for name, one, _ in copied}
    span, limit = INTERVALS[interval] * NS, asked.limit or KEPT
    now = max((one.now for _, one, _ in copied), default=asked.now)
    each, recorded = {name: list(kept.bars) for name, kept in memory.items()}, Recorded()
    if asked.past is not None and asked.args.get("recorded", False):
        recorded = _recorded(session, asked, looked(asked.start, asked.end or now, limit, span), memory)
    if recorded.past is not None:
        each = {name: found for name, found in joined(memory, recorded.past, span, now).items() if venue in ("", name)}
        recorded.gaps = concerning(recorded.past.gaps, each)
        recorded.missing = missing(recorded.gaps, memory, each, started, now)
    rows = next(iter(each.values())) if len(each) == 1 else together(list(each.values()))
    rows = [bar for bar in rows if asked.start <= bar.start < (asked.end or 2**62)][-limit:]
    return {
        "symbol": asked.symbol, "venue": venue, "interval": interval, "interval_s": INTERVALS[interval], "kept": KEPT,
        "lost": sum(lost for _, _, lost in copied), "rows": [_row(bar, recorded, now) for bar in rows], **recorded.fields(),
    }  # fmt: skip


class Recorded:
    """What the recording says; ``past`` None = it was not looked through, for the reasons in ``problems`` or because nobody asked."""

    def __init__(self, past: History | None = None, problems: tuple[str, ...] = ()) -> None:
        self.past, self.problems = past, problems
        self.missing: list[Span] = []
        self.gaps: list[dict[str, Any]] = []

    def fields(self) -> dict[str, Any]:
        """Of the answer."""
        past = None if self.past is None else {"start": self.past.start // MS, "end": self.past.end // MS}
        gaps = [
            {"start": row["ts"] // MS, "end": None if row["until"] is None else row["until"] // MS, "venue": row["venue"],
             "what": row["what"], "why": row["why"]}
            for row in reversed(self.gaps[-GAPS:])
        ]  # fmt: skip
        return {"recorded": past, "gaps": gaps, "problems": list(self.problems)}


def _recorded(session: Session, asked: Asked, span: Span, memory: Mapping[str, Kept]) -> Recorded:
    """What is recorded of this time and not in memory."""
    assert asked.past is not None
    until = {venue: kept.parted for venue, kept in memory.items()}
    try:
        past: History = asked.past(f"ohlcv_{asked.args.get('interval', '1m')}", asked.symbol, *span, source=session.source, until=until)
    except StoreError as error:
        return Recorded(problems=(f"recordings are not in it: {error}",))
    return Recorded(past, past.problems)


def _row(bar: TradeBar, recorded: Recorded, now: int) -> dict[str, Any]:
    lacking = None if recorded.past is None else missing_in(bar, recorded.missing, now)
    return {
        "start": bar.start // MS, "end": bar.end // MS, "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
        "volume": bar.volume, "bought": bar.bought, "value": bar.value, "count": bar.count, "exchange_count": bar.exchange_count,
        "closed": bar.closed, "partial": bar.partial if lacking is None else lacking > 0.0, "missing_s": lacking,
    }  # fmt: skip
