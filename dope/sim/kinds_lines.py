"""Kinds of faults in how a venue behaves: its streams, connections, frames and clock, and which markets it has."""

from __future__ import annotations

from collections.abc import Callable

from dope.sim import doings, edits, frames
from dope.sim.effects import ANSWERS, DATA, TRADE, Act, Delayed
from dope.sim.journal import Value
from dope.sim.kind import Kind, Make, messages, text
from dope.sim.offers import Delisted, Rejected, Unlisted
from dope.sim.surge import Surge

ONCE: dict[str, Value] = {"times": 1}
DOOR: dict[str, Value] = {"status": 503, "most": 0, "cut": True, "retry_after_s": 0}
CLOCK: dict[str, Value] = {"s": 0.0, "ppm": 0.0, "every_s": 0.0}
KICK: dict[str, Value] = {"code": 1001, "reason": "", "refuse_ms": 0}


def sent(make: Callable[[Act], bytes]) -> Make:
    """Bytes that go out once, to every client."""
    return lambda act: frames.Once(act, make)


STREAM = (
    Kind("freeze", "stream", "the sockets stay open and nothing comes nor is read, not even pongs", "silent", doings.Freeze),
    Kind("freeze_one", "stream", "one market says nothing more, the others go on", "any", messages(lambda a, m, s: (), DATA)),
    Kind("ack_mute", "stream", "acks and pongs only, no data", "silent", doings.Mute),
    Kind("ack_late", "stream", "answers come ms late", "any", lambda act: Delayed(act, ANSWERS), {"ms": 1500}),
    Kind("ack_never", "stream", "requests are followed and never answered", "any", messages(lambda a, m, s: (), ANSWERS), {"times": 2}),
    Kind("ack_twice", "stream", "answers come twice", "any", messages(lambda a, m, s: (s, s), ANSWERS)),
    Kind("sub_reject", "stream", "requests for markets are refused as unknown", "any", Rejected, {"most": 0}),
    Kind("sub_partial", "stream", "requests are refused by the dice, or for one market", "any", Rejected, {"most": 0, "times": 1}),
    Kind("sub_limit", "stream", "requests are refused beyond so many topics of a connection", "any", Rejected, {"most": 2}),
    Kind("app_ping", "stream", "the venue does not hear pings, nor answers to its own", "any", doings.Deaf),
    Kind("ping_deadline", "stream", "the venue pings and cuts who does not answer in time", "nothing", doings.Deadline, {"s": 3.0}),
    Kind("ping_flood", "stream", "n pings in every step", "any", frames.PingFlood, {"n": 50}),
    Kind("surge", "stream", "for s seconds there are x messages for each one", "nothing", Surge, {"x": 10.0, "s": 5.0}),
    Kind("batch", "stream", "all messages of ms come at once", "nothing", lambda act: Delayed(act, DATA, batch=True), {"ms": 700}),
    Kind("trickle", "stream", "messages come in pieces of so many bytes, one each 10 ms", "any", frames.Trickle, {"bytes": 400}),
    Kind("fragment", "stream", "messages come in n fragments", "nothing", messages(frames.split, DATA), {"n": 7}),
    Kind("dup_trades", "stream", "trades come twice", "nothing", messages(lambda a, m, s: (s, s), TRADE)),
    Kind("late_trades", "stream", "trades come ms late", "nothing", lambda act: Delayed(act, TRADE), {"ms": 900}),
)

LIFECYCLE = (
    Kind("close", "lifecycle", "connections are closed with this code; 1006 = cut", "closed", doings.Kick, KICK),
    Kind("kick_all", "lifecycle", "all connections are cut at once", "closed", doings.Kick, KICK | {"code": 1006}),
    Kind(
        "kick_24h", "lifecycle", "connections are closed at an age, one a little later than the other", "closed", doings.Age, {"age_s": 5.0}
    ),
    Kind("down", "lifecycle", "connections are cut and nobody listens", "closed", doings.Down),
    Kind(
        "refuse", "lifecycle", "every handshake and request gets this status; open connections go on", "any", doings.Refuse, {"status": 503}
    ),
    Kind(
        "shutdown_notice",
        "lifecycle",
        "the venue says that it will end its connections, and does so after grace_s",
        "any",
        doings.Shutdown,
        {"grace_s": 10.0},
        "shutdown",
    ),
    Kind(
        "maintenance",
        "lifecycle",
        "the venue says so where it has words for it, closes with 1012 and answers 503",
        "closed",
        doings.Maintenance,
    ),
    Kind(
        "delist",
        "lifecycle",
        "a market is gone: no data, requests refused, not in the list",
        "any",
        lambda act: Delisted(act, Rejected(act)),
        {"most": 0, "to": ""},
    ),
    Kind(
        "rename",
        "lifecycle",
        "a market is gone, and in the list under another name",
        "any",
        lambda act: Delisted(act, Rejected(act)),
        {"most": 0, "to": "RENAMEDUSD"},
    ),
    Kind(
        "list_new",
        "lifecycle",
        "a market is not there yet: not in the list, requests refused; after s it is listed and trades",
        "any",
        Unlisted,
        {"most": 0, "to": "", "s": 5.0},
    ),
    Kind("rate_limit", "lifecycle", "every request is one too many", "any", doings.Limited, {"status": 429, "retry_after_s": 5}),
    Kind("ban", "lifecycle", "every request is answered with 418", "any", doings.Limited, {"status": 418, "retry_after_s": 30}),
    Kind("http", "lifecycle", "this status in place of a WebSocket; open ones are cut", "closed", doings.AtUpgrade, DOOR),
    Kind(
        "conn_limit",
        "lifecycle",
        "no more than so many connections; open ones are cut",
        "closed",
        doings.AtUpgrade,
        {"status": 429, "most": 0, "cut": True, "retry_after_s": 1},
    ),
)

FRAMES = (
    Kind("garbage", "frames", "messages that are no JSON, empty, a page, or bytes as they come", "any", sent(frames.garbage)),
    Kind("truncated_json", "frames", "a message is cut in half", "noticed", text(edits.cut), ONCE),
    Kind("bad_utf8", "frames", "a text has bytes that are no UTF-8", "any", sent(frames.bad_utf8)),
    Kind("nest", "frames", "lists in lists, so many deep", "any", sent(frames.nest), {"depth": 100_000}),
    Kind("huge", "frames", "a message of so many MiB begins", "closed", sent(frames.huge), {"mib": 64}),
    Kind("endless_fragments", "frames", "a message in fragments never ends", "closed", frames.Endless, {"size": 100}),
    Kind("bomb", "frames", "a compressed frame that nobody agreed on", "closed", sent(frames.bomb), {"mib": 16}),
    Kind("gzip_bomb", "frames", "a packed message that unfolds to so many MiB", "any", sent(frames.gzip_bomb), {"mib": 64}, "packed"),
    Kind("rsv_bits", "frames", "a frame has a reserved bit set", "closed", sent(frames.rsv_bits)),
    Kind("binary_for_text", "frames", "texts come as binary messages", "any", messages(frames.binary, DATA), {}),
    Kind("masked_server_frame", "frames", "a frame is masked", "any", sent(frames.masked)),
)

CLOCKS = (
    Kind("clock_skew", "clock", "the venue's clock is wrong by s seconds", "any", doings.Skew, CLOCK | {"s": 2.0}),
    Kind("clock_drift", "clock", "the venue's clock is too fast by so many millionths", "any", doings.Skew, CLOCK | {"ppm": 50_000.0}),
    Kind(
        "clock_step",
        "clock",
        "the venue's clock jumps by s seconds and back, each every_s",
        "any",
        doings.Skew,
        CLOCK | {"s": -3.0, "every_s": 1.0},
    ),
)
