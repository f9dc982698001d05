"""Long work on the loop is done in slices; between two of them the market goes on.

A pause ends when the loop comes back, and under load that takes as long as everything that has waited meanwhile: a fixed pause after each
slice of a fraction of a millisecond would make the work last fifty times as long. So what follows a long pause may last a share of it.
"""

from __future__ import annotations

import asyncio

PAUSE_S = 0.001  #: s left to the market between two slices
SHARE = 1.0  #: of the time that the market took meanwhile, which the work may then take
MOST_S = 0.008  #: s that the market waits at most for that


class Slices:
    """Belongs to one piece of work on one loop."""

    def __init__(self) -> None:
        self._until = 0.0  # of the loop's clock, s

    async def pause(self) -> None:
        """Called after each slice: returns at once while the market has just had its turn, else after that."""
        clock = asyncio.get_running_loop().time
        before = clock()
        if before < self._until:
            return
        await asyncio.sleep(PAUSE_S)
        after = clock()
        self._until = after + min((after - before - 2 * PAUSE_S) * SHARE, MOST_S)
