"""How an engine is built from the settings: fees, levels, venues, detectors; the same for live, simulation, replay and backtest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dope.detectors import Cost, Rules, default_detectors
from dope.engine import Detector, Engine
from dope.settings import Settings
from dope.types import Fee
from dope.venues import SENTINELS, VENUES, make
from dope.venues.base import Venue

MS = 1_000_000


def costs(settings: Settings) -> dict[tuple[str, str], Cost]:
    """The taker fee of every venue and kind: the dated table, with the user's own figures on top."""
    known = [fee for venue in (*VENUES, *SENTINELS) for fee in venue.FEES]
    table = {(fee.venue, fee.kind): cost_of(fee) for fee in known}
    for venue, kinds in settings.fees.items():
        for kind, bps in kinds.items():
            old = table.get((venue, kind))
            table[(venue, kind)] = Cost(bps / 1e4, old.currency if old else "quote", "your settings", "", tier="your own")
    return table


def cost_of(fee: Fee) -> Cost:
    """A line of the fee table as the detector takes it."""
    return Cost(
        fee.taker_bps / 1e4, fee.currency, fee.source, fee.as_of, maker=fee.maker_bps / 1e4, tier=fee.tier, confidence=fee.confidence
    )


def rules(settings: Settings) -> Rules:
    """The detector's levels and sizes from the settings."""
    return Rules(
        enter=settings.min_net_bps,
        leave=min(settings.leave_net_bps, settings.min_net_bps),
        order_size=settings.order_size,
        min_notional=settings.min_notional,
        debounce=settings.debounce_ms * MS,
        max_age_s=settings.max_age_s,
    )


def build_engine(
    settings: Settings, venue_ids: tuple[str, ...], endpoints: dict[str, dict[str, str]], also: Sequence[Detector] = ()
) -> Engine:
    """Engine with venues and the default detectors, ``also`` behind them; the same for live, simulation, replay and backtest."""
    venues: dict[str, Venue] = {v: make(v, settings.symbols, endpoints.get(v)) for v in venue_ids}
    detectors: list[Detector] = [*default_detectors(costs(settings), rules(settings)), *also]
    return Engine(venues, detectors, {venue.ID: venue(()) for venue in SENTINELS})


def detector_of(engine: Engine, kind: type) -> Any:
    """The engine's detector of that class."""
    return next(d for d in engine.detectors if isinstance(d, kind))
