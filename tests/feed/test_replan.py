"""Another plan while the feed runs: what stays is not touched, what differs is replaced before it closes, what is gone is closed."""

from __future__ import annotations

import asyncio

import msgspec

from dope.types import CLOSED, OPEN, REPLY, ClosedInfo, Fetch, Instrument, OpenInfo, Plan, ReplyInfo
from tests.feed.loopback import Recorder, Wire, answering, feeding, frame, serving, shake


async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says something ten times a second until the client goes."""
    await shake(reader, writer)
    gone = asyncio.ensure_future(reader.read())
    while not gone.done():
        writer.write(frame(b"{}"))
        await asyncio.wait({gone}, timeout=0.1)


def opened(recorder: Recorder) -> list[tuple[int, str, tuple[str, ...] | None]]:
    infos = [(each.conn, msgspec.json.decode(each.data, type=OpenInfo)) for each in recorder.of(OPEN)]
    return [(conn, info.plan, info.symbols) for conn, info in infos]


def closed(recorder: Recorder) -> list[tuple[int, str]]:
    return [(each.conn, msgspec.json.decode(each.data, type=ClosedInfo).reason) for each in recorder.of(CLOSED)]


def test_plans_are_added_changed_and_taken_away_while_it_runs() -> None:
    async def main() -> None:
        async with serving(talking) as url:
            venue = Wire(url, url)
            one, two = venue.plan()
            async with feeding(venue) as (feed, recorder):
                await recorder.until(lambda: feed.health()["wire"].state == "live")
                venue._plans = (one, msgspec.structs.replace(two, symbols=("ETH-USDT",)), Plan("plan2", url, ("SOL-USDT",)))
                feed.replan("wire")
                await recorder.until(lambda: len(opened(recorder)) == 4 and closed(recorder))
                kept, changed = (next(conn for conn, plan, _ in opened(recorder) if plan == name) for name in ("plan0", "plan1"))
                assert closed(recorder) == [(changed, "replaced by a new connection")]
                assert {(plan, symbols) for conn, plan, symbols in opened(recorder)[2:]} == {
                    ("plan1", ("ETH-USDT",)), ("plan2", ("SOL-USDT",)),
                }  # fmt: skip
                story = recorder.story()
                new = next(conn for conn, plan, _ in opened(recorder)[2:] if plan == "plan1")
                assert story.index(f"open {new}") < story.index(f"closed {changed}"), "the new one first"
                venue._plans = (one,)
                feed.replan("wire")
                await recorder.until(lambda: len(closed(recorder)) == 3)
                assert {why for _, why in closed(recorder)[1:]} == {"no longer watched"}
                assert kept not in {conn for conn, _ in closed(recorder)}
                health = feed.health()["wire"]
                assert (health.state, health.wanted, health.reconnects, health.errors_min) == ("live", 1, 0, 0)
                venue._plans = ()
                feed.replan("wire")
                assert "wire" not in feed.health(), "a venue that nothing is asked of has no health"
                venue._plans = (one,)
                feed.replan("wire")
                await recorder.until(lambda: feed.health()["wire"].state == "live")

    asyncio.run(main())


class Listing(Wire):
    """A venue with a list of instruments that the feed has to fetch."""

    place = ""

    def listings(self) -> list[Fetch]:
        return [Fetch(0, "list", self.place)]

    def listed(self, key: str, body: bytes) -> list[Instrument]:
        return [Instrument("wire", "BTC-USDT", "B", "BTC", "USDT", "spot", tick=1.0)]


def test_the_list_of_a_venue_is_asked_for_at_the_start_and_again_once_a_day() -> None:
    async def main() -> None:
        body = b"[]"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        async with serving(talking) as url, serving(answering(head + body), "http") as place:
            venue, idle = Listing(url), Listing(venue_id="idle")
            venue.place = idle.place = place
            async with feeding(venue, idle) as (feed, recorder):
                await recorder.until(lambda: recorder.of(REPLY))
                (reply,) = recorder.of(REPLY)
                assert (reply.venue, reply.conn) == ("wire", 0), "a venue that is not watched is not asked"
                assert msgspec.json.decode(reply.data.partition(b"\n")[0], type=ReplyInfo).key == "list"
                venue.receive(reply)
                feed.replan("wire")
                await asyncio.sleep(0.1)
                assert len(recorder.of(REPLY)) == 1, "not again at a change of plan"
                feed._ask_lists("wire", again=True)
                await recorder.until(lambda: len(recorder.of(REPLY)) == 2)

    asyncio.run(main())
