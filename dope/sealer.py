"""Which closed tapes are sealed, and when: those of the source that runs, and once those that other sources have left behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

from dope import heap
from dope.feed.clock import Clock
from dope.history import SOURCES
from dope.recordings import left_behind
from dope.sealing import Sealing, keep
from dope.session import Session
from dope.settings import Settings

SEAL_S = 5.0  #: s between two looks for closed tapes
TRIM_EVERY = 6  #: looks from one giving back of memory to the next


class Sealer:
    """Belongs to the runtime's loop; one per data folder."""

    def __init__(self, settings: Settings, clock: Clock, session: Callable[[], Session | None]) -> None:
        """``session`` gives what runs now."""
        self._folder, self._session = settings.data_dir, session
        self.sealing = Sealing(keep(settings), clock_ns=clock.now)  #: of the source that runs
        self.left = Sealing(keep(settings), clock_ns=clock.now)  #: of sources that are not running

    async def run(self) -> None:
        """For ever: seal what is closed, remove what is too old, give back memory; once also seal what other sources have left behind."""
        left, begun = list(SOURCES), set[Path]()
        for look in itertools.count(1):
            await asyncio.sleep(SEAL_S)
            if look % TRIM_EVERY == 0:
                await asyncio.to_thread(heap.trim)
            session = self._session()
            if session is not None:
                await asyncio.to_thread(session.tail.tidy)
            if session is None or session.journal is None:
                continue
            if left and not await self._seal_left(session, left[0], begun):
                left.pop(0)
            if self.left.busy is None or self.left.busy.parent != session.folder:  # the source was changed to that one meanwhile
                for tape in await self.sealing.step(session.folder, session.closed_tapes):
                    session.tail.forget(tape)

    async def _seal_left(self, session: Session, source: str, begun: set[Path]) -> bool:
        """Begin with the next tape of a source that is not running; False = there is none. Each is tried once per start."""
        folder = self._folder / source
        if self.left.busy is None and (folder == session.folder or not folder.is_dir()):
            return False
        await self.left.step(folder, lambda: [path for path in left_behind(folder) if path not in begun])
        if self.left.busy is not None:
            begun.add(self.left.busy)
        return self.left.busy is not None
