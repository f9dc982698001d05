"""The modes of a TCP proxy before a simulated venue: what each does to the bytes that pass, with its numbers and its dice.

"up" is from the client to the venue, "down" the other way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from dope.errors import BadFault, UnknownName
from dope.sim.journal import Value

UP, DOWN = WAYS = ("up", "down")

#: kind → what it does, its parameters
MODES: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "tcp_latency": ("bytes come ms later, by up to jitter_ms more or less, in their order", {"way": "both", "ms": 300.0, "jitter_ms": 0.0}),
    "tcp_rate": ("so many bytes a second and no more", {"way": "both", "bytes_s": 64_000.0}),
    "tcp_slice": ("bytes come in pieces of n", {"way": "both", "n": 1}),
    "tcp_blackhole": ("bytes vanish, and the end of a connection too: the sockets stay open", {"way": "both"}),
    "tcp_stall": ("nothing is taken any more: who sends has to wait", {"way": "both"}),
    "tcp_reset": ("connections are reset at this end (RST), those that come meanwhile too", {"way": "both"}),
    "tcp_eof": ("this way is ended (FIN), the other goes on", {"way": "down"}),
    "tcp_limit": ("connections are closed once n bytes have passed", {"way": "down", "n": 10_000}),
    "tcp_corrupt": ("one bit of what is read at a time is turned over, by the dice", {"way": "both"}),
    "tcp_refuse": ("connections are refused, open ones go on", {}),
    "tcp_hang": ("connections are accepted and nobody ever speaks, open ones go on", {}),
}  # fmt: skip


class Mode:
    """One thing that is done while it is on; ``did`` is told each time. Raises UnknownName, and BadFault for a way that is none."""

    def __init__(self, kind: str, params: Mapping[str, Value] | None = None, *, p: float = 1.0, rng: random.Random | None = None,
                 did: Callable[[], object] = lambda: None) -> None:  # fmt: skip
        if kind not in MODES:
            raise UnknownName("mode of a proxy", kind, MODES)
        self.kind, self.did, self._p, self._rng = kind, did, p, rng or random.Random(kind)
        self._params = {**MODES[kind][1], **(params or {})}
        way = str(self._params.get("way", "both"))
        if way not in (*WAYS, "both"):
            raise BadFault(f"way must be up, down or both, not {way[:40]!r}")
        self.ways = WAYS if way == "both" else (way,)

    def number(self, name: str, least: float = 0.0) -> float:
        """A parameter, or the ``least`` that makes sense."""
        return max(least, float(self._params[name]))

    def late_s(self) -> float:
        """How late the bytes just read will be, s."""
        return max(0.0, self.number("ms") + self._rng.uniform(-1.0, 1.0) * self.number("jitter_ms")) / 1000

    def spoilt(self, data: bytes) -> bytes:
        """The bytes with one bit turned over, or as they are."""
        if self._rng.random() >= self._p:
            return data
        self.did()
        changed = bytearray(data)
        changed[self._rng.randrange(len(changed))] ^= 1 << self._rng.randrange(8)
        return bytes(changed)
