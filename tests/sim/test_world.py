"""The world as a whole: faults at will, virtual time that runs by itself, and a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.errors import UnknownName
from dope.sim.dialogue import Ping
from dope.sim.world import World
from tests.sim.recipes import BinanceBook, OkxBook, ask, get, hear, hear_until, open_ws, world

SPOT = '{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}'
LIST = '{"method":"LIST_SUBSCRIPTIONS","id":2}'
OKX = '{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}'


async def stays_silent(ws: Any) -> bool:
    try:
        await asyncio.wait_for(ws.recv(), 0.2)
    except TimeoutError:
        return True
    return False


def test_a_frozen_venue_keeps_the_socket_and_says_nothing_until_it_is_healed() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, OKX)
            made.faults.freeze("okx")
            made.advance(100)
            await ws.send("ping")
            pong = await ws.ping()
            assert await stays_silent(ws) and not pong.done()
            made.faults.heal("okx")
            assert await hear_until(ws, lambda message: message == "pong") == "pong"
            await asyncio.wait_for(pong, 20)

    asyncio.run(run())


def test_a_mute_venue_answers_but_sends_no_data() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            made.faults.mute("okx")
            assert (await ask(ws, OKX))["event"] == "subscribe"
            made.advance(100)
            assert await ask(ws, "ping") == "pong"
            made.faults.heal("okx")
            made.advance(20)
            assert "data" in await hear(ws)

    asyncio.run(run())


@pytest.mark.parametrize("code", [1001, 1012, 4004])
def test_a_kick_closes_with_its_code(code: int) -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws") as ws:
            await ask(ws, LIST)
            await made.faults.kick("binance_spot", code, "as asked")
            with pytest.raises(ConnectionClosed) as closed:
                await hear(ws)
            assert closed.value.rcvd is not None and (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "as asked")

    asyncio.run(run())


def test_a_cut_has_no_close_frame() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws") as ws:
            await ask(ws, LIST)
            await made.faults.kick("binance_spot", 1006)
            with pytest.raises(ConnectionClosed) as closed:
                await hear(ws)
            assert closed.value.rcvd is None

    asyncio.run(run())


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm", "okx"])
def test_one_dropped_message_is_one_hole_in_the_numbers_of_that_symbol_only(venue: str) -> None:
    async def run() -> None:
        symbol = "BTC-USDT-PERP" if venue == "binance_usdm" else "BTC-USDT"
        async with world() as (made, endpoints):
            path = {"binance_spot": "/stream", "binance_usdm": "/public/stream", "okx": "/ws/v5/public"}[venue]
            async with open_ws(endpoints[venue]["ws"] + path) as ws:
                if venue == "okx":
                    channels = [{"channel": "books", "instId": native} for native in ("BTC-USDT", "ETH-USDT")]
                    await ask(ws, json.dumps({"op": "subscribe", "args": channels}))
                    await hear(ws)
                else:
                    await ask(ws, {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms", "ethusdt@depth@100ms"], "id": 1})
                made.advance(100)
                made.faults.drop(venue, symbol)
                made.advance(200)
                await ws.send("ping" if venue == "okx" else LIST)
                holes = {"BTC": 0, "ETH": 0}
                books: dict[str, OkxBook] = {}
                last: dict[str, int] = {}
                while isinstance(message := await hear(ws), dict) and "data" in message:
                    if venue == "okx":
                        base = message["arg"]["instId"][:3]
                        book = books.setdefault(base, OkxBook())
                        if not book.take(message):
                            holes[base] += 1
                            book.last = message["data"][0]["seqId"]
                        continue
                    diff = message["data"]
                    base, before = diff["s"][:3], diff.get("pu", diff["U"] - 1)
                    holes[base] += base in last and before != last[base]
                    last[base] = diff["u"]
                assert holes == {"BTC": 1, "ETH": 0}

    asyncio.run(run())


def test_a_venue_that_is_down_refuses_and_comes_back_on_the_same_port() -> None:
    async def run() -> None:
        async with world() as (made, endpoints):
            url = endpoints["binance_spot"]["ws"] + "/ws"
            async with open_ws(url) as ws:
                await ask(ws, LIST)
                await made.faults.down("binance_spot")
                with pytest.raises(ConnectionClosed):
                    await hear(ws)
            with pytest.raises(OSError):
                async with open_ws(url):
                    pass
            made.advance(10)  # the market goes on without it
            await made.faults.up("binance_spot")
            async with open_ws(url) as ws:
                await ask(ws, SPOT)
                made.advance(100)
                snapshot = (await get(endpoints["binance_spot"]["rest"] + "/api/v3/depth?symbol=BTCUSDT")).json()
                assert BinanceBook(snapshot, chained=False).take(await hear(ws))

    asyncio.run(run())


def test_a_refusing_venue_answers_with_its_status_everywhere() -> None:
    async def run() -> None:
        async with world() as (made, endpoints):
            made.faults.refuse("binance_spot", 451)
            with pytest.raises(InvalidStatus) as refusal:
                async with open_ws(endpoints["binance_spot"]["ws"] + "/ws"):
                    pass
            assert refusal.value.response.status_code == 451
            assert (await get(endpoints["binance_spot"]["rest"] + "/api/v3/depth?symbol=BTCUSDT")).status_code == 451
            made.faults.heal("binance_spot")
            assert (await get(endpoints["binance_spot"]["rest"] + "/api/v3/ping")).status_code == 200

    asyncio.run(run())


def test_any_raw_frame_can_be_sent_as_text_or_binary() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, "ping")
            made.faults.raw("okx", "{truncated")
            made.faults.raw("okx", b"\x00\xff")
            assert await ws.recv() == "{truncated"
            assert await ws.recv() == b"\x00\xff"

    asyncio.run(run())


def test_unknown_names_are_refused_with_the_nearest_known_ones() -> None:
    async def run() -> None:
        async with world() as (made, _):
            with pytest.raises(UnknownName, match="binance_spot"):
                made.faults.freeze("binance_spott")
            with pytest.raises(UnknownName, match="okx:BTC-USDT"):
                made.faults.drop("okx", "BTC-USDX")

    asyncio.run(run())


def test_binance_pings_and_cuts_who_does_not_answer() -> None:
    async def run() -> None:
        async with world(options={"binance_spot": {"ping": Ping(0.05, 0.2)}, "binance_usdm": {"ping": Ping(0.05, 0.2)}}) as (_, endpoints):
            host, port = endpoints["binance_spot"]["ws"].removeprefix("ws://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            rest = await asyncio.wait_for(reader.read(), 20)  # until the venue closes the silent connection
            assert rest[0] == 0x89  # a final ping frame
            assert b"\x88" in rest  # and at last a close frame
            writer.close()

    asyncio.run(run())


def test_a_connection_without_any_words_is_closed_by_okx() -> None:
    async def run() -> None:
        now = [100.0]
        async with world(clock=lambda: now[0]) as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, "ping")
            now[0] += 31.0
            made.advance(100)
            with pytest.raises(ConnectionClosed) as closed:
                await hear(ws)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4004

    asyncio.run(run())


def test_whoever_waits_for_a_market_is_told_when_it_stands_still() -> None:
    async def run() -> None:
        made = World(3, speed=10.0)
        await made.start()
        waiting = asyncio.create_task(made.run())
        await asyncio.sleep(0.05)
        assert not waiting.done()

        def broken() -> None:
            raise ZeroDivisionError("a server that cannot go on")

        made.servers["okx"].publish = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await waiting
        await made.stop()

    asyncio.run(run())


def test_time_runs_by_itself_and_as_fast_as_asked() -> None:
    async def run() -> None:
        async with world(speed=20.0) as (made, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws/btcusdt@depth@100ms") as ws:
            first = await hear(ws)
            last = await hear_until(ws, lambda message: message["E"] >= first["E"] + 3000)
            assert made.sample.now_ms >= last["E"]

    asyncio.run(run())


def test_the_process_prints_its_endpoints_serves_and_ends_on_sigterm_or_with_its_parent() -> None:
    async def run(how: str) -> None:
        root = Path(__file__).parents[2]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dope.sim", "--seed", "7", "--speed", "5", "--with-parent", cwd=root,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        endpoints = json.loads(await process.stdout.readline())
        assert set(endpoints) == {"binance_spot", "binance_usdm", "okx"}
        async with open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ws.send(OKX)
            book = OkxBook()
            assert (await hear(ws))["event"] == "subscribe"
            for _ in range(5):
                assert book.take(await hear(ws))
            if how == "signal":
                process.send_signal(signal.SIGTERM)
            else:
                process.stdin.close()
            assert await asyncio.wait_for(process.wait(), 20) == 0
        assert b"Traceback" not in (await process.communicate())[1]

    asyncio.run(run("signal"))
    asyncio.run(run("parent"))


def test_who_left_while_a_venue_was_frozen_is_written_to_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with world(venues=("okx",)) as (made, endpoints):
            ws = await open_ws(endpoints["okx"]["ws"] + "/ws/v5/public")
            await ws.send(OKX)
            assert (await hear(ws))["event"] == "subscribe"
            made.advance(10)
            made.faults.freeze("okx")
            ws.transport.abort()
            await asyncio.sleep(0.05)
            made.faults.heal("okx")
            sent = made.servers["okx"].port.sent
            made.advance(500)
            assert made.servers["okx"].port.sent > sent, "the end of it is not known yet"
            while made.servers["okx"].port.clients:
                made.advance(10)
                await asyncio.sleep(0.005)

    asyncio.run(run())
    assert "socket.send()" not in caplog.text
