"""All venues at once, out of reach until somebody puts them up: what stands behind a network that comes back."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from dope.sim.world import World
from tests.program import VENUES


class Exchange:
    """All venues, out of reach until ``up``, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.world = World(5)
        self.endpoints: dict[str, dict[str, str]] = self._do(self.world.start())
        for venue in VENUES:
            self._do(self.world.faults.down(venue))

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def up(self) -> None:
        for venue in VENUES:
            self._do(self.world.faults.up(venue))

    def close(self) -> None:
        self._do(self.world.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
