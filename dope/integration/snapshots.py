"""Plain data classes of the integration interface: market data as other programs hand it to this one and take it from it.

Times are datetimes with a time zone, prices in quote currency, sizes in base units (contracts are converted), best level first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple


@dataclass
class PriceLevel:
    """One level of a book; ``count`` = orders there, None where the venue does not say."""

    price: float
    size: float
    count: int | None = None


@dataclass
class OrderBookSnapshot:
    """A whole book at one moment; ``sequence_id`` is the venue's number of the newest message in it, None where it gives none."""

    symbol: str
    exchange: str
    timestamp: datetime
    bids: list[PriceLevel]
    asks: list[PriceLevel]
    sequence_id: int | None = None


@dataclass
class TradeEvent:
    """One trade; ``side`` is the taker's, "buy" or "sell"."""

    symbol: str
    exchange: str
    timestamp: datetime
    price: float
    size: float
    side: str
    trade_id: str


Data = OrderBookSnapshot | TradeEvent


@dataclass
class PriceBuckets:
    """Sizes by price bucket: lower edge → base units; a bucket holds its lower edge and not its upper one."""

    symbol: str
    timestamp: datetime
    bucket_size: float
    bid_buckets: dict[float, float]
    ask_buckets: dict[float, float]


@dataclass
class HeatmapPoint:
    """One bucket: ``intensity`` 0.0 … 1.0 = its volume over the largest one, ``side`` "bid" or "ask"."""

    price: float
    volume: float
    intensity: float
    side: str


@dataclass
class HeatmapData:
    """The buckets of one moment, by price."""

    symbol: str
    timestamp: datetime
    bucket_size: float
    data: list[HeatmapPoint] = field(default_factory=list)


@dataclass
class OrderBookMetrics:
    """Figures of one book; None where a side is empty. ``spread_bps`` of the mid; ``depth`` bps from the mid → (bids, asks), base units."""

    symbol: str
    exchange: str
    timestamp: datetime
    mid_price: float | None
    weighted_mid: float | None
    spread: float | None
    spread_bps: float | None
    bid_volume: float
    ask_volume: float
    imbalance: float | None
    depth: dict[int, tuple[float, float]]


@dataclass
class ImbalanceMetrics:
    """(bids − asks) / (bids + asks) of sizes, −1 … 1: at the touch, over the best levels, over all; None where there is nothing."""

    symbol: str
    timestamp: datetime
    touch: float | None
    best_5: float | None
    best_10: float | None
    total: float | None


class ConsolidatedPriceLevel(NamedTuple):
    """What stands at one price at all venues together."""

    price: float
    size: float
    exchange_count: int


@dataclass
class ConsolidatedOrderBook:
    """The books of one symbol added up; ``exchanges`` = those that are in it, sorted."""

    symbol: str
    timestamp: datetime
    bids: list[ConsolidatedPriceLevel]
    asks: list[ConsolidatedPriceLevel]
    exchanges: list[str]


class ConnectionStatus(Enum):
    """State of a connector; LIVE = the data of what is subscribed are known to be right, DEGRADED = of some of it."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    LIVE = "live"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass
class ReplayStatus:
    """``state`` is created, running, paused, ended or failed; ``position`` in recorded time, None before the first frame."""

    session_id: str
    state: str
    position: datetime | None
    speed: float
    reason: str = ""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ns: int) -> datetime:
    """ns UTC as a datetime, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def nanoseconds(at: datetime) -> int:
    """A datetime as ns UTC. Raises ValueError for one without a time zone: it may mean anything."""
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
