"""The plain reckoning of jumps by which a stepped trial is judged: by hand where that can be done, else beside the detector's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors.jumps import JumpParameters, jumps_in
from dope.trial.plain_jumps import Figures, PlainJumps
from tests.examples import some

MS = 1_000_000
FIGURES = Figures(1000, 1000, 60_000.0, 5.0, 5.0, 4.0, 0.05, 4.0, 300, 2000)
PARAMETERS = JumpParameters(min_bps=5.0, warmup=4.0)


def reckoned(mids: list[tuple[int, float]], until: int) -> PlainJumps:
    plain = PlainJumps(FIGURES)
    for at, mid in mids:
        plain.price(at, mid)
    plain.clock(until)
    return plain


def test_a_jump_has_the_size_between_the_extremes_and_is_over_when_nothing_new_comes() -> None:
    calm = [(k * 500, 100.0) for k in range(20)]
    mids = [*calm, (10_000, 100.06), (10_100, 100.2), (10_350, 100.1)]
    (held,) = reckoned(mids, 10_500).held
    assert (held.way, held.detect, held.peak, held.final) == (1, 10_000, 10_100, 10_500)
    assert held.bps == pytest.approx(math.log(100.2 / 100.0) * 1e4) and held.least == 5.0
    assert not reckoned(mids, 10_399).held, "300 ms behind its peak it is over, not before"


def test_nothing_is_a_jump_before_enough_is_known_or_across_a_time_without_a_book() -> None:
    assert not reckoned([(0, 100.0), (1500, 101.0)], 9_000).held
    plain = PlainJumps(FIGURES)
    for k in range(20):
        plain.price(k * 500, 100.0)
    plain.leave(10_000)
    plain.price(10_100, 101.0)
    plain.clock(20_000)
    assert not plain.held


STEPS = st.lists(
    st.tuples(st.integers(1, 60).map(lambda n: n * 10), st.sampled_from([0.0, 0.2, -0.2, 1.0, -1.0, 4.0, -4.0, 12.0, -12.0])),
    min_size=20, max_size=120,
)  # fmt: skip


@settings(max_examples=some(60), deadline=None)
@given(STEPS)
def test_it_holds_what_the_detector_finds(steps: list[tuple[int, float]]) -> None:
    at, mid, mids = 1_700_000_000_000, 100.0, list[tuple[int, float]]()
    for gap, bps in steps:
        at, mid = at + gap, mid * math.exp(bps / 1e4)
        mids.append((at, mid))
    plain = PlainJumps(FIGURES)
    for when, value in mids:
        plain.price(when, value)
    found = jumps_in([when * MS for when, _ in mids], [value for _, value in mids], PARAMETERS)
    assert [(one["dir"], one["t_detect"] // MS, one["t_peak"] // MS, one["t_final"] // MS) for one in found] == [
        (one.way, one.detect, one.peak, one.final) for one in plain.held
    ]  # fmt: skip
    assert [one["bps"] for one in found] == pytest.approx([one.bps for one in plain.held])
