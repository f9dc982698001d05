"""The program itself as a contender: one session with everything on that is on by default, sockets to signals to tape."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from loguru import logger

from bench.meter import Meter
from bench.stream import SYMBOLS
from dope.feed.clock import Clock
from dope.session import Session
from dope.settings import load

POLL_S = 0.002
SECOND = round(1 / POLL_S)


def session(port: int, folder: Path) -> Session:
    """A session whose only venue is the sender on this machine; it records into ``folder``."""
    endpoints = {"okx": {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"}}
    settings = load({"venues": ("okx",), "symbols": SYMBOLS, "endpoints": endpoints, "data_dir": folder, "record": True}, env_file=None)
    return Session(settings, "live", {}, Clock())


async def run(port: int, meter: Meter, folder: Path) -> str:
    """Feeds the meter from the engine's own counter, read between turns of the loop; ticks of the clock are 100 a second."""
    running = session(port, folder)
    feed = asyncio.create_task(running.feed.run())
    polls = 0
    while not meter.seen(received(running)):
        await asyncio.sleep(POLL_S)
        polls += 1
        if polls % SECOND == 0:
            running.second()
        if feed.done():
            await feed
    while running.journal is not None and running.journal.status()["waiting"]:  # what is recorded late costs too
        await asyncio.sleep(POLL_S)
    meter.seen(received(running))
    live = (book for book in running.engine.market.books.values() if book.state == "LIVE")
    report = meter.report("engine", {book.instrument.native: (book.levels("bid", 20), book.levels("ask", 20)) for book in live})
    await running.stop()
    await feed
    return report


def received(running: Session) -> int:
    """Book messages that the engine has stepped over."""
    return sum(book.book_updates for book in running.engine.market.books.values())


if __name__ == "__main__":
    logger.remove()
    with tempfile.TemporaryDirectory() as place:
        print(asyncio.run(run(int(sys.argv[1]), Meter(int(sys.argv[2]), int(sys.argv[3])), Path(place))))
