"""The rows a model learns from: a ring of each pair, put together in order of time."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dope.model.features import MODEL_FEATURES, SPREAD_COLUMN
from dope.model.table import LabelledRows, collect

S = 1_000_000_000


def row(spread: float, mark: float) -> np.ndarray:
    """Features of a step, told apart by ``mark``."""
    x = np.full(len(MODEL_FEATURES), mark, dtype=np.float64)
    x[SPREAD_COLUMN] = spread
    return x


@given(
    st.integers(1, 5), st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.booleans(), st.one_of(st.none(), st.floats(-9, 9))), max_size=60),
)  # fmt: skip
def test_it_is_what_plain_lists_hold(size: int, horizon: int, steps: list[tuple[str, int, bool, float | None]]) -> None:
    times = Counter[int]()
    rows = {name: LabelledRows(horizon_steps=horizon, size=size, times=times) for name in "ab"}
    kept: dict[str, list[tuple[int, int, float, float]]] = {"a": [], "b": []}
    waiting: dict[str, list[tuple[int, float, float]]] = {"a": [], "b": []}
    now = dict.fromkeys("ab", 0)
    for mark, (name, later, valid, spread) in enumerate(steps):
        now[name] += later
        rows[name].push(now[name] * S + 5, row(spread, mark) if valid and spread is not None else None, spread)
        for t, x, old in waiting[name]:
            if t + horizon == now[name] and spread is not None:
                kept[name].append((t * S, now[name] * S, x, spread - old))
        waiting[name] = [each for each in waiting[name] if each[0] + horizon > now[name]]
        if valid and spread is not None:
            waiting[name].append((now[name], float(mark), spread))
    kept = {name: found[-size:] for name, found in kept.items()}
    table = collect(pickle.loads(pickle.dumps(rows)), horizon_steps=horizon)
    plain = sorted((t, "ab".index(name), label_t, x, y) for name, found in kept.items() for t, label_t, x, y in found)
    assert [(t, pair, label_t, y) for t, pair, label_t, _, y in plain] == list(
        zip(table.t.tolist(), table.pair.tolist(), table.label_t.tolist(), table.y.tolist(), strict=True)
    )
    assert [x for *_, x, _ in plain] == table.x[:, SPREAD_COLUMN - 1].tolist() and len(table) == sum(map(len, rows.values()))
    assert times == Counter(t for found in kept.values() for t, *_ in found)


def test_without_a_pair_it_is_empty_and_has_its_columns() -> None:
    table = collect({}, horizon_steps=1)
    assert len(table) == 0 and table.steps == 0 and table.x.shape == (0, len(MODEL_FEATURES)) and table.spread.shape == (0,)
