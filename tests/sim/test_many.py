"""Many symbols at every venue: the real feed starts them within all limits that the venues' servers keep, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dope.feed.clock import Clock
from dope.sim.listings import ListingSpec
from dope.venues import make
from dope.venues.base import MAX_SOCKETS, Venue
from tests.sim.many import EVERY, Watched, many, watching
from tests.simulation.loop import in_virtual_time

PACE = 10  #: steps of 10 ms from one action of a market to the next: often enough that no connection is silent
TIGHT = ("bitfinex", "gemini", "htx", "hyperliquid", "mexc")  #: those with the fewest connections, topics or messages


def wanted(venue: Venue) -> set[str]:
    """Every topic that the venue's connections have room for."""
    found: set[str] = set()
    for plan in venue.plan():
        topics = [list(venue.topics(plan.name.partition(" ")[0], venue.name_of(symbol) or "")) for symbol in plan.symbols]
        room = venue.LIMITS.topics_per_socket
        found |= {topic for each in topics for topic in (each if sum(map(len, topics)) <= room else each[: len(each) - venue.SPARE])}
    return found


async def start(specs: Sequence[ListingSpec]) -> Watched:
    """Until every book is LIVE and every topic confirmed; then what a start within all limits looks like is asserted."""
    # calm: no market leaves the range of its snapshot, for which a venue connects anew
    async with watching(specs, scenario="calm") as (_, watched):
        for spec in specs:
            assert watched.engine.venues[spec.venue].name_of(spec.symbol) == spec.native, "the venue's name for it"
        plans = {name: [plan.name for plan in venue.plan()] for name, venue in watched.engine.venues.items()}
        await watched.until(lambda: all(len(watched.connections(name)) >= len(names) for name, names in plans.items()))
        await watched.until(lambda: len(watched.live_at) == len(specs) and not watched.waiting())
        assert watched.refused == [] and watched.wrong == [], "no refusal, no gap, no fault"
        assert {each.reason for each in watched.epochs.values()} <= {"", "a socket delivers"}, "nobody closed anything"
        for name, venue in watched.engine.venues.items():
            assert len(plans[name]) <= MAX_SOCKETS and venue.beyond() == ()
            assert sorted(each.plan for each in watched.connections(name)) == sorted(plans[name]), "each connected once"
            assert watched.confirmed[name] >= wanted(venue), "every topic acknowledged"
            last = max(at for key, at in watched.live_at.items() if key.startswith(f"{name}:"))
            topics = watched.confirmed_at[name]
            print(f"{name}: {len(plans[name])} connections, all books LIVE after {last:.1f} s, all topics confirmed after {topics:.1f} s")
    return watched


def test_a_dozen_symbols_start_at_the_venues_with_the_least_room() -> None:
    async def run(_clock: Clock) -> None:
        await start([spec for venue in TIGHT for spec in many(venue, 12, pace=PACE)])

    in_virtual_time(run)


@pytest.mark.full
@pytest.mark.parametrize("venue", EVERY)
def test_fifty_symbols_start_within_every_limit_that_the_venue_keeps(venue: str) -> None:
    async def run(_clock: Clock) -> None:
        await start(many(venue, 50, pace=PACE))

    in_virtual_time(run)


@pytest.mark.parametrize("venue", EVERY)
def test_fifty_symbols_have_room_at_every_venue_and_what_has_none_is_named(venue: str) -> None:
    specs = many(venue, 200)
    few, most = (make(venue, [spec.symbol for spec in specs[:count]]) for count in (50, 200))
    assert few.beyond() == () and {s for plan in few.plan() for s in plan.symbols} == set(few.symbols)
    plans = most.plan()
    assert len(plans) <= MAX_SOCKETS
    carried = [{symbol for plan in plans if plan.name.partition(" ")[0] == name for symbol in plan.symbols} for name, _ in most.SOCKETS]
    assert all(each == set(most.symbols) - set(most.beyond()) for each in carried), "a market has all its connections or none"
    print(f"{venue}: {len(carried[0])} symbols in {len(plans)} connections")


@pytest.mark.parametrize("pace", [1.0, 1.2, 1.5, 2.7, 4.0])
def test_between_two_whole_paces_some_markets_have_the_one_and_some_the_other(pace: float) -> None:
    specs = many("okx", 200, pace=pace)
    assert {spec.pace for spec in specs} <= {int(pace), int(pace) + 1}
    assert sum(1 / spec.pace for spec in specs) == pytest.approx(200 / pace, rel=0.01)
