"""What routes and pages ask for now and then, and no snapshot holds: one module a reading. Adding one = its file and one line.

A reading runs in the thread of whoever asks. What belongs to the engine is copied by ``asked.between_turns(...)``, where nothing
changes meanwhile, as little and as quickly as possible; all reckoning is done afterwards, in the asker's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dope.instruments import instrument_rows
from dope.readings import (
    bars,
    basis,
    consolidated,
    conversions,
    curve,
    depth,
    features,
    half_lives,
    jumps,
    market_map,
    parameters,
    signals,
    survival,
    triangles,
)
from dope.readings.asked import Asked
from dope.readings.clocks import clock_rows
from dope.readings.leadlag import LeadLag
from dope.session import Session

__all__ = ["READINGS", "Asked", "Reading"]

Reading = Callable[[Session, Asked], Any]

#: kind of ``Board.query`` → what answers it: JSON-ready values, floats finite or None
READINGS: dict[str, Reading] = {
    "instruments": lambda session, asked: instrument_rows(session),
    "leadlag": LeadLag(),
    "curve": curve.read,
    "clocks": clock_rows,
    "bars": bars.read,
    "consolidated": consolidated.read,
    "depth": depth.read,
    "features": features.read,
    "half_lives": half_lives.read,
    "basis": basis.read,
    "triangles": triangles.read,
    "conversions": conversions.read,
    "survival": survival.read,
    "market_map": market_map.read,
    "jump_audit": jumps.audit,
    "parameters": parameters.read,
    "signals": signals.read,
}
