"""Replays of what was recorded, asked for and followed from another program."""

from __future__ import annotations

import asyncio
import itertools
import math
from datetime import datetime

from dope.feed.clock import Clock
from dope.integration.snapshots import ReplayStatus, moment, nanoseconds
from dope.replays import Replays
from dope.settings import Settings


class ReplayManager:
    """Replays of what was recorded below ``settings.data_dir``, each in a process of its own; ``close`` ends them all."""

    def __init__(self, settings: Settings) -> None:
        self._replays, self._numbers = Replays(settings, Clock()), itertools.count(1)

    def create_replay_session(self, start_time: datetime, end_time: datetime, speed: float) -> str:
        """Its id; it waits to be started. ``speed`` recorded s per s, inf = as fast as it goes. Raises DopeError or ValueError."""
        number = next(self._numbers)
        rate: float | str = "max" if math.isinf(speed) else speed
        asked = {"from": nanoseconds(start_time), "until": nanoseconds(end_time), "speed": rate, "start": False}
        self._replays.wish(number, {"do": "create", **asked})
        return str(number)

    async def start_replay(self, session_id: str) -> None:
        """Begin, or go on. Raises UnknownName, DopeError when it is over."""
        await self._wish("start", session_id)

    async def pause_replay(self, session_id: str) -> None:
        """Stand still where it is. Raises likewise."""
        await self._wish("pause", session_id)

    async def stop_replay(self, session_id: str) -> None:
        """End it. Raises UnknownName."""
        await self._wish("stop", session_id)

    def get_replay_status(self, session_id: str) -> ReplayStatus:
        """How it stands. Raises UnknownName."""
        (status,) = self._replays.statuses(session_id)
        at, speed = status["position"], status["speed"]
        rate = math.inf if speed == "max" else float(speed)
        return ReplayStatus(session_id, status["state"], None if at is None else moment(at * 1_000_000), rate, status["reason"])

    def close(self) -> None:
        """End all of them; returns when they are gone."""
        self._replays.close()

    async def _wish(self, verb: str, session_id: str) -> None:
        await asyncio.to_thread(self._replays.wish, 0, {"do": verb, "id": session_id})
