"""Long work on the loop is done in slices; between two of them the market goes on.

A pause is a few turns of the loop: what has come is read and judged, and if nothing has, nobody waits for it. Under load such a turn takes
as long as everything that has come meanwhile, and one after each slice of a fraction of a millisecond would make the work last many times
as long. So what follows a long pause may last a share of it.
"""

from __future__ import annotations

import asyncio

TURNS = 3  #: of the loop between two slices: sockets are read in one, what they brought is handed over in the next, and so on
SHARE = 2.0  #: times the time that the market took meanwhile, which the work may then take
MOST_S = 0.02  #: s that the market waits at most for that


class Slices:
    """Belongs to one piece of work on one loop, which may be done time and again."""

    def __init__(self) -> None:
        self._share = self._until = 0.0  # s; the latter of the loop's clock

    def begin(self) -> None:
        """Called when the loop has just woken the work up: the market has had its turn, and that took as long as the last one."""
        self._until = asyncio.get_running_loop().time() + self._share

    async def pause(self) -> None:
        """Called after each slice: returns at once while the market has just had its turn, else after that."""
        clock = asyncio.get_running_loop().time
        before = clock()
        if before < self._until:
            return
        for _ in range(TURNS):
            await asyncio.sleep(0)
        after = clock()
        self._share = min((after - before) * SHARE, MOST_S)
        self._until = after + self._share
