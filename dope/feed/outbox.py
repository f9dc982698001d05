"""The frames of one turn of the loop, in the order in which they happened, handed over together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dope.feed.clock import Clock
from dope.types import LAG, TICK, Frame

TICK_S = 0.010  #: period of the TICK frames
LAG_S = 0.250  #: our own loop is late when nothing at all was handed over for this long beyond a tick

PORTION = 512  #: frames that are handed over before the turn is done: what they hold still is in the processor's cache

OnFrames = Callable[[list[Frame]], None]


class Outbox:
    """Collects frames and gives them to ``on_frames`` once the current turn of the loop is over, or PORTION are there.

    Stamps never fall: every frame is stamped by the one clock at the moment it is appended. ``frames`` and ``wake`` are
    public because the receive path appends to the list itself: ``if not frames: wake()``, ``frames.append(…)``, ``hand_over()``.
    """

    def __init__(self, clock: Clock, on_frames: OnFrames, *, lag_s: float = LAG_S) -> None:
        self._clock = clock
        self._on_frames = on_frames
        self._lag_ns = int((lag_s + TICK_S) * 1e9)
        self._last = 0
        self._failure: asyncio.Future[None] | None = None
        self._broken = False
        self.frames: list[Frame] = []

    def wake(self) -> None:
        """The first frame of a turn is about to be appended: hand over when the turn is done."""
        asyncio.get_running_loop().call_soon(self.hand_over)

    def put(self, venue: str, conn: int, kind: int, data: bytes) -> int:
        """Append one frame, stamped now; gives the stamp."""
        if not self.frames:
            self.wake()
        now = self._clock.now()
        self.frames.append(Frame(now, venue, conn, kind, data))
        return now

    def tell(self, kind: int, data: bytes) -> None:
        """A frame of our own, handed over at once, behind all that came before it. ``on_frames``'s errors are raised here."""
        while self.frames:  # what a venue answers to them comes before it, too: stamps never fall
            self.flush()
        self._on_frames([Frame(self._clock.now(), "", 0, kind, data)])

    def flush(self) -> None:
        """Hand over what is there. A late loop is told first: what follows was waiting at the sockets meanwhile."""
        if not self.frames:
            return
        batch = self.frames[:]
        self.frames.clear()
        late = batch[-1].ts - self._last - self._lag_ns if self._last else 0
        if late > 0:
            seconds = (batch[-1].ts - self._last) / 1e9 - TICK_S
            batch.insert(0, Frame(batch[0].ts, "", 0, LAG, b"%.3f" % seconds))
        self._last = batch[-1].ts
        self._on_frames(batch)

    async def failure(self) -> None:
        """Waits until cancelled; an error of ``on_frames`` comes out here, and nothing is handed over after it."""
        self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    def hand_over(self) -> None:
        """The turn is done, or a portion is full: a socket may bring thousands at once, and what waits grows cold and old."""
        if self._broken:
            return
        try:
            self.flush()
        except BaseException as error:
            # A loop, or the library of the sockets, only logs what its callbacks raise; whoever waits for failure() must hear it.
            self._broken = True
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
            raise

    async def ticks(self) -> None:
        """Append a TICK every 10 ms; after a stall one tick follows, not the missed ones. Runs until cancelled."""
        step = int(TICK_S * 1e9)
        due = self._clock.now()
        while True:
            self.put("", 0, TICK, b"%d" % self._clock.wall_offset())
            due += step
            now = self._clock.now()
            if due < now:
                due = now
            await self._clock.sleep((due - now) / 1e9)
