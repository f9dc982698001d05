"""How this room is compiled: cached on disk, and never from a cache that is older than any file of the room.

The compiler's own cache looks at the file of a function alone, and knows nothing of the functions of other files that it has
put into its machine code. A new version would go on with parts of the old one, silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def _compiled(function: Callable[..., Any], *, everywhere: bool = False, alone: bool = False) -> Any:
    dispatcher: Any = njit(function, cache=True, boundscheck=False, forceinline=everywhere, nogil=alone)
    kept = dispatcher._cache._cache_file
    kept._source_stamp = (kept._source_stamp, SOURCES)
    return dispatcher


def jit(function: Callable[..., Any]) -> Any:
    """A compiled function without checks of bounds."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The same, put into its callers whatever its size: a call costs more than a small piece of work."""
    return _compiled(function, everywhere=True)


def released(function: Callable[..., Any]) -> Any:
    """Compiled, and without the interpreter's lock while it runs: for reckonings of milliseconds in the thread of whoever asks."""
    return _compiled(function, alone=True)
