"""Whose warnings are not raised: venues that a user has muted, each until a moment; it changes nothing but how loud they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FOR_EVER = 2**63 - 1  #: until somebody says otherwise, ns UTC
LONGEST_S = 7 * 86_400  #: a longer time must be meant as for ever
NS = 1_000_000_000


class Muting:
    """``until`` = venue → ns UTC at which its warnings are raised again. Times come from outside: it has no clock."""

    def __init__(self, until: Mapping[str, int] | None = None) -> None:
        self.until = dict(until or {})

    def mute(self, venue: str, now: int, seconds: float | None) -> None:
        """From ``now`` on for so long, None = for ever; in place of what was said before."""
        self.until[venue] = FOR_EVER if seconds is None else now + int(seconds * NS)

    def unmute(self, venue: str) -> None:
        """Raise its warnings again."""
        self.until.pop(venue, None)

    def of(self, venue: str, now: int) -> int | None:
        """Until when it is muted; None = it is not."""
        until = self.until.get(venue, 0)
        return until if until > now else None

    def over(self, now: int) -> list[str]:
        """Venues whose time has come, each told once."""
        ended = [venue for venue, until in self.until.items() if until <= now]
        for venue in ended:
            del self.until[venue]
        return ended


def muted_from(kept: Any) -> dict[str, int]:
    """``until`` as it was kept. Raises ValueError for anything else."""
    if not isinstance(kept, dict) or not all(type(until) is int and 0 <= until <= FOR_EVER for until in kept.values()):
        raise ValueError("not a table of times")
    return kept
