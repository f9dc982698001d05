"""What a kind of fault is: what it is called, what it does, its numbers, where it can happen, and what a reader should make of it.

``due`` is what whoever reads the venue has to notice: "noticed" = a gap, a message that cannot be used, or a book that is not LIVE;
"silent" = a book that is STALE; "closed" = a connection that has ended; "nothing" = all goes on; "any" = all of these are well, as
long as no book is LIVE and wrong. ``needs`` is what the venue's words must have (see ``wires``), "packed", "shutdown", "depth" or "".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dope.sim import edits
from dope.sim.effects import (
    DATA,
    SNAPSHOT,
    UPDATE,
    Act,
    Answers,
    Both,
    Change,
    Doing,
    Edit,
    Messages,
    edited,
    edited_body,
    text_changed,
)
from dope.sim.journal import Value
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
            case "first":
                return bool(wire(venue).rest or wire(venue).snapshot)
            case "":
                return True
        return bool(getattr(wire(venue), self.needs))


# -- forms ---------------------------------------------------------------------------------------------------------
def messages(change: Change, which: str = UPDATE) -> Make:
    """Messages on their way out, changed."""
    return lambda act: Messages(act, change, which)


def value(edit: Edit) -> Make:
    """Messages about books, with their JSON changed."""
    return messages(edited(edit))


def text(edit: Callable[[Act, str], str | None], which: str = UPDATE) -> Make:
    """Messages with their text changed."""
    return messages(text_changed(edit), which)


def numbered(rule: Callable[[int, int], int]) -> Make:
    """All numbers of messages and snapshots by another rule."""

    def make(act: Act) -> Doing:
        edit = edits.Renumbering(rule)
        return Both(Messages(act, edited(edit), DATA), Answers(act, edited_body(act, edit)))

    return make


def first(edit: Edit) -> Make:
    """Snapshots with their JSON changed, on sockets and by REST."""
    return lambda act: Both(Messages(act, edited(edit), SNAPSHOT), Answers(act, edited_body(act, edit)))
