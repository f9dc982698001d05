"""Replays tapes through a fresh engine, at any speed, and sums up what was seen per instrument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dope.engine import Engine
from dope.engines import build_engine
from dope.feed.clock import Clock
from dope.settings import Settings
from dope.tape.pace import paced
from dope.tape.read import Tape, merge
from dope.types import SENTINEL


async def replay(paths: Sequence[Path], settings: Settings, speed: float = math.inf) -> tuple[Engine, list[Tape]]:
    """Step a fresh engine over the merged tapes, ``speed`` recorded seconds per second (inf = as fast as it goes).

    Raises TapeError for a file that cannot be read.
    """
    tapes = [Tape(path) for path in paths]
    venues = tuple(sorted({venue for tape in tapes for venue in tape.meta.venues}))
    engine = build_engine(settings, venues, {})
    async for frames in paced(merge(tapes), Clock(), speed):
        engine.step_many(frames)
        engine.drain()
    return engine, tapes


def summary(engine: Engine, tapes: Sequence[Tape]) -> dict[str, Any]:
    """JSON-ready: per instrument what its book went through, signals by kind, opportunities, digest."""
    market = engine.market
    opened = closed = 0
    for detector in engine.detectors:
        opened += getattr(detector, "opened", 0)
        closed += getattr(detector, "closed", 0)
    return {
        "instruments": {
            key: {
                "frames": engine.venues[book.instrument.venue].seen.get(key, 0),
                "book_updates": book.book_updates, "snapshots": book.snapshots, "gaps": book.gaps,
                "faults": book.faults, "crossed": book.crossed, "checksum_mismatches": book.checksum_mismatches,
                "checksums_ok": book.checksums_ok, "trades": book.trades,
                "bid": book.bid or None, "ask": book.ask or None, "touch": list(book.touch()), "state": book.state,
                "live_seconds": round(book.live_seconds(market.now), 6),
            }
            for key, book in sorted(market.books.items())
            if book.instrument.kind != SENTINEL
        },
        "signals": dict(sorted(engine.counts.items())),
        "opportunities": {"opened": opened, "closed": closed},
        "faults": dict(sorted(engine.faults.items())),
        "frames": engine.frames,
        "lost": sum(hole.lost for tape in tapes for hole in tape.holes()),
        "digest": engine.digest(),
    }  # fmt: skip
