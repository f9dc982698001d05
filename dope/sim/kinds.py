"""The kinds of faults that a simulated venue can have: one line each, with what it is, its numbers, and what a reader should make of it.

``due`` is what whoever reads the venue has to notice: "noticed" = a gap, a message that cannot be used, or a book that is not LIVE;
"silent" = a book that is STALE; "closed" = a connection that has ended; "nothing" = all goes on; "any" = all of these are well, as
long as no book is LIVE and wrong. ``needs`` is what the venue's words must have (see ``wires``), "packed", "shutdown", "depth" or "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from dope.sim import doings, edits, frames
from dope.sim.crossing import Crossed
from dope.sim.effects import (
    ANSWERS,
    BOOK,
    DATA,
    SNAPSHOT,
    TRADE,
    UPDATE,
    Act,
    Answers,
    Both,
    Change,
    Delayed,
    Doing,
    Edit,
    Messages,
    Reordered,
    edited,
    edited_body,
    followed,
    text_changed,
)
from dope.sim.journal import Value
from dope.sim.modes import MODES
from dope.sim.wires import SHUTDOWN, wire

Make = Callable[[Act], Doing]
PACKED = ("htx", "htx_linear")  #: venues whose messages are gzip
SHALLOW = ("kraken",)  #: venues whose books have fewer levels than the market


class Kind(NamedTuple):
    """One kind of fault."""

    name: str
    group: str
    sentence: str
    due: str
    make: Make
    params: Mapping[str, Value] = {}
    needs: str = ""

    def at(self, venue: str) -> bool:
        """Whether a venue can have it."""
        match self.needs:
            case "packed":
                return venue in PACKED
            case "shutdown":
                return venue in SHUTDOWN
            case "depth":
                return venue in SHALLOW
            case "sides":
                return bool(wire(venue).sides) and wire(venue).text
            case "first":
                return bool(wire(venue).rest or wire(venue).snapshot)
            case "":
                return True
        return bool(getattr(wire(venue), self.needs))


# -- forms ---------------------------------------------------------------------------------------------------------
def _messages(change: Change, which: str = UPDATE) -> Make:
    return lambda act: Messages(act, change, which)


def _value(edit: Edit) -> Make:
    return _messages(edited(edit))


def _text(edit: Callable[[Act, str], str | None], which: str = UPDATE) -> Make:
    return _messages(text_changed(edit), which)


def _numbered(rule: Callable[[int, int], int]) -> Make:
    def make(act: Act) -> Doing:
        edit = edits.Renumbering(rule)
        return Both(Messages(act, edited(edit), DATA), Answers(act, edited_body(act, edit)))

    return make


def _first(edit: Edit) -> Make:
    return lambda act: Both(Messages(act, edited(edit), SNAPSHOT), Answers(act, edited_body(act, edit)))


def _sent(make: Callable[[Act], bytes]) -> Make:
    return lambda act: frames.Once(act, make)


ONCE: dict[str, Value] = {"times": 1}
STATUS: dict[str, Value] = {"status": 500, "html": False, "retry_after_s": 0}
DOOR: dict[str, Value] = {"status": 503, "most": 0, "cut": True, "retry_after_s": 0}
CLOCK: dict[str, Value] = {"s": 0.0, "ppm": 0.0, "every_s": 0.0}
KICK: dict[str, Value] = {"code": 1001, "reason": "", "refuse_ms": 0}

_SEQUENCE = (
    Kind(
        "gap",
        "sequence",
        "n messages of a book are lost: their numbers pass, nobody gets them",
        "noticed",
        _messages(lambda a, m, s: ()),
        ONCE,
    ),
    Kind("dup", "sequence", "a message of a book comes twice", "any", _messages(lambda a, m, s: (s, s)), ONCE),
    Kind("reorder", "sequence", "a message of a book comes behind the k after it", "any", Reordered, {"k": 2, "times": 1}),
    Kind(
        "stale_delta",
        "sequence",
        "a message of a book comes again, behind the k after it",
        "any",
        lambda act: Reordered(act, again=True),
        {"k": 3, "times": 1},
    ),
    Kind("seq_reset", "sequence", "the venue counts from one again", "any", _numbered(lambda first, n: abs(n - first) + 1), {}, "numbers"),
    Kind(
        "seq_wrap",
        "sequence",
        "the venue's counter runs over and begins at zero",
        "any",
        _numbered(lambda first, n: n - (first + 40) if n >= first + 40 else n),
        {},
        "numbers",
    ),
    Kind(
        "seq_scope",
        "sequence",
        "the venue counts other things, too: there are holes where nothing was lost",
        "any",
        _numbered(lambda first, n: first + 3 * abs(n - first)),
        {},
        "numbers",
    ),
    Kind("bad_checksum", "sequence", "one checksum is wrong", "noticed", _messages(edited(edits.wrong_checksum), UPDATE), ONCE, "checksum"),
    Kind(
        "checksum_liar",
        "sequence",
        "every checksum is wrong, of snapshots too",
        "noticed",
        _messages(edited(edits.wrong_checksum), BOOK),
        {},
        "checksum",
    ),
    Kind(
        "checksum_missing",
        "sequence",
        "messages of books have no checksum",
        "any",
        _messages(edited(edits.no_checksum), UPDATE),
        {"times": 5},
        "checksum",
    ),
)

_SNAPSHOT = (
    Kind(
        "snapshot_old",
        "snapshot",
        "the first snapshot is given again in place of every later one",
        "any",
        lambda act: Both(Messages(act, edits.remembered, SNAPSHOT), Answers(act, doings.old(act))),
        {},
        "first",
    ),
    Kind(
        "snapshot_slow",
        "snapshot",
        "a snapshot comes ms late",
        "any",
        lambda act: Both(Delayed(act, BOOK), Answers(act, doings.slow(act))),
        {"ms": 1500},
        "first",
    ),
    Kind(
        "snapshot_late",
        "snapshot",
        "a snapshot comes ms late, when the connection it was for has ended",
        "any",
        lambda act: Answers(act, doings.slow(act, first=True)),
        {"ms": 800, "times": 1},
        "rest",
    ),
    Kind("snapshot_empty", "snapshot", "a snapshot has no levels", "any", _first(edits.emptied(both=True)), {"times": 1}, "first"),
    Kind("snapshot_one_sided", "snapshot", "a snapshot has no asks", "any", _first(edits.emptied(both=False)), {"times": 1}, "first"),
    Kind("snapshot_split", "snapshot", "a snapshot comes in n fragments", "any", _messages(frames.split, SNAPSHOT), {"n": 40}, "snapshot"),
    Kind(
        "snapshot_5xx",
        "snapshot",
        "a snapshot is answered with an error of the server",
        "any",
        lambda act: Answers(act, doings.status(act)),
        STATUS,
        "rest",
    ),
    Kind(
        "snapshot_429",
        "snapshot",
        "a snapshot is too many",
        "any",
        lambda act: Answers(act, doings.status(act)),
        {"status": 429, "html": False, "retry_after_s": 2, "times": 1},
        "rest",
    ),
    Kind(
        "snapshot_418",
        "snapshot",
        "a snapshot is one more after too many",
        "any",
        lambda act: Answers(act, doings.status(act)),
        {"status": 418, "html": False, "retry_after_s": 2, "times": 1},
        "rest",
    ),
    Kind(
        "snapshot_timeout",
        "snapshot",
        "a snapshot is never answered",
        "any",
        lambda act: Answers(act, doings.slow(act)),
        {"ms": 1e6, "times": 1},
        "rest",
    ),
    Kind(
        "snapshot_html",
        "snapshot",
        "a snapshot is a page",
        "any",
        lambda act: Answers(act, doings.status(act)),
        {"status": 200, "html": True, "retry_after_s": 0, "times": 1},
        "rest",
    ),
    Kind(
        "reconnect_snapshot",
        "snapshot",
        "connections are cut, and the market has moved when they are back",
        "closed",
        doings.Kick,
        {"code": 1006, "reason": "", "refuse_ms": 1000},
    ),
    Kind("depth_prune", "snapshot", "levels far behind those that are kept are told", "nothing", _value(edits.far), {"times": 20}, "depth"),
    Kind(
        "no_snapshot",
        "snapshot",
        "a snapshot never comes",
        "any",
        lambda act: Both(Messages(act, lambda a, m, s: (), SNAPSHOT), Answers(act, doings.slow(act))),
        {"ms": 1e6, "times": 1},
        "first",
    ),
)

_VALUES = (
    Kind(
        "nonfinite",
        "values",
        "a price is no number",
        "noticed",
        _value(edits.first_level(edits.put("form"))),
        {"form": "NaN", "times": 1},
        "text",
    ),
    Kind(
        "nonfinite_size",
        "values",
        "a size is no number",
        "noticed",
        _value(edits.first_level(edits.put("form"), price=False)),
        {"form": "1e400", "times": 1},
        "text",
    ),
    Kind(
        "range",
        "values",
        "a price is none that a market can have",
        "noticed",
        _value(edits.first_level(edits.put("value"))),
        {"value": "-1", "times": 1},
        "text",
    ),
    Kind(
        "range_size",
        "values",
        "a size is none that a market can have",
        "noticed",
        _value(edits.first_level(edits.put("value"), price=False)),
        {"value": "1e308", "times": 1},
        "text",
    ),
    Kind(
        "sci_notation",
        "values",
        "prices are written with an exponent",
        "any",
        _value(edits.first_level(edits.scientific)),
        {"times": 5},
        "text",
    ),
    Kind(
        "zero_forms",
        "values",
        "the size of what is gone is written another way",
        "any",
        _value(edits.zeros),
        {"form": "-0.0", "times": 5},
        "text",
    ),
    Kind("type_swap", "values", "a number is a text, or a text a number", "any", _value(edits.first_level(edits.swapped)), ONCE, "text"),
    Kind("type_list", "values", "a price is a list", "noticed", _value(edits.first_level(edits.listed)), ONCE, "text"),
    Kind("null", "values", "a price is null", "noticed", _value(edits.first_level(edits.nothing)), ONCE, "text"),
    Kind("null_size", "values", "a size is null", "noticed", _value(edits.first_level(edits.nothing, price=False)), ONCE, "text"),
    Kind("missing_field", "values", "a level has no size", "noticed", _value(edits.first_level(edits.removed, price=False)), ONCE, "text"),
    Kind("extra_field", "values", "objects have fields that nobody has heard of", "any", _value(edits.extra), {"times": 5}, "text"),
    Kind(
        "unknown_enum",
        "values",
        "there are messages of a kind that does not exist",
        "any",
        _messages(followed(edits.novelty)),
        {"times": 3},
        "text",
    ),
    Kind(
        "bigint",
        "values",
        "a price has thousands of digits",
        "noticed",
        _value(edits.first_level(edits.digits)),
        {"digits": 5000, "times": 1},
        "text",
    ),
    Kind("ts_unit", "values", "times are in another unit", "any", _text(edits.other_unit, DATA), {"unit": "us", "times": 20}, "text"),
    Kind(
        "ts_future", "values", "times are those of another day", "any", _text(edits.other_time, DATA), {"s": 86_400.0, "times": 20}, "text"
    ),
    Kind("ts_past", "values", "times are long gone", "any", _text(edits.other_time, DATA), {"s": -86_400.0, "times": 20}, "text"),
    Kind(
        "crossed",
        "values",
        "for ms a bid stands above the asks, or an ask below the bids, as when a venue tells of its two sides one after the other",
        "noticed",
        Crossed,
        {"bps": 30.0, "ms": 300.0},
        "sides",
    ),
    Kind(
        "locked",
        "values",
        "for ms a bid stands at the best ask, or an ask at the best bid, as when a venue has not matched them yet",
        "noticed",
        Crossed,
        {"bps": 0.0, "ms": 300.0},
        "sides",
    ),
    Kind(
        "foreign_symbol",
        "values",
        "messages of a market that nobody asked for",
        "any",
        _messages(followed(edits.renamed(lambda act: "ZZZUSDT"))),
        {"times": 5},
        "text",
    ),
    Kind(
        "evil_symbol",
        "values",
        "messages of markets with names that no venue should send",
        "any",
        _messages(followed(edits.renamed(edits.evil))),
        {"times": len(edits.EVIL)},
        "text",
    ),
)

_STREAM = (
    Kind("freeze", "stream", "the sockets stay open and nothing comes nor is read, not even pongs", "silent", doings.Freeze),
    Kind("freeze_one", "stream", "one market says nothing more, the others go on", "any", _messages(lambda a, m, s: (), DATA)),
    Kind("ack_mute", "stream", "acks and pongs only, no data", "silent", doings.Mute),
    Kind("ack_late", "stream", "answers come ms late", "any", lambda act: Delayed(act, ANSWERS), {"ms": 1500}),
    Kind("ack_never", "stream", "requests are followed and never answered", "any", _messages(lambda a, m, s: (), ANSWERS), {"times": 2}),
    Kind("ack_twice", "stream", "answers come twice", "any", _messages(lambda a, m, s: (s, s), ANSWERS)),
    Kind("sub_reject", "stream", "requests for markets are refused as unknown", "any", doings.Rejected, {"most": 0}),
    Kind("sub_partial", "stream", "requests are refused by the dice, or for one market", "any", doings.Rejected, {"most": 0, "times": 1}),
    Kind("sub_limit", "stream", "requests are refused beyond so many topics of a connection", "any", doings.Rejected, {"most": 2}),
    Kind("app_ping", "stream", "the venue does not hear pings, nor answers to its own", "any", doings.Deaf),
    Kind("ping_deadline", "stream", "the venue pings and cuts who does not answer in time", "nothing", doings.Deadline, {"s": 3.0}),
    Kind("ping_flood", "stream", "n pings in every step", "any", frames.PingFlood, {"n": 50}),
    Kind("batch", "stream", "all messages of ms come at once", "nothing", lambda act: Delayed(act, DATA, batch=True), {"ms": 700}),
    Kind("trickle", "stream", "messages come in pieces of so many bytes, one each 10 ms", "any", frames.Trickle, {"bytes": 400}),
    Kind("fragment", "stream", "messages come in n fragments", "nothing", _messages(frames.split, DATA), {"n": 7}),
    Kind("dup_trades", "stream", "trades come twice", "nothing", _messages(lambda a, m, s: (s, s), TRADE)),
    Kind("late_trades", "stream", "trades come ms late", "nothing", lambda act: Delayed(act, TRADE), {"ms": 900}),
)

_LIFECYCLE = (
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
        lambda act: doings.Delisted(act, doings.Rejected(act)),
        {"most": 0, "to": ""},
    ),
    Kind(
        "rename",
        "lifecycle",
        "a market is gone, and in the list under another name",
        "any",
        lambda act: doings.Delisted(act, doings.Rejected(act)),
        {"most": 0, "to": "RENAMEDUSD"},
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

_FRAMES = (
    Kind("garbage", "frames", "messages that are no JSON, empty, a page, or bytes as they come", "any", _sent(frames.garbage)),
    Kind("truncated_json", "frames", "a message is cut in half", "noticed", _text(edits.cut), ONCE, "text"),
    Kind("bad_utf8", "frames", "a text has bytes that are no UTF-8", "any", _sent(frames.bad_utf8)),
    Kind("nest", "frames", "lists in lists, so many deep", "any", _sent(frames.nest), {"depth": 100_000}),
    Kind("huge", "frames", "a message of so many MiB begins", "closed", _sent(frames.huge), {"mib": 64}),
    Kind("endless_fragments", "frames", "a message in fragments never ends", "closed", frames.Endless, {"size": 100}),
    Kind("bomb", "frames", "a compressed frame that nobody agreed on", "closed", _sent(frames.bomb), {"mib": 16}),
    Kind("gzip_bomb", "frames", "a packed message that unfolds to so many MiB", "any", _sent(frames.gzip_bomb), {"mib": 64}, "packed"),
    Kind("rsv_bits", "frames", "a frame has a reserved bit set", "closed", _sent(frames.rsv_bits)),
    Kind("binary_for_text", "frames", "texts come as binary messages", "any", _messages(frames.binary, DATA), {}, "text"),
    Kind("masked_server_frame", "frames", "a frame is masked", "any", _sent(frames.masked)),
)

_CLOCK = (
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

KINDS = {kind.name: kind for group in (_SEQUENCE, _SNAPSHOT, _VALUES, _STREAM, _LIFECYCLE, _FRAMES, _CLOCK) for kind in group}

#: what happens on the way to a venue that has a proxy before it, to all its connections; ``way`` is up (to the venue), down or both
LINKS = {
    name: Kind(name, "link", sentence, "any", partial(doings.OnLink, kind=name), params) for name, (sentence, params) in MODES.items()
}
