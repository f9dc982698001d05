"""What else speaks of lead and lag: scores of linked jumps, average paths around jumps, and shares of the common price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from dope.detectors.averages import apart, averages, offsets
from dope.detectors.contrast import Series, log_bps
from dope.detectors.discovery import GRID_MS, LEAST_S, WIDEST, discovery, on_grid
from dope.detectors.jumps import Jump
from dope.detectors.linker import Linker, Links, scored
from dope.engines import detector_of
from dope.session import Session

MS, NS = 1_000_000, 1_000_000_000
JUMPS = 60  #: the newest that are averaged
HOUR_NS = 3600 * NS


def jump_links(session: Session, keys: Sequence[str]) -> list[Links]:
    """In the engine's thread: the links of these markets' jumps."""
    linker: Linker = detector_of(session.engine, Linker)
    return linker.links(frozenset(keys))


def jump_scores(links: Sequence[Links], keys: Sequence[str]) -> list[dict[str, Any]]:
    """How often one of these markets jumped before another, every ordered pair that was ever linked."""
    return [msgspec.to_builtins(score) for score in scored([pair for pair in links if pair.a in keys and pair.b in keys])]


def jumps_of(session: Session, keys: Sequence[str], since: int) -> list[tuple[int, int]]:
    """(when a jump of one of these markets was first seen, ms; its direction), the newest, each move once."""
    found = [(when // MS, way) for jumps in jumps_by_market(session, keys, since).values() for when, way in jumps]
    return apart(found)[-JUMPS:]


def jumps_by_market(session: Session, keys: Sequence[str], since: int) -> dict[str, list[tuple[int, int]]]:
    """Of each of these markets (when a jump was first seen, ns; its direction), as far as memory goes."""
    found: dict[str, list[tuple[int, int]]] = {key: [] for key in keys}
    for symbol in sorted({key.partition(":")[2] for key in keys}):
        rows = session.tail.table("signal", symbol, since).select(["kind", "detail"]).to_pylist()
        for jump in (msgspec.json.decode(row["detail"], type=Jump) for row in rows if row["kind"] == Jump.KIND):
            if jump.key in found:
                found[jump.key].append((jump.t_detect, jump.dir))
    return found


def average_paths(series: Mapping[str, Series], jumps: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What all markets did on average around these jumps."""
    found = averages(series, jumps)
    markets = [{"key": key, "n": path.n, "bps": path.bps} for key, path in found.items()]
    return {"jumps": len(jumps), "offsets_ms": offsets().tolist(), "markets": markets}


def shares(session: Session, keys: Sequence[str], now: int) -> list[dict[str, Any]]:
    """Shares of the common price of each pair, from the best prices of the last hour that are on record here."""
    grids = _grids(session, keys, now)
    return [_share(x, y, grids) for x, y in combinations(sorted(keys), 2)]


def _share(x: str, y: str, grids: Mapping[str, np.ndarray]) -> dict[str, Any]:
    both = int(np.isfinite(grids[x] + grids[y]).sum()) * GRID_MS / 1e3
    told: dict[str, Any] = {"x": x, "y": y, "seconds": both, "low": None, "high": None, "share": None, "why": ""}
    if both < LEAST_S * 0.99:
        return told | {"why": f"{both / 60:.0f} min of both, needs {LEAST_S / 60:.0f}"}
    found = discovery(grids[x], grids[y])
    if found is None:
        return told | {"why": "the two prices cannot be told apart"}
    if not found.telling:
        return told | {"why": f"bounds {found.low:.2f} … {found.high:.2f} are more than {WIDEST:g} apart"}
    return told | {"low": found.low, "high": found.high, "share": found.share}


def _grids(session: Session, keys: Sequence[str], now: int) -> dict[str, np.ndarray]:
    """Log mids of each market on one grid over the last hour; not a number where none is known."""
    step = GRID_MS * MS
    at = np.arange((now - HOUR_NS) // step * step + step, now + 1, step)
    found = {key: np.full(len(at), np.nan) for key in keys}
    for symbol in {key.partition(":")[2] for key in keys}:
        rows = session.tail.table("bbo", symbol, now - HOUR_NS - 60 * NS, now)
        names = rows.column("venue").combine_chunks()
        venues, place = names.dictionary.to_pylist(), names.indices.to_numpy()
        times = rows.column("ts").to_numpy()
        mids = (rows.column("bid").to_numpy() + rows.column("ask").to_numpy()) / 2.0
        for venue in {key.partition(":")[0] for key in keys if key.endswith(f":{symbol}")}:
            mine = place == (venues.index(venue) if venue in venues else -1)
            found[f"{venue}:{symbol}"] = on_grid(times[mine], log_bps(mids[mine]), at)
    return found
