"""Venues that speak in binary frames: what was heard passes feed, tape, replay and import byte for byte."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from dope.engine import Engine
from dope.feed.clock import Clock
from dope.replay import replay
from dope.session import Session
from dope.settings import Settings
from dope.sim.world import World
from dope.tape.importing import import_lines
from dope.tape.read import Tape
from dope.types import DATA, OPEN, REPLY, SENT, Frame, OpenInfo, ReplyInfo
from dope.venues import make
from tests.frames import closed
from tests.test_live_equals_replay import until

VENUES = ("mexc", "htx")


async def recorded(venue: str, settings: Settings) -> Session:
    """A short session at one simulated venue, with a lost message on the way."""
    world = World(5, venues=(venue,), epoch_ms=Clock().now() // 1_000_000)
    session = Session(settings, "sim", await world.start(), Clock())
    task = asyncio.create_task(session.feed.run())
    books = session.engine.market.books

    def all_live() -> bool:
        return len(books) == len(settings.symbols) and all(book.state == "LIVE" for book in books.values())

    await until(all_live)
    key = next(iter(books))
    world.faults.drop(venue, books[key].instrument.symbol)
    await until(lambda: books[key].gaps == 1)
    await until(lambda: all_live() and all(book.trades for book in books.values()))
    await session.stop()
    await asyncio.wait([task], timeout=5)
    await world.stop()
    journal = session.journal
    assert journal is not None
    await until(lambda: journal.status()["state"] == "closed")
    return session


def foreign(frames: Iterable[Frame], folder: Path) -> Path:
    """The same frames as somebody else would have written them down: base64, times, and what was done beside them."""
    lines: list[bytes] = []
    times: list[bytes] = []
    side: list[bytes] = []
    for frame in frames:
        stamp = b"%d" % frame.ts
        if frame.kind == DATA:
            lines.append(base64.b64encode(frame.data))
            times.append(stamp)
        elif frame.kind == OPEN:
            side.append(b"\t".join((stamp, b"open", msgspec.json.decode(frame.data, type=OpenInfo).url.encode(), b"")))
        elif frame.kind == REPLY:
            head, _, body = frame.data.partition(b"\n")
            side.append(b"\t".join((stamp, b"http", msgspec.json.decode(head, type=ReplyInfo).url.encode(), body)))
        elif frame.kind == SENT:
            side.append(b"\t".join((stamp, b"sent", b"", frame.data)))
    for name, rows in (("rec.b64", lines), ("rec.recv_ns", times), ("rec.side.tsv", side)):
        (folder / name).write_bytes(b"".join(row + b"\n" for row in rows))
    return folder / "rec.b64"


@pytest.mark.parametrize("venue", VENUES)
def test_a_binary_venue_is_recorded_replayed_and_imported_like_any_other(venue: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", model_dir=tmp_path / "models", venues=(venue,), symbols=("BTC-USDT",), _env_file=None)
    live = asyncio.run(recorded(venue, settings)).engine
    tapes = sorted((tmp_path / "data").rglob("*.dope"))
    again, _ = asyncio.run(replay(tapes, settings))
    assert again.digest() == live.digest() and again.counts == live.counts

    frames = [frame for path in tapes for frame in Tape(path) if frame.venue == venue]
    said = [frame.data for frame in frames if frame.kind == DATA]
    assert sum(not data[:1].isascii() or data[0] < 32 for data in said) > len(said) / 2, "most frames are binary"
    machine = make(venue, ())
    import_lines([foreign(frames, tmp_path)], machine, tmp_path / "import.dope")
    copies = [frame.data for frame in Tape(tmp_path / "import.dope") if frame.kind == DATA]
    assert copies == said
    run = Engine({venue: make(venue, ())})
    run.step_many(list(Tape(tmp_path / "import.dope")))
    assert {book.state for book in run.market.books.values()} == {"LIVE"}
    for conn in list(run.connections):  # as the live session ended
        run.step(Frame(frames[-1].ts, venue, conn, *closed()))
    for key, book in live.market.books.items():
        other = run.market.books[key]
        assert (other.gaps, other.faults, other.trades) == (book.gaps, book.faults, book.trades)
        assert [other.levels(side, 99) for side in ("bid", "ask")] == [book.levels(side, 99) for side in ("bid", "ask")]
