"""How predictions turned out is told as plain lists of them would tell it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.model import matured
from dope.model.evaluation import conformal_quantile
from dope.model.matured import SCORES_LEAST, Residuals, Scores

ERROR = st.floats(-1e3, 1e3)


@given(st.lists(ERROR, max_size=60), st.lists(ERROR, max_size=60), st.integers(1, 25))
def test_the_width_of_a_band_is_that_of_the_newest_errors(begin: list[float], later: list[float], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matured, "BAND_RESIDUALS", kept)
        residuals = Residuals(begin)
        for n, error in enumerate(later):
            assert residuals.half_width() == conformal_quantile([*begin, *later[:n]][-kept:])
            residuals.append(error)
        assert residuals.half_width() == conformal_quantile([*begin, *later][-kept:])


@given(st.lists(st.tuples(st.integers(0, 2), ERROR, ERROR, st.sampled_from([None, False, True])), max_size=200), st.integers(1, 40))
def test_scores_are_those_of_the_newest_of_each_pair(told: list[tuple[int, float, float, bool | None]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matured, "BAND_RESIDUALS", kept)
        scores = Scores(4)
        for each in told:
            scores.add(*each)
        plain = {pair: [each[1:] for each in told if each[0] == pair][-kept:] for pair in range(4)}
        for pair, rows in plain.items():
            assert scores.of(pair).tolist() == [[error, naive] for error, naive, _ in rows]
        rows, found = [row for each in plain.values() for row in each], scores.told()
    assert found["n"] == len(rows)
    if len(rows) < SCORES_LEAST:
        assert {found[name] for name in ("rmse", "rmse_persistence", "skill", "coverage")} == {None}
        return
    model, naive = (np.mean([row[column] ** 2 for row in rows]) for column in (0, 1))
    assert found["rmse"] == pytest.approx(math.sqrt(model)) and found["rmse_persistence"] == pytest.approx(math.sqrt(naive))
    assert found["skill"] == (pytest.approx(1 - model / naive) if naive > 0 else None)
    banded = [inside for *_, inside in rows if inside is not None]
    assert found["coverage"] == (pytest.approx(sum(banded) / len(banded)) if banded else None)
