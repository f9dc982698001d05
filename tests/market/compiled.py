"""In a process of its own: how many machine codes each compiled function has, before and after ``compile_all`` and after all venues."""

from __future__ import annotations

import gc
import importlib
import json
import pkgutil

from numba.core.registry import CPUDispatcher

import dope.market
from dope.engines import build_engine
from dope.market.ready import compile_all
from dope.settings import load
from dope.types import TICK, Frame
from tests.frames import T0, play
from tests.venues import IDS, sample


def compiled() -> dict[str, int]:
    """The compiled functions of the room, each with its count."""
    return {each.py_func.__qualname__: len(each.signatures) for each in gc.get_objects() if isinstance(each, CPUDispatcher)}


def read_all() -> None:
    """The script of every venue through an engine, and every question to its books."""
    for venue in IDS:
        engine = build_engine(load({"symbols": sample(venue).SYMBOLS}, env_file=None), (venue,), {})
        for frame in [*play(venue, sample(venue).script()), Frame(T0 + 10**10, "", 0, TICK, b"0")]:
            engine.step_many([frame])
        for book in engine.market.books.values():
            book.levels("bid", 5), book.depth((5, 10)), book.imbalance()


if __name__ == "__main__":
    for each in pkgutil.iter_modules(dope.market.__path__):
        importlib.import_module("dope.market." + each.name)
    counts = [compiled()]
    for step in (compile_all, read_all):
        step()
        counts.append(compiled())
    print(json.dumps(counts))
