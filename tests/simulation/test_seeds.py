"""Runs drawn from seeds: whatever goes wrong at the venues, from the wire to the API's JSON no wrong book is LIVE, and all of it twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dope.market.market import Market
from dope.sim.journal import Fault
from dope.types import BookUpdate, Event
from tests import seeds
from tests.simulation import run as running
from tests.simulation.run import EVERY, Broken, cast, command, run

SHORT_S, BRIEF_S = 4.0, 2.0  #: simulated seconds of a run: a thousand of a minute each would take hours


def test_fifty_seeds_hold_and_are_the_same_in_two_processes() -> None:
    assert {spec.venue for seed in range(50) for spec in cast(seed)} == set(EVERY)
    assert seeds.twice(0, 50, SHORT_S) == []


@pytest.mark.full
def test_a_thousand_more_hold_and_are_the_same_in_two_processes(figure: Callable[..., None]) -> None:
    wrong = seeds.twice(50, 1000, BRIEF_S)
    figure("simulated runs by seed: same digests in two processes, nothing broken", 1000 - len(wrong), target="≥ 1000", samples=2000)
    assert wrong == []


@pytest.mark.full
def test_minutes_in_which_venues_are_left_alone_for_long_hold_too() -> None:
    assert seeds.twice(0, 4, 60.0) == []


#: seed of the cast, what is done to it, and what that broke when it was found
FOUND = {
    "a time beyond what a column holds ended the feed": (75, [Fault(kind="ts_unit", venue="htx", at_s=1.0, duration_s=2.0)]),
    "what had waited for its snapshot was told as of then": (95, [Fault(kind="close", venue="htx", at_s=2.0)]),
    "at Coinbase a refusal of BTC-USDT was taken for one of BTC-USD": (41, []),
    "at Coinbase Exchange, too, and for ever": (26, [Fault(kind="close", venue="coinbase_exchange", at_s=2.0)]),
    "what Bybit refused beside a market that it has not was asked for again too late": (2, []),
    "at KuCoin the number of a change was its size where the size was missing": (
        49, [Fault(kind="missing_field", venue="kucoin", at_s=1.5, duration_s=2.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FOUND)
def test_what_once_broke_a_run_does_so_no_more(what: str) -> None:
    seed, plan = FOUND[what]
    assert run(seed, seconds=6.0, plan=plan).frames > 100


def test_a_change_that_is_lost_unnoticed_is_found_and_told_with_the_line_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    apply, count = Market.apply, itertools.count()

    def forgetful(self: Market, update: BookUpdate, conn: int) -> Sequence[Event]:
        return () if not update.snapshot and next(count) % 10 == 9 else apply(self, update, conn)

    monkeypatch.setattr(Market, "apply", forgetful)
    words, well = seeds.line(3, SHORT_S)
    assert not well and "is LIVE and never was like this" in words
    assert command(3, SHORT_S) in words and words.count("python -m") == 1


def test_an_error_of_ours_and_a_book_that_never_comes_back_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(self: Any, now: int) -> list[Any]:
        raise ZeroDivisionError("on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(Market, "tick", ends)
        with pytest.raises((Broken, ZeroDivisionError), match="on purpose"):
            run(0, seconds=SHORT_S)
    with monkeypatch.context() as patched:
        patched.setattr(running.Run, "_not_live", lambda self: ["a book"])
        with pytest.raises(Broken, match="not LIVE"):
            run(0, seconds=SHORT_S, promise_s=0.1)
