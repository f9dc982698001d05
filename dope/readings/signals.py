"""Signals that were found lately, newest first: as they were found, with the line that the event tape shows of each.

Asked with ``kinds`` (none = all), ``venue`` ("" = all), ``start`` (found at or after, ns; 0 = as far back as is kept).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dope.readings.asked import Asked
from dope.session import Session
from dope.types import Signal

MS = 1_000_000


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """{rows, kinds: how many of each are kept, whole_since: ns from when on all are}; ``detail`` holds every field of the signal."""
    kept, since = asked.between_turns(lambda: (list(session.picture.signals), session.picture.started_ns))
    if kept and len(kept) == session.picture.signals.maxlen:
        since = kept[0].ts + 1  # of this very moment some may be gone
    kinds: dict[str, int] = {}
    for signal in kept:
        kinds[signal.KIND] = kinds.get(signal.KIND, 0) + 1
    found, label = [], session.picture.label
    for signal in _meant(kept, asked):
        text, value, tone = signal.line(label)
        found.append({
            "ts": signal.ts, "kind": signal.KIND, "symbol": symbol_of(signal), "venues": sorted(venues_of(msgspec.structs.asdict(signal))),
            "text": text, "value": value, "tone": tone, "detail": msgspec.to_builtins(signal),
        })  # fmt: skip
        if len(found) == asked.limit:
            break
    return {"rows": found, "kinds": kinds, "whole_since": since}


def _meant(kept: list[Signal], asked: Asked) -> Iterator[Signal]:
    """Those that were asked for, newest first."""
    kinds, venue = asked.args.get("kinds") or (), asked.args.get("venue", "")
    for signal in reversed(kept):
        if signal.ts < asked.start:
            return
        if (kinds and signal.KIND not in kinds) or asked.symbol not in ("", symbol_of(signal)):
            continue
        if not venue or venue in venues_of(msgspec.structs.asdict(signal)):
            yield signal


def symbol_of(signal: Signal) -> str:
    """The symbol that it is of; "" = of no one."""
    symbol: str = getattr(signal, "symbol", "") or getattr(signal, "key", "").partition(":")[2]
    return symbol


def venues_of(fields: Mapping[str, Any]) -> set[str]:
    """Every venue that a signal names."""
    return {value for name, value in fields.items() if value and isinstance(value, str) and (name == "venue" or name.endswith("_venue"))}
