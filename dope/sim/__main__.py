"""``python -m dope.sim``: the sample world in a process of its own; prints its endpoints as one line of JSON.

With ``--control`` a second line has the address of its HTTP control (``control.py``).

With a parent it obeys lines of JSON on stdin, ``{"ask": number, "play": scenario}``, each answered by one on stdout: ``{"ask": number,
"scenario": id, "since": virtual ms}``, or ``{"ask": number, "refused": why}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from dope import logs
from dope.errors import UnknownName
from dope.sim.crowd import many
from dope.sim.scenarios import SCENARIOS
from dope.sim.world import VENUES, World

if TYPE_CHECKING:
    from dope.sim.control import Control


class Wish(msgspec.Struct):
    """What a parent asks for."""

    ask: int
    play: str


async def serve(world: World, *, with_parent: bool, control: int | None = None) -> None:
    """Run the world until SIGTERM or SIGINT, or until stdin ends where a parent holds it; ``control`` = port of its HTTP control."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if with_parent:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        watch = asyncio.create_task(_hear(reader, world))
        watch.add_done_callback(lambda _: over.set())
    print(json.dumps(await world.start()), flush=True)
    door = await _open(world, control) if control is not None else None
    running, ending = asyncio.create_task(world.run()), asyncio.create_task(over.wait())
    await asyncio.wait((running, ending), return_when=asyncio.FIRST_COMPLETED)
    if running.done() and not over.is_set():
        running.result()  # a market that stands still is no market: whoever started it is told, and starts it anew
    running.cancel()
    if door is not None:
        await door.stop()
    await world.stop()


async def _open(world: World, port: int) -> Control:
    """Its control, whose address is the second line that is printed."""
    from dope.sim.control import Control  # the web server's library, for those who ask for it: a market starts without it sooner

    control = Control(world)
    print(json.dumps({"control": await control.start(port)}), flush=True)
    return control


async def _hear(parent: asyncio.StreamReader, world: World) -> None:
    """Obey the parent until it closes stdin."""
    while line := await parent.readline():
        print(json.dumps(_obey(world, line)), flush=True)


def _obey(world: World, line: bytes) -> dict[str, int | str]:
    try:
        wish = msgspec.json.decode(line, type=Wish)
    except msgspec.DecodeError as error:
        return {"ask": 0, "refused": f"not understood: {error}"}
    try:
        world.play(wish.play)
    except UnknownName as error:
        return {"ask": wish.ask, "refused": str(error)}
    return {"ask": wish.ask, "scenario": world.scenario.id, "since": world.sample.now_ms}


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(prog="python -m dope.sim", description="Serve the seeded sample market on loopback ports.")
    options.add_argument("--seed", type=int, default=7, help="seed of the market")
    options.add_argument("--venues", default=",".join(VENUES), help="venue ids, comma-separated")
    options.add_argument("--speed", type=float, default=1.0, help="virtual seconds per second")
    options.add_argument("--epoch-ms", type=int, default=None, help="start of virtual time, ms UTC (default: now)")
    options.add_argument("--scenario", default="usual", help=f"one of {', '.join(SCENARIOS)}")
    options.add_argument(
        "--symbols", type=int, default=0, help="a load: so many copies of the bitcoin market at each venue (default: 0, none)"
    )
    options.add_argument("--pace", type=float, default=1.0, help="with --symbols: steps of 10 ms from one action of a market to the next")
    options.add_argument("--proxy", action="store_true", help="a TCP proxy before every venue, for faults on the way")
    options.add_argument("--control", type=int, default=None, metavar="PORT", help="HTTP control on this port of 127.0.0.1 (0: any)")
    options.add_argument("--with-parent", action="store_true", help="end when stdin is closed")
    chosen = options.parse_args()
    logs.start_child()
    epoch_ms = chosen.epoch_ms if chosen.epoch_ms is not None else time.time_ns() // 1_000_000
    venues = tuple(chosen.venues.split(","))
    crowd = [spec for venue in venues for spec in many(venue, chosen.symbols, pace=chosen.pace)] if chosen.symbols else None
    try:
        world = World(
            chosen.seed, venues=venues, speed=chosen.speed, epoch_ms=epoch_ms, listings=crowd, scenario=chosen.scenario,
            proxied=chosen.proxy,
        )  # fmt: skip
    except UnknownName as error:
        options.error(str(error))
    asyncio.run(serve(world, with_parent=chosen.with_parent, control=chosen.control))


if __name__ == "__main__":
    main()
