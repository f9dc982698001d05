"""A recorded tape over real sockets: its own bytes, its own REST answers, fresh acknowledgements."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from dope.sim.playback import Playback, family, subject
from dope.types import CLOSED, DATA, OPEN, REPLY, SENT, TICK, Frame, ReplyInfo
from tests.sim.recipes import BinanceBook, ask, get, hear, open_ws

WIRE = Path(__file__).parents[3] / "shared" / "data" / "wire"
S = 1_000_000_000
T0 = 1_723_161_255 * S


def data(at_s: float, venue: str, text: str, conn: int = 1) -> Frame:
    return Frame(T0 + round(at_s * S), venue, conn, DATA, text.encode())


def reply(at_s: float, venue: str, key: str, url: str, body: str) -> Frame:
    head = msgspec.json.encode(ReplyInfo(key=key, status=200, url=url))
    return Frame(T0 + round(at_s * S), venue, 1, REPLY, head + b"\n" + body.encode())


def depth(first: int, last: int, price: str, size: str) -> str:
    return (
        f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{first},"u":{last},'
        f'"b":[["{price}","{size}"]],"a":[]}}}}'
    )


SPOT_TAPE = [
    Frame(T0, "binance_spot", 1, OPEN, b'{"plan":"market","url":"wss://example.invalid/stream","symbols":null}'),
    Frame(T0, "binance_spot", 1, SENT, b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}'),
    data(0.0, "binance_spot", '{"result":null,"id":1}'),
    data(0.0, "binance_spot", '{"code":2,"msg":"Invalid request: recorded","id":4}'),
    data(0.1, "binance_spot", depth(11, 13, "61737.63000000", "1.00000000")),
    Frame(T0 + S // 5, "", 0, TICK, b"0"),
    data(0.2, "binance_spot", depth(14, 16, "61737.64000000", "2.00000000")),
    reply(
        0.3, "binance_spot", "depth:BTCUSDT", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000",
        '{"lastUpdateId":15,"bids":[["61737.63000000","1.00000000"]],"asks":[["61800.00000000","3.00000000"]]}',
    ),
    data(0.4, "binance_spot", depth(17, 17, "61737.63000000", "0.00000000")),
    data(0.4, "okx", '{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"recorded"}', conn=2),
    data(0.5, "okx", '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px": "1.50","odd": true}]}', conn=2),
    data(0.5, "okx", '{"arg":{"channel":"trades","instId":"ETH-USDT"},"data":[]}', conn=2),
    data(0.5, "okx", '{"event":"notice","code":"64008","msg":"soon","connId":"x"}', conn=2),
    Frame(T0 + S, "okx", 2, CLOSED, b'{"code":1006,"reason":"cut"}'),
]  # fmt: skip


@asynccontextmanager
async def playing(frames: list[Frame], *venues: str, speed: float = 5.0) -> AsyncIterator[tuple[Playback, dict[str, dict[str, str]]]]:
    playback = Playback(iter(frames), venues, speed=speed)
    try:
        yield playback, await playback.start()
    finally:
        await playback.stop()


def test_a_tape_goes_out_byte_for_byte_with_fresh_acks_and_its_rest_answer_syncs_the_book() -> None:
    async def run() -> None:
        async with playing(SPOT_TAPE, "binance_spot", "okx") as (playback, endpoints):
            spot, okx = open_ws(endpoints["binance_spot"]["ws"] + "/stream"), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public")
            async with spot as one, okx as other:
                fresh = await ask(one, {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 77})
                assert fresh == {"result": None, "id": 77}
                early = asyncio.create_task(get(endpoints["binance_spot"]["rest"] + "/api/v3/depth?symbol=BTCUSDT&limit=1000"))
                ack = await ask(other, '{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}')
                assert ack["event"] == "subscribe" and ack["connId"] != "recorded"
                got = [await one.recv() for _ in range(3)]
                assert [text.encode() for text in got if isinstance(text, str)] == [SPOT_TAPE[n].data for n in (4, 6, 8)]
                book = BinanceBook((await early).json(), chained=False)
                assert all(book.take(json.loads(text)["data"]) for text in got)
                assert book.book.sides == ({"61737.64000000": "2.00000000"}, {"61800.00000000": "3.00000000"})
                assert (await other.recv(), await other.recv()) == (SPOT_TAPE[10].data.decode(), SPOT_TAPE[12].data.decode())
                await playback.wait()
                missing = await get(endpoints["binance_spot"]["rest"] + "/api/v3/depth?symbol=ETHUSDT")
                assert missing.status_code == 503

    asyncio.run(run())


def test_a_client_of_another_stream_of_the_same_family_gets_what_was_recorded() -> None:
    trade = '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}'
    aggregate = '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"1","q":"1","T":1,"m":true}}'
    other = '{"stream":"ethusdt@trade","data":{"e":"trade","s":"ETHUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}'
    bare = '{"e":"trade","s":"BTCUSDT","t":2,"p":"1","q":"1","T":1,"m":true}'

    async def run() -> None:
        frames = [data(0.1 * n, "binance_usdm", text) for n, text in enumerate((other, trade, aggregate, bare))]
        async with playing(frames, "binance_usdm", speed=0) as (playback, endpoints):
            market, public = (open_ws(f"{endpoints['binance_usdm']['ws']}/{side}/stream") for side in ("market", "public"))
            async with market as late, public as early:
                await ask(early, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
                await ask(late, {"method": "SUBSCRIBE", "params": ["ethusdt@aggTrade"], "id": 1})
                await playback.wait()
                assert [await early.recv(), await early.recv()] == [trade, bare]
                assert await late.recv() == other

    asyncio.run(run())


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', ("BTCUSDT", "depth@100ms")),
        (b'{"arg":{"instId":"BTC-USDT-SWAP","channel":"books-l2-tbt"},"action":"update"}', ("BTC-USDT-SWAP", "books-l2-tbt")),
        (b'{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"1","A":"1"}', ("BTCUSDT", "bookTicker")),
        (b"nothing to read", None),
    ],
)
def test_the_subject_of_a_frame_is_read_from_any_of_its_forms(frame: bytes, expected: tuple[str, str] | None) -> None:
    assert subject(frame) == expected


def test_channels_that_mean_the_same_are_one_family() -> None:
    assert {family(name) for name in ("depth@0ms", "depth20@100ms", "books", "books-l2-tbt")} == {"depth"}
    assert {family(name) for name in ("trade", "aggTrade", "trades", "trades-all")} == {"trade"}
    assert {family(name) for name in ("bookTicker", "bbo-tbt")} == {"touch"}


def test_a_recording_of_binance_syncs_end_to_end_and_loses_no_byte() -> None:
    folder = WIRE / "binance_spot"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    name = folder / "hft_20240808_btcusdt"
    with gzip.open(f"{name}.jsonl.gz", "rb") as lines, gzip.open(f"{name}.recv_ns.gz", "rt") as times:
        recorded = zip(lines, times, range(4000), strict=False)
        frames = [Frame(int(at), "binance_spot", 1, DATA, line.rstrip(b"\n")) for line, at, _ in recorded]
    with gzip.open(f"{name}.side.tsv.gz", "rt") as side:
        at, _, url, body = side.readline().rstrip("\n").split("\t")
    head = msgspec.json.encode(ReplyInfo(key="depth:BTCUSDT", status=200, url=url))
    frames = sorted([*frames, Frame(int(at), "binance_spot", 1, REPLY, head + b"\n" + body.encode())], key=lambda frame: frame.ts)

    async def run() -> None:
        async with playing(frames, "binance_spot", speed=0) as (_, endpoints):
            async with open_ws(endpoints["binance_spot"]["ws"] + "/stream") as ws:
                streams = ["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade"]
                await ask(ws, {"method": "SUBSCRIBE", "params": streams, "id": 1})
                got = [await asyncio.wait_for(ws.recv(), 20) for _ in range(4000)]
            assert [str(text).encode() for text in got] == [frame.data for frame in frames if frame.kind == DATA]
            snapshot = (await get(endpoints["binance_spot"]["rest"] + "/api/v3/depth?symbol=BTCUSDT&limit=1000")).json()
            book, taken = BinanceBook(snapshot, chained=False), 0
            for text in got:
                message = json.loads(text)
                if message["stream"].endswith("depth@100ms"):
                    assert book.take(message["data"])
                    taken += 1
            assert taken > 200 and max(map(float, book.book.sides[0])) < min(map(float, book.book.sides[1]))

    asyncio.run(run())


def test_speed_is_kept() -> None:
    """With a clock of its own: a frame never goes out before its time."""

    async def run() -> None:
        now = [0.0]
        frames = [data(at, "okx", f'{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{at}]}}') for at in (0.0, 10.0)]
        playback = Playback(iter(frames), ["okx"], speed=2.0, clock=lambda: now[0])
        endpoints = await playback.start()
        async with open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, '{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}')
            assert (await hear(ws))["data"] == [0.0]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.recv(), 0.1)
        await playback.stop()

    asyncio.run(run())
