"""The kinds of faults that a simulated venue can have, by their names; and those of the way to it, where a proxy stands before it."""

from __future__ import annotations

from functools import partial

from dope.sim import doings
from dope.sim.kind import Kind
from dope.sim.kinds_lines import CLOCKS, FRAMES, LIFECYCLE, STREAM
from dope.sim.kinds_said import SEQUENCE, SNAPSHOTS, VALUES
from dope.sim.modes import MODES

__all__ = ["KINDS", "LINKS", "Kind"]
GROUPS = (SEQUENCE, SNAPSHOTS, VALUES, STREAM, LIFECYCLE, FRAMES, CLOCKS)
KINDS = {kind.name: kind for group in GROUPS for kind in group}

#: what happens on the way to a venue that has a proxy before it, to all its connections; ``way`` is up (to the venue), down or both
LINKS = {
    name: Kind(name, "link", sentence, "any", partial(doings.OnLink, kind=name), params) for name, (sentence, params) in MODES.items()
}
