"""What was published can be had again, at any instant, from the log and the seed's twin."""

from __future__ import annotations

import asyncio

import pytest

from dope.sim.market import SampleMarket
from dope.sim.truth_log import DEPTH, TOUCH, Published, Row, TruthLog
from dope.sim.venue import listings
from dope.sim.world import World
from tests.sim.recipes import OkxBook, hear, open_ws, world

KEY = "okx:BTC-USDT"


async def listen(made: World, url: str, steps: int) -> dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """A client of OKX that hears one book to the end of each step: step → (bids, asks) as (tick, lots), best first."""
    spec, heard, told = made.sample.markets[KEY].spec, OkxBook(), {}
    async with open_ws(f"{url}/ws/v5/public") as ws:
        await ws.send('{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}')
        await hear(ws)
        for _ in range(steps):
            sent = made.servers["okx"].port.sent
            made.advance()
            if made.servers["okx"].port.sent > sent:
                message = await hear(ws)
                if not heard.take(message):
                    break
                sides = [
                    sorted(((round(float(p) * 1e6) // spec.tick_e6, round(float(q) * 1e8) // spec.lot_e8) for p, q in side.items()))
                    for side in heard.book.sides
                ]
                told[made.sample.steps] = sides[0][::-1][:50], sides[1][:50]
    return told


def again(made: World, steps: list[int]) -> dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """The same from the log and a twin."""
    published, found = Published(made.log.rows(), SampleMarket(7, made.sample.listings)), {}
    for _ in range(made.sample.steps):
        for _ in published.step():
            pass
        if published.twin.steps in steps:
            sides = published.shown[KEY].sides()
            assert sides is not None
            found[published.twin.steps] = sides
    return found


def test_the_published_book_of_any_step_is_what_a_client_had_then() -> None:
    async def run() -> None:
        async with world(venues=("okx",)) as (made, endpoints):
            heard = await listen(made, endpoints["okx"]["ws"], 400)
            assert len(heard) >= 20
            assert again(made, list(heard)) == heard

    asyncio.run(run())


def test_what_was_published_and_sent_to_nobody_is_a_row_too_and_says_so() -> None:
    async def run() -> None:
        async with world(venues=("okx",)) as (made, endpoints):
            made.faults.drop("okx", "BTC-USDT")
            await listen(made, endpoints["okx"]["ws"], 400)
            lost = [row for row in made.log.rows() if row.lost]
            assert [(row.key, row.channel) for row in lost] == [(KEY, DEPTH)]
            assert again(made, [lost[0].step]), "the book that nobody heard can be had, too"

    asyncio.run(run())


@pytest.mark.parametrize("venue", ["okx", "binance_usdm", "bybit", "gemini", "mexc"])
def test_a_venue_says_which_of_its_topics_carry_depth_and_which_the_touch(venue: str) -> None:
    made = World(7, venues=(venue,), speed=0.0)
    native = next(iter(made.sample.markets.values())).spec.native
    topics = {
        "okx": (f"books:{native}", f"bbo-tbt:{native}", f"mark-price:{native}"),
        "binance_usdm": (f"{native.lower()}@depth@100ms", f"{native.lower()}@bookTicker", f"{native.lower()}@markPrice"),
        "bybit": (f"orderbook.50.{native}", f"orderbook.1.{native}", f"kline.1.{native}"),
        "gemini": (f"{native}@depth@100ms", f"{native}@bookTicker", "heartbeat"),
        "mexc": (
            f"spot@public.aggre.depth.v3.api.pb@100ms@{native}", f"spot@public.aggre.bookTicker.v3.api.pb@10ms@{native}",
            f"spot@public.kline.v3.api.pb@{native}@Min1",
        ),
    }[venue]  # fmt: skip
    for topic in topics:
        made.servers[venue].voice.said(topic, lost=False)
    assert [row.channel for row in made.log.rows()] == [DEPTH, TOUCH]


def test_the_log_is_bounded_and_can_be_kept_in_a_file() -> None:
    sample, lines = SampleMarket(7, listings(("okx",))), list[bytes]()
    log = TruthLog(sample, kept=100, write=lines.append)
    for _ in range(150):
        sample.step()
        log.note(KEY, DEPTH, 0, lost=sample.steps == 149)
    assert len(log) == 100 and log.forgotten == 50
    whole = TruthLog(sample)
    whole.load(b"".join(lines))
    assert list(whole.rows())[50:] == list(log.rows()) and list(whole.rows())[148] == Row(149, KEY, DEPTH, 0, True)
