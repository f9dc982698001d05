"""Is any venue there? One WebSocket handshake each, closed at once: for source "auto" and for offering live again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from dope.feed.clock import Clock
from dope.feed.pace import ConnectPace
from dope.feed.transport import Connect, ConnectFailed, Dialer, Socket
from dope.venues.base import Venue


class _Knock:
    """A listener that hangs up as soon as somebody answers."""

    def opened(self, socket: Socket) -> None:
        socket.close()

    def message(self, data: bytes) -> None:
        pass

    def closed(self, code: int, reason: str) -> None:
        pass


async def reachable(
    venues: Mapping[str, Venue], clock: Clock, timeout_s: float, *,
    connect: Connect | None = None, connect_paces: Mapping[str, ConnectPace] | None = None,
) -> str | None:
    """The id of the first venue that completes a handshake on its first plan within ``timeout_s``, None when none does.

    Each venue is tried once per call, at the pace of ``connect_paces`` (those of the feed, see ``feed.paces``): a venue
    whose turn would come after ``timeout_s`` is not tried.
    """
    dial = connect or Dialer(clock, open_timeout_s=timeout_s)

    async def knock(venue_id: str, venue: Venue) -> str | None:
        plans = venue.plan()
        if not plans:
            return None
        if connect_paces is not None:
            await clock.sleep(connect_paces[venue_id].reserve())
        try:
            await dial(plans[0].url + plans[0].secret, _Knock())
        except ConnectFailed:
            return None
        return venue_id

    tasks = [asyncio.create_task(knock(venue_id, venue), name=f"knock {venue_id}") for venue_id, venue in venues.items()]
    try:
        async with asyncio.timeout(timeout_s):
            for first in asyncio.as_completed(tasks):
                try:
                    found = await first
                except asyncio.CancelledError:
                    if (own := asyncio.current_task()) is not None and own.cancelling():
                        raise
                    continue  # it was ended by somebody else: the others may still find an open door
                if found is not None:
                    return found
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return None
