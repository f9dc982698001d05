"""What a venue knows of one market while it is connected."""

from __future__ import annotations

from dope.types import Instrument


class Known:
    """What a venue knows of one market: who carries its book, and how far the chain of its messages goes.

    ``conn`` −1 = nobody carries it; ``last`` None = no snapshot yet; ``asked`` = ns when a new snapshot was asked for.
    """

    __slots__ = ("asked", "check_ts", "conn", "instrument", "key", "last", "native", "rechecked")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument, self.key, self.native = instrument, instrument.key, instrument.native
        self.conn = -1
        self.last: int | None = None
        self.asked: int | None = None
        self.check_ts = 0  # when its book is to be compared with REST, 0 = not planned yet
        self.rechecked = True  # the last comparison was the second of two
