"""The integration interface: the rooms of the house under the names and signatures by which other programs may know them.

``ExchangeConnector`` is one venue's live feed, ``DataProcessor`` reads and checks single messages and books, ``AggregationEngine``
makes buckets, heat maps and one book of many, ``StorageManager`` records and reads history, ``ReplayManager`` replays it.
Nothing here is a second way of doing anything: each calls what the program itself uses. The data classes stand in ``snapshots.py``.
"""

from __future__ import annotations

from dope.integration.aggregation import AggregationEngine
from dope.integration.connector import ExchangeConnector
from dope.integration.processor import DataProcessor
from dope.integration.replay import ReplayManager
from dope.integration.snapshots import (
    ConnectionStatus,
    ConsolidatedOrderBook,
    ConsolidatedPriceLevel,
    Data,
    HeatmapData,
    HeatmapPoint,
    ImbalanceMetrics,
    OrderBookMetrics,
    OrderBookSnapshot,
    PriceBuckets,
    PriceLevel,
    ReplayStatus,
    TradeEvent,
)
from dope.integration.storage import StorageManager

__all__ = [
    "AggregationEngine",
    "ConnectionStatus",
    "ConsolidatedOrderBook",
    "ConsolidatedPriceLevel",
    "Data",
    "DataProcessor",
    "ExchangeConnector",
    "HeatmapData",
    "HeatmapPoint",
    "ImbalanceMetrics",
    "OrderBookMetrics",
    "OrderBookSnapshot",
    "PriceBuckets",
    "PriceLevel",
    "ReplayManager",
    "ReplayStatus",
    "StorageManager",
    "TradeEvent",
]
