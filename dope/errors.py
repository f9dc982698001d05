"""Errors of our own making. Bad data from a venue is never an exception: it is a Fault or a Gap.

    DopeError
    ├── SettingsError     a setting is missing, out of range or contradicts another
    ├── UnknownName       a venue, symbol, page, job or file that does not exist (names the nearest ones)
    ├── TapeError         a recording cannot be read or written: names file and offset
    │   └── FolderTaken   another process records there: names it
    ├── StoreError        history or records cannot be read or written
    │   └── TooMuch       a question about history takes too long or too much memory
    ├── ModelError        a model file is refused: not authenticated, damaged, or of another shape
    ├── JobError          a background job failed or was cancelled
    ├── BadFault          a fault that cannot be planted in the simulated market: says why
    └── NoEngine          the runtime is not running
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DopeError(Exception):
    """Base of all errors that this project raises on purpose."""


class SettingsError(DopeError):
    pass


class UnknownName(DopeError):
    """Says what was asked for and which known names are nearest."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name = what, name
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().__init__(f"unknown {what} {name[:64]!r}{hint}")


class TapeError(DopeError):
    pass


class FolderTaken(TapeError):
    pass


class StoreError(DopeError):
    pass


class TooMuch(StoreError):
    pass


class ModelError(DopeError):
    pass


class JobError(DopeError):
    pass


class BadFault(DopeError):
    pass


class NoEngine(DopeError):
    pass
