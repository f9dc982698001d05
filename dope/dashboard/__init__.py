"""Floor 5, what a browser shows: the pages in the order of the rail, each one module.

A page is a module with ``TITLE``, ``ID``, ``PATH``, ``ICON`` (a Bootstrap icon name) and three functions:
``layout()`` the page without data, ``draw(snapshot)`` pure, ``{element id: children}`` for the first paint, and
``register(app, board)`` its callbacks, all ``async def``. From then on scripts under ``assets/`` keep it current.
With ``REPLAYS = True`` it shows nothing but what the stream brings and stays open while a replay is shown; any other page is covered then.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

#: Order of the rail and of the keys 1…9. A page that is not installed is left out.
PAGES = ("live", "spreads", "depth", "leadlag", "predict", "backtest", "replay", "venues", "trust", "settings")


def pages() -> tuple[ModuleType, ...]:
    """The page modules that exist, in order."""
    names = [f"{__name__}.{page}" for page in PAGES]
    return tuple(importlib.import_module(name) for name in names if importlib.util.find_spec(name))
