"""The relays over real sockets: what the engine knows, once and in order, no price that is not known to be right, no harm by clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.api import relays
from dope.api.relayed import best, touches
from dope.relay import VenueReader
from dope.rows import RECENT
from tests.api.house import House, serving
from tests.api.market_desk import FRESH_NS, VENUES, Desk
from tests.api.publisher import full, instrument
from tests.api.test_live import silent_client
from tests.frames import closed, okx_book, okx_script, okx_trade, spot_script
from tests.program import Program, until

PATIENCE = 60  #: messages that may come before what is waited for, at least one a second; never how long it took
MANY = 1500  #: trades of one turn
READ, OPERATE = "reading-0123456789", "operate-0123456789"
Message = dict[str, Any]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Both venues' books of BTC-USDT are live: 100 … 100.5."""
    desk = Desk(tmp_path)
    desk.step("okx", *okx_script())
    desk.step("binance_spot", *spot_script())
    return desk


@pytest.fixture
def house(desk: Desk) -> Iterator[House]:
    with serving(desk.publisher) as house:
        yield house


@pytest.fixture(scope="module")
def quiet() -> Iterator[House]:
    """One market for all that changes nothing: three venues that are published by hand."""
    with serving() as house:
        house.publisher.board.publish(time.time_ns() + FRESH_NS, {})
        yield house


def dial(house: House, path: str, **options: Any) -> connect:
    given = {"origin": house.url, "compression": None, "max_size": None, **options}
    return connect(f"ws://127.0.0.1:{house.port}/ws/{path}", **given)


async def hear(line: ClientConnection) -> Message:
    message: Message = orjson.loads(await line.recv())
    return message


async def hear_until(line: ClientConnection, condition: Callable[[Message], Any]) -> list[Message]:
    """All messages up to the first of which that is true."""
    heard = [await hear(line)]
    while not condition(heard[-1]):
        assert len(heard) < PATIENCE, "it never came"
        heard.append(await hear(line))
    return heard


async def becomes(condition: Callable[[], Any], what: str) -> None:
    for _ in range(100 * PATIENCE):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never: {what}")


def book(message: Message, key: str = "okx:BTC-USDT") -> dict[str, Any]:
    """The newest row of one book, {} when the message has none."""
    return next((row for row in message["books"] if row["key"] == key), {})


def ids(heard: list[Message]) -> list[str]:
    return [trade["id"] for message in heard for trade in message["trades"]]


async def end_of(house: House, path: str, *said: str, **options: Any) -> tuple[int, str] | str:
    """Code or status and reason of the end; or the kind of the first message."""
    try:
        async with dial(house, path, **options) as line:
            for text in said:
                await line.send(text)
            return str((await hear(line))["type"])
    except InvalidStatus as refused:
        return refused.response.status_code, ""
    except ConnectionClosed as ended:
        return (ended.rcvd.code, ended.rcvd.reason) if ended.rcvd else (1006, "")


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


def test_a_silent_venue_is_told_once_a_second_that_nothing_changed(quiet: House) -> None:
    async def scene() -> None:
        async with dial(quiet, "okx") as line:
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


# -- who may listen, and to what -----------------------------------------------------------------------------------------
UNKNOWN = {
    "nowhere": "unknown venue 'nowhere'", "OKX": "unknown venue 'OKX'", "ticker": "unknown venue 'ticker'",
    "okx%0A": r"unknown venue 'okx\n'; did you mean okx", "ticker/BTC-USD": "unknown symbol 'BTC-USD'; did you mean BTC-USDT",
    "ticker/btc-usdt": "unknown symbol", "ticker/BTC-USDT%0A": r"unknown symbol 'BTC-USDT\n'", "ticker/BTC_USDT": "unknown symbol",
    "ticker/%2e%2e": "unknown symbol '..'", "okx?symbol=XRP-USDT": "unknown symbol 'XRP-USDT'", "okx?symbol=": "unknown symbol ''",
}  # fmt: skip


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_nobody_knows_is_closed_with_4404_and_its_name(quiet: House, path: str) -> None:
    ended = asyncio.run(end_of(quiet, path))
    assert ended[0] == 4404 and ended[1].startswith(UNKNOWN[path]), ended


@pytest.mark.parametrize("depth", ["0", "51", "-1", "1e1", "٣", "", "20.0", "9" * 400])
def test_a_depth_that_cannot_be_meant_is_refused(quiet: House, depth: str) -> None:
    assert asyncio.run(end_of(quiet, f"okx?depth={depth}")) == (4400, "depth must be a whole number from 1 to 50")


def test_before_the_engine_has_published_anything_clients_shall_come_back_later(desk: Desk) -> None:
    desk.publisher.board.__init__()  # type: ignore[misc]  # as it was before
    with serving(desk.publisher) as house:
        assert asyncio.run(end_of(house, "okx")) == (1013, "the engine is still starting")


def test_a_page_of_another_site_gets_nothing(quiet: House) -> None:
    for path in ("okx", "ticker/BTC-USDT"):
        for origin in ("https://evil.test", "null", None):
            assert asyncio.run(end_of(quiet, path, origin=origin)) == (403, "")


@pytest.mark.parametrize("path", ["okx", "ticker/BTC-USDT"])
def test_with_tokens_header_or_first_message_lets_in_and_nothing_else(desk: Desk, path: str) -> None:
    def auth(token: str) -> str:
        return orjson.dumps({"type": "auth", "token": token}).decode()

    with serving(desk.publisher, api_token=OPERATE, read_token=READ) as house:
        house.app.state.relays.manager.auth_s = 0.3
        bearer = {"additional_headers": {"Authorization": f"Bearer {READ}"}}
        no = (1008, "the first message must be the token")
        assert asyncio.run(end_of(house, path, **bearer)) == "snapshot"
        assert asyncio.run(end_of(house, path, origin=None, **bearer)) == "snapshot"
        assert asyncio.run(end_of(house, path, auth(READ))) == "snapshot"
        assert asyncio.run(end_of(house, path)) == no
        assert asyncio.run(end_of(house, path, auth("x" * 20))) == no
        assert asyncio.run(end_of(house, path, '{"type":"resync"}')) == no
        assert asyncio.run(end_of(house, "nowhere")) == no, "who may not read is not told what there is"
        assert asyncio.run(end_of(house, path, additional_headers={"Authorization": "Bearer " + "x" * 20})) == (401, "")
        assert house.get("/api/v1/relays").status_code == 401


# -- hostile clients -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "code"), [("hello", 1008), ('{"type":"subscribe"}', 1008), ('{"type":"ping","c":"' + "x" * 70_000 + '"}', 1009)]
)
def test_what_is_no_message_of_ours_ends_the_connection(quiet: House, text: str, code: int) -> None:
    async def scene() -> int | None:
        async with dial(quiet, "okx") as line:
            await line.send(text)
            with pytest.raises(ConnectionClosed) as ended:
                for _ in range(PATIENCE):
                    await line.recv()
            return ended.value.rcvd.code if ended.value.rcvd else None

    assert asyncio.run(scene()) == code


def test_pings_are_answered_and_a_resync_brings_everything_again(quiet: House) -> None:
    async def scene() -> None:
        async with dial(quiet, "okx") as line:
            first = await hear(line)
            await line.send('{"type":"ping","c":12.5}')
            assert (await hear_until(line, lambda message: message["type"] == "pong"))[-1]["c"] == 12.5
            await line.send('{"type":"resync"}')
            again = (await hear_until(line, lambda message: message["type"] == "snapshot"))[-1]
            assert book(again) == book(first) and again["seq"] >= first["seq"] and again["trades"] == []

    asyncio.run(scene())


def test_the_places_are_those_of_all_streams_together(desk: Desk) -> None:
    async def scene(house: House) -> None:
        async with house.connect() as live, dial(house, "okx") as line:
            await asyncio.gather(live.recv(), line.recv())
            assert await end_of(house, "okx") == (503, "")
            assert await end_of(house, "ticker/BTC-USDT") == (503, "")

    with serving(desk.publisher, max_clients=2) as house:
        asyncio.run(scene(house))


def test_one_that_never_reads_is_closed_and_costs_the_others_nothing(house: House, desk: Desk) -> None:
    """The channel is as busy as it can be; what one client does not take is not kept for it."""

    async def scene() -> None:
        hub = house.app.state.relays
        hub.manager.drain_s = 1.0
        silent = silent_client(house, "/ws/okx?depth=50")
        async with dial(house, "okx?depth=50") as line:
            await hear(line)
            number, seqs = 0, []
            while not hub.counts["evicted"]:
                number += 1
                assert number < 1000, "it is never closed"
                desk.step("okx", *(okx_trade(number * MANY + n, "100.5", "0.25", sold=False) for n in range(MANY)))
                message = await hear(line)
                seqs.append(message["seq"])
                assert message["type"] == "update"
            heard = await hear_until(line, lambda message: message["trades_total"] == number * MANY)
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) and heard[-1]["missed"] == 0
            for _ in range(PATIENCE):
                if house.connections() > 1:
                    await line.recv()
            assert house.connections() == 1, "its socket is let go"
        silent.close()

    asyncio.run(scene())


# -- what it costs -------------------------------------------------------------------------------------------------------
def test_however_many_listen_the_engine_is_read_ten_times_a_second_at_most_and_never_for_nobody(house: House, desk: Desk) -> None:
    async def scene() -> None:
        hub = house.app.state.relays
        for _ in range(3):
            desk.show()
        assert desk.reads == 0 and hub._task is None
        loop = asyncio.get_running_loop()
        lines = [await dial(house, path) for path in ("okx", "okx?depth=1", "okx?symbol=BTC-USDT", "okx") * 3]
        began, before = loop.time(), desk.reads
        while loop.time() < began + 1.0:
            desk.show()
            await asyncio.sleep(0.005)
        turns = 2  # of the engine for each look: which books there are, then what changed
        assert 1 <= (desk.reads - before) / turns <= 10 * (loop.time() - began) + 2
        for line in lines:
            await line.close()
        await becomes(lambda: not hub._open and hub._task.done(), "the end of the broadcaster")
        before = desk.reads
        desk.show()
        await asyncio.sleep(0.25)
        assert desk.reads == before and desk.publisher.board._followers == ()

    asyncio.run(scene())


def test_who_listens_is_counted_per_channel(house: House) -> None:
    async def scene() -> None:
        async with dial(house, "okx") as one, dial(house, "okx?depth=5") as two, dial(house, "ticker/BTC-USDT") as three:
            await asyncio.gather(*(hear(line) for line in (one, two, three)))
            await hear(one)
            rows = {row["channel"]: row for row in house.get("/api/v1/relays").json()}
            assert set(rows) == {"/ws/binance_spot", "/ws/okx", "/ws/ticker/BTC-USDT", "/ws/ticker/ETH-USDT"} - (
                set() if "/ws/ticker/ETH-USDT" in rows else {"/ws/ticker/ETH-USDT"}
            )
            assert {name: row["subscribers"] for name, row in rows.items()} | {"/ws/ticker/ETH-USDT": 0} == {
                "/ws/okx": 2, "/ws/ticker/BTC-USDT": 1, "/ws/binance_spot": 0, "/ws/ticker/ETH-USDT": 0,
            }  # fmt: skip
            assert rows["/ws/okx"]["messages"] >= 3 and rows["/ws/binance_spot"]["messages"] == 0
            assert 'dope_relay_clients{channel="okx"} 2.0' in house.get("/metrics").text
        await becomes(lambda: not house.app.state.relays.clients(), "that nobody listens")
        assert (await end_of(house, "nowhere"))[0] == 4404
        assert "nowhere" not in house.get("/metrics").text, "no name from outside makes a series"
        rows = {row["channel"]: row for row in house.get("/api/v1/relays").json()}
        assert (rows["/ws/okx"]["subscribers"], rows["/ws/okx"]["messages"] >= 3) == (0, True), "what was sent stays counted"

    asyncio.run(scene())


# -- the program -----------------------------------------------------------------------------------------------------------
def test_the_program_relays_each_trade_of_a_venue_as_its_history_has_it(tmp_path: Path) -> None:
    async def scene(program: Program) -> list[dict[str, Any]]:
        base = program.url.replace("http", "ws", 1)
        async with connect(f"{base}/ws/okx", origin=program.url, max_size=None) as line:
            first = await hear(line)
            assert {row["symbol"] for row in first["books"]} == {"BTC-USDT", "ETH-USDT", "SOL-USDT"} | {
                f"{base}-USDT-PERP" for base in ("BTC", "ETH", "SOL")
            }
            seq, trades = first["seq"], []
            while len({trade["received_ms"] for trade in trades}) < 12:
                message = await hear(line)
                assert (message["seq"], message["missed"]) == (seq + 1, 0)
                seq, trades = message["seq"], trades + message["trades"]
                for row in message["books"]:
                    assert bool(row["bids"]) == (row["state"] == "LIVE")
            return trades

    with Program(tmp_path, "--source", "sim", costly_per_min=100_000) as program:
        until(lambda: {row["id"]: row["books_live"] for row in program.live()["venues"]}["okx"] == 6, "the books of a venue")
        trades = asyncio.run(scene(program))
        for symbol in {trade["symbol"] for trade in trades}:
            told = [trade["id"] for trade in trades if trade["symbol"] == symbol]
            path = f"/api/v1/history/trade?symbol={symbol}&start={trades[0]['received_ms']}&limit=10000"

            def recorded(path: str = path, last: str = told[-1]) -> list[str]:
                """The venue's trades that history has, once the last of ours is among them."""
                found = [row["trade_id"] for row in program.get(path).json()["rows"] if row["venue"] == "okx"]
                return found if last in found else []

            there: list[str] = until(recorded, "the trades in history")
            assert there[there.index(told[0]) : there.index(told[-1]) + 1] == told, "each once, in order, none left out"
