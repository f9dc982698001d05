"""How many examples a property is tried on: a third of them in ``make test``, all of them in ``make verify``."""

from __future__ import annotations

import os

from hypothesis import Phase

ALL = "ALL_EXAMPLES"  #: variable of the environment: set = all of them
FIRST = "FIRST_FAILURE"  #: variable of the environment: it is enough to know whether a property fails, nobody wants the shortest example
FEWEST = 10


def some(count: int) -> int:
    """So many, or a third of them."""
    return count if os.environ.get(ALL) else max(min(count, FEWEST), count // 3)


def phases() -> tuple[Phase, ...]:
    """What is done about a property."""
    return (Phase.explicit, Phase.generate) if os.environ.get(FIRST) else tuple(Phase)
