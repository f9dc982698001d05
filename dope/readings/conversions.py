"""How currencies are exchanged now: the live markets that do it, what prices imply, coins off their peg, and pairs in two currencies."""

from __future__ import annotations

from typing import Any

from dope.detectors.conversion import CrossQuote
from dope.detectors.crossings import crossings, exchanges, implied
from dope.detectors.depeg import Pegs
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session

ROWS = 50  #: pairs of one answer, unless fewer are asked for


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """``symbol`` = base of the pairs that are wanted; "" = all. ``args``: ``comparable`` True or False = only such pairs, None = both."""
    cross: CrossQuote = detector_of(session.engine, CrossQuote)
    pegs: Pegs = detector_of(session.engine, Pegs)
    market, now = session.engine.market, asked.now

    def look() -> dict[str, Any]:
        return {
            "exchanges": exchanges(cross, pegs, market, now), "implied": implied(cross, market),
            "pairs": crossings(cross, market, now, asked.limit or ROWS, base=asked.symbol, comparable=asked.args.get("comparable")),
        }  # fmt: skip

    found: dict[str, Any] = asked.between_turns(look)
    return found
