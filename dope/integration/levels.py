"""Plain levels as numbers: what is reckoned with them wherever other programs hand in books."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dope.detectors.microstructure import imbalance
from dope.integration.snapshots import PriceLevel


def pairs(levels: Sequence[PriceLevel]) -> list[tuple[float, float]]:
    """(price, size) of each."""
    return [(level.price, level.size) for level in levels]


def positive(value: float) -> bool:
    """Whether it can be a price, a size or a width."""
    return math.isfinite(value) and value > 0.0


def imbalance_of(bids: float, asks: float) -> float | None:
    """How much more is bid than asked, −1 … 1; None where there is neither."""
    return float(imbalance(np.array([bids]), np.array([asks]))[0]) if bids + asks > 0.0 else None
