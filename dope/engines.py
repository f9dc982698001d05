"""How an engine is built from the settings: fees, levels, venues, detectors; the same for live, simulation, replay and backtest."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import msgspec

from dope.detectors import Cost, Rules, default_detectors
from dope.detectors.opportunity import Leg, Role
from dope.detectors.parameters import Tuning, checked
from dope.engine import Detector, Engine
from dope.errors import SettingsError, UnknownName
from dope.settings import Settings
from dope.types import SENTINEL, Fee, Setting
from dope.venues import SENTINELS, VENUES, make
from dope.venues.base import Venue

MS = 1_000_000
DEFAULT_TIER = "default"
ROLES = "roles"  #: name of these in a command and in what is kept of a user's changes


def costs(settings: Settings, chosen: Mapping[str, str] | None = None) -> dict[tuple[str, str], Cost]:
    """The fees of every venue and kind: the dated table at the tier in force, less the discount, with the user's own figures on top.

    ``chosen`` = venue → tier, before those of the settings. Raises UnknownName for a tier that no venue has.
    """
    wanted = {**settings.fee_tiers, **(chosen or {})}
    table: dict[tuple[str, str], Cost] = {}
    for venue in (*VENUES, *SENTINELS):
        tier = wanted.get(venue.ID, DEFAULT_TIER)
        if tier not in (known := tiers(venue)):
            raise UnknownName(f"fee tier of {venue.ID}", tier, known)
        off = settings.fee_discounts.get(venue.ID, 0.0) / 100.0
        for fee in venue.FEES:
            own = next((each for each in venue.TIERS if each.kind == fee.kind and each.tier == tier), fee)
            table[(venue.ID, fee.kind)] = cost_of(own, off)
    for venue_id, kinds in settings.fees.items():
        for kind, bps in kinds.items():
            old = table.get((venue_id, kind))
            table[(venue_id, kind)] = Cost(bps / 1e4, old.currency if old else "quote", "your settings", "", tier="your own")
    return table


def tiers(venue: type[Venue]) -> list[str]:
    """Names of the tiers of a venue, the default one first."""
    return list(dict.fromkeys((DEFAULT_TIER, *(fee.tier for fee in venue.TIERS))))


def cost_of(fee: Fee, off: float = 0.0) -> Cost:
    """A line of the fee table as the detector takes it, ``off`` = the part that is let off."""
    left = 1.0 - off
    return Cost(
        fee.taker_bps * left / 1e4, fee.currency, fee.source, fee.as_of, maker=fee.maker_bps * left / 1e4, tier=fee.tier, discount=off,
        confidence=fee.confidence,
    )  # fmt: skip


def fee_rows(table: Mapping[tuple[str, str], Cost], rules: Rules) -> list[dict[str, Any]]:
    """The fees in force as pages show them, without those of the self-test; ``tiers`` = those to choose from."""
    known = {venue.ID: tiers(venue) for venue in VENUES}
    return [
        {"venue": v, "kind": k, "taker_bps": c.fee * 1e4, "maker_bps": None if c.maker is None else c.maker * 1e4, "currency": c.currency,
         "tier": c.tier, "discount_pct": c.discount * 100.0, "source": c.source, "as_of": c.as_of, "confidence": c.confidence,
         "tiers": known.get(v, []), "buy_as": rules.role(v, "buy"), "sell_as": rules.role(v, "sell")}
        for (v, k), c in table.items() if k != SENTINEL
    ]  # fmt: skip


def rules(settings: Settings) -> Rules:
    """The detector's levels and sizes from the settings."""
    return Rules(
        enter=settings.min_net_bps,
        leave=min(settings.leave_net_bps, settings.min_net_bps),
        order_size=settings.order_size,
        min_notional=settings.min_notional,
        debounce=settings.debounce_ms * MS,
        max_age_s=settings.max_age_s,
        transfer=settings.transfer_cost,
        buffer_bps=settings.buffer_bps,
        buy_as=settings.buy_as,
        sell_as=settings.sell_as,
        roles=dict(settings.roles),
    )


#: what a user may change of the rules: its name for users → its name here
FIGURES = {
    "order_size": "order_size", "min_net_bps": "enter", "leave_net_bps": "leave", "min_notional": "min_notional",
    "transfer_cost": "transfer", "buffer_bps": "buffer_bps",
}  # fmt: skip
LEAST = {"order_size": 1e-9, "transfer_cost": 0.0, "buffer_bps": 0.0}


def changed_rules(old: Rules, changes: Mapping[str, Any], venues: Container[str]) -> Rules:
    """The rules with these values changed: ``FIGURES``, and "roles", venue → leg → role, which join those that there are.

    Raises ValueError for an unknown or impossible one.
    """
    figures = {name: value for name, value in changes.items() if name != ROLES}
    for name, value in figures.items():
        if name not in FIGURES:
            raise ValueError(f"unknown setting {name!r}; one of {', '.join((*FIGURES, ROLES))}")
        if not isinstance(value, (int, float)) or not LEAST.get(name, -1e12) <= value < 1e12:
            raise ValueError(f"{name} cannot be {value!r}")
    new = msgspec.structs.replace(old, **{FIGURES[name]: float(value) for name, value in figures.items()})
    roles = joined_roles(old.roles, changes.get(ROLES) or {})
    if strange := [venue for venue in roles if venue not in venues and venue not in old.roles]:
        raise ValueError(f"unknown venue {strange[0]!r}")
    return msgspec.structs.replace(new, leave=min(new.leave, new.enter), roles=roles)


def joined_roles(old: Mapping[str, Any], changes: Any) -> dict[str, dict[Any, Any]]:
    """Roles of legs with these changed. Raises ValueError for what is no role of a leg."""
    try:
        wanted = msgspec.convert(changes, dict[str, dict[Leg, Role]])
    except msgspec.ValidationError as error:
        raise ValueError(f"roles are venue → buy or sell → taker or maker: {error}") from error
    return {**old, **{venue: {**old.get(venue, {}), **legs} for venue, legs in wanted.items()}}


def build_engine(
    settings: Settings, venue_ids: tuple[str, ...], endpoints: dict[str, dict[str, str]], also: Sequence[Detector] = ()
) -> Engine:
    """Engine with venues and the default detectors, ``also`` behind them; the same for live, simulation, replay and backtest.

    Raises SettingsError for parameters of detectors that cannot be.
    """
    venues: dict[str, Venue] = {v: make(v, settings.symbols, endpoints.get(v)) for v in venue_ids}
    detectors: list[Detector] = [*default_detectors(costs(settings), rules(settings)), *also]
    engine = Engine(venues, detectors, {venue.ID: venue(()) for venue in SENTINELS})
    if settings.parameters:
        try:
            values = checked(detectors, settings.parameters)
        except ValueError as error:
            raise SettingsError(f"DOPE_PARAMETERS: {error}") from error
        detector_of(engine, Tuning).on(Setting(0, msgspec.json.encode({"parameters": values})), engine.market)
    return engine


def detector_of(engine: Engine, kind: type) -> Any:
    """The engine's detector of that class."""
    return next(d for d in engine.detectors if isinstance(d, kind))
