"""How many examples a property is tried on: a third of them in ``make test``, all of them in ``make verify``."""

from __future__ import annotations

import os

ALL = "ALL_EXAMPLES"  #: variable of the environment: set = all of them
FEWEST = 10


def some(count: int) -> int:
    """So many, or a third of them."""
    return count if os.environ.get(ALL) else max(min(count, FEWEST), count // 3)
