"""The faults of a case as they are written on a command line."""

from __future__ import annotations

import msgspec

from dope.errors import SettingsError
from dope.sim.journal import Fault
from dope.sim.kinds import KINDS

FORM = "kind@venue:symbol:at:duration"


def parse(text: str) -> tuple[Fault, ...]:
    """A JSON list of faults, or FORM, several with commas between: times in s from the moment at which all books are live.

    The symbol may be left out (all of the venue), and the duration (0: once, or to the end). Raises SettingsError with what is wrong.
    """
    if not text.lstrip().startswith("["):
        return tuple(_one(part.strip()) for part in text.split(",") if part.strip())
    try:
        found = msgspec.json.decode(text, type=tuple[Fault, ...])
    except msgspec.DecodeError as error:
        raise SettingsError(f"these are no faults: {error}") from None
    return tuple(_known(fault) for fault in found)


def _one(text: str) -> Fault:
    kind, _, rest = text.partition("@")
    venue, *parts = rest.split(":")
    symbol = parts.pop(0) if parts and parts[0][:1].isalpha() else ""
    if not venue or not parts or len(parts) > 2 or not all(map(_is_time, parts)):
        raise SettingsError(f"{text!r} is no fault: write it as {FORM}, at and duration in seconds")
    return _known(Fault(kind=kind, venue=venue, symbol=symbol, at_s=float(parts[0]), duration_s=float(parts[1]) if parts[1:] else 0.0))


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < 1e6
    except ValueError:
        return False


def _known(fault: Fault) -> Fault:
    if fault.kind not in KINDS:
        raise SettingsError(f"{fault.kind!r} is no kind of fault: one of {', '.join(KINDS)}")
    return fault
