"""The training job: what a worker process runs, with named steps, on a table that was handed over."""

from __future__ import annotations

from dope.model.predictor import Progress, SpreadPredictor, Trained
from dope.model.table import Table


def train_job(progress: Progress, table: Table, recipe: SpreadPredictor, *, now_ns: int, source: str = "live") -> Trained:
    """Train on ``table`` and give the picklable result; ``now_ns`` stamps its version, ``source`` is "live" or "sim".

    Calls ``progress(fraction, step)`` with the steps Load rows, Walk-forward k of n, Fit, Compare, Done.
    Raises ModelError in plain words when the table does not suffice.
    """
    progress(0.0, f"Load rows ({len(table)})")
    trained = recipe.train(table, now_ns=now_ns, source=source, progress=progress)
    progress(1.0, "Done")
    return trained
