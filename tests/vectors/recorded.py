"""Vectors of a real recording of three venues: what their clocks said, and where the price was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dope.detectors.contrast import log_bps
from dope.detectors.discovery import discovery, on_grid
from dope.market.freshness import spread_ms
from tests.vectors.case import Case, Document, near
from tests.vectors.leadlag import file_of, rows_of

MS = 1_000_000
EXACT = 1e-6  #: relative, as the files say


def clock(document: Document, market: Path) -> Iterator[Case]:
    """How far our clock was from each venue's, from its trades."""
    for venue, expected in document["clock"].items():
        path = file_of(market, f"{document['files'][venue]}_trades")
        if path is None:
            yield Case(f"{venue}: clock", "no such recording", "trades", False)
            continue
        rows = rows_of(path)
        received = np.array([int(row["local_ns"]) for row in rows], dtype=np.int64)
        stamped = np.array([int(row["exch_ms"]) for row in rows], dtype=np.int64) * MS
        found = spread_ms(received, stamped)
        for name, figure in expected.items():
            yield near(f"{venue}: delay, {name} in ms", getattr(found, name), figure, rel_tol=EXACT)


def vecm(document: Document, market: Path) -> Iterator[Case]:
    """Shares of the common price, on each grid; the grids cover the time in which all venues were recorded."""
    paths = {venue: file_of(market, f"{name}_quotes") for venue, name in document["files"].items()}
    if missing := [venue for venue, path in paths.items() if path is None]:
        yield Case("price discovery", f"no recording of {', '.join(missing)}", "quotes", False)
        return
    mids = {venue: _mids(path) for venue, path in paths.items() if path is not None}
    begin, end = max(int(t[0]) for t, _ in mids.values()), min(int(t[-1]) for t, _ in mids.values())
    for step, pairs in document["vecm"].items():
        ns = round(float(step.removesuffix("ms")) * MS) if step.endswith("ms") else round(float(step.removesuffix("s")) * 1000 * MS)
        at = np.arange(-(-begin // ns) * ns, end + 1, ns)
        for name, expected in pairs.items():
            x, y = (on_grid(*mids[venue], at) for venue in name.split("_vs_"))
            found = discovery(x, y)
            head = f"{name}, {step}"
            if found is None:
                yield Case(head, "nothing", "shares", False)
                continue
            told = {"alpha_x": found.alpha_x, "alpha_y": found.alpha_y, "gg_share_x": found.share, "resid_corr": found.correlation}
            for figure, value in told.items():
                yield near(f"{head}: {figure}", value, expected[figure], rel_tol=EXACT)
            for word, value, bound in zip(("lower", "upper"), (found.low, found.high), expected["is_x_bounds"], strict=True):
                yield near(f"{head}: {word} bound", value, bound, rel_tol=EXACT)


def _mids(path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = rows_of(path)
    times = np.array([int(row["local_ns"]) for row in rows], dtype=np.int64)
    return times, log_bps(np.array([(float(row["bid"]) + float(row["ask"])) / 2.0 for row in rows]))
