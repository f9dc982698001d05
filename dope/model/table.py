"""The labelled rows a model learns from: what was known at t, and how far the spread had moved at t + horizon."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dope.model.features import MODEL_FEATURES, SPREAD_COLUMN, STEP_NS, Row

BUFFER_ROWS = 1000  #: labelled rows kept per pair


@dataclass(frozen=True)
class Table:
    """Rows of all pairs, sorted by time; picklable. n rows, 29 features.

    ``pair[i]`` indexes ``pairs`` ("key_a|key_b"); ``t`` and ``label_t`` int ns: when the row was known and when its
    label was; ``x`` (n, 29) in the order of ``MODEL_FEATURES``; ``y`` change of the spread from t to label_t, in bps.
    """

    pairs: tuple[str, ...]
    pair: npt.NDArray[np.int64]
    t: npt.NDArray[np.int64]
    label_t: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    horizon_steps: int = 1
    step_ns: int = STEP_NS
    names: tuple[str, ...] = MODEL_FEATURES

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """Number of distinct times: pairs of the same second are not independent samples."""
        return len(np.unique(self.t))

    @property
    def spread(self) -> npt.NDArray[np.float64]:
        """The spread at t in bps, (n,)."""
        return self.x[:, SPREAD_COLUMN]


class LabelledRows:
    """Rows of one pair: waits ``horizon_steps`` for each row's label, then keeps it in a ring of ``size``."""

    def __init__(self, *, horizon_steps: int = 1, step_ns: int = STEP_NS, size: int = BUFFER_ROWS) -> None:
        self._horizon_ns = horizon_steps * step_ns
        self._step_ns = step_ns
        self._waiting: deque[tuple[int, Row]] = deque(maxlen=horizon_steps + 1)
        self.rows: deque[tuple[int, int, Row, float]] = deque(maxlen=size)

    def push(self, ts: int, row: Row | None, spread: float | None) -> None:
        """Take one step. A row whose label step has no LIVE spread is dropped, never labelled with another time's."""
        now = ts // self._step_ns * self._step_ns
        while self._waiting and self._waiting[0][0] + self._horizon_ns <= now:
            t, x = self._waiting.popleft()
            if spread is not None and t + self._horizon_ns == now:
                self.rows.append((t, now, x, spread - float(x[SPREAD_COLUMN])))
        if row is not None:
            self._waiting.append((now, row))


def collect(rows: Mapping[str, LabelledRows], *, horizon_steps: int, step_ns: int = STEP_NS) -> Table:
    """Put the rings of all pairs ("key_a|key_b") into one table, sorted by time."""
    pairs = tuple(rows)
    flat = [(t, i, label_t, x, y) for i, name in enumerate(pairs) for t, label_t, x, y in rows[name].rows]
    flat.sort(key=lambda item: item[:2])
    return Table(
        pairs=pairs,
        pair=np.array([item[1] for item in flat], dtype=np.int64),
        t=np.array([item[0] for item in flat], dtype=np.int64),
        label_t=np.array([item[2] for item in flat], dtype=np.int64),
        x=np.array([item[3] for item in flat], dtype=np.float64).reshape(len(flat), len(MODEL_FEATURES)),
        y=np.array([item[4] for item in flat], dtype=np.float64),
        horizon_steps=horizon_steps,
        step_ns=step_ns,
    )
