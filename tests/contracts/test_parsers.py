"""No damaged message ever raises or is read as a number that cannot be: every venue's reader, thousands of times."""

from __future__ import annotations

import gzip
import math
import random
import re
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

from dope.types import DATA, REPLY, Bar, BookUpdate, Event, Fault, Frame, Funding, Quote, Trade
from dope.venues import VENUES, make
from tests.contracts.overheard import kinds, overheard
from tests.frames import play
from tests.venues import sample

IDS = [venue.ID for venue in VENUES if venue.BOOKS]
QUICK, FULL = 2_000, 20_000  #: examples per reader
FUZZ_S = 60.0  #: s of random bytes, all readers in turn
DECIMAL = re.compile(rb"(?<![\w.-])(?:\d+\.\d+(?![\w.-])|(?<=\")\d+(?=\"))")
IMPOSSIBLE = (b"-1.5", b"NaN", b"1e999", b"-Infinity", b"0.0")
PIECES = (
    b"-", b"e9", b"e999", b"NaN", b"Infinity", b"[", b"]", b"{", b'"', b"\\", b"0", b",", b":", b"null", b"true", b"\x00", b"\xff",
    b"1" * 40,
)  # fmt: skip


def damaged(text: bytes, chance: random.Random) -> bytes:
    """``text`` cut, changed, doubled or mixed up in one to four places."""
    made = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(6):
            case 0:
                del made[at:]
            case 1:
                made[at : at + 1] = bytes((chance.randrange(256),))
            case 2:
                made[at:at] = chance.choice(PIECES)
            case 3:
                made[at:at] = made[at : at + chance.randint(1, 30)]
            case 4:
                made[at : at + 1], made[:1] = made[:1], made[at : at + 1]
            case _:
                del made[at : at + chance.randint(1, 8)]
    return bytes(made)


def possible(event: Event) -> bool:
    """Whether every number of the event is one that can be."""
    if any(isinstance(value, float) and not math.isfinite(value) for value in msgspec.structs.astuple(event)):
        return False
    if isinstance(event, Trade):
        return event.price > 0.0 and event.size > 0.0 and event.side in ("buy", "sell", "")
    if isinstance(event, Quote):
        return min(event.bid, event.ask, event.bid_size, event.ask_size) >= 0.0
    if isinstance(event, Bar):
        return min(event.open, event.high, event.low, event.close) > 0.0 and event.volume >= 0.0
    return not isinstance(event, BookUpdate) or event.seq >= -1


def one(venue: str, frames: Sequence[Frame], chance: random.Random) -> None:
    """A fresh reader hears a session up to somewhere, one damaged message, and goes on."""
    machine = make(venue, ())
    at = chance.choice([n for n, frame in enumerate(frames) if frame.kind in (DATA, REPLY)])
    for frame in frames[:at]:
        machine.receive(frame)
    frame = frames[at]
    for event in machine.receive(Frame(frame.ts, frame.venue, frame.conn, frame.kind, damaged(frame.data, chance))):
        assert possible(event), event
    for frame in frames[at : at + 2]:
        machine.receive(frame)


def examples(venue: str, count: int) -> None:
    """``one``, so many times, each by dice of its own: what fails names its number. Shrinking would cost ten times the trial."""
    sessions = play(venue, sample(venue).script()), overheard(venue)
    for number in range(count):
        chance = random.Random(f"{venue} {number}")
        try:
            one(venue, chance.choice(sessions), chance)
        except Exception as error:
            error.add_note(f"damage number {number} of {venue}")
            raise


@pytest.mark.parametrize("venue", IDS)
def test_a_damaged_message_never_raises_and_brings_no_impossible_number(venue: str) -> None:
    examples(venue, QUICK)


@pytest.mark.parametrize("venue", IDS)
def test_everything_that_a_venue_tells_is_among_the_messages_that_are_damaged(venue: str) -> None:
    assert {Trade, BookUpdate} <= kinds(venue)
    assert {Quote, Bar} & kinds(venue) or venue in ("coinbase", "coinbase_exchange")  # which have neither
    assert Funding in kinds(venue) or not any(frame.data.count(b"unding") for frame in overheard(venue))


@pytest.mark.parametrize("venue", [venue for venue in IDS if venue != "mexc"])  # whose numbers are not written as text
def test_no_price_or_size_that_cannot_be_gets_in_wherever_it_stands(venue: str) -> None:
    frames, tried = overheard(venue), 0
    for at, frame in enumerate(frames):
        packed = frame.data[:2] == b"\x1f\x8b"
        text = gzip.decompress(frame.data) if packed else frame.data
        places = list(DECIMAL.finditer(text)) if frame.kind == DATA else []
        for place in places if len(places) <= 30 else (*places[:6], *places[-6:]):
            for number in IMPOSSIBLE:
                wrong = text[: place.start()] + number + text[place.end() :]
                machine = make(venue, ())
                for before in frames[:at]:
                    machine.receive(before)
                for event in machine.receive(Frame(frame.ts, venue, frame.conn, frame.kind, gzip.compress(wrong, 1) if packed else wrong)):
                    assert possible(event), (number, event)
                tried += 1
    assert tried >= 80


def test_a_snapshot_with_a_number_below_nought_is_none() -> None:
    frames = play("okx", sample("okx").script())
    at = next(n for n, frame in enumerate(frames) if b'"snapshot"' in frame.data)
    machine = make("okx", ())
    for frame in frames[:at]:
        machine.receive(frame)
    wrong = frames[at].data.replace(b'"seqId":', b'"seqId":-')
    found = machine.receive(Frame(frames[at].ts, "okx", frames[at].conn, DATA, wrong))
    assert not any(isinstance(event, BookUpdate) for event in found) and any(isinstance(event, Fault) for event in found)


@pytest.mark.full
@pytest.mark.parametrize("venue", IDS)
def test_twenty_thousand_damaged_messages_do_not_either(venue: str) -> None:
    examples(venue, FULL)


@pytest.mark.full
def test_a_minute_of_random_bytes_does_not_either(figure: Callable[..., None]) -> None:
    chance, end, count = random.Random(1), time.monotonic() + FUZZ_S, 0
    sessions = {venue: play(venue, sample(venue).script()) for venue in IDS}
    while time.monotonic() < end:
        for venue, frames in sessions.items():
            machine = make(venue, ())
            for frame in frames[: chance.randrange(len(frames))]:
                machine.receive(frame)
            for _ in range(20):
                kind = chance.choice((DATA, REPLY))
                for event in machine.receive(Frame(frames[-1].ts, venue, 1, kind, chance.randbytes(chance.randrange(200)))):
                    assert possible(event), event
                count += 1
    figure("messages of random bytes that every reader has survived", count, samples=count)


def test_impossible_numbers_are_seen() -> None:
    trade = Trade(1, "okx:BTC-USDT", 1, 1.0, 2.0, "buy", "1")
    quote = Quote(1, "okx:BTC-USDT", 1, -1, 1.0, 2.0, 1.5, 2.0)
    assert possible(trade) and possible(quote)
    bar = Bar(1, "okx:BTC-USDT", 1, 60, 1.0, 2.0, 1.0, 2.0, 0.0, True)
    assert possible(bar) and not possible(msgspec.structs.replace(bar, volume=-1.0))
    wrong = [{"price": math.inf}, {"price": 0.0}, {"size": -1.0}, {"size": math.nan}, {"side": "up"}]
    assert not any(possible(msgspec.structs.replace(trade, **change)) for change in wrong)
    assert not possible(msgspec.structs.replace(quote, bid=-1.0)) and not possible(msgspec.structs.replace(quote, ask=math.nan))
