"""What goes out through a port of a simulated venue: in which order, and in how many writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from websockets.asyncio.client import connect

from dope.sim.dialogue import Client, Said
from dope.sim.frames import frame
from dope.sim.port import Effect
from dope.sim.venue import VenueServer
from dope.sim.world import World


class Raw(Effect):
    """A fault: whatever is said goes as bytes, past the library."""

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        return [said._replace(payload=frame(b"by a fault"), raw=True)]


def test_what_one_step_brings_goes_out_in_one_write_and_in_its_order() -> None:
    """Seen at the socket of the server: messages sent together are one write, and a fault's bytes among them do not overtake."""

    async def run() -> tuple[list[int], list[str | bytes]]:
        world = World(venues=("okx",), speed=0.0)
        server: VenueServer = world.servers["okx"]  # type: ignore[assignment]
        urls = (await world.start())["okx"]
        try:
            async with connect(urls["ws"] + "/ws/v5/public", compression=None) as ws:
                while not server.port.clients:
                    await asyncio.sleep(0.01)
                (client,) = server.port.clients
                writes: list[int] = []
                write = client.ws.transport.write

                def counted(data: bytes | bytearray | memoryview) -> None:
                    writes.append(len(data))
                    write(data)

                client.ws.transport.write = counted  # type: ignore[method-assign]
                with server.port.together():
                    for word in ("one", "two", "three"):
                        server.port.send([client], word)
                    assert not writes, "sent before the step was over"
                at_once = len(writes)
                server.port.send([client], "alone")
                with server.port.together():
                    server.port.send([client], "four")
                    server.port.effects.append(Raw())
                    server.port.send([client], "instead of this")
                    server.port.effects.clear()
                    server.port.send([client], b"five", binary=True)
                return [at_once, len(writes)], [await ws.recv() for _ in range(7)]
        finally:
            await world.stop()

    writes, heard = asyncio.run(run())
    assert writes == [1, 5]  # the step; alone; four, what the fault made of it, five
    assert heard == ["one", "two", "three", "alone", "four", "by a fault", b"five"]
