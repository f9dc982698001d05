"""Parameters of detectors: what is in force, what was shipped, units, ranges and what each one does."""

from __future__ import annotations

from typing import Any

import msgspec

from dope.detectors.parameters import table
from dope.readings.asked import Asked
from dope.session import Session


def read(session: Session, asked: Asked) -> list[dict[str, Any]]:
    """Answers ``Board.query("parameters")``: one row per parameter, by detector, in the order of their files."""
    return [msgspec.structs.asdict(row) for row in asked.between_turns(lambda: table(session.engine.detectors))]
