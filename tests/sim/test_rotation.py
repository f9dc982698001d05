"""A connection is replaced before its venue ends it, at its age or when the venue gives notice, and nothing of it shows.

All venues at once with the real feed, in virtual time, so that what is to overlap does however busy the machine is; what happened
is looked at venue by venue.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dope.feed import Timing
from dope.feed.clock import Clock
from dope.sim.world import World
from tests.sim.many import EVERY, Watched, many, watching
from tests.simulation.loop import in_virtual_time

OVERLAP_S, LIFE_S = 2.0, 6.0
REPLACED = "replaced by a new connection"

#: venue → what it says before it ends a connection
NOTICES = {
    "okx": {"event": "notice", "code": "64008", "msg": "The connection will soon be closed for a service upgrade. Please reconnect."},
    "binance_spot": {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_767_225_600_000}},
    "binance_usdm": {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_767_225_600_000}},
    "binance_coinm": {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_767_225_600_000}},
    "bitfinex": {"event": "info", "code": 20051, "msg": "Stopping. Please try to reconnect"},
    "gate": {"time": 1, "channel": "spot.system", "event": "update", "result": {"type": "upgrade", "msg": "soon"}},
    "gate_futures": {"time": 1, "channel": "futures.system", "event": "update", "result": {"type": "upgrade", "msg": "soon"}},
}  # fmt: skip


def lived(venues: tuple[str, ...], timing: Timing, meanwhile: Callable[[World, Watched], Coroutine[Any, Any, None]]) -> Watched:
    """A market at these venues, from the start until ``meanwhile`` is over and everything has settled again."""
    kept: list[Watched] = []

    async def run(_clock: Clock) -> None:
        async with watching([spec for venue in venues for spec in many(venue, 1, pace=2)], timing=timing) as (made, watched):
            asked = {name: len(venue.plan()) for name, venue in watched.engine.venues.items()}
            await watched.until(lambda: len([each for each in watched.epochs.values() if each.plan != "rest"]) >= sum(asked.values()))
            await watched.until(lambda: len(watched.live_at) == len(venues) and not watched.waiting())
            await meanwhile(made, watched)
            await watched.until(lambda: all(replaced(watched, venue) for venue in venues) and not watched.waiting())
            await asyncio.sleep(0.5)
            kept.append(watched)

    in_virtual_time(run)
    return kept[0]


def replaced(watched: Watched, venue: str) -> bool:
    """Every first connection has been replaced and closed."""
    epochs = watched.connections(venue)
    first = epochs[: len(watched.engine.venues[venue].plan())]
    return all(epoch.closed for epoch in first)


def check(watched: Watched, venue: str) -> None:
    """No book left LIVE, nothing was missed or counted twice; the old connection ended after the overlap, not before, not much later."""
    assert [words for words in watched.left if words.startswith(f"{venue}:")] == []
    assert [words for words in watched.wrong if words.startswith((f"{venue}:", f"{venue} "))] == []
    for key, ids in watched.trades.ids.items():
        assert not key.startswith(f"{venue}:") or len(ids) == len(set(ids)), "a trade counted twice"
    epochs = watched.connections(venue)
    for old in epochs[: len(watched.engine.venues[venue].plan())]:
        new = next(each for each in epochs if each.plan == old.plan and each is not old)
        assert old.reason == REPLACED and new.opened < old.closed, "opened before the old one was closed"
        assert old.closed - new.first >= OVERLAP_S * 1e9, "both delivered for a while"


@pytest.fixture(scope="module")
def aged() -> Watched:
    async def wait(made: World, watched: Watched) -> None:
        return None

    return lived(EVERY, Timing(life_s=LIFE_S, overlap_s=OVERLAP_S, settle_s=1.0), wait)


@pytest.fixture(scope="module")
def warned() -> Watched:
    async def say(made: World, watched: Watched) -> None:
        for venue, text in NOTICES.items():
            made.faults.raw(venue, json.dumps(text))

    return lived(tuple(NOTICES), Timing(overlap_s=OVERLAP_S, settle_s=1.0), say)


@pytest.mark.parametrize("venue", EVERY)
def test_a_connection_of_the_venue_is_replaced_at_its_age_and_no_book_leaves_live(aged: Watched, venue: str) -> None:
    check(aged, venue)


def test_while_both_connections_stood_trades_came_twice_and_were_counted_once(aged: Watched) -> None:
    assert aged.engine.market.duplicates > 0 and sum(map(len, aged.trades.ids.values())) > len(EVERY)


@pytest.mark.parametrize("venue", NOTICES)
def test_a_notice_of_the_venue_has_its_connection_replaced_in_time(warned: Watched, venue: str) -> None:
    check(warned, venue)
    assert [words for words in warned.refused if words.startswith(f"{venue} says shutdown")]
