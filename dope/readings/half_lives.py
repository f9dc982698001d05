"""How fast the spreads of a symbol's pairs return to their means: half-lives of the last ten minutes, each second one sample.

Where a book was not LIVE, or no second was counted, the series is broken: nothing is fitted across it.

[{a, b, symbol, n: steps, half_life_s: None where it may not be shown, t: (b − 1)/se(b), below −2.86 it may, mean_bps, sd_bps}…].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dope.detectors.reversion import fit
from dope.readings.asked import Asked
from dope.session import Session


def read(session: Session, asked: Asked) -> list[dict[str, Any]]:
    """One row per pair that was fitted; a pair with too few samples, or one that stands still, has none."""
    mine = ":" + asked.symbol

    def copy() -> list[tuple[str, str, np.ndarray]]:
        pairs = session.spreads.pairs
        return [(a, b, pairs.rolling.recent(row)) for (a, b), row in pairs.number.items() if a.endswith(mine) and b.endswith(mine)]

    rows = []
    for a, b, samples in asked.between_turns(copy):
        found = fit(samples, 1.0)
        if found is not None:
            shown = found.half_life if found.significant else None
            t = found.t if math.isfinite(found.t) else None
            about = {"a": a, "b": b, "symbol": asked.symbol, "n": found.n, "half_life_s": shown, "t": t}
            rows.append(about | {"mean_bps": found.mu if shown is not None else float(np.nanmean(samples)), "sd_bps": found.sd})
    return rows
