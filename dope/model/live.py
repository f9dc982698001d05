"""The predictor at work: per pair its features, its labelled rows, its predictions and how they turned out.

Every prediction is kept until its label comes and is then scored beside "no change"; the rolling skill and the 90 %
band come from those matured errors only.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dope.model.features import STEP_NS, WINDOW, Leg, MarketFeatures, PairFeatures, Row
from dope.model.matured import Residuals, Scores
from dope.model.predictor import MIN_SAMPLES, Trained
from dope.model.table import BUFFER_ROWS, LabelledRows, Table, collect

MAX_PAIRS = 300  #: pairs watched; later ones are left out


def comparable(keys: Iterable[str]) -> list[tuple[str, str]]:
    """All pairs of instrument keys that quote the same symbol at two venues, in order of symbol, then key."""
    by_symbol: dict[str, list[str]] = {}
    for key in sorted(keys):
        by_symbol.setdefault(key.partition(":")[2], []).append(key)
    return [pair for symbol in sorted(by_symbol) for pair in itertools.combinations(by_symbol[symbol], 2)]


class PredictorState:
    """All the model knows of a running market; picklable, bounded, one per source (live, sim or tape)."""

    def __init__(
        self, *, horizon_steps: int = 1, step_ns: int = STEP_NS, buffer_rows: int = BUFFER_ROWS, min_samples: int = MIN_SAMPLES
    ) -> None:
        self.horizon_steps = horizon_steps
        self.step_ns = step_ns
        self.trained: Trained | None = None
        self.rows: list[dict[str, Any]] = []
        self._buffer_rows = buffer_rows
        self._min_samples = min_samples
        self._pairs: dict[str, _Pair] = {}
        self._times = Counter[int]()  # of labelled steps: pairs that have it
        self._markets: dict[str, MarketFeatures] = {}
        self.scores = Scores(MAX_PAIRS)
        self._step = -1

    def on_second(self, ts: int, legs: Mapping[str, Leg | None]) -> list[dict[str, Any]]:
        """Take one grid step and give the board's ``pred`` rows: one per pair, predicted None where nothing may be said.

        Call once at each full second of our clock, with ``ts`` (int ns) near it and for each key (mid, bid, ask, base
        volume traded since the last call), or None where the book is not LIVE. ``ts`` counts as the nearest full second:
        the newest frame may be a little older than the clock, the call a little late. A second that was fed already is
        ignored; a skipped one starts every pair anew.
        """
        step = (ts + self.step_ns // 2) // self.step_ns
        if step <= self._step:
            return self.rows
        self._step, ts = step, step * self.step_ns
        self._meet(legs)
        for key, features in self._markets.items():
            features.push(ts, legs.get(key))
        rows = {name: pair.take(ts, self.scores) for name, pair in self._pairs.items()}
        predicted = self._predict({name: row for name, row in rows.items() if row is not None})
        self.rows = [pair.board_row(ts, predicted.get(name)) for name, pair in self._pairs.items()]
        return self.rows

    def adopt(self, trained: Trained) -> None:
        """Predict with this model from the next step on; its bands start from its own out-of-sample errors.

        Live scores go on: they judge what was shown, whichever model it came from.
        """
        self.trained = trained
        for name, pair in self._pairs.items():
            pair.start_band(trained.residuals.get(name, []))

    def table(self) -> Table:
        """The labelled rows so far, for the training job."""
        rows = {name: pair.labelled for name, pair in self._pairs.items()}
        return collect(rows, horizon_steps=self.horizon_steps, step_ns=self.step_ns)

    @property
    def samples(self) -> int:
        """Labelled steps so far: seconds of which at least one pair has a label."""
        return len(self._times)

    def section(self) -> dict[str, Any]:
        """What the board's ``pred`` section shows of the model itself; the runtime adds jobs, versions and times."""
        samples = self.samples
        return {
            "status": "collecting" if self.trained is None else "ready",
            "samples": samples,
            "needed": self._min_samples,
            "horizon_steps": self.horizon_steps,
            "step_s": self.step_ns / 1e9,
            "rows": self.rows,
            "card": None if self.trained is None else self.trained.card,
            "live": self.live_score(),
        }

    def live_score(self) -> dict[str, Any]:
        """Rolling score of matured predictions: {n, rmse, rmse_persistence, skill, coverage}; None while n is small."""
        return self.scores.told()

    def _meet(self, legs: Mapping[str, Leg | None]) -> None:
        if legs.keys() <= self._markets.keys():
            return
        for key in legs:
            self._markets.setdefault(key, MarketFeatures(step_ns=self.step_ns))
        for a, b in comparable(self._markets)[:MAX_PAIRS]:
            name = f"{a}|{b}"
            if name not in self._pairs and len(self._pairs) < MAX_PAIRS:
                labelled = LabelledRows(
                    horizon_steps=self.horizon_steps, step_ns=self.step_ns, size=self._buffer_rows, times=self._times
                )  # fmt: skip
                features = PairFeatures(a.partition(":")[0], b.partition(":")[0], (self._markets[a], self._markets[b]))
                pair = _Pair(len(self._pairs), a, b, features, labelled, horizon_ns=self.horizon_steps * self.step_ns)
                pair.start_band(self.trained.residuals.get(name, []) if self.trained else [])
                self._pairs[name] = pair

    def _predict(self, rows: dict[str, Row]) -> dict[str, float]:
        if self.trained is None or not rows:
            return {}
        values = self.trained.predict(list(rows), np.stack(list(rows.values())))
        return {name: float(value) for name, value in zip(rows, values, strict=True) if math.isfinite(value)}


class _Prediction(NamedTuple):
    """A prediction that waits for its label at ``due``; ``residuals`` are those of the model that made it."""

    due: int
    predicted: float
    current: float
    half: float | None
    residuals: Residuals


class _Pair:
    """One pair: features, labelled rows, predictions waiting for their label, errors of the model in use. ``number`` = among the scores."""

    def __init__(self, number: int, a: str, b: str, features: PairFeatures, labelled: LabelledRows, *, horizon_ns: int) -> None:
        self.number, self.a, self.b, self.labelled = number, a, b, labelled
        self.symbol = a.partition(":")[2]
        self._features, self._horizon_ns = features, horizon_ns
        self._residuals = Residuals()
        self._waiting: deque[_Prediction] = deque()

    def start_band(self, residuals: Iterable[float]) -> None:
        """A new model is in use: how wide its band is, the errors of the last one do not say."""
        self._residuals = Residuals(residuals)

    def take(self, ts: int, scores: Scores) -> Row | None:
        """Take one step that its markets have taken, ``ts`` its begin: score what has matured, label what waits, give the row to
        predict from (None = invalid).
        """
        row = self._features.take(ts)
        spread = self._features.spread
        self.labelled.push(ts, row, spread)
        while self._waiting and self._waiting[0].due <= ts:
            made = self._waiting.popleft()
            if spread is not None and made.due == ts:
                error = spread - made.predicted
                scores.add(self.number, error, spread - made.current, None if made.half is None else abs(error) <= made.half)
                made.residuals.append(error)
        return row

    def board_row(self, t: int, predicted: float | None) -> dict[str, Any]:
        """The row of the board; a prediction is noted here, so that it will be scored."""
        current = self._features.spread
        band: list[float] | None = None
        if current is not None and predicted is not None:
            half = self._residuals.half_width()
            band = [predicted - half, predicted + half] if math.isfinite(half) else None
            self._waiting.append(_Prediction(t + self._horizon_ns, predicted, current, half if band else None, self._residuals))
        return {
            "a": self.a,
            "b": self.b,
            "symbol": self.symbol,
            "kind": "perp" if self.symbol.endswith("-PERP") else "spot",
            "current": current,
            "predicted": predicted if current is not None else None,
            "persistence": current,
            "t": t // 1_000_000,
            "band": band,
            "note": self._note(current, predicted),
        }

    def _note(self, current: float | None, predicted: float | None) -> str:
        if current is None:
            return "a leg has no live book"
        if self._features.clean_steps < WINDOW:
            return f"warming up: {self._features.clean_steps} of {WINDOW} steps"
        return "" if predicted is not None else "no trained model for this pair yet"
