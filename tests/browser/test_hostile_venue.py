"""A hostile venue, over its real sockets: what it says in messages, errors, notices, closes and answers stays text on the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.browser.hostile import PAGES, PAYLOADS, PLANTED, Eye
from tests.exchange import Exchange
from tests.program import Program, until

pytestmark = pytest.mark.browser


def said_by_okx(text: str) -> list[str]:
    """Everything in which this venue may bring words of its own."""
    arg = {"channel": "books", "instId": text}
    return [
        json.dumps({"event": "error", "code": "60018", "msg": text, "connId": text}),
        json.dumps({"event": "notice", "code": text, "msg": text, "connId": text}),
        json.dumps({"event": "subscribe", "arg": arg, "connId": text}),
        json.dumps({"event": text, "arg": arg}),
        json.dumps({"arg": arg, "action": text, "data": [{"asks": [[text, text, "0", "1"]], "bids": [], "ts": text, "seqId": text}]}),
        json.dumps({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [{"instId": "BTC-USDT", "tradeId": text, "px": text}]}),
        text,
    ]


def said_by_binance(text: str) -> list[str]:
    depth = {"e": "depthUpdate", "E": text, "s": text, "U": 1, "u": 2, "b": [[text, text]], "a": []}
    return [
        json.dumps({"error": {"code": -1121, "msg": text}, "id": 1}),
        json.dumps({"result": text, "id": text}),
        json.dumps({"stream": text, "data": depth}),
        json.dumps({"stream": "btcusdt@trade", "data": {"e": "trade", "E": 1, "s": "BTCUSDT", "t": text, "p": text, "q": "1", "T": 1}}),
        json.dumps({"stream": "btcusdt@depth@100ms", "data": {**depth, "s": "BTCUSDT"}}),
        json.dumps({text: text}),
    ]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Exchange]]:
    exchange = Exchange()
    exchange.up()
    with Program(tmp_path_factory.mktemp("hostile"), "--source", "live", endpoints=exchange.endpoints) as program:
        program.wait_ready()
        yield program, exchange
    exchange.close()


def shout(exchange: Exchange) -> None:
    """All payloads in all forms over the open sockets, then closes that carry one as their reason."""
    faults = exchange.world.faults

    async def scene() -> None:
        for n, text in enumerate(PAYLOADS):
            for frame in said_by_okx(text):
                faults.raw("okx", frame)
            for frame in said_by_binance(text):
                faults.raw(("binance_spot", "binance_usdm")[n % 2], frame)
            await asyncio.sleep(0)
        for n, venue in enumerate(("okx", "binance_spot", "binance_usdm")):
            await faults.kick(venue, 4000, PAYLOADS[1 + n][:100])

    exchange._do(scene())


def labels(program: Program) -> set[tuple[str, str]]:
    """All labels of the metrics and their values; the quantiles of delays come with the first of them."""
    families = text_string_to_metric_families(program.get("/metrics").text)
    return {label for family in families for sample in family.samples for label in sample.labels.items() if label[0] != "quantile"}


def test_nothing_that_a_venue_says_runs_on_any_page(browser: Any, hostile: tuple[Program, Exchange]) -> None:
    program, exchange = hostile
    eye = Eye(browser, policy=False)  # what does not even run without the policy is no attempt against it
    page = eye.open(program.url + "/?tour=0")
    before = labels(program)
    shout(exchange)
    told = until(lambda: [e["text"] for e in program.live()["events"] if "x(" in e["text"]], "words of the venue on the event tape")
    assert len(set(told)) >= 10
    until(lambda: any("x(" in (row["last_error"] or "") for row in program.live()["venues"]), "the reason of a close")
    page.wait_for_function("document.querySelector('#tape-rows').textContent.includes('x(')")
    page.evaluate("document.querySelectorAll('#venues button').forEach((b) => b.click())")
    page.evaluate("document.querySelectorAll('#tape-rows .ev').forEach((b) => b.click())")
    for path in PAGES:
        page.evaluate("(path) => document.querySelector(`.rail a[href='${path}']`).click()", path)
        assert page.evaluate(PLANTED) == []
    assert eye.ran == []
    eye.close()
    assert labels(program) <= before, "no text of a venue becomes a label"
    log = program.log.splitlines()
    assert not [line for line in log if "\x1b" in line or "\x01" in line or "\u202e" in line], "one event is one clean line"
    until(lambda: all(row["state"] == "LIVE" for row in program.live()["instruments"]), "the market goes on")
