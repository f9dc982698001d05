"""The labelled rows a model learns from: what was known at t, and how far the spread had moved at t + horizon."""

from __future__ import annotations

from collections import Counter, deque
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
    """Rows of one pair: waits ``horizon_steps`` for each row's label, then keeps it in a ring of ``size``, whose memory is taken at once.

    ``times`` counts, for all pairs that share it, how many labelled rows there are of each time (ns).
    """

    def __init__(
        self, *, horizon_steps: int = 1, step_ns: int = STEP_NS, size: int = BUFFER_ROWS, times: Counter[int] | None = None
    ) -> None:
        self._horizon_ns = horizon_steps * step_ns
        self._step_ns = step_ns
        self._waiting: deque[tuple[int, Row]] = deque(maxlen=horizon_steps + 1)
        self._times = Counter() if times is None else times
        self._at = np.full((size, 2), 0, dtype=np.int64)  # t, label_t
        self._x = np.full((size, len(MODEL_FEATURES)), 0.0)
        self._y = np.full(size, 0.0)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._y))

    def push(self, ts: int, row: Row | None, spread: float | None) -> None:
        """Take one step. A row whose label step has no LIVE spread is dropped, never labelled with another time's."""
        now = ts // self._step_ns * self._step_ns
        while self._waiting and self._waiting[0][0] + self._horizon_ns <= now:
            t, x = self._waiting.popleft()
            if spread is not None and t + self._horizon_ns == now:
                self._keep(t, now, x, spread - float(x[SPREAD_COLUMN]))
        if row is not None:
            self._waiting.append((now, row))

    def _keep(self, t: int, label_t: int, x: Row, y: float) -> None:
        at = self._count % len(self._y)
        if self._count >= len(self._y):
            old = int(self._at[at, 0])
            self._times[old] -= 1
            if not self._times[old]:
                del self._times[old]
        self._at[at], self._x[at], self._y[at] = (t, label_t), x, y
        self._times[t] += 1
        self._count += 1

    def kept(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(t and label_t (n, 2), x (n, 29), y (n,)), oldest first."""
        order = np.arange(self._count - len(self), self._count) % len(self._y)
        return self._at[order], self._x[order], self._y[order]


def collect(rows: Mapping[str, LabelledRows], *, horizon_steps: int, step_ns: int = STEP_NS) -> Table:
    """Put the rings of all pairs ("key_a|key_b") into one table, sorted by time."""
    found = [each.kept() for each in rows.values()] or [LabelledRows(size=1).kept()]
    at, x, y = (np.concatenate(columns) for columns in zip(*found, strict=True))
    pair = np.repeat(np.arange(len(found)), [len(each[2]) for each in found])
    order = np.lexsort((pair, at[:, 0]))
    return Table(
        pairs=tuple(rows), pair=pair[order], t=at[order, 0], label_t=at[order, 1], x=x[order], y=y[order], horizon_steps=horizon_steps,
        step_ns=step_ns,
    )  # fmt: skip
