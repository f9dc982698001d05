"""What is left out or put off on the way to an opportunity changes none: touches that are far from paying, and rows that nobody reads."""

from __future__ import annotations

import pytest

from bench.conversation import Conversation
from bench.several import conversation
from dope.detectors import Arbitrage
from dope.engine import Engine
from dope.engines import detector_of
from dope.types import Frame, Touch


@pytest.fixture(scope="module")
def told() -> Conversation:
    """Four venues that quote the same; opportunities come and go."""
    return conversation(15_000)


class Ear:
    """Counts touches; ``NEAR_ONLY`` as whoever wants only those that matter."""

    KINDS = (Touch,)

    def __init__(self, near_only: bool) -> None:
        self.NEAR_ONLY, self.heard = near_only, 0

    def on(self, event: object, market: object) -> tuple[()]:
        self.heard += 1
        return ()


def played(told: Conversation, *, near_only: bool, together: bool, read: bool = False) -> tuple[Engine, Ear]:
    ear, made = Ear(near_only), told.fresh()
    engine = Engine(made.venues, [*made.detectors, ear])
    arbitrage = detector_of(engine, Arbitrage)

    def step(frames: list[Frame]) -> None:
        engine.step_many(frames)
        if read:
            arbitrage.rows()

    size = 64 if together else 1
    for at in range(0, len(told.frames), size):
        step(told.frames[at : at + size])
    return engine, ear


def test_touches_that_bring_no_pair_near_are_not_told_and_nothing_else_changes(told: Conversation) -> None:
    every, all_ear = played(told, near_only=False, together=False)
    few, near_ear = played(told, near_only=True, together=False)
    many, _ = played(told, near_only=True, together=True)
    assert every.counts["Opportunity"] > 2 and every.digest() == few.digest() == many.digest()
    assert 0 < near_ear.heard < 0.5 * all_ear.heard, (near_ear.heard, all_ear.heard)


def test_who_reads_rows_and_how_often_changes_no_signal(told: Conversation) -> None:
    assert played(told, near_only=True, together=False, read=True)[0].digest() == played(told, near_only=True, together=False)[0].digest()
