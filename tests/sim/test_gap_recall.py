"""Every message that a numbered venue loses is noticed, and none where nothing was lost; lost connections leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import random

import pytest

from dope.feed.clock import Clock
from dope.sim.journal import Fault
from dope.sim.kinds import KINDS
from dope.sim.venue import listings
from dope.types import LIVE
from tests.sim.suffering import Ordeal, suffering, twins
from tests.simulation.loop import in_virtual_time

#: venues whose books are numbered, market by market
NUMBERED = ("binance_spot", "binance_usdm", "bybit", "gate", "htx", "htx_linear", "kucoin", "mexc", "okx")
CLEAN_S = 30.0


def recall(venue: str, count: int) -> tuple[int, list[str], int]:
    """(losses that were noticed, what was noticed while nothing was lost, messages of that time) of so many losses."""

    async def main(clock: Clock) -> tuple[int, list[str], int]:
        async with suffering(twins(venue, listings((venue,)), 1), clock=clock, in_memory=True) as sufferer:
            await sufferer.until(lambda: sufferer.well(venue), "all well")
            quiet = sufferer.ordeals[venue] = Ordeal("nothing", venue)
            before = sufferer.world.servers[venue].port.sent
            await asyncio.sleep(CLEAN_S)
            clean = sufferer.world.servers[venue].port.sent - before
            faults, found = sufferer.world.faults, 0
            key = next(iter(sufferer.world.sample.markets))
            symbol = sufferer.world.sample.markets[key].spec.symbol
            for seed in range(count):
                ordeal = sufferer.ordeals[venue] = Ordeal("gap", venue)
                planted = faults.inject(Fault(kind="gap", venue=venue, symbol=symbol, seed=seed))
                await sufferer.until(lambda n=planted.id: n not in faults.active, "the loss")  # type: ignore[misc]
                end = sufferer.now() + 10.0
                while not ordeal.gaps and sufferer.now() < end:
                    await asyncio.sleep(0.02)
                found += bool(ordeal.gaps) and ordeal.wrong == []
                await sufferer.until(lambda: sufferer.engine.market.books[key].state == LIVE, "LIVE again")
            return found, quiet.gaps + quiet.faults + quiet.left + quiet.wrong, clean

    return in_virtual_time(main)


@pytest.mark.parametrize("venue", NUMBERED)
def test_every_lost_message_of_a_numbered_venue_is_noticed_and_no_other(venue: str) -> None:
    found, false, clean = recall(venue, 50)
    assert found == 50 and false == [] and clean > 50


@pytest.mark.full
@pytest.mark.parametrize("venue", NUMBERED)
def test_of_many_lost_messages_all_are_noticed(venue: str) -> None:
    found, false, _ = recall(venue, 150)
    assert found == 150 and false == []


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
                    closed += ordeal.closed
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
