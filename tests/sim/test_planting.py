"""Faults are planted, dated, numbered and healed; what they did stands in the journal."""

from __future__ import annotations

import asyncio
import json

import pytest

from dope.errors import BadFault, UnknownName
from dope.sim.journal import Fault, Journal
from dope.sim.kinds import KINDS
from dope.sim.wires import WIRES, levels, read, wire, written
from tests.sim.recipes import OkxBook, ask, hear, open_ws, world

BOOKS = {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]}


async def holes(fault: Fault, *, steps: int = 2000) -> tuple[int, int, dict[str, object]]:
    """(messages heard, holes in their numbers, params of the closed entry) of an OKX book that suffers this fault."""
    async with world(venues=("okx",)) as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
        await ask(ws, BOOKS)
        made.advance(20)
        planted = made.faults.inject(fault)
        made.advance(steps)
        made.faults.heal(planted.id)
        await ws.send("ping")
        book, count, missed = OkxBook(), 0, 0
        while (message := await hear(ws)) != "pong":
            count += 1
            if not book.take(message):
                missed += 1
                book.last = message["data"][0]["seqId"]
        return count, missed, dict(next(entry for entry in made.journal.entries if entry.id == planted.id).params)


def test_a_fault_happens_as_often_as_it_was_asked_for_and_the_journal_says_how_often() -> None:
    _, missed, told = asyncio.run(holes(Fault(kind="gap", venue="okx", symbol="BTC-USDT", params={"times": 2})))
    assert told["done"] == 2 and missed in (1, 2)  # two in a row are one hole


def test_the_dice_of_a_seed_fall_alike_and_those_of_another_otherwise() -> None:
    def one(seed: int) -> tuple[int, int, dict[str, object]]:
        return asyncio.run(holes(Fault(kind="gap", venue="okx", symbol="BTC-USDT", p=0.3, seed=seed, params={"times": 0})))

    first = one(1)
    assert first == one(1) != one(2)
    assert 0 < first[1] < first[0]


def test_a_fault_begins_and_ends_at_its_virtual_times() -> None:
    async def run() -> None:
        lines: list[bytes] = []
        async with world(venues=("okx",), journal=Journal(write=lines.append)) as (made, _):
            begun = made.sample.now_ms
            planted = made.faults.inject(Fault(kind="ack_mute", venue="okx", at_s=1.0, duration_s=2.0))
            port = made.servers["okx"].port
            muted = []
            for _ in range(400):
                made.advance()
                muted.append(port.muted)
            assert muted.index(True) == 99 and muted.count(True) == 200
            ended = next(entry.end_ms for entry in made.journal.entries if entry.id == planted.id)
            assert (planted.start_ms, ended) == (begun + 1000, begun + 3000)
            assert [json.loads(line)["end_ms"] for line in lines if b"ack_mute" in line] == [0, begun + 3000] and not made.faults.active
            other = made.faults.inject(Fault(kind="freeze", venue="okx", at_s=1.0))
            made.faults.heal(other.id)
            made.advance(200)
            assert not port.frozen, "healed before it began"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="gapp", venue="okx"), "did you mean gap"),
        (Fault(kind="gap", venue="okex"), "did you mean okx"),
        (Fault(kind="gap", venue="okx", symbol="XYZ-USDT"), "unknown market"),
        (Fault(kind="gap", venue="okx", params={"n": 1}), "it has times"),
        (Fault(kind="gap", venue="okx", params={"times": "1"}), "must be like 1"),
        (Fault(kind="huge", venue="okx", params={"mib": 4096}), "must be like 64"),
        (Fault(kind="gap", venue="okx", p=0.0), "above 0"),
        (Fault(kind="gap", venue="okx", at_s=-1.0), "from 0 on"),
        (Fault(kind="gap", venue="okx", at_s=float("nan")), "from 0 on"),
        (Fault(kind="gzip_bomb", venue="okx"), "cannot happen at okx"),
    ],
)  # fmt: skip
def test_what_cannot_be_planted_is_refused_with_the_reason(fault: Fault, words: str) -> None:
    async def run() -> None:
        async with world(venues=("okx",)) as (made, _):
            with pytest.raises((UnknownName, BadFault), match=words):
                made.faults.inject(fault)
            assert not made.journal.entries and not made.faults.active

    asyncio.run(run())


def test_every_kind_says_what_it_is_and_what_is_due_and_can_happen_somewhere() -> None:
    for kind in KINDS.values():
        assert kind.sentence and not kind.sentence.endswith(".") and kind.sentence[0].islower(), kind.name
        assert kind.due in ("noticed", "silent", "closed", "nothing", "any")
        assert any(kind.at(venue) for venue in WIRES), kind.name


def test_a_message_that_is_read_and_written_is_the_same_to_the_last_digit() -> None:
    text = '{"b":[["91000.10","0.0"],["1e-7","3"]],"n":91000.100,"deep":[{"a":null,"é":true},-0.0,1E+2]}'
    assert written(read(text)) == text
    book = '{"data":[{"bids":[{"price":91000.10,"qty":0.50}],"asks":[]}]}'
    assert [level["price"] for level in levels(read(book), wire("kraken"))] == ["91000.10"]
    assert levels(read("[200001,[91004,2,-0.31275601],8,17]"), wire("bitfinex")) == [["91004", "2", "-0.31275601"]]
