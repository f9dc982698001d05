"""The relays over real sockets: what the engine knows, once and in order, and no price that is not known to be right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dope.api import relays
from dope.api.relayed import best, touches
from dope.relay import VenueReader
from dope.rows import RECENT
from tests.api.house import House, serving
from tests.api.listening import book, dial, hear, hear_until, ids
from tests.api.market_desk import VENUES, Desk, live
from tests.api.publisher import full, instrument
from tests.frames import closed, okx_book, okx_script, okx_trade


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return live(tmp_path)


@pytest.fixture
def house(desk: Desk) -> Iterator[House]:
    with serving(desk.publisher) as house:
        yield house


# -- one venue ---------------------------------------------------------------------------------------------------------
def test_first_comes_all_that_is_known_of_a_venue_then_each_change_numbered(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as line:
            first = await hear(line)
            assert (first["type"], first["channel"], first["source"], first["trouble"]) == ("snapshot", "okx", "sim", None)
            row = book(first)
            assert {name: row[name] for name in ("symbol", "kind", "state", "reason", "venue_seq")} == {
                "symbol": "BTC-USDT", "kind": "spot", "state": "LIVE", "reason": "", "venue_seq": 120,
            }  # fmt: skip
            assert row["bids"] == [[100.0, 1.5], [99.9, 2.0], [99.8, 1.0], [99.7, 1.0]]
            assert row["asks"] == [[100.5, 0.75], [100.6, 1.0], [100.7, 2.0], [100.9, 5.0]]
            assert (row["exchange_ms"], row["received_ms"]) == (1_700_000_000_000, 1_700_000_000_090)
            waiting = book(first, "okx:ETH-USDT")
            assert not waiting or (waiting["state"], waiting["bids"], waiting["asks"]) == ("SYNCING", [], [])
            desk.step("okx", okx_book("update", 121, 120, [("100.1", "2")], []))
            heard = await hear_until(line, book)
            assert [message["seq"] for message in heard] == list(range(first["seq"] + 1, first["seq"] + 1 + len(heard)))
            assert heard[-1]["type"] == "update" and [row["key"] for row in heard[-1]["books"]] == ["okx:BTC-USDT"]
            assert book(heard[-1])["bids"][:2] == [[100.1, 2.0], [100.0, 1.5]]

    asyncio.run(scene())


def test_a_silent_venue_is_told_once_a_second_that_nothing_changed(house: House) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as line:
            first, second, third = await hear(line), await hear(line), await hear(line)
            assert [each["seq"] - first["seq"] for each in (second, third)] == [1, 2]
            assert (second["books"], second["trades"], second["type"]) == ([], [], "update")

    asyncio.run(scene())


def test_each_client_sees_as_many_levels_and_the_symbol_that_it_asked_for(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "okx?depth=2") as shallow, dial(house, "okx?symbol=ETH-USDT&depth=50") as other, dial(house, "okx") as all_:
            one, two, three = await hear(shallow), await hear(other), await hear(all_)
            assert [len(book(each)["bids"]) for each in (one, three)] == [2, 4]
            assert [row["symbol"] for row in two["books"]] == ["ETH-USDT"]
            desk.step("okx", okx_book("update", 121, 120, [("99.7", "9")], []), okx_trade(1, "100.5", "0.5", sold=False))
            heard = await hear_until(shallow, lambda message: message["trades"])
            assert not any(book(message) for message in heard), "what changed is deeper than it looks"
            assert ids(await hear_until(all_, book)) == ["1"]
            desk.step("okx", okx_trade(2, "100.5", "0.5", sold=True), okx_book("update", 122, 121, [("100", "9")], []))
            await hear_until(shallow, book)
            assert ids([await hear(other)]) == [], "that symbol had no trades"

    async def listed() -> None:
        eth = okx_book("snapshot", 5, -1, [("50", "1")], [("51", "1")], "ETH-USDT")
        desk.step("okx", eth)
        await scene()

    asyncio.run(listed())


def test_a_trade_is_told_once_and_in_order_to_everybody_who_listens(house: House, desk: Desk) -> None:
    async def scene() -> None:
        desk.step("okx", okx_trade(1, "100.5", "0.25", sold=False))  # over before anybody listens
        async with dial(house, "okx") as one, dial(house, "okx?depth=1") as two, dial(house, "binance_spot") as elsewhere:
            await asyncio.gather(hear(one), hear(two), hear(elsewhere))
            for number in range(2, 302, 3):
                trades = [okx_trade(n, "100.5", "0.25", sold=bool(n % 2)) for n in range(number, number + 3)]
                desk.step("okx", *trades, trades[0])  # the venue repeats one
                await asyncio.sleep(0.002)
            last = lambda message: message["trades_total"] == 300  # noqa: E731
            heard = [await hear_until(line, last) for line in (one, two)]
            assert [ids(each) for each in heard] == [[str(n) for n in range(2, 302)]] * 2
            trade = heard[0][-1]["trades"][-1]
            assert {name: trade[name] for name in ("symbol", "id", "side", "price", "size", "exchange_ms")} == {
                "symbol": "BTC-USDT", "id": "301", "side": "sell", "price": 100.5, "size": 0.25, "exchange_ms": 1_700_000_000_000,
            }  # fmt: skip
            assert 1_700_000_000_000 < trade["received_ms"] < 1_700_000_010_000
            assert ids([await hear(elsewhere)]) == []
            assert all(message["missed"] == 0 for message in heard[0])

    asyncio.run(scene())


def test_trades_that_are_over_before_they_could_be_read_are_counted(desk: Desk) -> None:
    reader = VenueReader("okx", lambda: desk.session, desk._between_turns)
    assert (reader.read(1)["trades"], reader.read(1)["missed"]) == ([], 0)
    many = RECENT + 808
    for first in range(0, many, 500):
        desk.step("okx", *(okx_trade(n, "100.5", "0.25", sold=False) for n in range(first, first + 500)))
    assert desk.session is not None
    desk.session.collect()  # what is still to be written is kept beside
    answer = reader.read(1)
    assert (answer["missed"], [trade["id"] for trade in answer["trades"]]) == (808, [str(n) for n in range(808, many)])
    assert (reader.read(1)["trades"], reader.read(1)["missed"]) == ([], 0)


def test_many_books_are_copied_in_slices_and_one_that_goes_meanwhile_is_left_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.relay.SLICE", 1)
    desk.step("okx", okx_book("snapshot", 5, -1, [("50", "1")], [("51", "1")], "ETH-USDT"))
    session = desk.session
    assert session is not None
    reader = VenueReader("okx", lambda: session, desk._between_turns)
    books = session.engine.market.books
    first = reader.read(3)
    assert [row["key"] for row in first["books"]] == first["keys"] == [key for key in books if key.startswith("okx:")]
    assert len(first["keys"]) == 2 and desk.reads == 3, "the list, then a turn for each"
    last = first["keys"][1]

    def turn(read: Callable[[], Any]) -> Any:
        found = desk._between_turns(read)
        books.pop(last, None)
        return found

    reader = VenueReader("okx", lambda: session, turn)
    assert reader.read(3)["keys"] == first["keys"][:1]


# -- what is not known to be right ---------------------------------------------------------------------------------------
def test_a_venue_that_is_down_shows_no_price_to_those_who_listen_and_those_who_come(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as line, dial(house, "ticker/BTC-USDT") as ticker:
            assert book(await hear(line))["bids"]
            assert (await hear(ticker))["best"]["bid"]["price"] == 100.0
            desk.step("okx", closed())
            down = book((await hear_until(line, book))[-1])
            assert (down["state"], down["reason"], down["bids"], down["asks"]) == ("DOWN", "disconnected", [], [])
            told = (await hear_until(ticker, lambda message: message["venues"]))[-1]
            assert told["venues"] == [
                {"venue": "okx", "key": "okx:BTC-USDT", "state": "DOWN", "reason": "disconnected", "bid": None, "bid_size": None,
                 "ask": None, "ask_size": None, "age_ms": told["venues"][0]["age_ms"]}
            ]  # fmt: skip
            assert told["best"]["bid"]["venue"] == told["best"]["ask"]["venue"] == "binance_spot"
        rows = VenueReader("okx", lambda: desk.session, desk._between_turns).read(5)["books"]
        assert rows and not any(row["bids"] or row["asks"] for row in rows), "the engine's side tells none"
        async with dial(house, "okx") as late:
            row = book(await hear(late))
            assert (row["state"], row["bids"], row["asks"], row["exchange_ms"], row["venue_seq"]) == ("DOWN", [], [], None, None)

    asyncio.run(scene())


def test_when_the_engine_has_died_nothing_has_a_price(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as line, dial(house, "ticker/BTC-USDT") as ticker:
            await asyncio.gather(hear(line), hear(ticker))
            desk.publisher.alive = False
            dead = (await hear_until(line, book))[-1]
            assert dead["trouble"] == "the engine is not running"
            assert {(row["state"], str(row["bids"])) for row in dead["books"]} == {("DOWN", "[]")}
            told = (await hear_until(ticker, lambda message: message["venues"]))[-1]
            assert told["trouble"] and told["best"] == {"bid": None, "ask": None, "spread": None, "spread_bps": None}
            assert {row["bid"] for row in told["venues"]} == {None}
            desk.publisher.alive = True
            assert book((await hear_until(line, book))[-1])["bids"][0] == [100.0, 1.5]

    asyncio.run(scene())


def test_an_engine_that_does_not_answer_has_no_prices_and_loses_no_trade(house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "ANSWER_S", 0.1)

    async def scene() -> None:
        async with dial(house, "okx") as line:
            await hear(line)
            with desk.turn:
                stuck = (await hear_until(line, book))[-1]
                assert (stuck["trouble"], book(stuck)["state"], book(stuck)["bids"]) == ("the engine does not answer", "DOWN", [])
            desk.step("okx", okx_trade(1, "100.5", "1", sold=False), okx_trade(2, "100.5", "1", sold=False))
            heard = await hear_until(line, lambda message: message["trades_total"] == 2)
            assert ids(heard) == ["1", "2"] and any(book(message).get("bids") for message in heard)

    asyncio.run(scene())


def test_another_source_is_told_and_shows_none_of_the_old_books(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as line:
            assert (await hear(line))["source"] == "sim"
            desk.begin("live")
            other = (await hear_until(line, lambda message: message["source"] == "live"))[-1]
            assert not any(row["bids"] for row in other["books"])
            desk.step("okx", *okx_script())
            assert book((await hear_until(line, lambda message: book(message).get("bids")))[-1])["asks"][0] == [100.5, 0.75]
            desk.session = None
            nothing = (await hear_until(line, lambda message: message["trouble"]))[-1]
            assert nothing["trouble"] == "the engine is still starting" and not book(nothing)["bids"]

    asyncio.run(scene())


def test_levels_of_a_book_that_is_not_live_are_held_back_whoever_gives_them() -> None:
    async def scene(house: House) -> None:
        async with dial(house, "okx") as line:
            assert book(await hear(line))["bids"]
            house.publisher.publish({"instruments": [instrument("okx", "BTC-USDT", state="STALE")]})
            stale = (await hear_until(line, book))[-1]
            assert book(stale)["state"] == "STALE" and book(stale)["bids"] == book(stale)["asks"] == []

    with serving() as house:
        asyncio.run(scene(house))


# -- one symbol --------------------------------------------------------------------------------------------------------
def test_the_ticker_tells_each_venue_the_best_of_all_and_the_spread_also_when_it_is_crossed(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "ticker/BTC-USDT") as line:
            first = await hear(line)
            assert (first["type"], first["channel"]) == ("snapshot", "ticker/BTC-USDT")
            assert {row["venue"]: (row["bid"], row["ask"]) for row in first["venues"]} == dict.fromkeys(VENUES, (100.0, 100.5))
            assert first["best"]["spread"] == 0.5 and first["best"]["spread_bps"] == pytest.approx(49.87531)
            desk.step("okx", okx_book("update", 121, 120, [("100.7", "2")], [("100.5", "0"), ("100.6", "0"), ("100.7", "0")]))
            heard = await hear_until(line, lambda message: message["venues"])
            assert [row["venue"] for row in heard[-1]["venues"]] == ["okx"]
            assert heard[-1]["best"]["bid"] == {"venue": "okx", "price": 100.7, "size": 2.0}
            assert heard[-1]["best"]["ask"] == {"venue": "binance_spot", "price": 100.5, "size": 0.75}
            assert heard[-1]["best"]["spread"] == pytest.approx(-0.2)
            assert [message["seq"] for message in heard] == list(range(first["seq"] + 1, first["seq"] + 1 + len(heard)))

    asyncio.run(scene())


def test_prices_that_a_row_still_has_though_its_book_is_not_live_are_left_out() -> None:
    rows = touches([instrument("okx", "BTC-USDT", state="STALE", bid=101.0), instrument("kraken", "BTC-USDT", bid=None)], "BTC-USDT")
    assert rows["okx"]["bid"] is None and rows["okx"]["ask"] is None
    assert best(rows.values()) == {"bid": None, "ask": {"venue": "kraken", "price": 100.5, "size": 2.0}, "spread": None, "spread_bps": None}


def test_a_book_that_is_watched_no_more_goes_from_the_screen(house: House, desk: Desk) -> None:
    async def scene() -> None:
        async with dial(house, "ticker/ETH-USDT") as line:
            first = await hear(line)
            desk.publisher.publish({"instruments": [row for row in full()["instruments"] if row["symbol"] != "ETH-USDT"]})
            last = (await hear_until(line, lambda message: message["trouble"]))[-1]
            assert (last["type"], last["venues"], last["seq"] > first["seq"]) == ("snapshot", [], True)
            assert last["trouble"] == "there is no order book of ETH-USDT at present"

    desk.publisher.publish({"instruments": full()["instruments"]})
    asyncio.run(scene())
