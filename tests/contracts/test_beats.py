"""A venue that only pings, and answers our pings, is as silent as one that says nothing: at every venue, by its own words."""

from __future__ import annotations

import asyncio
import functools
from typing import NamedTuple

import pytest

from dope.feed.clock import Clock
from dope.feed.feed import rules_of
from dope.feed.link import BEAT_BELOW, Link, Registry
from dope.feed.outbox import Outbox
from dope.sim.venue import listings
from dope.types import Plan
from dope.venues import VENUES, make
from tests.feed.loopback import Recorder, in_virtual_time
from tests.sim.by_hand import ByHand
from tests.sim.suffering import twins

BOOKS = tuple(venue.ID for venue in VENUES if venue.BOOKS)
PINGING = ("htx", "htx_linear")  #: venues that ping by messages of their own
LIMIT_S = 0.2  #: beyond the limit of silence


class Words(NamedTuple):
    """What a venue said on each kind of connection: while it had data, and while it was mute and pinged, and we pinged."""

    data: dict[str, list[bytes]]
    beats: dict[str, list[bytes]]


@functools.cache
def words(venue: str) -> Words:
    hand = ByHand(venue, twins(venue, listings((venue,)), 1))
    assert hand.begin()
    hand.all_heard()
    hand.move(300)
    data = {link.plan.name: [message.data for message in link.waiting] for link in hand.links.values()}
    hand.all_heard()
    hand.server.port.muted = True
    hand.move(600)
    for number in hand.links if hand.machine.PING else ():
        hand._say(number, hand.machine.PING[1])  # type: ignore[index]
    return Words(data, {link.plan.name: [message.data for message in link.waiting] for link in hand.links.values()})


class Deaf:
    """The near end of a socket that takes everything."""

    def send(self, text: str) -> None:
        pass

    def close(self, code: int = 1000) -> None:
        pass


class Nobody:
    """Whom a link belongs to, when that is of no interest."""

    def link_opened(self, link: Link) -> None:
        pass

    def link_ended(self, link: Link) -> None:
        pass


def lasted(venue: str, plan: str, beats: list[bytes]) -> float:
    """How long a connection lives on which nothing but these is said, s; 60 = it goes on."""

    async def main(clock: Clock) -> float:
        outbox, now = Outbox(clock, Recorder()), asyncio.get_running_loop().time
        link = Link(Plan(plan, "ws://there", ()), rules_of(make(venue, ())), outbox, clock, Registry(), Nobody())
        link.opened(Deaf())
        begun = now()
        while not link.over and now() < begun + 60.0:
            for beat in beats:
                link.message(beat)
            await asyncio.sleep(0.05)
        return now() - begun

    return in_virtual_time(main)


@pytest.mark.parametrize("venue", BOOKS)
def test_a_connection_on_which_only_pings_and_answers_to_pings_come_ends_at_the_limit(venue: str) -> None:
    machine = make(venue, ())
    for plan, beats in words(venue).beats.items():
        assert bool(beats) == (venue in PINGING or machine.PING is not None), (plan, beats)
        assert all(len(beat) < BEAT_BELOW for beat in beats)
        lives = lasted(venue, plan, beats or [b"pong"])
        assert lives >= 60.0 if plan in machine.RARE else lives <= machine.IDLE_S + LIMIT_S, f"{plan} lives on for {lives:.1f} s"


@pytest.mark.parametrize("venue", BOOKS)
def test_no_data_are_taken_for_a_ping(venue: str) -> None:
    machine, seen = make(venue, ()), 0
    for plan, said in words(venue).data.items():
        short = [data for data in said if len(data) < BEAT_BELOW]
        assert all(machine.proves(plan, data) for data in short)
        seen += len(said)
    assert seen > 10
