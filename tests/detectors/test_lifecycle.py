"""One life from open to close, as the reference vectors want it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dope.detectors.lifecycle import Life, Lifecycle, LifeRules

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "lifecycle_linker_backtest.json"


def lives(rules: LifeRules, figures: list[tuple[int, float | None]]) -> list[Life]:
    machine, seen = Lifecycle(rules), []
    for t, net in figures:
        for life in machine.update(t, net):
            if life not in seen:
                seen.append(life)
    return seen


@pytest.mark.skipif(not VECTORS.exists(), reason="reference vectors are not here")
def test_reference_vectors() -> None:
    wanted = json.loads(VECTORS.read_text())["lifecycle"]
    for case in wanted["cases"]:
        got = lives(LifeRules(**wanted["params"]), case["events"])
        for life, want in zip(got, case["expected"], strict=True):
            assert (life.open, life.close, life.peak_bps, life.peak_t, life.updates, life.reason) == (
                want["open"], want["close"], want["peak_bps"], want["peak_t"], want["updates"], want["reason"],
            )  # fmt: skip


def test_a_dip_shorter_than_the_debounce_does_not_end_a_life() -> None:
    rules = LifeRules(enter=5, leave=3, debounce=50, max_gap=1000)
    assert [x.close for x in lives(rules, [(0, 6), (10, 1), (40, 6), (100, 6)])] == [None]


def test_a_life_that_fell_and_rose_again_after_the_debounce_is_two_lives() -> None:
    rules = LifeRules(enter=5, leave=3, debounce=50, max_gap=1000)
    assert [(x.open, x.close, x.reason) for x in lives(rules, [(0, 6), (10, 1), (100, 8)])] == [(0, 10, "faded"), (100, None, "open")]


def test_what_had_faded_for_longer_than_the_debounce_is_closed_as_faded_though_it_can_no_longer_be_known() -> None:
    life = Lifecycle(LifeRules(enter=0.0, leave=-1.0, debounce=50, max_gap=1_000))
    life.update(0, 5.0)
    life.update(100, -3.0)
    (closed,) = life.update(180, None)
    assert (closed.close, closed.reason) == (100, "faded")
    life.update(200, 5.0)
    life.update(300, -3.0)
    (closed,) = life.update(340, None)
    assert (closed.close, closed.reason) == (340, "stale"), "it may have come back"
