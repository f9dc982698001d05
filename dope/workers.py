"""What worker processes run: picklable functions that get ``progress(fraction, step)`` first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dope.backtest.report import report_dict
from dope.backtest.run import run
from dope.engines import build_engine
from dope.model.job import train_job
from dope.model.predictor import SpreadPredictor, Trained
from dope.model.table import Table
from dope.settings import Settings
from dope.tape.read import Tape, merge
from dope.types import SET, Frame

Progress = Callable[[float, str], None]
REPORT_EVERY = 20_000  #: frames between two reports of progress


def train_worker(progress: Progress, table: Table, recipe: SpreadPredictor, now_ns: int, source: str) -> Trained:
    """Train the spread predictor on a table that was handed over."""
    return train_job(progress, table, recipe, now_ns=now_ns, source="live" if source == "live" else "sim")


def backtest_worker(progress: Progress, paths: list[str], options: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Backtest over tapes; JSON-ready report. ``options``: latency_ms, order_size, fees (bps per venue and kind)."""
    progress(0.0, "Open the tape")
    chosen = Settings.model_validate({**settings, **{k: v for k, v in options.items() if k in ("order_size", "fees") and v}})
    tapes = [Tape(Path(path), tolerant=True) for path in paths]
    venues = tuple(sorted({venue for tape in tapes for venue in tape.meta.venues}))
    total = sum(tape.count for tape in tapes)

    def counted() -> Iterator[Frame]:
        for n, frame in enumerate(merge(tapes)):
            if n % REPORT_EVERY == 0:
                progress(0.02 + 0.95 * n / max(total, 1), f"Replay {n} of {total} frames")
            if frame.kind != SET:  # what was in force then is not what is asked for now
                yield frame

    engine = build_engine(chosen, venues, {})
    report = run(counted(), engine, latency_ms=float(options.get("latency_ms", 100.0)), order_size=chosen.order_size)
    progress(1.0, "Done")
    return {**report_dict(report), "tapes": [Path(p).name for p in paths], "source": sorted({t.meta.source for t in tapes})}
