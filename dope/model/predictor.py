"""The spread predictor: one model for all comparable pairs, always fitted beside the naive ones it has to beat.

Why one model: the pairs pooled give a learned model the rows it needs minutes earlier, one test is made instead of
one per pair (with twenty pairs one of them "has skill" at 5 % by luck), and there is one file and one verdict.
What makes pairs comparable is the scaler: each pair is standardised by its own means and deviations, fitted in the
fold, so a model sees no price level and no name. The target is the change of the spread in units of that pair's
spread deviation; persistence and the scale are put back when predicting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from dope.errors import ModelError
from dope.model.evaluation import BAND_RESIDUALS, Errors, Floats, Fold, Ints, score, verdict, walk_forward
from dope.model.features import MODEL_FEATURES, SPREAD_COLUMN
from dope.model.table import Table

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

SCHEMA = 1  #: of the saved dict; raised when the meaning of its parts changes
MIN_SAMPLES = 50  #: labelled steps before a first training
ROWS_PER_FEATURE = 20  #: labelled rows per feature before a learned model may speak
PAIR_ROWS = 15  #: rows of one pair before its scaler is trusted
NAIVE = ("persistence", "ar1")  #: all that may speak while rows are few
MODELS = ("persistence", "mean", "ar1", "ridge", "gradient_boosting")

LIBRARY = version("scikit-learn")  #: which fits and reads models

Bools = npt.NDArray[np.bool_]
Progress = Callable[[float, str], None]  #: (fraction done 0…1, name of the step)


def quiet(fraction: float, step: str) -> None:
    """Progress that nobody watches."""


class Estimator(Protocol):
    """What scikit-learn calls a regressor: inputs are standardised rows, the target the scaled change."""

    def fit(self, z: Floats, y: Floats) -> Any: ...
    def predict(self, z: Floats) -> Floats: ...


class Persistence:
    """Predicts no change."""

    def fit(self, z: Floats, y: Floats) -> Persistence:
        return self

    def predict(self, z: Floats) -> Floats:
        return np.zeros(len(z))


class TrainingMean:
    """Predicts the pair's mean spread over the training rows, which standardised rows have at 0."""

    def fit(self, z: Floats, y: Floats) -> TrainingMean:
        return self

    def predict(self, z: Floats) -> Floats:
        return -z[:, SPREAD_COLUMN]


class AutoRegression:
    """AR(1): the change is a line in the current spread, by least squares."""

    def __init__(self) -> None:
        self.intercept = 0.0
        self.slope = 0.0

    def fit(self, z: Floats, y: Floats) -> AutoRegression:
        s = z[:, SPREAD_COLUMN]
        centred = s - s.mean()
        spread = float(centred @ centred)
        self.slope = float(centred @ y) / spread if spread > 0 else 0.0
        self.intercept = float(y.mean() - self.slope * s.mean())
        return self

    def predict(self, z: Floats) -> Floats:
        return self.intercept + self.slope * z[:, SPREAD_COLUMN]


def load_library() -> None:
    """scikit-learn takes a second to load: no command that knows no model waits for it, and no market waits for it while it runs."""
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.preprocessing  # noqa: F401


def new_model(name: str, seed: int = 0) -> Estimator:
    """An unfitted model by its name in MODELS."""
    makers: dict[str, Callable[[], Estimator]] = {"persistence": Persistence, "mean": TrainingMean, "ar1": AutoRegression}
    if name not in makers:
        from sklearn.ensemble import GradientBoostingRegressor
        from sklearn.linear_model import Ridge

        # half of the rows and sqrt of the columns per tree: less variance, and ten times cheaper than the default
        boosting = partial(GradientBoostingRegressor, subsample=0.5, max_features="sqrt", random_state=seed)
        makers |= {"ridge": Ridge, "gradient_boosting": boosting}
    return makers[name]()


class PairScaler:
    """One StandardScaler per pair, fitted on that pair's training rows only."""

    def __init__(self, table: Table, rows: Ints, *, least: int = PAIR_ROWS) -> None:
        from sklearn.preprocessing import StandardScaler

        self.pairs: dict[str, StandardScaler] = {}
        for i, name in enumerate(table.pairs):
            own = rows[table.pair[rows] == i]
            if len(own) >= least:
                self.pairs[name] = StandardScaler().fit(table.x[own])

    def transform(self, pairs: list[str], x: Floats) -> tuple[Floats, Floats]:
        """Standardised rows (n, 29) and each row's bps per unit of target (n,); NaN for a pair never seen."""
        z = np.full_like(x, np.nan)
        scale = np.full(len(x), np.nan)
        names = np.array(pairs, dtype=object)
        for name in set(pairs) & set(self.pairs):
            own, scaler = names == name, self.pairs[name]
            z[own] = scaler.transform(x[own])
            scale[own] = scaler.scale_[SPREAD_COLUMN]
        return z, scale


def _predict_change(model: Estimator, z: Floats, scale: Floats) -> Floats:
    """Predicted change in bps; NaN wherever an input or the output is not a finite number."""
    out = np.full(len(z), np.nan)
    usable = np.isfinite(z).all(axis=1) & np.isfinite(scale)
    if usable.any():
        out[usable] = model.predict(z[usable]) * scale[usable]
    out[~np.isfinite(out)] = np.nan
    return out


@dataclass(frozen=True)
class Trained:
    """A fitted predictor with its card. ``residuals``: out-of-sample errors in bps per pair, for the first bands.

    ``card`` is JSON-ready: version, trained, from, to (ms UTC), rows, steps, features, horizon_steps, step_s, source,
    schema, sklearn, scores (one per model, on blocks not used to choose), in_use, verdict, note.
    """

    card: dict[str, Any]
    model: Estimator
    scaler: PairScaler
    feature_names: tuple[str, ...] = MODEL_FEATURES
    is_trained: bool = True
    residuals: dict[str, list[float]] = field(default_factory=dict)

    def predict(self, pairs: list[str], x: Floats) -> Floats:
        """Predicted spread in bps, (n,), for rows (n, 29) of the named pairs, in one batch; NaN = no prediction."""
        if x.shape != (len(pairs), len(self.feature_names)):
            raise ModelError(f"the model takes {len(self.feature_names)} features per row, got shape {x.shape} for {len(pairs)} pairs")
        z, scale = self.scaler.transform(pairs, x)
        return x[:, SPREAD_COLUMN] + _predict_change(self.model, z, scale)


@dataclass(frozen=True)
class SpreadPredictor:
    """The recipe: how a predictor is trained. The first half of the test blocks chooses the model, the rest judges it."""

    min_samples: int = MIN_SAMPLES
    rows_per_feature: int = ROWS_PER_FEATURE
    blocks: int = 8
    models: tuple[str, ...] = MODELS
    seed: int = 0

    def allowed(self, rows: int) -> tuple[str, ...]:
        """Which models may be in use with so many labelled rows."""
        enough = rows >= self.rows_per_feature * len(MODEL_FEATURES)
        return self.models if enough else tuple(name for name in self.models if name in NAIVE)

    def train(self, table: Table, *, now_ns: int, source: str = "live", progress: Progress = quiet) -> Trained:
        """Walk forward, choose, judge, fit on everything. Pure: same table and seed, same model.

        Raises ModelError if fewer than ``min_samples`` distinct labelled steps are there or a value is not finite.
        """
        if table.steps < self.min_samples:
            raise ModelError(f"{table.steps} of {self.min_samples} labelled samples: not enough to train")
        if not (np.isfinite(table.x).all() and np.isfinite(table.y).all()):
            raise ModelError("the training table holds values that are not finite numbers")
        trial = self._walk(table, progress)
        progress(0.85, "Fit")
        in_use = trial.best(self.allowed(len(table)))
        scaler, fitted = self._fit(table, np.arange(len(table)), [in_use])
        progress(0.95, "Compare")
        card = self._card(table, trial, in_use) | {
            "version": datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "trained": now_ns // 1_000_000,
            "source": source,
        }
        return Trained(card=card, model=fitted[in_use], scaler=scaler, residuals=trial.residuals(table, in_use))

    def _walk(self, table: Table, progress: Progress) -> _Trial:
        first = max(table.steps // 3, PAIR_ROWS + table.horizon_steps)
        folds = list(walk_forward(table.t, table.label_t, blocks=self.blocks, first_steps=first))
        forecasts = {name: np.full(len(table), np.nan) for name in {*self.models, "mean", "persistence"}}
        for k, fold in enumerate(folds):
            progress(0.05 + 0.8 * k / len(folds), f"Walk-forward {k + 1} of {len(folds)}")
            scaler, fitted = self._fit(table, fold.train, list(forecasts))
            z, scale = scaler.transform([table.pairs[i] for i in table.pair[fold.test]], table.x[fold.test])
            for name, model in fitted.items():
                forecasts[name][fold.test] = _predict_change(model, z, scale)
        trial = _Trial(table, folds, forecasts)
        if not len(trial.choice) or not len(trial.judge):
            raise ModelError("no pair has enough rows in the past of the test blocks: collect more samples")
        return trial

    def _fit(self, table: Table, rows: Ints, names: list[str]) -> tuple[PairScaler, dict[str, Estimator]]:
        scaler = PairScaler(table, rows)
        z, scale = scaler.transform([table.pairs[i] for i in table.pair[rows]], table.x[rows])
        known = np.isfinite(scale)
        if not known.any():
            return scaler, {}
        target = table.y[rows][known] / scale[known]
        return scaler, {name: new_model(name, self.seed).fit(z[known], target) for name in names}

    def _card(self, table: Table, trial: _Trial, in_use: str) -> dict[str, Any]:
        needed = self.rows_per_feature * len(MODEL_FEATURES)
        scores = [score(name, trial.errors(name), table.horizon_steps) for name in self.models]
        few = f"{len(table)} of {needed} rows until a learned model may speak" if len(table) < needed else ""
        return {
            "schema": SCHEMA,
            "sklearn": LIBRARY,
            "rows": len(table),
            "rows_needed": needed,
            "steps": table.steps,
            "pairs": list(table.pairs),
            "from": int(table.t[0]) // 1_000_000,
            "to": int(table.label_t[-1]) // 1_000_000,
            "features": list(MODEL_FEATURES),
            "horizon_steps": table.horizon_steps,
            "step_s": table.step_ns / 1e9,
            "scores": [asdict(item) for item in scores],
            "in_use": in_use,
            "verdict": verdict(score(in_use, trial.errors(in_use), table.horizon_steps)),
            "note": few,
        }


class _Trial:
    """The forecasts of all models over the walk-forward; early blocks choose, later blocks judge."""

    def __init__(self, table: Table, folds: list[Fold], forecasts: dict[str, Floats]) -> None:
        half = (len(folds) + 1) // 2
        known: Bools = np.asarray(np.isfinite(np.stack(list(forecasts.values()))).all(axis=0))
        self._table = table
        self._forecasts = forecasts
        self.choice = _known_rows(folds[:half], known)
        self.judge = _known_rows(folds[half:], known)
        if len(self.judge):  # no label of a choosing row may reach into the judged time
            self.choice = self.choice[table.label_t[self.choice] <= table.t[self.judge[0]]]

    def best(self, allowed: tuple[str, ...]) -> str:
        """The allowed model of least mean squared error on the choosing blocks."""
        y = self._table.y[self.choice]
        return min(allowed, key=lambda name: float(np.mean((self._forecasts[name][self.choice] - y) ** 2)))

    def errors(self, name: str) -> Errors:
        rows = self.judge
        return Errors(t=self._table.t[rows], y=self._table.y[rows], model=self._forecasts[name][rows], mean=self._forecasts["mean"][rows])

    def residuals(self, table: Table, name: str) -> dict[str, list[float]]:
        """The newest judged errors of each pair in bps, in time order."""
        error = table.y[self.judge] - self._forecasts[name][self.judge]
        return {pair: error[table.pair[self.judge] == i][-BAND_RESIDUALS:].tolist() for i, pair in enumerate(table.pairs)}


def _known_rows(folds: list[Fold], known: Bools) -> Ints:
    rows: Ints = np.concatenate([fold.test for fold in folds]) if folds else np.zeros(0, dtype=np.int64)
    return rows[known[rows]]
