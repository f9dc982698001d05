"""How this room is compiled: cached on disk, and never from a cache that is older than any file that compiled code is made of.

The compiler's own cache looks at the file of a function alone, and knows nothing of the functions of other files that it has
put into its machine code. A new version would go on with parts of the old one, silently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def made_of(room: Path, package: str, stem: str) -> list[Path]:
    """The file ``stem`` of the room and those whose functions and constants it imports, directly or through others."""
    imports = re.compile(rf"^from {re.escape(package)}(?:\.(\w+))? import (\([^)]*\)|[^\n]*)", re.MULTILINE)
    taken, todo = set[str](), [stem]
    while todo:
        file = room / f"{todo.pop()}.py"
        if file.exists() and file.stem not in taken:
            taken.add(file.stem)
            for module, names in imports.findall(file.read_text(encoding="utf-8")):
                todo += [module] if module else re.findall(r"\w+", names)
    return sorted(room / f"{name}.py" for name in taken)


@cache
def _stamp(module: str) -> str:
    room, (package, _, stem) = Path(__file__).parent, module.rpartition(".")
    ours = package == __name__.rpartition(".")[0]
    files = made_of(room, package, stem) if ours else sorted(room.glob("*.py"))  # of others nobody knows what they are made of
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _compiled(function: Callable[..., Any], *, everywhere: bool = False, alone: bool = False) -> Any:
    dispatcher: Any = njit(function, cache=True, boundscheck=False, forceinline=everywhere, nogil=alone)
    kept = dispatcher._cache._cache_file
    kept._source_stamp = (kept._source_stamp, _stamp(function.__module__))
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
