"""The list of instruments of every simulated venue, asked over HTTP and read by the product's own reader: it says what is listed there."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from dope.sim.journal import Fault as Planting
from dope.sim.venue import listings
from dope.types import REPLY, Fault, Frame, Instruments, ReplyInfo
from dope.venues import VENUES, make
from tests.sim.recipes import ask_rest, world

LISTING = [venue.ID for venue in VENUES if make(venue.ID, ()).listings()]


@pytest.mark.parametrize("venue", LISTING)
def test_the_list_says_what_is_listed(venue: str) -> None:
    async def scene() -> None:
        async with world(venues=(venue,)) as (_, endpoints):
            machine = make(venue, (), endpoints[venue])
            told = []
            for fetch in machine.listings():
                reply = await ask_rest(fetch)
                head = msgspec.json.encode(ReplyInfo(fetch.key, reply.status_code, fetch.url))
                told += machine.receive(Frame(1, venue, 0, REPLY, head + b"\n" + reply.content))
            assert not [event for event in told if isinstance(event, Fault)]
            assert not any(event.unread for event in told if isinstance(event, Instruments))
        for spec in listings((venue,)):
            name = machine.name_of(spec.symbol)
            assert name == spec.native
            found = machine.market_of(name)
            assert found is not None and found is machine.offers()[name] and found.status == "trading"
            unit = 0.0 if found.inverse else spec.contract_e8 / 1e8
            assert (found.tick, found.contract_value) == (spec.tick_e6 / 1e6, float(spec.contract))
            assert found.lot == pytest.approx(spec.lot_e8 / 1e8 * unit)
            shipped = machine.instrument(name)
            for word in ("symbol", "kind", "inverse", "contract_value", "tick", "lot", "min_size", "min_notional"):
                told, table = getattr(found, word), getattr(shipped, word)
                assert not told or not table or table == pytest.approx(told), f"the list and the shipped table differ: {name} {word}"
            assert shipped is not None and shipped.tick > 0.0, "what is simulated stands in the shipped table"

    asyncio.run(scene())


@pytest.mark.parametrize("venue", LISTING)
def test_a_market_that_is_new_stands_in_the_list_from_then_on(venue: str) -> None:
    async def scene() -> None:
        async with world(venues=(venue,), clock=itertools.count(0, 30).__next__) as (run, endpoints):
            new, *others = listings((venue,))
            run.faults.inject(Planting(kind="list_new", venue=venue, symbol=new.symbol, params={"s": 0.05}))
            machine = make(venue, (), endpoints[venue])
            for there in (False, True):
                told = []
                for fetch in machine.listings():
                    reply = await ask_rest(fetch)
                    head = msgspec.json.encode(ReplyInfo(fetch.key, reply.status_code, fetch.url))
                    told += machine.receive(Frame(1, venue, 0, REPLY, head + b"\n" + reply.content))
                assert [event for event in told if isinstance(event, Instruments)], told
                assert (new.native in machine.offers()) is there
                assert all(spec.native in machine.offers() for spec in others)
                run.advance(10)

    asyncio.run(scene())


LIMITED = [("coinbase", 10, "HTTP 429"), ("kraken", 15, "Too many"), ("gemini", 120, "HTTP 429"), ("hyperliquid", 60, "HTTP 429")]


@pytest.mark.parametrize(("venue", "allowed", "words"), LIMITED)
def test_a_list_that_is_asked_for_too_often_is_refused_and_the_last_one_holds(venue: str, allowed: int, words: str) -> None:
    async def scene() -> None:
        async with world(venues=(venue,), clock=lambda: 5.0) as (run, endpoints):
            machine = make(venue, (), endpoints[venue])
            (fetch,) = machine.listings()
            path = fetch.url.removeprefix(endpoints[venue]["rest"]).partition("?")[0]
            told = []
            for _ in range(2):
                reply = await ask_rest(fetch)
                head = msgspec.json.encode(ReplyInfo(fetch.key, reply.status_code, fetch.url))
                told.append(machine.receive(Frame(1, venue, 0, REPLY, head + b"\n" + reply.content)))
                server = run.servers[venue]
                for _ in range(allowed - 1):
                    if fetch.body:
                        server.posted(path, fetch.body.encode(), 5.0)
                    else:
                        server.rest(path, {}, 5.0)
            (read,), (refused,) = told
            assert isinstance(read, Instruments) and isinstance(refused, Fault) and words in refused.reason
            assert len(machine.offers()) == read.count

    asyncio.run(scene())
