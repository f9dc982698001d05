"""One promise that the program makes of itself: its row, and when it counts as kept, broken, or not to be said yet."""

from __future__ import annotations

import msgspec

from dope.quantiles import Quantiles

MS = 1_000_000


class Row(msgspec.Struct, kw_only=True):
    """One promise. ``p50``, ``p99``, ``max``, ``limit`` in ``unit``; ``needed`` = samples below which nothing is said."""

    id: str
    promise: str
    promised: str
    measured: str = ""
    limit: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    max: float | None = None
    value: float | None = None
    samples: int = 0
    needed: int = 1
    of: str = ""  #: what is counted as one sample
    since: int = 0  #: ms UTC
    state: str = "few"  #: "kept" | "broken" | "few"
    how: str
    test: str


def judged(row: Row, good: bool) -> str:
    """Its state, when what was measured is ``good`` or is not."""
    return "few" if row.samples < row.needed else "kept" if good else "broken"


def within(row: Row, figures: Quantiles, since: int, *, scale: float = MS) -> Row:
    """Whether 99 % of the figures stay below the row's limit; ``scale`` = their unit in the row's."""
    row.samples, row.since = figures.count, since // MS
    if figures.count:
        row.p50, row.p99, row.max = ((figures.at(share) or 0) / scale for share in (0.5, 0.99, 1.0))
        row.measured = in_words(row)
        row.state = judged(row, (row.p99 or 0.0) <= row.limit)
    return row


def at_most(row: Row, bad: int, count: int, since: int, measured: str) -> Row:
    """Whether no more than the row's limit of so many were bad."""
    row.samples, row.since, row.value, row.measured = count, since // MS, float(bad), measured if count else ""
    row.state = judged(row, bad <= row.limit)
    return row


def in_words(row: Row) -> str:
    """What was measured, in words."""
    parts = [(name, getattr(row, name)) for name in ("p50", "p99", "max")]
    return " · ".join(f"{name} {_plain(value)} {row.unit}" for name, value in parts if value is not None)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
