"""How fast the spreads of a symbol's pairs return to their means: half-lives of the last ten minutes, each second one sample.

[{a, b, symbol, n: steps, half_life_s: None where it may not be shown, t: (b − 1)/se(b), below −2.86 it may, mean_bps, sd_bps}…].
"""

from __future__ import annotations

import math
from typing import Any

from dope.detectors.reversion import fit
from dope.readings.asked import Asked
from dope.session import Session


def read(session: Session, asked: Asked) -> list[dict[str, Any]]:
    """One row per pair that was fitted; a pair with too few samples, or one that stands still, has none."""
    mine = ":" + asked.symbol

    def copy() -> list[tuple[str, str, list[float]]]:
        return [(a, b, list(rolling.window)) for (a, b), rolling in session.spreads.pairs.items() if a.endswith(mine) and b.endswith(mine)]

    rows = []
    for a, b, samples in asked.between_turns(copy):
        found = fit(samples, 1.0)
        if found is not None:
            shown = found.half_life if found.significant else None
            t = found.t if math.isfinite(found.t) else None
            about = {"a": a, "b": b, "symbol": asked.symbol, "n": found.n, "half_life_s": shown, "t": t}
            rows.append(about | {"mean_bps": found.mu if shown is not None else sum(samples) / len(samples), "sd_bps": found.sd})
    return rows
