"""How this room is compiled: cached on disk, and never from a cache that is older than any file that compiled code is made of.

The compiler's own cache looks at the file of a function alone, and knows nothing of the functions of other files that it has
put into its machine code. A new version would go on with parts of the old one, silently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def made_of(room: Path, package: str) -> list[Path]:
    """Files with compiled code, and those of the room whose functions and constants they import, directly or through others."""
    imports = re.compile(rf"^from {re.escape(package)}(?:\.(\w+))? import (\([^)]*\)|[^\n]*)", re.MULTILINE)
    named: dict[str, set[str]] = {}
    for file in room.glob("*.py"):
        found = imports.findall(file.read_text(encoding="utf-8"))
        named[file.stem] = {name for module, names in found for name in ([module] if module else re.findall(r"\w+", names))}
    taken, todo = set[str](), [stem for stem, names in named.items() if "compiled" in names]
    while todo:
        if (stem := todo.pop()) in named and stem not in taken:
            taken.add(stem)
            todo += named[stem]
    return sorted(room / f"{stem}.py" for stem in taken)


SOURCES = hashlib.sha256(b"".join(file.read_bytes() for file in made_of(Path(__file__).parent, __package__ or ""))).hexdigest()


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
