"""The audit of bars: which of them were jumps of their market, by Lee and Mykland, and what the whole range says.

Asked with ``interval`` of the bars that are kept, or with ``bars``: {venue: (times ms, closes)} from elsewhere and ``step_s``; with
``alpha``, the chance of a false jump in the whole range, and ``window``, the bars that the volatility before a bar is taken from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dope.detectors import jump_audit
from dope.detectors.bars import INTERVALS, Bars, bars_of
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import SENTINEL

MS = 1_000_000
LONGEST = 100_000  #: bars of one market


def audit(session: Session, asked: Asked) -> list[dict[str, Any]]:
    """One row per market of the symbol: {venue, n, missing, start, end (ms), threshold, jumps, rv, bv, rj, z}."""
    step_s = int(asked.args.get("step_s") or INTERVALS[asked.args.get("interval", "1m")])
    series = asked.args.get("bars")
    if series is None:
        series = _held(session, asked)
    alpha, window = float(asked.args.get("alpha", jump_audit.ALPHA)), int(asked.args.get("window", jump_audit.WINDOW))
    return [_row(venue, times, closes, step_s * 1000, alpha, window) for venue, (times, closes) in sorted(series.items()) if len(times) > 1]


def _held(session: Session, asked: Asked) -> dict[str, tuple[list[int], list[float]]]:
    """The bars that are over, from memory."""
    bars: Bars = detector_of(session.engine, Bars)
    interval = asked.args.get("interval", "1m")

    def copy() -> dict[str, Any]:
        books = [book for book in session.engine.market.books.values() if book.instrument.symbol == asked.symbol]
        return {book.instrument.venue: bars.copy(book.slot, interval) for book in books if book.instrument.kind != SENTINEL}

    found = {}
    for venue, copied in asked.between_turns(copy).items():
        rows = [bar for bar in bars_of(copied) if bar.closed]
        found[venue] = [bar.start // MS for bar in rows], [bar.close for bar in rows]
    return found


def _row(venue: str, times: Sequence[int], closes: Sequence[float], step: int, alpha: float, window: int) -> dict[str, Any]:
    first = max(0, len(times) - LONGEST)
    while times[-1] - times[first] > LONGEST * step:  # bars so far apart that filling the holes between them would take all memory
        first += 1
    starts, prices = jump_audit.on_grid(times[first:], closes[first:], step)
    log_bps = np.log(prices) * 1e4
    found, n = jump_audit.lee_mykland(log_bps, window), len(starts)
    level = jump_audit.threshold(n - 1, alpha) if n > window + 1 else None
    hits = np.flatnonzero(np.abs(found) > (np.inf if level is None else level))
    moved, day = np.diff(log_bps), jump_audit.day(log_bps)
    return {
        "venue": venue, "n": n, "missing": n - len(times[first:]), "start": int(starts[0]), "end": int(starts[-1]) + step,
        "threshold": level,
        "jumps": [{"start": int(starts[i + 1]), "statistic": float(found[i]), "bps": float(moved[i])} for i in hits],
        **{name: value if np.isfinite(value) else None for name, value in day._asdict().items()},
    }  # fmt: skip
