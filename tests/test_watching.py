"""What is watched: the settings' lists, and what a user added and took away."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.watching import MAX_SYMBOLS, Watching, changes_from

USUAL = ("BTC-USDT", "ETH-USDT")


def watching() -> Watching:
    return Watching(USUAL, ("okx", "kraken"))


def test_at_first_it_is_what_the_settings_say() -> None:
    assert watching().of("okx") == USUAL and watching().of("mexc") == ()


def test_added_symbols_come_last_and_what_is_taken_away_is_gone() -> None:
    now = watching()
    now.add("okx", "PEPE-USDT")
    now.drop("okx", "BTC-USDT")
    assert now.of("okx") == ("ETH-USDT", "PEPE-USDT") and now.of("kraken") == USUAL
    now.drop("okx", "PEPE-USDT")
    now.add("okx", "BTC-USDT")
    assert now.of("okx") == USUAL


def test_a_venue_that_was_not_watched_is_watched_for_what_is_added_only() -> None:
    now = watching()
    now.add("mexc", "ETH-USDT")
    now.add("mexc", "PEPE-USDT")
    assert now.of("mexc") == ("ETH-USDT", "PEPE-USDT")


def test_a_venue_taken_away_comes_back_as_it_was() -> None:
    now = watching()
    now.add("okx", "PEPE-USDT")
    now.drop("okx", None)
    assert now.of("okx") == ()
    now.add("okx", None)
    assert now.of("okx") == (*USUAL, "PEPE-USDT")


def test_a_venue_of_which_nothing_is_left_comes_back_with_the_usual_symbols() -> None:
    now = watching()
    for symbol in USUAL:
        now.drop("okx", symbol)
    assert now.of("okx") == ()
    now.add("okx", None)
    assert now.of("okx") == USUAL


def test_too_many_symbols_are_refused_and_nothing_changes() -> None:
    now = watching()
    for number in range(MAX_SYMBOLS - len(USUAL)):
        now.add("okx", f"X{number}-USDT")
    with pytest.raises(ValueError, match="200 symbols are watched at okx"):
        now.add("okx", "PEPE-USDT")
    assert len(now.of("okx")) == MAX_SYMBOLS


def test_a_copy_can_be_changed_without_the_first() -> None:
    first = watching()
    first.copy().drop("okx", None)
    assert first.of("okx") == USUAL


SYMBOLS = (None, *USUAL, "PEPE-USDT", "X-USD")
STEPS = st.lists(st.tuples(st.sampled_from(["add", "drop"]), st.sampled_from(["okx", "mexc"]), st.sampled_from(SYMBOLS)), max_size=12)


@given(STEPS)
def test_what_was_kept_says_the_same_and_the_last_wish_holds(steps: list[tuple[str, str, str | None]]) -> None:
    now = watching()
    for verb, venue, symbol in steps:
        getattr(now, verb)(venue, symbol)
        there = now.of(venue)
        assert (symbol in there if symbol is not None else bool(there)) == (verb == "add")
        assert len(set(there)) == len(there)
    again = Watching(USUAL, ("okx", "kraken"), changes_from(json.loads(json.dumps(now.changes))))
    assert all(again.of(venue) == now.of(venue) for venue in ("okx", "mexc", "kraken"))


@pytest.mark.parametrize("kept", [None, [], "x", {"okx": []}, {"okx": {"BTC-USDT": 1}}, {"okx": None}])
def test_what_was_kept_by_somebody_else_is_refused(kept: object) -> None:
    with pytest.raises(ValueError, match="not a table"):
        changes_from(kept)
