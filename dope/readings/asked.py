"""What is asked of a reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from dope.tables import History

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True):
    """One question: ``start`` and ``end`` ns UTC (0 = open), ``limit`` rows at most (0 = all), ``args`` what else the reading takes.

    ``now`` is the market's own time, ns UTC: that of the newest frame, also while a tape is played back. ``past`` answers as
    ``Histories.query``; None = there is none to ask.
    """

    symbol: str
    start: int
    end: int
    limit: int
    args: Mapping[str, Any]
    now: int
    turn: Callable[[Callable[[], Any]], Any]
    past: Callable[..., History] | None = None

    def between_turns(self, read: Callable[[], T]) -> T:
        """What ``read`` gives in the engine's own thread. Raises NoEngine."""
        found: T = self.turn(read)
        return found
