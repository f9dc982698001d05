"""The process behind a simulated or recorded market: it comes up, says where it is, and goes with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect

from dope.errors import DopeError
from dope.tape.format import Meta
from dope.tape.read import Tape
from dope.tape.segment import write_tape
from dope.worlds import WorldProcess, symbols_of
from tests.frames import okx_script, play, spot_script, usdm_script
from tests.program import gone, line_of, until


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if any(name in line_of(each) for name in ("dope.sim", "dope.worlds"))]


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "a.dope"
    write_tape(path, Meta("import", 1, venues=("binance_spot",)), play("binance_spot", spot_script()))
    return path


def test_the_sample_market_serves_every_venue_and_ends_when_it_is_told_to() -> None:
    async def life() -> list[psutil.Process]:
        world = WorldProcess(seed=3, speed=1.0)
        endpoints = await world.start()
        assert set(endpoints) == {"binance_spot", "binance_usdm", "okx"} and world.alive and not world.over
        async with connect(endpoints["binance_spot"]["ws"] + "/stream?streams=btcusdt@bookTicker") as socket:
            assert b"btcusdt@bookTicker" in await socket.recv(decode=False)
        started = children()
        await world.stop()
        assert not world.alive
        await world.stop()
        return started

    started = asyncio.run(life())
    assert len(started) == 1
    until(lambda: gone(started), "the end of the process")


def test_ctrl_c_in_the_terminal_is_not_for_it() -> None:
    async def life() -> None:
        world = WorldProcess(seed=3, speed=1.0)
        await world.start()
        (process,) = children()
        assert os.getpgid(process.pid) != os.getpgid(0)
        process.send_signal(signal.SIGKILL)
        while world.alive:
            await asyncio.sleep(0.01)
        await world.stop()

    asyncio.run(life())


def test_a_tape_is_served_to_its_end(tape: Path) -> None:
    recorded = [frame.data for frame in Tape(tape) if frame.data.startswith(b'{"stream"')]

    async def life() -> list[bytes]:
        world = WorldProcess(seed=0, speed=100.0, tapes=[tape])
        endpoints = await world.start()
        async with connect(endpoints["binance_spot"]["ws"] + "/stream?streams=btcusdt@depth@100ms") as socket:
            heard = [await socket.recv(decode=False) for _ in recorded]
            while not world.over:
                await asyncio.sleep(0.01)
        await world.stop()
        return heard

    assert asyncio.run(life()) == recorded


def test_a_file_that_is_no_tape_is_told_as_a_market_that_did_not_start(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.dope"
    foreign.write_text("no tape")
    with pytest.raises(DopeError, match="did not start"):
        asyncio.run(WorldProcess(seed=0, speed=1.0, tapes=[foreign]).start())
    until(lambda: not children(), "the end of the process")


def test_the_markets_of_a_tape_are_those_its_messages_name(tmp_path: Path) -> None:
    for venue, script in (("okx", okx_script()), ("binance_usdm", usdm_script()), ("binance_spot", spot_script())):
        write_tape(tmp_path / f"{venue}.dope", Meta("import", 1, venues=(venue,)), play(venue, script))
    tapes = [Tape(path) for path in sorted(tmp_path.glob("*.dope"))]
    assert symbols_of(tapes) == ("BTC-USDT", "BTC-USDT-PERP")
    assert symbols_of(tapes[1:2]) == ("BTC-USDT-PERP",)
    assert symbols_of([]) == ()
