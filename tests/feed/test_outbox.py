"""Frames of one turn come together, in order, and a late loop is told."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from dope.feed import Feed
from dope.feed.clock import Clock
from dope.feed.outbox import PORTION, Outbox
from dope.types import DATA, LAG, SENT, SET, TICK, Frame
from tests.feed.loopback import QUICK, Recorder, Wire, feeding, frame, in_virtual_time, serving, shake, until


def test_frames_of_one_turn_are_one_batch() -> None:
    async def main() -> None:
        recorder = Recorder()
        outbox = Outbox(Clock(), recorder)
        for i in range(5):
            outbox.put("wire", 1, DATA, b"%d" % i)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outbox.put("wire", 1, DATA, b"next turn")
        await asyncio.sleep(0.01)
        assert [len(batch) for batch in recorder.batches] == [5, 1]
        stamps = [frame.ts for frame in recorder.frames]
        assert stamps == sorted(stamps)

    asyncio.run(main())


def test_what_is_put_while_a_batch_is_handled_is_in_the_next_batch() -> None:
    async def main() -> None:
        seen: list[list[bytes]] = []

        def on_frames(batch: list[Frame]) -> None:
            seen.append([frame.data for frame in batch])
            if len(seen) < 3:
                outbox.put("wire", 1, DATA, b"answer %d" % len(seen))

        outbox = Outbox(Clock(), on_frames)
        outbox.put("wire", 1, DATA, b"question")
        await until(lambda: len(seen) == 3)
        assert seen == [[b"question"], [b"answer 1"], [b"answer 2"]]

    asyncio.run(main())


def test_a_frame_of_our_own_stands_behind_what_a_venue_answered_before_it() -> None:
    async def main() -> None:
        recorder = Recorder()

        def on_frames(batch: list[Frame]) -> None:
            recorder(batch)
            if batch[-1].kind == DATA:
                outbox.put("wire", 1, SENT, b"answer")

        outbox = Outbox(Clock(), on_frames)
        outbox.put("wire", 1, DATA, b"question")
        outbox.tell(SET, b"rules")
        assert [frame.kind for frame in recorder.frames] == [DATA, SENT, SET]
        stamps = [frame.ts for frame in recorder.frames]
        assert stamps == sorted(stamps)

    asyncio.run(main())


def test_a_flood_is_handed_over_in_portions_in_order() -> None:
    messages = [b"message %d" % i for i in range(4 * PORTION)]

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.write(b"".join(map(frame, messages)))
        await reader.read()

    async def main() -> Recorder:
        async with serving(flood) as url, feeding(Wire(url)) as (_, recorder):
            await recorder.until(lambda: len(recorder.data()) == len(messages))
        return recorder

    recorder = asyncio.run(main())
    assert recorder.data() == messages
    assert max(len(batch) for batch in recorder.batches) <= PORTION + 1  # beside a portion a word about a late loop
    stamps = [sent.ts for sent in recorder.frames]
    assert stamps == sorted(stamps)


def test_an_error_while_a_portion_is_handed_over_is_heard_and_nothing_follows() -> None:
    handed: list[int] = []

    def on_frames(batch: list[Frame]) -> None:
        handed.append(len(batch))
        if len(batch) >= PORTION:
            raise RuntimeError("broken")

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(reader, writer)
        writer.write(frame(b"x") * (3 * PORTION))
        await reader.read()

    async def main() -> None:
        async with serving(flood) as url:
            feed = Feed({"wire": Wire(url)}, on_frames, Clock(), random.Random(1), timing=QUICK)
            await feed.run()

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(main())
    assert handed[-1] >= PORTION and sum(size >= PORTION for size in handed) == 1


def test_ticks_come_every_10_ms_and_carry_the_wall_clock_offset() -> None:
    async def main(clock: Clock) -> None:
        recorder = Recorder()
        outbox = Outbox(clock, recorder)
        task = asyncio.ensure_future(outbox.ticks())
        await asyncio.sleep(1.0)
        task.cancel()
        ticks = recorder.of(TICK)
        assert 99 <= len(ticks) <= 101
        assert {int(tick.data) for tick in ticks} == {0}
        assert recorder.of(LAG) == []

    in_virtual_time(main)


def late(recorder: Recorder) -> list[Frame]:
    return [frame for frame in recorder.of(LAG) if float(frame.data) >= 0.35]


def test_a_late_loop_is_told_before_what_waited_at_the_sockets() -> None:
    async def main() -> Recorder:
        async with feeding() as (_, recorder):
            await recorder.until(lambda: len(recorder.of(TICK)) > 2)
            time.sleep(0.4)  # somebody blocks the loop
            await recorder.until(lambda: late(recorder))
        return recorder

    recorder = asyncio.run(main())
    told = late(recorder)[0]
    assert any(batch[0] is told for batch in recorder.batches)
    stamps = [frame.ts for frame in recorder.frames]
    assert stamps == sorted(stamps)


def test_an_error_of_the_receiver_ends_run_and_is_raised() -> None:
    def broken(batch: list[Frame]) -> None:
        raise ZeroDivisionError("our own mistake")

    async def main() -> None:
        async with feeding(on_frames=broken):
            await asyncio.sleep(0.05)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())
