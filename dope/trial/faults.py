"""The faults of a case as they are written on a command line."""

from __future__ import annotations

import msgspec

from dope.errors import SettingsError
from dope.sim import events
from dope.sim.journal import Fault, Value
from dope.sim.kinds import KINDS
from dope.sim.listings import ASSETS

FORM = "kind@venue:symbol:at:duration"
#: what happens to the market where it is not said: so much that it must be found
USUAL: dict[str, dict[str, Value]] = {
    "dislocation": {"bps": 40.0}, "jump": {"bps": 30.0}, "crash": {"bps": 300.0}, "depeg": {"bps": 150.0},
    "burst": {"factor": 150.0, "side": "buy"},
}  # fmt: skip
CURRENCIES = tuple(spec.name for spec in ASSETS if spec.sigma)  #: assets in which crosses are quoted
CROSS_BPS = 80.0  #: of a dislocation of a market in an asset: three fees are on the way round


def parse(text: str) -> tuple[Fault, ...]:
    """A JSON list of faults, or FORM, several with commas between: times in s from the moment at which all books are live.

    The symbol may be left out (all of the venue), and the duration (0: once, or to the end). What happens to the market itself
    (``events.KINDS``) has an asset in place of the venue, or a market: ``jump@BTC:5``, ``dislocation@venue:symbol:5:2``.
    Raises SettingsError with what is wrong.
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
    params = dict(USUAL.get(kind, {}))
    if kind == "dislocation" and symbol.rpartition("-")[2] in CURRENCIES:
        params["bps"] = CROSS_BPS
    if kind in events.KINDS and venue.isupper():
        venue, params = "", {"asset": venue, **params}
    times = float(parts[0]), float(parts[1]) if parts[1:] else 0.0
    return _known(Fault(kind=kind, venue=venue, symbol=symbol, at_s=times[0], duration_s=times[1], params=params))


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < 1e6
    except ValueError:
        return False


def _known(fault: Fault) -> Fault:
    if fault.kind not in KINDS and fault.kind not in events.KINDS:
        raise SettingsError(f"{fault.kind!r} is no kind of fault: one of {', '.join((*KINDS, *events.KINDS))}")
    return fault
