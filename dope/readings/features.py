"""Features as they are sampled, for those who follow them; asking for them is what has them sampled.

Asked with ``symbols`` and ``after`` (number of the last sample read, −1 = begin with those to come):
{run, source, period_ms, windows_bps, columns, number: of the newest sample, missed: samples no longer kept,
samples: [{t: ms with fractions, keys, values: (books, columns) array}]}; {} while nothing runs.
"""

from __future__ import annotations

from typing import Any

from dope.readings.asked import Asked
from dope.session import Session

MS = 1_000_000


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """What is new; the symbols are sampled for two seconds more."""
    sampler, symbols, after = session.sampler, tuple(asked.args.get("symbols", ())), int(asked.args.get("after", -1))

    def take() -> tuple[int, list[Any]]:
        sampler.want(symbols, session.engine.market.now)
        return sampler.number, sampler.after(after) if after >= 0 else []

    number, events = asked.between_turns(take)
    return {
        "run": session.rows.session, "source": session.source, "period_ms": sampler.period_ms, "windows_bps": list(sampler.windows_bps),
        "columns": list(sampler.columns), "number": number, "missed": max(0, number - after - len(events)) if after >= 0 else 0,
        "samples": [{"t": event.ts / MS, "keys": event.keys, "values": event.values} for event in events],
    }  # fmt: skip
