"""Every message that a numbered venue loses is noticed, and none where nothing was lost; lost connections leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from dope.feed.clock import Clock
from dope.sim.journal import Fault as Planting
from dope.sim.kinds import KINDS
from dope.sim.venue import listings
from dope.types import LIVE, BookState, Fault, Gap
from dope.venues import VENUES
from dope.venues._depth_sync import DepthSync
from dope.venues.base import Venue
from tests.sim.by_hand import ByHand
from tests.sim.suffering import Ordeal, suffering, twins
from tests.simulation.loop import in_virtual_time

#: venues whose messages about books are numbered, for each market or for the connection
NUMBERED = tuple(venue.ID for venue in VENUES if venue.BOOKS and venue.INTEGRITY == "sequence")
ONE_CONNECTION = 100  #: losses on one connection: venues allow only so many requests for snapshots
CLEAN_STEPS = 60  #: of 10 ms in which nothing is lost, after each loss


class Losses(NamedTuple):
    """What became of messages that were lost: ``idle`` ones brought nothing that the next message would not have brought."""

    noticed: int
    idle: int
    missed: list[str]
    false: list[str]  #: what was told while nothing was lost
    clean: int  #: messages heard while nothing was lost


def losses(venue: str, count: int) -> Losses:
    """So many lost messages of one market, each noticed by the next message or not; from one to the next all is well again."""
    hand = ByHand(venue, twins(venue, listings((venue,)), 1), seed=3)
    assert hand.begin()
    (key,) = hand.truths
    noticed = idle = clean = 0
    missed, false = list[str](), list[str]()
    for place in range(count):
        if place % ONE_CONNECTION == ONE_CONNECTION - 1:
            for number in list(hand.links):
                hand.cut(number)
            assert hand.settle()
        hand.told.clear()
        before = hand.heard
        for _ in range(CLEAN_STEPS // 4):
            hand.move(4)
            hand.all_heard()
        clean += hand.heard - before
        false += [str(event) for event in hand.told if isinstance(event, Gap | Fault | BookState)]
        false += [wrong for wrong in [hand.wrong(hand.engine.market.books[key])] if wrong]
        number = lost(hand, key)
        found = noticed_by_the_next(hand, key, number)
        noticed, idle = noticed + (found == ""), idle + (found == "idle")
        missed += [found] if found not in ("", "idle") else []
        assert hand.settle(rounds=2_000), f"{venue} is not LIVE again: {hand.engine.market.books[key].reason}"
        hand.tidy()
    return Losses(noticed, idle, missed, false, clean)


def lost(hand: ByHand, key: str) -> int:
    """The next message about this book is lost; the connection that it was on."""
    while True:
        hand.all_heard()
        hand.move(1)
        for number, link in hand.links.items():
            for place, message in enumerate(link.waiting):
                if message.key == key:
                    hand.hear(number, place)
                    link.waiting.popleft()
                    return number


def noticed_by_the_next(hand: ByHand, key: str, number: int) -> str:
    """ "" = the next message about the book showed the loss, "idle" = by then it was the true book all the same; or what is wrong."""
    hand.told.clear()
    book, step = hand.engine.market.books[key], hand.sample.steps
    while True:
        while number in hand.links and (waiting := hand.links[number].waiting):
            message = waiting[0]
            hand.hear(number, 1)
            if any(isinstance(event, Gap) and event.key == key and event.reason != "checksum" for event in hand.told):
                return "" if book.state != LIVE or hand.wrong(book) == "" else "a loss was told and the book is LIVE"
            if message.key == key:
                wrong = hand.wrong(book)
                if wrong or not any(where[0] == key for where in hand.torn):
                    return f"{key} at step {step}: {wrong}" if wrong else "idle"
        hand.move(1)


def check(venue: str, count: int) -> Losses:
    found = losses(venue, count)
    assert found.missed == [] and found.false == [] and found.noticed + found.idle == count
    assert found.idle <= count // 20 and found.clean > count, found
    return found


@pytest.mark.parametrize("venue", NUMBERED)
def test_every_lost_message_of_a_numbered_venue_is_noticed_by_the_next_one_and_no_other(venue: str) -> None:
    check(venue, 40)


@pytest.mark.parametrize("venue", ["gate", "kucoin"])
def test_a_loss_that_nobody_notices_is_missed(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Venue, "lost", lambda *found: None)
    monkeypatch.setattr(DepthSync, "_broken", lambda self, item, reason: ([item[3]], False))
    with pytest.raises(AssertionError, match=r"never was like this|is that of steps"):
        check(venue, 5)


@pytest.mark.full
def test_of_ten_thousand_lost_messages_all_are_noticed(figure: Callable[..., None]) -> None:
    found = [check(venue, 10_000 // len(NUMBERED) + 1) for venue in NUMBERED]
    noticed, idle = sum(each.noticed for each in found), sum(each.idle for each in found)
    figure("lost messages that were noticed by the next one", noticed, target=f"= {noticed}", samples=noticed + idle)
    figure("alarms while nothing was lost", 0, target="= 0", samples=sum(each.clean for each in found))
    assert noticed + idle >= 10_000


def recall(venue: str, count: int) -> int:
    """How many of so many losses the feed's own connection noticed, in virtual time."""

    async def main(clock: Clock) -> int:
        async with suffering(twins(venue, listings((venue,)), 1), clock=clock, in_memory=True) as sufferer:
            await sufferer.until(lambda: sufferer.well(venue), "all well")
            faults, found = sufferer.world.faults, 0
            (key,) = sufferer.world.sample.markets
            symbol = sufferer.world.sample.markets[key].spec.symbol
            for seed in range(count):
                ordeal = sufferer.ordeals[venue] = Ordeal("gap", venue)
                planted = faults.inject(Planting(kind="gap", venue=venue, symbol=symbol, seed=seed))
                await sufferer.until(lambda n=planted.id: n not in faults.active, "the loss")  # type: ignore[misc]
                end = sufferer.now() + 10.0
                while not ordeal.gaps and sufferer.now() < end:
                    await asyncio.sleep(0.02)
                found += bool(ordeal.gaps) and ordeal.wrong == []
                await sufferer.until(lambda: sufferer.engine.market.books[key].state == LIVE, "LIVE again")
            return found

    return in_virtual_time(main)


@pytest.mark.parametrize("venue", ["okx", "binance_spot", "htx"])
def test_losses_are_noticed_by_the_whole_feed(venue: str) -> None:
    assert recall(venue, 10) == 10


def kicked(count: int) -> tuple[list[tuple[int, int, int]], int]:
    """((tasks, open links, effects) before and after) of so many lost connections of three venues, and how many there were."""

    async def main(clock: Clock) -> tuple[list[tuple[int, int, int]], int]:
        venues, dice = ("okx", "kraken", "gate"), random.Random(1)
        specs = [spec for venue in venues for spec in twins(venue, listings((venue,)), 1)]
        async with suffering(specs, clock=clock, in_memory=True) as sufferer:
            seen, closed, faults = [], 0, sufferer.world.faults
            for left in range(count, -1, -1):
                for venue in venues:
                    await sufferer.until(lambda v=venue: sufferer.well(v), f"{venue} well")  # type: ignore[misc]
                if left in (0, count):
                    wanted = sum(len(each.plan()) for each in sufferer.engine.venues.values())
                    await sufferer.until(lambda w=wanted: len(sufferer.engine.connections) == w, "all connected")  # type: ignore[misc]
                    await asyncio.sleep(30.0)
                    gc.collect()
                    ports = [server.port for server in sufferer.world.servers.values()]
                    seen.append((len(asyncio.all_tasks()), len(sufferer.engine.connections), sum(len(port.effects) for port in ports)))
                    assert sum(len(port.clients) for port in ports) == len(sufferer.engine.connections)
                for venue in venues if left else ():
                    ordeal = sufferer.ordeals[venue] = Ordeal("close", venue)
                    await faults.kick(venue, dice.choice((1000, 1001, 1006, 1006, 1011, 1012)))
                    await sufferer.until(lambda o=ordeal: o.closed, "closed")  # type: ignore[misc]
                    closed += len(ordeal.closed)
                    sufferer.feed.retry(venue)
            return seen, closed

    return in_virtual_time(main)


def test_lost_connections_leave_no_task_and_no_connection_behind_and_all_subscriptions_come_back() -> None:
    (before, after), closed = kicked(12)
    assert closed >= 36 and before == after


@pytest.mark.full
def test_many_lost_connections_leave_nothing_behind() -> None:
    (before, after), closed = kicked(60)
    assert closed >= 180 and before == after


def test_a_loss_is_a_kind_of_fault_that_every_numbered_venue_can_have() -> None:
    assert all(KINDS["gap"].at(venue) for venue in NUMBERED)
