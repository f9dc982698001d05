"""Who may listen to a relay, to what, what a hostile client may do, what it all costs, and the relays of the program itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.house import House, dash_app, serving
from tests.api.listening import PATIENCE, becomes, book, dial, hear, hear_until
from tests.api.market_desk import FRESH_NS, Desk, live
from tests.api.test_live import silent_client
from tests.frames import okx_trade
from tests.program import Program, until

MANY = 1500  #: trades of one turn
READ, OPERATE = "reading-0123456789", "operate-0123456789"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return live(tmp_path)


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


def test_an_address_of_a_stream_is_no_page() -> None:
    with serving(app=dash_app()) as house:
        for path in ("/ws/okx", "/ws/ticker/BTC-USDT", "/ws/v1/live", "/ws/a/b/c"):
            answer = house.get(path)
            assert (answer.status_code, answer.json()["error"]) == (404, "there is nothing at this address"), path


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
            assert set(rows) == {"/ws/binance_spot", "/ws/okx", "/ws/features", "/ws/ticker/BTC-USDT", "/ws/ticker/ETH-USDT"} - (
                set() if "/ws/ticker/ETH-USDT" in rows else {"/ws/ticker/ETH-USDT"}
            )
            assert {name: row["subscribers"] for name, row in rows.items()} | {"/ws/ticker/ETH-USDT": 0} == {
                "/ws/okx": 2, "/ws/ticker/BTC-USDT": 1, "/ws/binance_spot": 0, "/ws/ticker/ETH-USDT": 0, "/ws/features": 0,
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
