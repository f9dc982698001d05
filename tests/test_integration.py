"""The integration interface does what its names promise: over real sockets, real messages, real files, a real replay."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dope import integration
from dope.errors import StoreError, UnknownName
from dope.feed.clock import Clock
from dope.integration import (
    AggregationEngine,
    ConnectionStatus,
    DataProcessor,
    ExchangeConnector,
    OrderBookSnapshot,
    PriceLevel,
    ReplayManager,
    StorageManager,
    TradeEvent,
)
from dope.settings import Settings
from dope.sim.world import World
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from tests.frames import MS, T0, okx_script, play
from tests.program import PATIENCE_S, until

NOW = datetime.now(UTC).replace(microsecond=0)
SIGNATURES = {
    "ExchangeConnector": {
        "connect": "(self) -> 'bool'", "disconnect": "(self) -> 'None'", "subscribe_orderbook": "(self, symbol: 'str') -> 'None'",
        "subscribe_trades": "(self, symbol: 'str') -> 'None'", "get_connection_status": "(self) -> 'ConnectionStatus'",
        "add_data_callback": "(self, callback",
    },
    "DataProcessor": {
        "normalize_orderbook": ", exchange: 'str') -> 'OrderBookSnapshot'", "normalize_trade": ", exchange: 'str') -> 'TradeEvent'",
        "validate_data": "-> 'bool'", "calculate_metrics": "(self, orderbook: 'OrderBookSnapshot') -> 'OrderBookMetrics'",
    },
    "AggregationEngine": {
        "create_price_buckets": "(self, orderbook: 'OrderBookSnapshot', bucket_size: 'float') -> 'PriceBuckets'",
        "update_heatmap": "(self, symbol: 'str', buckets: 'PriceBuckets') -> 'HeatmapData'",
        "calculate_imbalances": "(self, orderbook: 'OrderBookSnapshot') -> 'ImbalanceMetrics'",
        "aggregate_across_exchanges": "(self, symbol: 'str') -> 'ConsolidatedOrderBook'",
    },
    "StorageManager": {
        "store_orderbook": "(self, data: 'OrderBookSnapshot') -> 'bool'", "store_trade": "(self, data: 'TradeEvent') -> 'bool'",
        "get_historical_data": "(self, symbol: 'str', start: 'datetime', end: 'datetime') -> 'list[dict[str, Any]]'",
        "get_latest_data": "(self, symbol: 'str') -> 'dict[str, Any]'", "setup_database_schema": "(self) -> 'None'",
    },
    "ReplayManager": {
        "create_replay_session": "(self, start_time: 'datetime', end_time: 'datetime', speed: 'float') -> 'str'",
        "start_replay": "(self, session_id: 'str') -> 'None'", "pause_replay": "(self, session_id: 'str') -> 'None'",
        "stop_replay": "(self, session_id: 'str') -> 'None'", "get_replay_status": "(self, session_id: 'str') -> 'ReplayStatus'",
    },
}  # fmt: skip
WAITED_FOR = {"connect", "disconnect", "subscribe_orderbook", "subscribe_trades", "store_orderbook", "store_trade", "get_historical_data",
              "get_latest_data", "start_replay", "pause_replay", "stop_replay"}  # fmt: skip


def book(venue: str = "a", bid: float = 100.0, ask: float = 101.0, at: datetime = NOW) -> OrderBookSnapshot:
    bids, asks = [PriceLevel(bid, 3.0), PriceLevel(bid - 1.0, 5.0)], [PriceLevel(ask, 1.0), PriceLevel(ask + 12.0, 4.0)]
    return OrderBookSnapshot("BTC-USDT", venue, at, bids, asks, 7)


def trade(**changes: object) -> TradeEvent:
    return TradeEvent(**{"symbol": "BTC-USDT", "exchange": "a", "timestamp": NOW, "price": 100.5, "size": 0.25, "side": "buy",
                         "trade_id": "t1"} | changes)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_interface_has_its_methods_and_signatures(name: str) -> None:
    for method, words in SIGNATURES[name].items():
        function = getattr(getattr(integration, name), method)
        assert words in str(inspect.signature(function)), method
        assert inspect.iscoroutinefunction(function) == (method in WAITED_FOR), method


# -- one venue, live ---------------------------------------------------------------------------------------------------
def test_a_connector_hands_over_books_and_trades_of_what_is_subscribed_and_tells_its_state() -> None:
    async def run() -> None:
        world = World(5, venues=("okx",), epoch_ms=Clock().now() // MS)
        connector, heard = ExchangeConnector("okx", endpoints=(await world.start())["okx"]), []
        connector.add_data_callback(heard.append)
        assert connector.get_connection_status() is ConnectionStatus.DISCONNECTED
        assert await connector.connect() and connector.get_connection_status() is ConnectionStatus.CONNECTING
        await connector.subscribe_orderbook("BTC-USDT")
        await connector.subscribe_trades("ETH-USDT")
        with pytest.raises(UnknownName):
            await connector.subscribe_trades("EVIL/COIN")
        kinds: Callable[[], set[tuple[type, str]]] = lambda: {(type(each), each.symbol) for each in heard}  # noqa: E731
        async with asyncio.timeout(PATIENCE_S):
            while len(kinds()) < 2 or connector.get_connection_status() is not ConnectionStatus.LIVE:
                await asyncio.sleep(0.02)
        await connector.disconnect()
        await world.stop()
        assert kinds() == {(OrderBookSnapshot, "BTC-USDT"), (TradeEvent, "ETH-USDT")}
        assert all(DataProcessor().validate_data(each) for each in heard)
        assert connector.get_connection_status() is ConnectionStatus.DISCONNECTED

    asyncio.run(run())


def test_a_connector_says_when_nobody_answers_and_refuses_a_venue_that_is_none() -> None:
    assert not asyncio.run(ExchangeConnector("okx", endpoints={"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}).connect())
    with pytest.raises(UnknownName):
        ExchangeConnector("nowhere")


# -- single messages and books -----------------------------------------------------------------------------------------
def test_raw_messages_become_books_and_trades() -> None:
    processor, raws = DataProcessor(), [json.loads(frame.data) for frame in play("okx", okx_script()) if frame.kind == 0]
    snapshots = [raw for raw in raws if raw.get("action") == "snapshot"]
    changes = [raw for raw in raws if raw.get("action") == "update"]
    with pytest.raises(ValueError, match="snapshot first"):
        DataProcessor().normalize_orderbook(changes[0], "okx")
    first = processor.normalize_orderbook(snapshots[0], "okx")
    time.sleep(1.1)  # longer than a market may be silent
    second = processor.normalize_orderbook(changes[0], "okx")
    assert processor.validate_data(first) and first.symbol == "BTC-USDT" and first.bids[0].price < first.asks[0].price
    assert (first.bids, first.asks) != (second.bids, second.asks) and second.sequence_id != first.sequence_id
    raw = {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [
        {"instId": "BTC-USDT", "tradeId": "9", "px": "100.2", "sz": "0.5", "side": "sell", "ts": "1700000000000"}]}  # fmt: skip
    found = processor.normalize_trade(raw, "okx")
    assert (found.price, found.size, found.side, found.trade_id) == (100.2, 0.5, "sell", "9")
    for wrong in (raw, {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [{"px": "NaN"}]}):  # seen before; no price
        with pytest.raises(ValueError):
            processor.normalize_trade(wrong, "okx")


@pytest.mark.parametrize(
    "wrong",
    [trade(price=0.0), trade(size=math.nan), trade(side="up"), trade(timestamp=NOW.replace(tzinfo=None)),
     trade(timestamp=NOW + timedelta(hours=2)),
     book(bid=101.0), OrderBookSnapshot("BTC-USDT", "a", NOW, [PriceLevel(99.0, 1.0), PriceLevel(100.0, 1.0)], [])],
)  # fmt: skip
def test_what_cannot_be_is_not_valid(wrong: OrderBookSnapshot | TradeEvent) -> None:
    assert not DataProcessor().validate_data(wrong)
    assert DataProcessor().validate_data(book()) and DataProcessor().validate_data(trade())


def test_figures_of_a_book() -> None:
    found = DataProcessor().calculate_metrics(book())
    assert (found.mid_price, found.spread, found.bid_volume, found.ask_volume) == (100.5, 1.0, 8.0, 5.0)
    assert found.weighted_mid == pytest.approx((100.0 * 1.0 + 101.0 * 3.0) / 4.0) and found.imbalance == pytest.approx(3 / 13)
    assert found.spread_bps == pytest.approx(1.0 / 100.5 * 1e4) and found.depth[50] == (3.0, 1.0) and found.depth[5] == (0.0, 0.0)
    empty = DataProcessor().calculate_metrics(OrderBookSnapshot("X-Y", "a", NOW, [], []))
    assert (empty.mid_price, empty.imbalance, empty.depth) == (None, None, {})


# -- many books --------------------------------------------------------------------------------------------------------
def test_buckets_and_heat_map_add_up() -> None:
    engine = AggregationEngine()
    buckets = engine.create_price_buckets(book(), 10.0)
    assert (buckets.bid_buckets, buckets.ask_buckets) == ({100.0: 3.0, 90.0: 5.0}, {100.0: 1.0, 110.0: 4.0})
    points = engine.update_heatmap("BTC-USDT", buckets).data
    assert [(p.price, p.side, p.volume, p.intensity) for p in points] == [
        (90.0, "bid", 5.0, 1.0), (100.0, "ask", 1.0, 0.2), (100.0, "bid", 3.0, 0.6), (110.0, "ask", 4.0, 0.8)]  # fmt: skip
    with pytest.raises(ValueError):
        engine.create_price_buckets(book(), 0.0)
    with pytest.raises(ValueError):
        engine.update_heatmap("ETH-USDT", buckets)


def test_imbalances_lie_between_minus_one_and_one() -> None:
    found = AggregationEngine().calculate_imbalances(book())
    assert (found.touch, found.best_5, found.total) == (pytest.approx(0.5), pytest.approx(3 / 13), pytest.approx(3 / 13))


def test_one_book_of_many_counts_its_exchanges_and_leaves_out_what_is_old() -> None:
    engine = AggregationEngine()
    old = book("c", bid=99.0, at=NOW - timedelta(seconds=9)), book("a", bid=1.0, at=NOW - timedelta(seconds=1))
    for each in (book("a"), book("b"), *old):
        engine.add(each)
    found = engine.aggregate_across_exchanges("BTC-USDT")
    assert found.exchanges == ["a", "b"] and found.timestamp == NOW
    assert [tuple(level) for level in found.bids] == [(100.0, 6.0, 2), (99.0, 10.0, 2)]
    with pytest.raises(UnknownName):
        engine.aggregate_across_exchanges("ETH-USDT")


# -- history -----------------------------------------------------------------------------------------------------------
def test_what_is_stored_is_on_the_disk_and_read_again_whole_by_another_one(tmp_path: Path) -> None:
    async def run() -> None:
        store = StorageManager(tmp_path)
        with pytest.raises(StoreError):
            await store.store_trade(trade())
        store.setup_database_schema()
        store.setup_database_schema()
        assert await store.store_orderbook(book()) and await store.store_trade(trade(timestamp=NOW + timedelta(milliseconds=5)))
        with pytest.raises(ValueError):
            await store.store_orderbook(book(bid=200.0))
        store.close()
        other = StorageManager(tmp_path)
        rows = await other.get_historical_data("BTC-USDT", NOW - timedelta(seconds=1), NOW + timedelta(seconds=1))
        assert [row["type"] for row in rows] == ["orderbook", "trade"]
        assert (rows[0]["bids"], rows[0]["sequence_id"], rows[0]["timestamp"]) == ([[100.0, 3.0], [99.0, 5.0]], 7, NOW)
        assert (rows[1]["price"], rows[1]["trade_id"], rows[1]["exchange"]) == (100.5, "t1", "a")
        newest = await other.get_latest_data("BTC-USDT")
        assert newest["orderbook"] == rows[0] and newest["trade"] == rows[1]
        assert (await other.get_latest_data("ETH-USDT")) == {"symbol": "ETH-USDT", "orderbook": None, "trade": None}
        with pytest.raises(StoreError):
            await other.get_historical_data("BTC-USDT", NOW, NOW)
        other.close()

    asyncio.run(run())


# -- replay ------------------------------------------------------------------------------------------------------------
def test_a_replay_is_created_started_paused_and_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "sim"
    folder.mkdir(parents=True)
    write_tape(folder / "one.dope", Meta("sim", T0, venues=("okx",)), play("okx", okx_script()))
    manager = ReplayManager(Settings(data_dir=tmp_path / "data", model_dir=tmp_path / "models", _env_file=None))
    try:
        first = datetime.fromtimestamp(T0 / 1e9, UTC)
        number = manager.create_replay_session(first, first + timedelta(seconds=1), 0.1)
        assert manager.get_replay_status(number).state == "created"
        asyncio.run(manager.start_replay(number))
        until(lambda: manager.get_replay_status(number).position is not None, "it moves")
        asyncio.run(manager.pause_replay(number))
        until(lambda: manager.get_replay_status(number).state in ("paused", "ended"), "it stands still")
        asyncio.run(manager.stop_replay(number))
        until(lambda: manager.get_replay_status(number).state == "ended", "it is over")
        with pytest.raises(UnknownName):
            asyncio.run(manager.start_replay("77"))
    finally:
        manager.close()
