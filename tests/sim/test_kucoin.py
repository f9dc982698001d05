"""The simulated KuCoin speaks as the recorded one does: tokens, shapes, refusals; the product's own feed finds its way in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from dope.engine import Engine
from dope.sim.kucoin import DEPTH, PATIENCE_S, PING_S
from dope.sim.market import Truth
from dope.sim.rest import RestPort
from dope.sim.venue import listings
from dope.types import Frame, Gap
from dope.venues import make
from tests.feed.loopback import feeding, until
from tests.sim import recipes
from tests.sim.recipes import ask, get, hear, open_ws, world
from tests.sim.test_hyperliquid import shape
from tests.sim.test_understood import Wiring, differing, symbols

CHANGE = ["242.7", "5.6", "1613277185034"]
#: recorded shapes (2021 to 2022), values of our own
REAL: dict[str, Any] = {
    "/market/level2": {
        "changes": {"asks": [CHANGE], "bids": [CHANGE]}, "sequenceEnd": 14103847, "sequenceStart": 14103844, "symbol": "BTC-USDT",
        "time": 1663747970273,
    },
    "/market/ticker": {
        "bestAsk": "0.9", "bestAskSize": "4.3", "bestBid": "0.9", "bestBidSize": "2.2", "price": "0.9", "sequence": "165", "size": "5.4",
        "time": 1660608019966,
    },
    "/market/match": {
        "makerOrderId": "a", "takerOrderId": "b", "price": "0.1", "sequence": "45", "side": "sell", "size": "12.9", "symbol": "LMR-BTC",
        "time": "1660608000023000000", "tradeId": "4553", "type": "match",
    },
    "/market/candles": {"symbol": "BTC-USDT", "candles": ["1589968800", "9786.9"], "time": 1589970010253893400},
}  # fmt: skip


def wish(channel: str, name: str = "BTC-USDT", kind: str = "subscribe", number: str = "1") -> str:
    return json.dumps({"id": number, "type": kind, "topic": f"{channel}:{name}", "privateChannel": False, "response": True})


async def token(rest: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.post(f"{rest}/api/v1/bullet-public")).json()
    assert answer["code"] == "200000"
    (server,) = answer["data"]["instanceServers"]
    return f"{server['endpoint']}?token={answer['data']['token']}&connectId=me"


def test_every_kind_of_message_has_the_keys_and_value_types_of_a_real_one() -> None:
    async def run() -> None:
        async with world(venues=("kucoin",)) as (made, endpoints), open_ws(await token(endpoints["kucoin"]["rest"])) as ws:
            assert await hear(ws) == {"id": "me", "type": "welcome"}
            for channel in REAL:
                name = "BTC-USDT_1min" if channel == "/market/candles" else "BTC-USDT"
                assert await ask(ws, wish(channel, name)) == {"id": "1", "type": "ack"}
            made.advance(1_200)
            await ws.send('{"id":"7","type":"ping"}')
            found: dict[str, list[Any]] = {}
            while (message := await hear(ws)) != {"id": "7", "type": "pong"}:
                found.setdefault(message["topic"].partition(":")[0], []).append(message["data"])
            books = found["/market/level2"]
            assert [book["sequenceStart"] for book in books[1:]] == [book["sequenceEnd"] + 1 for book in books[:-1]]
            prices = [row[0] for book in books for side in ("asks", "bids") for row in book["changes"][side]]
            assert prices.count("0") > 3, "some only move the numbers on"
            both = [book for book in books if book["changes"]["asks"] and book["changes"]["bids"]]
            found["/market/level2"] = both
            for channel, body in REAL.items():
                assert sorted(shape(found[channel][-1])) == sorted(shape(body)), channel
            assert len(found["/market/ticker"]) == 120
            snapshot = (await get(f"{endpoints['kucoin']['rest']}/api/v1/market/orderbook/level2_{DEPTH}?symbol=BTC-USDT")).json()
            assert int(snapshot["data"]["sequence"]) >= books[-1]["sequenceEnd"] and len(snapshot["data"]["bids"]) >= 40

    asyncio.run(run())


def test_refusals_have_codes_and_a_token_must_have_been_given() -> None:
    async def run() -> None:
        async with world(venues=("kucoin",)) as (_, endpoints):
            rest = endpoints["kucoin"]["rest"]
            async with open_ws(await token(rest)) as ws:
                await hear(ws)
                for request, code in (
                    ("{", 415), (wish("/market/level2", kind="dance"), 415), (wish("/market/dance"), 404),
                    (wish("/market/level2", "NO-USDT"), 404), (wish("/market/candles"), 404),
                    (wish("/market/level2", "BTC-USDT,NO-USDT"), 404),
                ):  # fmt: skip
                    answer = await ask(ws, request)
                    assert (answer["type"], answer["code"]) == ("error", code)
                for _ in range(95):
                    answer = await ask(ws, wish("/market/match"))
                assert answer["code"] == 429
            async with open_ws(f"{endpoints['kucoin']['ws']}/endpoint?token=stolen") as ws:
                assert (await hear(ws))["code"] == 401
                await ws.send(wish("/market/level2"))
                with pytest.raises(ConnectionClosed):
                    await hear(ws)
            assert (await get(f"{rest}/api/v1/market/orderbook/level2_{DEPTH}?symbol=NO-USDT")).json()["code"] == "900001"
            assert (await get(f"{rest}/nothing")).status_code == 404

    asyncio.run(run())


def test_who_does_not_ping_is_closed_whatever_it_is_sent() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("kucoin",), clock=lambda: clock[0]) as (made, endpoints):
            url = await token(endpoints["kucoin"]["rest"])
            async with open_ws(url) as ws:
                await hear(ws)
                await ask(ws, wish("/market/ticker"))
                clock[0] += PING_S + PATIENCE_S + 1.0
                made.advance(100)
                await asyncio.wait_for(ws.wait_closed(), recipes.PATIENCE_S)

    asyncio.run(run())


def test_a_port_for_posts_outlives_requests_that_are_none_and_comes_back_where_it_was() -> None:
    async def answer(method: str, target: str, body: bytes) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        return 200, (("Retry-After", "7"),), f"{method} {target}".encode()

    async def run() -> None:
        rest, lost = RestPort(answer), []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        await rest.up()
        for junk in (b"dance\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"x" * 70_000, b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", rest.port)
            writer.write(junk)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        port = rest.port
        await rest.down()
        await rest.up()
        assert rest.port == port
        async with httpx.AsyncClient(trust_env=False) as client:
            told = await client.post(f"http://127.0.0.1:{port}/a?b=c", content="body")
            assert told.text == "POST /a?b=c" and told.headers["Retry-After"] == "7"
        await rest.down()
        assert lost == []

    asyncio.run(run())


def test_a_lost_message_is_a_gap_of_its_book_alone_and_a_snapshot_mends_it() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("kucoin",), clock=lambda: clock[0]) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for round_ in range(7):
                await wiring.act()
                made.advance(60)
                await wiring.listen()
                clock[0] += 1.0
                if round_ == 2:
                    assert not [event for event in wiring.heard if isinstance(event, Gap)]
                    made.faults.drop("kucoin", "BTC-USDT")
            assert [event.key for event in wiring.heard if isinstance(event, Gap)] == ["kucoin:BTC-USDT"]
            twin = Truth(7, listings(("kucoin",))).at_step(made.sample.steps)
            assert differing(wiring, twin) == []
            await wiring.close()

    asyncio.run(run())


def test_the_products_own_feed_asks_for_a_token_before_each_connecting_and_books_go_live() -> None:
    async def run() -> None:
        async with world(venues=("kucoin",), speed=1.0) as (made, endpoints):
            run = Engine({"kucoin": make("kucoin", symbols("kucoin"), endpoints["kucoin"])})

            def on_frames(batch: list[Frame]) -> None:
                run.step_many(batch)
                feed.actions(run.drain())

            def live() -> bool:
                return len(run.market.books) == 4 and all(book.state == "LIVE" for book in run.market.books.values())

            async with feeding(*run.venues.values(), on_frames=on_frames) as (feed, _):
                await until(live, 30.0)
                await made.faults.kick("kucoin")
                await until(lambda: not live(), 30.0)
                await until(live, 30.0)
                assert made.servers["kucoin"].port.connects >= 2

    asyncio.run(run())
