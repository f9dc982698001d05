"""A session of the product behind a test's board: real frames of venues are stepped by hand, relays read its engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dope.feed.clock import Clock
from dope.relay import VenueReader
from dope.session import Session
from dope.settings import Settings
from dope.types import TICK, Frame
from tests.api.publisher import Publisher, venue
from tests.frames import MS, T0, okx_script, spot_script

VENUES = ("binance_spot", "okx")
FRESH_NS = 3600 * 10**9  #: so long a publication counts as new: on a slow machine the engine of a test must not seem silent
T = TypeVar("T")


class Desk:
    """``step`` hands frames to the engine and publishes what it shows then; ``reads`` counts how often relays asked it."""

    def __init__(self, folder: Path, source: str = "sim") -> None:
        self._folder = folder
        self.turn = threading.Lock()  #: held while the engine turns: whoever holds it makes the engine stand still
        self.reads = 0
        self.session: Session | None = None
        self.publisher = Publisher()
        self._answer = self.publisher._answer
        self.publisher.board.serve(self.publisher._take, self.answer)
        self.begin(source)

    def begin(self, source: str) -> None:
        """Another session, as after a change of the source."""
        changed: dict[str, Any] = {"venues": VENUES, "symbols": ("BTC-USDT", "ETH-USDT"), "data_dir": self._folder, "record": False}
        nowhere = {name: {"ws": "ws://127.0.0.1:9", "rest": "http://127.0.0.1:9"} for name in VENUES}
        session = Session(Settings(_env_file=None, **changed), source, nowhere, Clock())
        session.feed.actions = lambda actions: None  # type: ignore[method-assign]  # there are no sockets to send on
        self.session, self._at = session, T0
        self.show()

    def answer(self, kind: str, symbol: str, start: int, end: int, **options: Any) -> Any:
        if kind == "relay":
            return VenueReader(symbol, lambda: self.session, self._between_turns)
        return self._answer(kind, symbol, start, end, **options)

    def _between_turns(self, read: Callable[[], T]) -> T:
        with self.turn:
            self.reads += 1
            return read()

    def step(self, name: str, *script: tuple[int, bytes], conn: int = 0) -> None:
        """Messages of one venue, 10 ms apart."""
        frames = []
        for kind, text in script:
            self._at += 10 * MS
            frames.append(Frame(self._at, "" if kind == TICK else name, 0 if kind == TICK else conn or 1 + VENUES.index(name), kind, text))
        with self.turn:
            assert self.session is not None
            self.session.on_frames(frames)
        self.show()

    def show(self) -> None:
        """Publish, as the runtime does."""
        sections: dict[str, Any] = {"venues": [venue(name) for name in VENUES]}
        with self.turn:
            session = self.session
            if session is not None:
                for part in session.picture.drawing(lambda: self._at):
                    sections |= {"instruments": part["instruments"]} if "instruments" in part else {}
                sections["mode"] = {"source": session.source}
        self.publisher.board.publish(time.time_ns() + FRESH_NS, sections)


def live(folder: Path) -> Desk:
    """Both venues' books of BTC-USDT are live: 100 … 100.5."""
    desk = Desk(folder)
    desk.step("okx", *okx_script())
    desk.step("binance_spot", *spot_script())
    return desk
