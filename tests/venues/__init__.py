"""Sample sessions of every venue in its own wire format: the module named like the venue.

Each has ``KEY`` (the market that the session is about), ``SYMBOLS`` (what is watched), ``FOREIGN`` (symbols that the venue has and
this session has not) and ``script(low, high)``: (kind, data) in order, beginning with OPEN. The book that follows is known: it holds
a bid at ``low`` and an ask at ``high`` from the snapshot on, at the end 1.5 at 100.0 … 0.75 at 100.5 are its best levels, all in all
at most ten a side, and there are five messages or more after the snapshot that change it. Numbers are written as the venue writes them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from dope.venues import VENUES

IDS = [venue.ID for venue in VENUES if venue.BOOKS]


def sample(venue: str) -> ModuleType:
    """The sample session of a venue."""
    return import_module(f"tests.venues.{venue}")
