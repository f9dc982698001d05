"""What a user chose in an earlier run, as far as it can still be read: what cannot is not used, and said so in the log."""

from __future__ import annotations

from typing import Any

from loguru import logger

from dope.engines import costs
from dope.errors import DopeError
from dope.muting import Muting, muted_from
from dope.settings import Settings
from dope.venues import chosen
from dope.watching import Watching, changes_from


def watching_of(settings: Settings, kept: Any) -> Watching:
    """What was watched before."""
    symbols, venues = settings.symbols, chosen(settings.venues)
    try:
        return Watching(symbols, venues, changes_from(kept))
    except ValueError as error:  # kept by another version, or by hand
        logger.warning("what was watched before is not used: {}", error)
        return Watching(symbols, venues)


def tiers_of(settings: Settings, kept: Any) -> dict[str, str]:
    """Fee tiers that were chosen before, as far as there are such. Raises UnknownName for one in the settings that there is not."""
    costs(settings)
    try:
        costs(settings, tiers := dict(kept))
    except (DopeError, ValueError, TypeError) as error:  # kept by another version, or by hand
        logger.warning("fee tiers that were chosen before are not used: {}", error)
        return {}
    return tiers


def muting_of(kept: Any) -> Muting:
    """Whom a user had muted before."""
    try:
        return Muting(muted_from(kept))
    except ValueError as error:
        logger.warning("who was muted before is not used: {}", error)
        return Muting()
